"""The report of a hand-in: at most five A4 pages that tell the parameters and the validation PSNR."""

import io
import re
from typing import Any

import numpy as np
from pypdf import PageObject, PdfReader
from pypdf.errors import DependencyError
from torch import nn

from sr_utils.config import BORDER
from sr_utils.hand_in.checkpoint_rules import stored_psnr
from sr_utils.hand_in.folder import REPORT, HandIn
from sr_utils.hand_in.report import MAX_PAGES
from sr_utils.hand_in.rule import Rule
from sr_utils.networks import count_parameters

A4_POINTS = (595.3, 841.9)


def check_report(hand_in: HandIn, model: nn.Module, metadata: dict[str, Any]) -> list[Rule]:
    """Pages, parameter number and validation PSNR of report.pdf."""
    opens = "report can be opened"
    if REPORT not in hand_in.files:
        return [Rule(opens, False, f"no {REPORT}", "Run 07 again.")]
    try:
        reader = PdfReader(io.BytesIO((hand_in.folder / REPORT).read_bytes()))
        encrypted = reader.is_encrypted
    except DependencyError:  # by AES, which pypdf alone cannot read
        encrypted = True
    if encrypted:
        return [Rule(opens, False, "it is encrypted", "Save it without a password.")]
    pages, parameters = reader.pages, f"{count_parameters(model):,}"
    text = " ".join(page.extract_text() for page in pages)
    others = sorted({size for page in pages if not _is_a4(size := _shown_size(page))})
    told = f"{len(pages)} pages" + "".join(
        f", {width:.0f}×{height:.0f} points" for width, height in others[:3]
    )
    stored = list(stored_psnr(metadata).values())
    mean = float(np.mean(stored)) if stored else np.inf
    decibels = [float(number) for number in re.findall(r"(?<![\d.,+−-])\d+\.\d\d(?=\s*dB)", text)]
    near = min((abs(number - mean) for number in decibels), default=np.inf)  # another device rounds otherwise
    whole = re.search(rf"(?<![\d.,]){parameters}(?![.,]?\d)", text)
    return [
        Rule(
            f"report of at most {MAX_PAGES} A4 pages",
            1 <= len(pages) <= MAX_PAGES and not others,
            told,
            "Shorten report.typ.",
        ),
        Rule("parameters in the report", bool(whole), parameters, "Run 07 again."),
        Rule(
            "validation PSNR in the report",
            near < 0.015,
            f"{mean:.2f} dB (RGB, border {BORDER})",
            "Run 05 and 07 on the photos of the training's validation.",
        ),
    ]


def _shown_size(page: PageObject) -> tuple[float, float]:
    """Shorter and longer side of what a viewer shows of a page, in points."""
    boxes = [np.array(box, float).reshape(2, 2) for box in (page.mediabox, page.cropbox)]
    low = np.max([box.min(axis=0) for box in boxes], axis=0)  # only what lies in both is shown
    high = np.min([box.max(axis=0) for box in boxes], axis=0)
    unit = float(page.get("/UserUnit", 1))  # points per unit of the page
    return tuple(sorted((high - low) * unit))


def _is_a4(size: tuple[float, float]) -> bool:
    return all(abs(side - wanted) < 1 for side, wanted in zip(size, A4_POINTS, strict=True))
