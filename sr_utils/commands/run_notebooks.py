"""Run a project's notebooks top to bottom: executed copies, their HTML without network, and a summary."""

import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import latex2mathml.converter
import nbformat
import pandas as pd
import papermill
from nbconvert import HTMLExporter
from nbconvert.preprocessors import CoalesceStreamsPreprocessor

from sr_utils.config import Config, configure
from sr_utils.console import say
from sr_utils.files import write_atomic
from sr_utils.metrics import column
from sr_utils.paths import Paths
from sr_utils.training.train import read_log
from sr_utils.views.compare.widget import HINT_HTML

NAME = re.compile(r"\d\d_[a-z_]+")  # of a notebook of ours; Jupyter's copies are named 02_…-Copy1
PSNR = column("PSNR", "rgb")
# The comparison's page, as soon as its script runs; until then, and in print, the still picture before it,
# which stays below that page: browsers paint no frame that is off the screen.
SLIDER = """<style>
.sr-compare-frame { position: relative; width: 100%; height: 1000px; border: 0 }
.sr-compare-frame:not(.sr-compare-live) { position: absolute; visibility: hidden }
@media screen { .jp-OutputArea-child:has(+ .jp-OutputArea-child .sr-compare-live) { position: absolute } }
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


def run_notebooks(
    profile: str, changes: dict[str, Any], paths: Paths, *, only: Sequence[str] = (), download: bool = True
) -> None:
    """Run the notebooks of a project in order; copies and pages go to `report/executed`.

    Args:
        profile, changes: the run, which is passed to every notebook; the user's chosen run stays what it is.
        paths: the project.
        only: numbers, for example ("01", "03"); none: all.
        download: let notebook 05 download Set5 where it is missing.

    Raises:
        ValueError: no notebook has such a number, or one failed; the message names it and its page.
    """
    config, folder = configure(profile, changes), paths.root / "notebooks"
    found = sorted(path.stem for path in folder.glob("*.ipynb") if NAME.fullmatch(path.stem))
    unknown = set(only) - {name[:2] for name in found}
    if unknown or not found:
        there = ", ".join(found) or "none"
        raise ValueError(f"No notebook {' '.join(sorted(unknown))} in {folder}; there are: {there}.")
    root: dict[str, Any] = {"ROOT": str(paths.root)}
    first = root | {"PROFILE": profile, "CHANGES": changes, "REMEMBER": False}
    began = time.perf_counter()
    for name in found:
        if not only or name[:2] in only:
            say(f"\n=== {name} ===")
            values = first if name.startswith("01") else root | {"RUN": {"profile": profile} | changes}
            own = {"DOWNLOAD_SET5": False} if name.startswith("05") and not download else {}
            _run(folder / f"{name}.ipynb", paths.root / "report" / "executed", values | own)
    say(summary(config, paths))
    say(f"All of it took {(time.perf_counter() - began) / 60:.1f} minutes.")


def _run(notebook: Path, executed: Path, values: dict[str, object]) -> None:
    """Execute one notebook, its output shown as plain text, and write `<name>.ipynb` and `<name>.html`."""
    executed.mkdir(parents=True, exist_ok=True)
    target = executed / notebook.name
    try:
        papermill.execute_notebook(
            notebook,
            target,
            parameters=values,
            cwd=notebook.parent,
            stdout_file=sys.stdout,
            stderr_file=sys.stderr,
            log_output=True,
            progress_bar=False,
            # the kernel's: it warns of its local connection, and calls its own end an interrupt now and then
            extra_arguments=["--log-level=CRITICAL"],
        )
    except papermill.PapermillExecutionError as error:
        page = target.with_suffix(".html")
        raise ValueError(f"{notebook.name} failed ({error.ename}: {error.evalue}); see {page}.") from None
    finally:  # a failed notebook is worth reading too
        if target.exists():
            write_atomic(target.with_suffix(".html"), to_html(target))


def to_html(path: Path) -> str:
    """An executed notebook of a project, below its root in report/executed, as one HTML page.

    Images are embedded, formulas are MathML; the page needs no network.
    """
    root = path.parents[2]
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
    page, _ = exporter.from_notebook_node(notebook, resources={"metadata": {"path": str(root)}})
    page = page.replace(HINT_HTML, SLIDER)  # a live widget needs a kernel; its twin lies in report/
    return re.sub(r"%formula(\d+)%", lambda match: formulas[int(match[1])], page)


def summary(config: Config, paths: Paths) -> str:
    """What came out, as a table, and where to look next."""
    results = paths.results(config)
    lines = ["", f"=== {config.run_name} ==="]
    if (results / "validation.json").exists():
        rows = pd.read_json(results / "validation.json")
        methods = list(rows["method"].unique())
        table = rows.pivot(index="image", columns="method", values=PSNR)[methods]
        table.loc["mean"] = table.mean()
        table["gain"] = table[methods[-1]] - table[methods[0]]
        lines += [f"Validation photos, {PSNR}:", table.round(2).to_string(index_names=False)]
    if records := read_log(paths.run(config)):
        lines.append(f"training: {records[-1]['step']} steps in {records[-1]['seconds']:.0f} s")
    lines.append("Look at: report/executed/05_compare_models.html, report/compare.html, report/report.pdf")
    return "\n".join(lines)
