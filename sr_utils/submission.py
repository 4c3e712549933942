"""The hand-in: its folder and zip, and the challenge's rules as checks: pass or fail, with the figure."""

import json
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pypdf import PdfReader
from torch import nn

from sr_utils import checkpoints, images, sources
from sr_utils.config import BORDER, PARAMETER_LIMIT, SCALE, Config, Paths
from sr_utils.infer import super_resolve
from sr_utils.metrics import psnr
from sr_utils.networks import count_parameters
from sr_utils.report import MAX_PAGES
from sr_utils.run_state import validation_psnr
from sr_utils.swap import swapped_in

SOURCES = ("sr_utils", "notebooks", "report/report.typ", "report/references.yml", "requirements.txt",
           "pyproject.toml", "Makefile", "README.md", "LICENSE")  # fmt: skip
A4_POINTS = (595.3, 841.9)


class Rule(NamedTuple):
    """One rule of the challenge, checked."""

    rule: str
    passed: bool
    figure: str
    """What was found."""
    todo: str
    """What to do where it failed."""


def build(config: Config, paths: Paths, numbers: dict[str, Any]) -> Path:
    """Copy images, checkpoint, report and source code into `report/submission/`, with a manifest.

    Args:
        config: the run.
        paths: the project.
        numbers: what `report.collect` gave, so that the checks can compare it with the files.

    Raises:
        FileNotFoundError: something is missing; the message names the notebook that makes it.
    """
    folder = paths.root / "report" / "submission"
    with swapped_in(folder) as beside:
        (beside / "images").mkdir()
        files = sources.find_test_images(config, paths)
        for file in files:
            enlarged = paths.results(config.run_name) / "test" / f"{file.stem}.png"
            if not enlarged.exists():
                raise FileNotFoundError(
                    f"{enlarged} is missing. Run notebooks/04_infer_test_set.ipynb first."
                )
            shutil.copy(enlarged, beside / "images")
        shutil.copy(files[0], beside / f"sample_LR{files[0].suffix}")
        shutil.copy(paths.run(config.run_name) / "best.safetensors", beside / "checkpoint.safetensors")
        shutil.copy(paths.root / "report" / "report.pdf", beside)
        for name in SOURCES:
            origin, target = paths.root / name, beside / "source" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if origin.is_dir():
                shutil.copytree(origin, target, ignore=shutil.ignore_patterns("__pycache__", ".*"))
            elif origin.exists():
                shutil.copy(origin, target)
        manifest = {
            "profile": config.profile,
            "test_images": config.test_images,
            "lr_sizes": {file.stem: images.read_header(file)[:2] for file in files},
            "sample": files[0].stem,
            "parameters": numbers["parameters"],
        }
        images.write_atomic(beside / "manifest.json", json.dumps(manifest, indent=1))
    return folder


def check(folder: Path | str, *, val_pairs: Sequence[sources.Pair] = ()) -> list[Rule]:
    """Every rule of the challenge on a hand-in folder made by `build`.

    Args:
        folder: the hand-in.
        val_pairs: the validation photos; with them the PSNR is computed again from the checkpoint.

    Returns:
        One row per rule, failing ones included; only a folder without a readable manifest raises.
    """
    folder = Path(folder)
    if not (folder / "manifest.json").is_file():
        raise FileNotFoundError(f"{folder} is no hand-in (no manifest.json). Run notebooks/07_report.ipynb.")
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    rows = _check_images(folder, manifest)
    try:
        model, metadata = checkpoints.load_checkpoint(folder / "checkpoint.safetensors")
    except (ValueError, FileNotFoundError) as error:
        return [
            *rows,
            Rule("checkpoint loads strictly", False, str(error), "Put the run's checkpoint there."),
        ]
    rows.append(Rule("checkpoint loads strictly", True, model.label, ""))
    code = sorted((folder / "source" / "sr_utils").glob("**/*.py"))
    rows.append(Rule("source code", len(code) > 10, f"{len(code)} modules", "Run 07 again in the project."))
    rows += _check_network(folder, manifest, model, metadata)
    rows += _check_report(folder, model, metadata)
    if val_pairs:
        again = validation_psnr(model, val_pairs)
        stored = metadata["val_psnr_rgb_border4"]
        difference = max(abs(again[name] - stored.get(name, 0)) for name in again)
        told = f"{np.mean(list(again.values())):.2f} dB, largest difference {difference:.3f} dB"
        rows.append(
            Rule("validation PSNR recomputed (RGB, border 4)", difference < 0.01, told, "Run 05 again.")
        )
    return rows


def _check_images(folder: Path, manifest: dict[str, Any]) -> list[Rule]:
    expected = {
        f"{name}.png": tuple(SCALE * side for side in size) for name, size in manifest["lr_sizes"].items()
    }
    found = {path.name: path for path in (folder / "images").iterdir()}
    wrong = sorted(expected.keys() ^ found.keys())
    bad = []
    for name in expected.keys() & found.keys():
        try:
            header = images.read_header(found[name])
            if header[:2] != expected[name] or header.note or found[name].read_bytes()[:4] != b"\x89PNG":
                bad.append(f"{name} {header.height}×{header.width} {header.note}")
        except ValueError as error:
            bad.append(str(error))
    count = f"{len(found)} of {manifest['test_images']}"
    again = "Run 04 again."
    return [
        Rule("number of images", len(found) == manifest["test_images"], count, again),
        Rule("names as the inputs", not wrong, ", ".join(wrong[:5]) or "all", again),
        Rule("each exactly ×4, 8-bit RGB PNG", not bad, "; ".join(bad[:3]) or "all", again),
    ]


def _check_network(
    folder: Path, manifest: dict[str, Any], model: nn.Module, metadata: dict[str, Any]
) -> list[Rule]:
    count = count_parameters(model)
    rows = [Rule("trainable parameters", count < PARAMETER_LIMIT, f"{count:,} < {PARAMETER_LIMIT:,}",
                 "Use fewer blocks and train again.")]  # fmt: skip
    sample, stored = next(folder.glob("sample_LR.*"), None), folder / "images" / f"{manifest['sample']}.png"
    if sample and stored.is_file():
        again, kept = super_resolve(model, images.read_image(sample)), images.read_image(stored)
        same = again.shape == kept.shape
        levels = int(np.abs(again.astype(int) - kept).max()) if same else 255
        told = f"largest difference {levels}, {psnr(again, kept, border=BORDER) if same else 0:.1f} dB"
    else:
        levels, told = 255, "sample or its output is missing"
    rows.append(Rule("checkpoint reproduces an output (≤ 1 grey level)", levels <= 1, told, "Run 04 again."))
    for rule, key, wanted in (
        ("no initial weights (attested)", "initial_weights", None),
        ("no ensemble (attested)", "ensemble", False),
    ):
        got = metadata.get(key, "unknown")
        rows.append(Rule(rule, got is wanted, str(got), "Train with 03 and hand in that checkpoint."))
    data = metadata.get("data_fingerprint")
    rows.append(Rule("trained on the named store only (attested)", bool(data),
                     str(data)[:12], "Train with 03."))  # fmt: skip
    return rows


def _check_report(folder: Path, model: nn.Module, metadata: dict[str, Any]) -> list[Rule]:
    path = folder / "report.pdf"
    if not path.is_file():
        return [Rule("report", False, "no report.pdf", "Run 07 again.")]
    pages = PdfReader(path).pages
    text = " ".join(page.extract_text() for page in pages)
    sizes = {tuple(round(float(side), 1) for side in page.mediabox[2:]) for page in pages}
    a4 = all(abs(side - wanted) < 1 for size in sizes for side, wanted in zip(size, A4_POINTS, strict=True))
    mean = f"{np.mean(list(metadata['val_psnr_rgb_border4'].values())):.2f}"
    parameters = f"{count_parameters(model):,}"
    return [
        Rule(f"report of at most {MAX_PAGES} A4 pages", len(pages) <= MAX_PAGES and a4, f"{len(pages)} pages",
             "Shorten report.typ."),
        Rule("parameters in the report", parameters in text, parameters, "Run 07 again."),
        Rule("validation PSNR in the report", mean in text, f"{mean} dB (RGB, border {BORDER})", "Run 07."),
    ]  # fmt: skip


def as_table(rows: Sequence[Rule]) -> pd.DataFrame:
    """The checks as a table, with a mark that needs no colour."""
    marks = {True: "✔ pass", False: "✘ FAIL"}
    cells = [(marks[row.passed], row.rule, row.figure, "" if row.passed else row.todo) for row in rows]
    return pd.DataFrame(cells, columns=["", "rule", "found", "to do"])


def pack(folder: Path | str, rows: Sequence[Rule], *, despite_failures: bool = False) -> Path:
    """Zip a checked hand-in beside its folder.

    Raises:
        ValueError: a rule failed, and `despite_failures` is not set.
    """
    folder = Path(folder)
    failed = [row.rule for row in rows if not row.passed]
    if failed and not despite_failures:
        raise ValueError(
            f"No zip: {len(failed)} rules fail ({'; '.join(failed)}). despite_failures=True packs it."
        )
    target, beside = folder.with_suffix(".zip"), folder.with_suffix(".zip.part")
    with zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            archive.write(path, Path(folder.name) / path.relative_to(folder))
    beside.replace(target)
    return target
