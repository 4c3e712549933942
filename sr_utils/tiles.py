"""An image through a network in tiles with overlaps: the whole-image result in bounded memory."""

from collections.abc import Iterator
from itertools import product
from typing import Literal

import numpy as np
import torch
from torch import nn

from sr_utils import images
from sr_utils.config import SCALE
from sr_utils.device import Device, choose_device

Tile = int | Literal["auto"] | None
Box = tuple[int, int, int, int]
AUTO_TILE = 384  # LR pixels; the overlap makes smaller ones slow: bench/bench_inference.py
STRIP = 24  # LR rows


@torch.no_grad()
def iterate_tiles(
    model: nn.Module, image: np.ndarray, *, tile: Tile = "auto", precision: str = "auto",
    overlap: int | None = None,
) -> Iterator[tuple[tuple[slice, slice], torch.Tensor]]:  # fmt: skip
    """(place in the ×4 image, float32 (3, 4h, 4w)) of every tile; tiles shrink where a GPU's memory ends.

    Args:
        model, image: as in `infer.super_resolve`.
        tile: side of the tiles in LR pixels without their overlap; "auto", or None: the whole image at once.
        precision: "auto", "float32" or "bf16"; see `device.choose_device`.
        overlap: LR pixels around a tile that are computed and thrown away. With the network's receptive field
            (the default: `model.receptive_field`) the tiled result is the whole-image result.
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
    model = model.to(device.device, memory_format=device.memory_format).eval()
    waiting = _cut((0, 0, height, width), side)
    while waiting:
        try:
            done = _one_tile(model, image, device, waiting[0], overlap or 0)
        except torch.OutOfMemoryError:
            side = min(side, max(height, width)) // 2
            if side < 16:
                raise
            print(f"out of GPU memory: going on with tiles of {side} LR pixels")
            waiting = [part for box in waiting for part in _cut(box, side)]
            continue
        yield done
        waiting.pop(0)


def _cut(box: Box, side: int) -> list[Box]:
    """Boxes (top, left, bottom, right) of about equal sides, of at most `side` pixels, that fill a box."""
    top, left, bottom, right = box
    rows = np.linspace(top, bottom, -(-(bottom - top) // side) + 1).astype(int).tolist()
    columns = np.linspace(left, right, -(-(right - left) // side) + 1).astype(int).tolist()
    return [
        (*corner, *end)
        for corner, end in zip(product(rows[:-1], columns[:-1]), product(rows[1:], columns[1:]), strict=True)
    ]


def _one_tile(
    model: nn.Module, image: np.ndarray, device: Device, box: Box, overlap: int
) -> tuple[tuple[slice, slice], torch.Tensor]:
    top, left, bottom, right = box
    above, before = max(top - overlap, 0), max(left - overlap, 0)
    lr = images.to_tensor(image[above : bottom + overlap, before : right + overlap], device.device)[None]
    with device.autocast():
        sr = forward(model, lr.contiguous(memory_format=device.memory_format)).float()[0]
    expected = tuple(SCALE * size for size in lr.shape[-2:])
    if sr.shape[-2:] != expected:
        raise ValueError(
            f"{type(model).__name__}: expected an output of {expected}, got {tuple(sr.shape[-2:])}."
        )
    rows = slice(SCALE * (top - above), SCALE * (bottom - above))
    columns = slice(SCALE * (left - before), SCALE * (right - before))
    place = slice(SCALE * top, SCALE * bottom), slice(SCALE * left, SCALE * right)
    return place, sr[:, rows, columns]


def forward(model: nn.Module, lr: torch.Tensor) -> torch.Tensor:
    """`model(lr)`; of a network in two halves the second goes strip by strip, since it takes the memory.

    There an LR pixel has 16 × 64 values, not 64. Three convolutions at growing size see 2 LR pixels around.
    """
    if not hasattr(model, "extract"):
        return model(lr)
    features, height = model.extract(lr), lr.shape[2]
    strips = []
    for top in range(0, height, STRIP):
        above, bottom = max(top - 2, 0), min(top + STRIP, height)
        part = slice(above, bottom + 2)
        sr = model.reconstruct(features[:, :, part], lr[:, :, part])
        strips.append(sr[:, :, SCALE * (top - above) : SCALE * (bottom - above)])
    return torch.cat(strips, dim=2)
