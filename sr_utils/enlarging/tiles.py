"""An image through a network in tiles with overlaps: the whole-image result in bounded memory."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from torch import nn

from sr_utils import images
from sr_utils.config import SCALE
from sr_utils.console import say
from sr_utils.device import Device, choose_device
from sr_utils.networks import Network

Tile = int | Literal["auto"] | None
Box = tuple[int, int, int, int]
AUTO_TILE = 384  # LR pixels; smaller is slower for its overlap, larger takes memory: bench/bench_inference.py
STRIP = 48  # LR rows
COLUMNS = 16  # bf16 convolutions of a CPU are up to five times slower at some widths, none a multiple of this


@torch.no_grad()
def iterate_tiles(
    model: nn.Module,
    image: np.ndarray,
    *,
    tile: Tile = "auto",
    precision: str = "auto",
    overlap: int | None = None,
) -> Iterator[tuple[tuple[slice, slice], torch.Tensor]]:
    """(place in the ×4 image, float32 (3, 4h, 4w)) piece by piece; tiles shrink where a GPU's memory ends.

    Args:
        model, image: as in `infer.super_resolve`.
        tile: side of the tiles in LR pixels without their overlap; "auto", or None: the whole image at once.
        precision: "auto", "float32", "bf16" or "fp16"; see `device.choose_device`.
        overlap: at least so many LR pixels around a tile are computed and thrown away. With the network's
            receptive field (the default: `model.receptive_field`) the tiled result is the whole-image result.
    """
    if not (tile in ("auto", None) or (isinstance(tile, int) and tile >= 1)):
        raise ValueError(f"tile: expected 'auto', None or a positive number of LR pixels, got {tile!r}.")
    if overlap is not None and overlap < 0:
        raise ValueError(f"overlap: expected at least 0 LR pixels, got {overlap}.")
    height, width = image.shape[:2]
    side = max(height, width) if tile is None else AUTO_TILE if tile == "auto" else tile
    if overlap is None:
        overlap = getattr(model, "receptive_field", None)
        if overlap is None and side < max(height, width):
            raise ValueError(f"{type(model).__name__} has no receptive_field: pass overlap= in LR pixels.")
    device = choose_device(precision)
    model = model.to(device.device).to(memory_format=device.memory_format).eval()
    grid = getattr(model, "grid", 1)
    waiting = _cut((0, 0, height, width), side, grid)
    while waiting:
        try:
            yield from _one_tile(model, image, device, waiting[0], _ceil(overlap or 0, grid))
        except torch.OutOfMemoryError:
            side = min(side, max(height, width)) // 2
            if side < 16 or overlap is None:  # without an overlap, tiles would show
                raise
            say(f"out of GPU memory: going on with tiles of {side} LR pixels")
            waiting = [part for box in waiting for part in _cut(box, side, grid)]
        else:
            waiting.pop(0)


def _cut(box: Box, side: int, grid: int) -> list[Box]:
    """Boxes (top, left, bottom, right) of about equal sides that fill a box and begin on a network's grid.

    Their sides have at most `side` pixels, or the grid's multiple above it.
    """
    top, left, bottom, right = box
    rows, columns = _cut_side(top, bottom, side, grid), _cut_side(left, right, side, grid)
    return [(top, left, bottom, right) for top, bottom in pairwise(rows) for left, right in pairwise(columns)]


def _cut_side(first: int, end: int, side: int, grid: int) -> list[int]:
    cells = _ceil(end - first, grid) // grid
    parts = -(-cells * grid // _ceil(side, grid))
    return [first + grid * (cells * part // parts) for part in range(parts)] + [end]


def _ceil(size: int, grid: int) -> int:
    return -(-size // grid) * grid


def _one_tile(
    model: nn.Module, image: np.ndarray, device: Device, box: Box, overlap: int
) -> Iterator[tuple[tuple[slice, slice], torch.Tensor]]:
    top, left, bottom, right = box
    above = max(top - overlap, 0)
    grid = getattr(model, "grid", 1)
    before, after = _widen(left - overlap, right + overlap, image.shape[1], grid)
    lr = images.to_tensor(image[above : bottom + overlap, before:after], device.device)[None]
    lr = lr.contiguous(memory_format=device.memory_format)
    inner = (top - above, left - before, bottom - above, right - before)
    for row, sr in iterate_strips(model, lr, inner, device.autocast):
        first = SCALE * (above + row)
        place = slice(first, first + sr.shape[2]), slice(SCALE * left, SCALE * right)
        yield place, sr[0].float()


def _widen(first: int, end: int, width: int, grid: int = 1) -> tuple[int, int]:
    """These columns, so far as they lie within the width, and more around, to a multiple of `COLUMNS`."""
    first, end = max(first, 0), min(end, width)
    missing = -(end - first) % COLUMNS
    after = min(missing, width - end)
    return max(first - (missing - after) // grid * grid, 0), end + after


def iterate_strips(
    model: nn.Module, lr: torch.Tensor, box: Box, autocast: Callable[[], AbstractContextManager]
) -> Iterator[tuple[int, torch.Tensor]]:
    """(row, output) of a box of an LR batch: strip by strip, or at once if a module is no `Network`.

    The half that enlarges takes the memory: MSRResNet's has 16 × 64 values for an LR pixel. Its two to four
    convolutions at growing size see 2 LR pixels around: it runs on a strip and these alone.
    """
    top, left, bottom, right = box
    network = model if isinstance(model, Network) else None
    if network:
        with autocast():
            features = network.extract(lr)
    height = STRIP if network else bottom - top
    before, after = _widen(left - 2, right + 2, lr.shape[-1]) if network else (0, None)
    for row in range(top, bottom, height):
        end = min(row + height, bottom)
        above = max(row - 2, 0) if network else 0
        part = (..., slice(above, end + 2), slice(before, after)) if network else ...
        with autocast():
            sr = network.reconstruct(features[part], lr[part]) if network else model(lr)
        expected = tuple(SCALE * size for size in lr[part].shape[-2:])
        if sr.shape[-2:] != expected:
            raise ValueError(
                f"{type(model).__name__}: expected an output of {expected}, got {tuple(sr.shape[-2:])}."
            )
        rows = slice(SCALE * (row - above), SCALE * (end - above))
        yield row, sr[..., rows, SCALE * (left - before) : SCALE * (right - before)]
