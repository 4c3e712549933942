"""What a comparison tells of an image and its methods: checks, figures, and where to look first."""

import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import cv2
import numpy as np

from sr_utils.config import BORDER, SCALE
from sr_utils.metrics import TRUTH, psnr, ssim

Methods = Mapping[str, np.ndarray]
Images = Mapping[str, Methods]
Box = tuple[int, int, int, int]  # top, left, height, width in HR pixels

DETAIL, COUNT = 64, 5  # HR pixels of a detail's side; how many are told
BLOCK = 8  # details lie on blocks of so many HR pixels
REACHES = (8, 16, 24, 32, 48, 64, 96, 128)  # grey levels that a map of the error may end at


def plan(images: Images, left: str, right: str | None) -> dict[str, dict[str, Any]]:
    """What is shown of every image but its pixels: methods, size, first pair, border. Errors as `compare`."""
    if not images:
        raise ValueError("Expected at least one image to compare, got none.")
    entries = {}
    for name, methods in images.items():
        height, width = _size(name, methods)
        if TRUTH in methods and min(height, width) < 11 + 2 * BORDER:
            raise ValueError(f"{name}: SSIM needs 11×11 pixels inside border {BORDER}, got {height}×{width}.")
        others = [method for method in methods if method not in (TRUTH, left)]
        pair = {"left": left, "right": right or (others[-1] if others else TRUTH)}
        for side, method in pair.items():
            if method not in methods:
                raise ValueError(f"{name}: expected {side} to be one of {list(methods)}, got {method!r}.")
        size = {"image": name, "height": height, "width": width, "border": BORDER}
        entries[name] = size | pair | {"methods": list(methods), "truth": TRUTH if TRUTH in methods else None}
    return entries


def _size(name: str, methods: Methods) -> tuple[int, int]:
    if len(methods) < 2:
        raise ValueError(f"{name}: expected at least two methods to compare, got {list(methods)}.")
    for method, image in methods.items():
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.shape[2:] != (3,):
            got = f"{getattr(image, 'dtype', type(image).__name__)} {getattr(image, 'shape', '')}"
            raise ValueError(f"{name}, {method}: expected a uint8 (H, W, 3) RGB array, got {got}.")
    height, width = max((image.shape[:2] for image in methods.values()), key=math.prod)
    for method, image in methods.items():
        is_lr = method != TRUTH and image.shape[:2] == (height / SCALE, width / SCALE)
        if image.shape[:2] != (height, width) and not is_lr:
            raise ValueError(
                f"{name}, {method}: expected {height}×{width} pixels as the largest method, or a quarter of "
                f"each side (LR), got {image.shape[0]}×{image.shape[1]}. Crop all methods alike."
            )
    return height, width


def as_shown(methods: Methods, method: str) -> np.ndarray:
    """A method's (H, W, 3) image as it is seen and judged: an LR image enlarged, each pixel as a square."""
    image = methods[method]
    if image.shape[0] * SCALE == max(other.shape[0] for other in methods.values()):
        return image.repeat(SCALE, axis=0).repeat(SCALE, axis=1)
    return image


def make_side(methods: Methods, method: str) -> dict[str, object]:
    """PSNR in dB and SSIM of a method: {psnr, ssim}.

    Both are "reference" for the truth and None without one; the PSNR of an equal image is "identical".
    """
    if method == TRUTH or TRUTH not in methods:
        figure = "reference" if method == TRUTH else None
        return {"psnr": figure, "ssim": figure}
    shown, truth = as_shown(methods, method), methods[TRUTH]
    decibels = psnr(shown, truth, border=BORDER)
    told = "identical" if math.isinf(decibels) else decibels
    return {"psnr": told, "ssim": ssim(shown, truth, border=BORDER)}


def find_all_details(methods: Methods) -> dict[str, dict[str, list[Box]]]:
    """What `find_details` gives for every two methods, by the name that comes first and the other's."""
    errors = cache(lambda method, other: block_errors(methods, method, other))
    pairs = {left: [right for right in methods if right >= left] for left in methods}
    return {
        left: {right: find_details(methods, left, right, errors) for right in pairs[left]} for left in pairs
    }


def find_details(methods: Methods, left: str, right: str, errors: Callable | None = None) -> list[Box]:
    """The five most telling details, the first one first; they do not overlap.

    A detail is a square of 64 HR pixels, or of the image's shorter side. Told is where the squared errors
    that two methods leave differ most or, without a truth, where the two differ most from each other.
    """
    errors = errors or (lambda method, other: block_errors(methods, method, other))
    gains = abs(errors(left, TRUTH) - errors(right, TRUTH)) if TRUTH in methods else errors(left, right)
    height, width = as_shown(methods, left).shape[:2]
    side = min(DETAIL, height, width)
    step = max(side // BLOCK, 1)
    sums = cv2.boxFilter(gains, -1, (step, step), anchor=(0, 0), normalize=False)
    sums = np.maximum(sums[: max(gains.shape[0] - step + 1, 1), : max(gains.shape[1] - step + 1, 1)], 0)
    details: list[Box] = []
    while len(details) < COUNT and (sums >= 0).any():
        row, column = np.unravel_index(np.argmax(sums), sums.shape)
        details.append(
            (int(min(row * BLOCK, height - side)), int(min(column * BLOCK, width - side)), side, side)
        )
        sums[max(row - step + 1, 0) : row + step, max(column - step + 1, 0) : column + step] = -1
    return details


def block_errors(methods: Methods, method: str, other: str) -> np.ndarray:
    """Mean squared difference of two methods in every block of 8×8 HR pixels: float32, two axes."""
    squares = cv2.absdiff(as_shown(methods, method), as_shown(methods, other)).astype(np.float32) ** 2
    height, width = (max(side // BLOCK, 1) for side in squares.shape[:2])
    inside = squares.mean(axis=2)[: height * BLOCK, : width * BLOCK]
    return cv2.resize(inside, (width, height), interpolation=cv2.INTER_AREA)


def find_reach(methods: Methods, left: str, right: str) -> int:
    """Grey levels at which a map of the error ends: at most one pixel in a hundred is beyond."""
    other = TRUTH if TRUTH in methods else right
    differences = [cv2.absdiff(as_shown(methods, side), as_shown(methods, other)) for side in (left, right)]
    level = max(np.percentile(difference[::3, ::3].mean(axis=2), 99) for difference in differences)
    return next((reach for reach in REACHES if reach >= level), REACHES[-1])
