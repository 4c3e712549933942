"""The challenge's rules as checks of a hand-in folder: pass or fail, with the figure."""

import hashlib
import json
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pypdf import PdfReader
from pypdf.errors import PyPdfError
from torch import nn

from sr_utils import checkpoints, images, sources
from sr_utils.config import BORDER, PARAMETER_LIMIT, SCALE
from sr_utils.infer import read_manifest, super_resolve
from sr_utils.metrics import psnr
from sr_utils.networks import count_parameters
from sr_utils.report import MAX_PAGES
from sr_utils.validation import validation_psnr

A4_POINTS = (595.3, 841.9)


class Rule(NamedTuple):
    """One rule of the challenge, checked."""

    rule: str
    passed: bool
    figure: str
    """What was found."""
    todo: str
    """What to do where it failed."""


def check(folder: Path | str, *, val_pairs: Sequence[sources.Pair] = ()) -> list[Rule]:
    """Every rule of the challenge on a hand-in folder made by `build`.

    Args:
        folder: the hand-in.
        val_pairs: the validation photos; with them the PSNR is computed again from the checkpoint.

    Returns:
        One row per rule, failing ones included.

    Raises:
        ValueError: no folder, or one without a readable manifest or images.
    """
    folder = Path(folder)
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        rows = _check_images(folder, manifest)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{folder}: no hand-in, or damaged ({error!r}). Run notebook 07 again.") from None
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
    for what, part in (
        ("images and checkpoint", partial(_check_network, folder, manifest, model, metadata)),
        ("report", partial(_check_report, folder, model, metadata)),
        ("validation PSNR", partial(_check_validation, model, metadata, val_pairs)),
    ):
        try:
            rows += part()
        except (OSError, ValueError, KeyError, TypeError, PyPdfError) as error:
            rows.append(Rule(f"{what} readable", False, repr(error), "Run 04 and 07 again."))
    return rows


def _check_validation(
    model: nn.Module, metadata: dict[str, Any], val_pairs: Sequence[sources.Pair]
) -> list[Rule]:
    stored = metadata.get("val_psnr_rgb_border4", {})
    pairs = [pair for pair in val_pairs if pair.name in stored]  # a run may validate on some
    if not val_pairs:
        return []
    again = validation_psnr(model, pairs, precision=metadata.get("config", {}).get("precision", "auto"))
    difference = max((abs(again[name] - stored[name]) for name in again), default=np.inf)
    told = f"{len(pairs)} photos, largest difference {difference:.3f} dB"
    todo = "Train with 03 on these validation photos."
    return [Rule("validation PSNR recomputed (RGB, border 4)", difference < 0.01, told, todo)]


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
    name = Path(manifest["sample"]).name  # never out of the folder
    sample, stored = next(folder.glob("sample_LR.*"), None), folder / "images" / f"{name}.png"
    if sample and stored.is_file():
        again, kept = super_resolve(model, images.read_image(sample)), images.read_image(stored)
        same = again.shape == kept.shape
        levels = int(np.abs(again.astype(int) - kept).max()) if same else 255
        told = f"largest difference {levels}, {psnr(again, kept, border=BORDER) if same else 0:.1f} dB"
    else:
        levels, told = 255, "sample or its output is missing"
    rows.append(Rule("checkpoint reproduces an output (≤ 1 grey level)", levels <= 1, told, "Run 04 again."))
    records = [record for record in read_manifest(folder).values() if record["image"] in manifest["lr_sizes"]]
    weights, ensemble = checkpoints.weights_digest(model), metadata.get("ensemble", "unknown")
    hashes = {
        path.stem: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("images/*.png")
    }
    made = {record["image"]: record["sha256"] for record in records if record["weights"] == weights}
    ensembles = sum(record["ensemble"] for record in records)
    initial, data = metadata.get("initial_weights", "unknown"), metadata.get("data_fingerprint", "unknown")
    told = "none" if initial is None else "some" if isinstance(initial, dict) else initial
    config = metadata.get("config", {})
    retrain = "Train with 03 and hand in that checkpoint."
    return [
        *rows,
        Rule("every image made by this checkpoint (attested)", made == hashes,
             f"{sum(made.get(name) == hashes[name] for name in hashes)} of {len(hashes)}", "Run 04 again."),
        Rule("no ensemble (attested)", ensemble is False and not ensembles,
             f"weights: {ensemble}; images: {ensembles}", "Run 04 again, without self-ensemble."),
        Rule("no initial weights (attested)", initial is None, told, retrain),
        Rule("trained on the named store only (attested)", data == manifest.get("data_fingerprint"),
             str(data)[:12], retrain),
        Rule("trained under the challenge's rules (attested)", config.get("challenge") is True,
             f"profile {config.get('profile', 'unknown')}", retrain),
    ]  # fmt: skip


def _check_report(folder: Path, model: nn.Module, metadata: dict[str, Any]) -> list[Rule]:
    path = folder / "report.pdf"
    if not path.is_file():
        return [Rule("report", False, "no report.pdf", "Run 07 again.")]
    pages = PdfReader(path).pages
    text = " ".join(page.extract_text() for page in pages)
    sizes = {tuple(round(float(side), 1) for side in page.mediabox[2:]) for page in pages}
    a4 = all(abs(side - wanted) < 1 for size in sizes for side, wanted in zip(size, A4_POINTS, strict=True))
    stored = list(metadata.get("val_psnr_rgb_border4", {}).values())
    mean = np.mean(stored) if stored else np.inf
    told = [float(number) for number in re.findall(r"\d+\.\d\d(?=\s*dB)", text)]
    near = min((abs(number - mean) for number in told), default=np.inf)  # another device rounds otherwise
    parameters = f"{count_parameters(model):,}"
    return [
        Rule(f"report of at most {MAX_PAGES} A4 pages", len(pages) <= MAX_PAGES and a4, f"{len(pages)} pages",
             "Shorten report.typ."),
        Rule("parameters in the report", parameters in text, parameters, "Run 07 again."),
        Rule("validation PSNR in the report", near < 0.015, f"{mean:.2f} dB (RGB, border {BORDER})",
             "Run 05 and 07 on the photos of the training's validation."),
    ]  # fmt: skip


def as_table(rows: Sequence[Rule]) -> pd.DataFrame:
    """The checks as a table, with a mark that needs no colour."""
    marks = {True: "✔ pass", False: "✘ FAIL"}
    cells = [(marks[row.passed], row.rule, row.figure, "" if row.passed else row.todo) for row in rows]
    return pd.DataFrame(cells, columns=["", "rule", "found", "to do"])
