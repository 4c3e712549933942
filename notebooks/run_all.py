"""Run the notebooks top to bottom; leave executed copies, their HTML without network, and a summary.

python notebooks/run_all.py --profile demo
"""

import argparse
import re
import sys
import time
from pathlib import Path

import latex2mathml.converter
import nbformat
import pandas as pd
import papermill
from nbconvert import HTMLExporter
from nbconvert.preprocessors import CoalesceStreamsPreprocessor

from sr_utils.compare_widget import HINT_HTML
from sr_utils.config import Config, configure, parse_flags
from sr_utils.images import write_atomic
from sr_utils.metrics import column
from sr_utils.paths import Paths
from sr_utils.train import read_log

HERE = Path(__file__).parent
NAMES = sorted(path.stem for path in HERE.glob("0*.ipynb"))
PSNR = column("PSNR", "rgb")
# The comparison's page, as soon as its script runs; until then, and in print, the still picture before it.
SLIDER = """<style>
.sr-compare-frame { width: 100%; height: 1000px; border: 0 }
.sr-compare-frame:not(.sr-compare-live) { position: absolute; visibility: hidden }
@media screen { .jp-OutputArea-child:has(+ .jp-OutputArea-child .sr-compare-live) { display: none } }
@media print { .sr-compare-frame { display: none } }
</style><iframe class="sr-compare-frame" src="../compare.html" title="slider"></iframe>
<script>
window.addEventListener("message", (event) => {
  for (const frame of document.querySelectorAll(".sr-compare-frame")) {
    if (event.source === frame.contentWindow && event.data.srCompareHeight) {
      frame.style.height = `${event.data.srCompareHeight}px`;
      frame.classList.add("sr-compare-live");
    }
  }
});
</script>"""


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], allow_abbrev=False)
    parser.add_argument("--steps", type=int, dest="total_steps", help="the same as --total-steps")
    parser.add_argument("--root", type=Path, default=HERE.parent, help="project folder (default: this one)")
    parser.add_argument("--only", nargs="+", metavar="NN", help="numbers of the notebooks, for example 01 03")
    parser.add_argument(
        "--no-download", action="store_true", help="take Set5 from a local folder or not at all"
    )
    arguments, changes = parse_flags(parser, profile="demo")
    try:
        config = configure(arguments.profile, **changes)
    except ValueError as error:
        parser.error(str(error))
    names = [name for name in NAMES if not arguments.only or name[:2] in arguments.only]
    if not names:
        parser.error(f"--only: expected some of {', '.join(name[:2] for name in NAMES)}")
    root = arguments.root.resolve()
    executed = root / "report" / "executed"
    executed.mkdir(parents=True, exist_ok=True)
    values = {"PROFILE": arguments.profile, "STEPS": changes.pop("total_steps", None), "CHANGES": changes}
    values["ROOT"] = str(root)
    began = time.perf_counter()
    for name in names:
        print(f"\n=== {name} ===", flush=True)
        own = {"DOWNLOAD_SET5": False} if arguments.no_download and name.startswith("05") else {}
        run_notebook(name, executed, values | own)
    print(summary(config, Paths.find(root)))
    print(f"All of it took {(time.perf_counter() - began) / 60:.1f} minutes.")


def run_notebook(name: str, executed: Path, values: dict[str, object]) -> None:
    """Execute one notebook, its output shown as plain text, and write `<name>.ipynb` and `<name>.html`."""
    target = executed / f"{name}.ipynb"
    try:
        papermill.execute_notebook(
            HERE / f"{name}.ipynb",
            target,
            parameters=values,
            cwd=HERE,
            stdout_file=sys.stdout,
            stderr_file=sys.stderr,
            log_output=True,
        )
    finally:  # a failed notebook is worth reading too
        if target.exists():
            write_atomic(target.with_suffix(".html"), to_html(target))


def to_html(path: Path) -> str:
    """An executed notebook as one HTML page: images embedded, formulas as MathML, no network."""
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata.pop("widgets", None)  # or the page asks the network for their program
    formulas: list[str] = []

    def set_aside(match: re.Match) -> str:  # nbconvert would close every tag of a formula on the spot
        formulas.append(latex2mathml.converter.convert(match[1]))
        return f"%formula{len(formulas) - 1}%"

    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = re.sub(r"(?<![\\$])\$([^$\n]+)\$", set_aside, cell.source)
            cell.source = re.sub(r"\]\((\d\d_\w+)\.ipynb\)", r"](\1.html)", cell.source)
            cell.source = re.sub(r"(!\[[^\]]*\]\()\.\./", r"\1", cell.source)  # embedded, seen from the root
            cell.source = cell.source.replace("](../", "](../../")  # executed copies lie one folder deeper
    notebook, _ = CoalesceStreamsPreprocessor(enabled=True).preprocess(
        notebook, {}
    )  # of a progress bar, the last state alone
    exporter = HTMLExporter(embed_images=True, mathjax_url="", require_js_url="", mermaid_js_url="")
    exporter.exclude_input_prompt = exporter.exclude_output_prompt = True
    page, _ = exporter.from_notebook_node(notebook, resources={"metadata": {"path": str(HERE.parent)}})
    page = page.replace(HINT_HTML, SLIDER)  # a live widget needs a kernel; its twin lies in report/
    return re.sub(r"%formula(\d+)%", lambda match: formulas[int(match[1])], page)


def summary(config: Config, paths: Paths) -> str:
    """What came out, as a table, and where to look next."""
    results = paths.results(config.run_name)
    lines = ["", f"=== {config.run_name} ==="]
    if (results / "validation.json").exists():
        rows = pd.read_json(results / "validation.json")
        methods = list(rows["method"].unique())
        table = rows.pivot(index="image", columns="method", values=PSNR)[methods]
        table.loc["mean"] = table.mean()
        table["gain"] = table[methods[-1]] - table[methods[0]]
        lines += [f"Validation photos, {PSNR}:", table.round(2).to_string(index_names=False)]
    if records := read_log(paths.run(config.run_name)):
        lines.append(f"training: {records[-1]['step']} steps in {records[-1]['seconds']:.0f} s")
    lines.append("Look at: report/executed/05_compare_models.html, report/compare.html, report/report.pdf")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
