"""A photo in both sizes: found by its files' names, checked by their headers, read on demand."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sr_utils import images
from sr_utils.config import SCALE
from sr_utils.headers import read_header


class Pair(NamedTuple):
    """One photo in both sizes."""

    name: str
    hr: Path | np.ndarray  # file, or uint8 (H, W, 3)
    lr: Path | np.ndarray | None  # of a quarter of the sides; None: `images.resize_bicubic` makes it
    reduced_to: float = 1.0  # of the sides, when it is read: below 1, with no LR


def find_pairs(hr_folder: Path | str, lr_folder: Path | str | None) -> list[Pair]:
    """Pair the photos of two folders: 0001.png with 0001.png or 0001x4.png, checked by their headers.

    Without an LR folder every photo stands alone and its LR image is made later.
    FileNotFoundError or ValueError name a folder or image that is missing, unreadable or of the wrong size.
    """
    hr_files = {path.stem: path for path in images.list_images(hr_folder)}
    if lr_folder is None:
        for path in hr_files.values():
            read_header(path)
        return [Pair(name, path, None) for name, path in hr_files.items()]
    lr_files = {path.stem: path for path in images.list_images(lr_folder)}
    suffix = "" if hr_files.keys() & lr_files.keys() else f"x{SCALE}"
    expected = {name + suffix for name in hr_files}
    for missing, where in ((expected - lr_files.keys(), lr_folder), (lr_files.keys() - expected, hr_folder)):
        if missing:
            raise ValueError(
                f"HR and LR do not match: {len(missing)} images have no partner in {where}, "
                f"the first: {', '.join(sorted(missing)[:5])}. Expected 0001.png with 0001.png or 0001x4.png."
            )
    pairs = []
    for name, path in hr_files.items():
        lr_path = lr_files[name + suffix]
        require_match(name, read_header(path)[:2], read_header(lr_path)[:2])
        pairs.append(Pair(name, path, lr_path))
    return pairs


def read_centres(files: Sequence[Path], side: int = 640) -> list[Pair]:
    """The middle of each photo, at most `side` HR pixels high and wide; its LR image is made from it."""
    pairs = []
    for path in files:
        photo = images.read_image(path)
        top, left = (max(0, size - side) // 2 for size in photo.shape[:2])
        pairs.append(Pair(path.stem, photo[top : top + side, left : left + side], None))
    return pairs


def hr_size(pair: Pair) -> tuple[int, int]:
    """Height and width of HR, before it is cut to LR × 4, without decoding it."""
    size = pair.hr.shape[:2] if isinstance(pair.hr, np.ndarray) else read_header(pair.hr)[:2]
    height, width = (round(side * pair.reduced_to) for side in size)
    return height, width


def require_match(name: str, hr_size: Sequence[int], lr_size: Sequence[int]) -> None:
    """ValueError if an LR size (height, width) is not a quarter of HR; up to 3 pixels are cut from HR."""
    expected = tuple(side // SCALE for side in hr_size)
    if expected != tuple(lr_size):
        raise ValueError(
            f"HR and LR do not match: expected LR {expected} for HR {tuple(hr_size)} at scale {SCALE}, "
            f"got {tuple(lr_size)} for {name}."
        )


def read_pair(pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    """Decode a pair: uint8 HR (4H, 4W, 3), cut at bottom and right to LR × 4, and LR (H, W, 3)."""
    hr = _read_side(pair.name, pair.hr)
    lr = None if pair.lr is None else _read_side(pair.name, pair.lr)
    hr = images.reduce(hr, pair.reduced_to) if pair.reduced_to < 1 else hr
    height, width = (side // SCALE * SCALE for side in hr.shape[:2])
    if not height or not width:
        raise ValueError(f"{pair.name}: {hr.shape[0]}×{hr.shape[1]} is smaller than one LR pixel (4×4).")
    if lr is None:
        lr = images.resize_bicubic(hr[:height, :width], 1 / SCALE)
    require_match(pair.name, hr.shape[:2], lr.shape[:2])
    return hr[:height, :width], lr


def _read_side(name: str, side: Path | np.ndarray) -> np.ndarray:
    image = side if isinstance(side, np.ndarray) else images.read_image(side)
    if image.dtype != np.uint8 or image.shape[2:] != (3,):
        raise ValueError(f"{name}: expected uint8 (H, W, 3) images, got {image.dtype} {image.shape}.")
    return image


def conversion_note(pairs: Sequence[Pair]) -> str:
    """How many files are not plain sRGB, for example "converted to RGB: 2 grey, 1 palette", or "".

    Colours of a foreign profile (Display P3, Adobe RGB) are counted too; their numbers are read as they are.
    """
    originals = [pair for pair in pairs if pair.reduced_to == 1]
    files = [side for pair in originals for side in (pair.hr, pair.lr) if isinstance(side, Path)]
    headers = [read_header(path) for path in files]
    told = []
    for text, kinds in (
        ("converted to RGB", Counter(header.note for header in headers if header.note)),
        ("taken as sRGB, though they are not", Counter(header.colors for header in headers if header.colors)),
    ):
        listed = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        told += [f"{text}: {listed}"] if listed else []
    return "; ".join(told)
