"""Enlarging an image, files or a folder by any module that maps (N, 3, H, W) to (N, 3, 4H, 4W), in tiles."""

import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import nn
from tqdm import tqdm

from sr_utils import images
from sr_utils.ahead import ahead
from sr_utils.checkpoints import weights_digest
from sr_utils.config import SCALE
from sr_utils.console import say
from sr_utils.enlarging.ensemble import SelfEnsemble
from sr_utils.enlarging.inputs import read_input
from sr_utils.enlarging.outputs import read_manifest, require_safe, write_output
from sr_utils.enlarging.tiles import Tile, iterate_tiles


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
        tile, precision, overlap: as in `tiles.iterate_tiles`.

    Raises:
        ValueError: not uint8 (H, W, 3), a bad tile, or no overlap for a module without `receptive_field`.
    """
    result = _new_result(image, np.uint8)
    for place, tensor in iterate_tiles(model, image, tile=tile, precision=precision, overlap=overlap):
        result[place] = images.to_image(tensor)
    return result


def super_resolve_float(model: nn.Module, image: np.ndarray, **options: Any) -> np.ndarray:
    """As `super_resolve`, before rounding and clipping: float32 (4H, 4W, 3), nominally in [0, 1]."""
    result = _new_result(image, np.float32)
    for place, tensor in iterate_tiles(model, image, **options):
        result[place] = tensor.movedim(0, -1).cpu().numpy()
    return result


def _new_result(image: np.ndarray, dtype: type) -> np.ndarray:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(f"Expected a uint8 (H, W, 3) image, got {image.dtype} {image.shape}.")
    return np.empty((SCALE * image.shape[0], SCALE * image.shape[1], 3), dtype)


def enlarge_with(
    networks: Mapping[str, nn.Module], pairs: Mapping[str, tuple[np.ndarray, np.ndarray]]
) -> dict[str, dict[str, np.ndarray]]:
    """What bicubic and every network make of the LR images of some (hr, lr) pairs: method → name → image."""
    outputs = {"bicubic": {name: images.resize_bicubic(lr, SCALE) for name, (_, lr) in pairs.items()}}
    for label, network in networks.items():
        outputs[label] = {name: super_resolve(network, lr) for name, (_, lr) in pairs.items()}
    return outputs


def super_resolve_folder(model: nn.Module, files: Sequence[Path], out: Path | str) -> list[Path]:
    """Enlarge image files into a folder, as PNGs of the same names; reading and writing go on meanwhile.

    A line of `manifest.jsonl` tells each output: sizes, seconds, hashes of input, output and weights. Outputs
    that it tells of these inputs and weights are kept, so a killed run goes on. An output has the colour
    profile of its input; a line tells of profiles that do not fit RGB.

    Args:
        model: as in `super_resolve`.
        files: LR images.
        out: where the results go; not a folder of the inputs.

    Returns:
        The outputs, in the order of `files`.

    Raises:
        ValueError: the folder holds inputs or files of the outputs' names that are not ours, two inputs share
            a name; or, after all others are done, images that could not be read, or whose outputs could not
            be, named.
    """
    outcome = super_resolve_files(model, files, [Path(out) / f"{file.stem}.png" for file in files], Path(out))
    if outcome.failed:
        raise ValueError(
            f"{len(outcome.failed)} of {len(files)} images failed, the others are done: {outcome.failed}"
        )
    return outcome.targets


class Outcome(NamedTuple):
    """What became of some inputs."""

    targets: list[Path]
    kept: int
    """How many were there already."""
    failed: list[str]
    """What is wrong with each input that could not be read."""


def super_resolve_files(
    model: nn.Module, files: Sequence[Path], targets: Sequence[Path], out: Path | None = None
) -> Outcome:
    """Enlarge each file to its PNG, with a manifest in the folder `out`, if any; see `super_resolve_folder`.

    Raises:
        ValueError: before any work, where a target is an input, or a file that is not of ours.
    """
    known = read_manifest(out) if out else {}
    require_safe(files, targets, out, known)
    for folder in {target.parent for target in targets}:
        folder.mkdir(parents=True, exist_ok=True)
    story = {"weights": weights_digest(model), "ensemble": isinstance(model, SelfEnsemble)}
    reader = ahead(
        partial(read_input, story=story, known=known if out else None), zip(files, targets, strict=True)
    )
    bar = tqdm(reader, "enlarging", len(files), unit="image", file=sys.stdout, mininterval=0.5)
    kept, failed, colorless = 0, [], []
    writing: deque[Future[None]] = deque()
    with ThreadPoolExecutor(1) as writer:
        for (file, target), (data, lr, colors, lost) in bar:
            if isinstance(lr, str):
                failed.append(lr)
            elif lr is None:
                kept += 1
            else:
                began = time.perf_counter()
                sr = super_resolve(model, lr)
                colorless += [f"{file.name} ({lost})"] if lost else []
                record = story | {"image": file.stem, "lr": lr.shape[:2], "input_sha256": data}
                record["seconds"] = round(time.perf_counter() - began, 3)
                writing.append(writer.submit(write_output, target, out, record, sr, colors))
                if len(writing) > 2:  # bounds the memory, and tells a full disk
                    writing.popleft().result()
        for future in writing:
            future.result()
    if colorless:
        told = ", ".join(colorless)
        say(f"{len(colorless)} outputs lack the colours of their inputs; convert these to sRGB first: {told}")
    return Outcome(list(targets), kept, failed)
