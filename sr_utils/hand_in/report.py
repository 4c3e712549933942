"""The report: numbers and figures that the notebooks left behind → report.typ → report.pdf."""

import io
import json
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import typst
from pypdf import PdfReader

from sr_utils import checkpoints
from sr_utils.config import PARAMETER_LIMIT, Config
from sr_utils.console import say
from sr_utils.data.splits import open_split
from sr_utils.files import write_atomic
from sr_utils.networks import count_parameters
from sr_utils.paths import Paths
from sr_utils.training.run_files import read_log
from sr_utils.views.figures import THIS_RUN

MAX_PAGES = 5


def save_table(table: pd.DataFrame, folder: Path | str, name: str) -> None:
    """Write a table of `metrics.evaluate` as `<name>.csv` and `<name>.json`."""
    folder = Path(folder)
    write_atomic(folder / f"{name}.csv", table.reset_index().to_csv(index=False))
    write_atomic(folder / f"{name}.json", table.reset_index().to_json(orient="records", indent=1))


def collect(config: Config, paths: Paths, **fields: Any) -> dict[str, Any]:
    """Everything the report tells, from the run's files.

    Args:
        config: the run.
        paths: the project.
        fields: title, author, student_number and the like, passed on to the report.

    Raises:
        FileNotFoundError: something is missing; the message names the notebook that makes it.
    """
    results, run = paths.results(config), paths.run(config)
    store = open_split(config, paths)
    model, metadata = checkpoints.load_checkpoint(run / "best.safetensors")
    numbers = dict(fields)
    for name in ("validation", "benchmark"):
        rows = _require(results / f"{name}.json", "05_compare_models")
        numbers[name] = sorted(rows, key=lambda row: row["image"])  # a photo's methods side by side
    numbers["benchmark_name"] = numbers["benchmark"][0]["photos"]
    numbers["test"] = _require(results / "test.json", "04_infer_test_set")
    for name, file in (("claims", "claims"), ("study", "ablations"), ("times", "times")):
        numbers[name] = _require(results / f"{file}.json", "06_ablations")
    records = read_log(run)
    numbers |= {
        "profile": config.profile,
        "rehearsal": config.profile != "full",
        "run": run.name,
        "parameters": count_parameters(model),
        "parameter_limit": PARAMETER_LIMIT,
        "config": metadata["config"],
        "network": model.label,
        "method": model.label + THIS_RUN,
        "weights": metadata["weights"],
        "best_step": metadata["step"],
        "training_minutes": (records[-1]["seconds"] if records else metadata["training_seconds"]) / 60,
        "photos": len(store.photos),
        "sub_images": len(store),
        "store_gigabytes": sum(store.description["bytes"].values()) / 1e9,
        "figures": sorted(path.stem for path in (results / "figures").glob("*.pdf")),
    }
    return numbers


def _require(path: Path, notebook: str) -> Any:
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing. Run notebooks/{notebook}.ipynb first.")
    return json.loads(path.read_text(encoding="utf-8"))


def write_report(numbers: dict[str, Any], config: Config, paths: Paths) -> Path:
    """Set `report/report.typ` with `numbers` and the run's figures as `report/report.pdf`.

    Raises:
        ValueError: it has more than 5 pages, or the template lacks something (typst's message).
        FileNotFoundError: a figure is missing; the message names the notebook.
    """
    results = paths.results(config)
    made_by = {
        "augmentations": "02_augmentations",
        "architecture": "03_train",
        "short_tails": "03_train",
        "learning_curves": "03_train",
        "zoom": "05_compare_models",
        "tradeoff": "05_compare_models",
        "ablations": "06_ablations",
        "time_to_psnr": "06_ablations",
    }
    for name in made_by.keys() - numbers["figures"]:
        raise FileNotFoundError(f"The figure {name} is missing. Run notebooks/{made_by[name]}.ipynb first.")
    write_atomic(results / "report.json", json.dumps(numbers, indent=1))
    if boxes := find_undrawable(json.dumps(numbers, ensure_ascii=False), installed=True):
        say(
            f"No installed font has {' '.join(boxes)}: boxes stand for them in the report. Install one, for "
            "example Noto (Debian, Ubuntu: apt install fonts-noto), or write it in Latin letters."
        )
    pdf = _compile(config, paths, "pdf")
    if _count_pages(pdf) > MAX_PAGES and "learning" in numbers["figures"]:  # it is shown if there is room
        fewer = numbers | {"figures": [name for name in numbers["figures"] if name != "learning"]}
        write_atomic(results / "report.json", json.dumps(fewer, indent=1))
        pdf = _compile(config, paths, "pdf")
    if (pages := _count_pages(pdf)) > MAX_PAGES:
        raise ValueError(
            f"The report has {pages} pages; the challenge allows {MAX_PAGES}. Shorten report.typ."
        )
    write_atomic(paths.root / "report" / "report.pdf", pdf)
    return paths.root / "report" / "report.pdf"


def _count_pages(pdf: bytes) -> int:
    return len(PdfReader(io.BytesIO(pdf)).pages)


def draw_pages(config: Config, paths: Paths) -> list[bytes]:
    """The pages of the report that `write_report` made, as PNGs."""
    pages = _compile(config, paths, "png")
    return pages if isinstance(pages, list) else [pages]


def _compile(config: Config, paths: Paths, kind: Literal["pdf", "png"]) -> Any:
    template = paths.root / "report" / "report.typ"
    folder = paths.results(config)
    inputs = {"folder": "/" + folder.relative_to(paths.root).as_posix()}
    numbers = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    bundled = not find_undrawable(json.dumps(numbers, ensure_ascii=False), installed=False)
    try:  # with the bundled fonts alone where they have all, so that the report looks alike everywhere
        return typst.compile(
            template, format=kind, root=paths.root, sys_inputs=inputs, ignore_system_fonts=bundled, ppi=110
        )
    except typst.TypstError as error:
        raise ValueError(f"{template}: {error}") from None


def find_undrawable(text: str, *, installed: bool) -> list[str]:
    """The characters of a text that typst's bundled fonts lack, or that the `installed` ones lack, too."""
    if _is_drawable(text, installed):
        return []
    return [
        letter
        for letter in dict.fromkeys(text)
        if not letter.isascii() and not _is_drawable(letter, installed)
    ]


def _is_drawable(text: str, installed: bool) -> bool:
    """Whether each character has its glyph: PDF/A forbids the boxes that otherwise stand for one."""
    options: Any = {"sys_inputs": {"text": text}, "ignore_system_fonts": not installed}
    try:
        typst.compile(b"#sys.inputs.text", format="pdf", pdf_standards="a-2b", **options)
    except typst.TypstError:
        return False
    return True
