"""Enlarging one image or a folder: any module that maps (N, 3, H, W) to (N, 3, 4H, 4W), whole or in tiles."""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from sr_utils import images, sources
from sr_utils.checkpoints import load_checkpoint
from sr_utils.config import SCALE
from sr_utils.device import Device, choose_device

Tile = int | Literal["auto"] | None
AUTO_TILE = 128  # LR pixels; a choice, not yet measured against others


@torch.no_grad()
def super_resolve(
    model: nn.Module,
    image: np.ndarray,
    *,
    tile: Tile = "auto",
    precision: str = "auto",
    overlap: int | None = None,
) -> np.ndarray:
    """The ×4 image: uint8 (H, W, 3) RGB → uint8 (4H, 4W, 3).

    Args:
        model: float (1, 3, H, W) in [0, 1] → (1, 3, 4H, 4W); it is moved to the best device.
        image: uint8 RGB of any size from 1×1.
        tile: side of the tiles in LR pixels without their overlap; "auto", or None: the whole image at once.
        precision: "auto", "float32" or "bf16"; see `device.choose_device`.
        overlap: LR pixels around a tile that are computed and thrown away. With the network's receptive field
            (the default: `model.receptive_field`) the tiled result is the whole-image result.

    Raises:
        ValueError: not uint8 (H, W, 3), a bad tile, or no overlap for a module without `receptive_field`.
    """
    _require_image(image)
    result = np.empty((SCALE * image.shape[0], SCALE * image.shape[1], 3), np.uint8)
    for place, tensor in _tiles(model, image, tile, precision, overlap):
        result[place] = images.to_image(tensor)
    return result


@torch.no_grad()
def super_resolve_float(
    model: nn.Module,
    image: np.ndarray,
    *,
    tile: Tile = "auto",
    precision: str = "auto",
    overlap: int | None = None,
) -> np.ndarray:
    """As `super_resolve`, before rounding and clipping: float32 (4H, 4W, 3), nominally in [0, 1]."""
    _require_image(image)
    result = np.empty((SCALE * image.shape[0], SCALE * image.shape[1], 3), np.float32)
    for place, tensor in _tiles(model, image, tile, precision, overlap):
        result[place] = tensor.movedim(0, -1).cpu().numpy()
    return result


def _require_image(image: np.ndarray) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(f"Expected a uint8 (H, W, 3) image, got {image.dtype} {image.shape}.")


def _tiles(
    model: nn.Module, image: np.ndarray, tile: Tile, precision: str, overlap: int | None
) -> Iterator[tuple[tuple[slice, slice], torch.Tensor]]:
    """(place in the ×4 image, float32 (3, 4h, 4w)) of every tile."""
    if not (tile in ("auto", None) or (isinstance(tile, int) and tile >= 1)):
        raise ValueError(f"tile: expected 'auto', None or a positive number of LR pixels, got {tile!r}.")
    height, width = image.shape[:2]
    side = max(height, width) if tile is None else AUTO_TILE if tile == "auto" else tile
    if overlap is None:
        overlap = getattr(model, "receptive_field", None)
        if overlap is None and side < max(height, width):
            raise ValueError(f"{type(model).__name__} has no receptive_field: pass overlap= in LR pixels.")
    device = choose_device(precision)
    model = model.to(device.device, memory_format=device.memory_format).eval()
    for top in range(0, height, side):
        for left in range(0, width, side):
            yield _one_tile(model, image, device, top, left, side, overlap or 0)


def _one_tile(
    model: nn.Module, image: np.ndarray, device: Device, top: int, left: int, side: int, overlap: int
) -> tuple[tuple[slice, slice], torch.Tensor]:
    bottom, right = min(top + side, image.shape[0]), min(left + side, image.shape[1])
    above, before = max(top - overlap, 0), max(left - overlap, 0)
    lr = images.to_tensor(image[above : bottom + overlap, before : right + overlap], device.device)[None]
    with device.autocast():
        sr = model(lr.contiguous(memory_format=device.memory_format)).float()[0]
    expected = tuple(SCALE * size for size in lr.shape[-2:])
    if sr.shape[-2:] != expected:
        raise ValueError(
            f"{type(model).__name__}: expected an output of {expected}, got {tuple(sr.shape[-2:])}."
        )
    rows = slice(SCALE * (top - above), SCALE * (bottom - above))
    columns = slice(SCALE * (left - before), SCALE * (right - before))
    place = slice(SCALE * top, SCALE * bottom), slice(SCALE * left, SCALE * right)
    return place, sr[:, rows, columns]


def super_resolve_folder(
    model: nn.Module,
    files: Sequence[Path],
    out: Path | str,
    *,
    on_image: Callable[[str, float], None] | None = None,
) -> list[Path]:
    """Enlarge image files into a folder, as PNGs of the same names; finished ones are kept.

    Args:
        model: as in `super_resolve`.
        files: LR images.
        out: where the results go; not a folder of the inputs.
        on_image: called with name and seconds of each image that was computed.

    Returns:
        The outputs, in the order of `files`.

    Raises:
        ValueError: the folder holds inputs, two inputs share a name, or an input is unreadable.
    """
    out = Path(out)
    if any(out.resolve() == file.parent.resolve() for file in files):
        raise ValueError(f"{out} holds the inputs; choose another folder, so that none is overwritten.")
    targets = [out / f"{file.stem}.png" for file in files]
    if len(set(targets)) < len(targets):
        raise ValueError("Two inputs have the same name without their suffix; rename one of them.")
    sizes = [images.read_header(file)[:2] for file in files]
    for file, target, size in tqdm(
        list(zip(files, targets, sizes, strict=True)), desc="enlarging", unit="image", file=sys.stdout
    ):
        if target.exists() and images.read_header(target)[:2] == tuple(SCALE * side for side in size):
            continue
        began = time.perf_counter()
        images.write_image(target, super_resolve(model, images.read_image(file)))
        if on_image:
            on_image(file.name, time.perf_counter() - began)
    return targets


def main() -> None:
    """Enlarge every image of a folder four times."""
    parser = argparse.ArgumentParser(prog="python -m sr_utils.infer", description=main.__doc__)
    parser.add_argument("folder", type=Path, help="LR images")
    parser.add_argument("--checkpoint", type=Path, required=True, help="a .safetensors of ours, or a .pth")
    parser.add_argument("--out", type=Path, required=True, help="folder for the PNGs")
    arguments = parser.parse_args()
    try:
        model, _ = load_checkpoint(arguments.checkpoint)
        super_resolve_folder(model, sources.list_images(arguments.folder), arguments.out)
    except (ValueError, OSError) as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
