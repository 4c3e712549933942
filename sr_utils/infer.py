"""Enlarging one image or a folder: any module that maps (N, 3, H, W) to (N, 3, 4H, 4W), whole or in tiles."""

import argparse
import hashlib
import json
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from sr_utils import images
from sr_utils.ahead import ahead
from sr_utils.checkpoints import load_checkpoint, weights_digest
from sr_utils.config import SCALE
from sr_utils.console import say
from sr_utils.files import write_atomic
from sr_utils.tiles import Tile, iterate_strips, iterate_tiles

MANIFEST = "manifest.jsonl"


def super_resolve(
    model: nn.Module, image: np.ndarray, *, tile: Tile = "auto", precision: str = "auto",
    overlap: int | None = None,
) -> np.ndarray:  # fmt: skip
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


class SelfEnsemble(nn.Module):
    """Mean of a network's outputs for the eight turned and mirrored inputs; the challenge forbids it.

    Source: Lim et al., "Enhanced deep residual networks for single image super-resolution", CVPRW 2017.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.receptive_field = network, network.receptive_field

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        outputs = []
        for turns in range(4):
            turned = lr.rot90(turns, (2, 3))
            outputs.append(self._enlarge(turned).rot90(-turns, (2, 3)))
            outputs.append(self._enlarge(turned.flip(3)).flip(3).rot90(-turns, (2, 3)))
        return sum(outputs) / 8

    def _enlarge(self, lr: torch.Tensor) -> torch.Tensor:
        strips = iterate_strips(self.network, lr, (0, 0, *lr.shape[2:]), nullcontext)
        return torch.cat([sr for _, sr in strips], dim=2)


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
        ValueError: the folder holds inputs, two inputs share a name; or, after all others are done, images
            that could not be read, or whose outputs could not be, named.
    """
    out = Path(out)
    if any(out.resolve() == file.parent.resolve() for file in files):
        raise ValueError(f"{out} holds the inputs; choose another folder, so that none is overwritten.")
    targets = [out / f"{file.stem}.png" for file in files]
    if len(set(targets)) < len(files):
        raise ValueError("Two inputs have the same name without their suffix; rename one of them.")
    out.mkdir(parents=True, exist_ok=True)
    story = {"weights": weights_digest(model), "ensemble": isinstance(model, SelfEnsemble)}
    reader = ahead(partial(_read, out=out, story=story, finished=read_manifest(out)), files)
    bar = tqdm(reader, "enlarging", len(files), unit="image", file=sys.stdout, mininterval=0.5)
    failed, colorless, writing = [], [], deque()
    with ThreadPoolExecutor(1) as writer:
        for file, (data, lr, colors, lost) in bar:
            if isinstance(lr, str):
                failed.append(lr)
            elif lr is not None:
                began = time.perf_counter()
                sr = super_resolve(model, lr)
                colorless += [f"{file.name} ({lost})"] if lost else []
                record = story | {"image": file.stem, "lr": lr.shape[:2], "input_sha256": data}
                record["seconds"] = round(time.perf_counter() - began, 3)
                writing.append(writer.submit(_write, out, record, sr, colors))
                if len(writing) > 2:  # bounds the memory, and tells a full disk
                    writing.popleft().result()
        for future in writing:
            future.result()
    if colorless:
        told = ", ".join(colorless)
        say(f"{len(colorless)} outputs lack the colours of their inputs; convert these to sRGB first: {told}")
    if failed:
        raise ValueError(f"{len(failed)} of {len(files)} images failed, the others are done: {failed}")
    return targets


class _Input(NamedTuple):
    digest: str
    lr: np.ndarray | str | None  # its pixels, or what is wrong with it; None: its output is there
    color_chunks: bytes = b""
    lost_colors: str = ""  # which its output cannot carry


def _read(file: Path, out: Path, story: dict[str, Any], finished: dict[str, dict[str, Any]]) -> _Input:
    try:
        data = file.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        old, target = finished.get(file.stem, {}), out / f"{file.stem}.png"
        with suppress(FileNotFoundError):  # another error (a name too long) is this file's alone
            size = target.stat().st_size
            if (story | {"input_sha256": digest, "bytes": size}).items() <= old.items():
                return _Input(digest, None)
        header = images.read_header(file, data)
        images.require_readable(target, SCALE * header.height, SCALE * header.width)
        chunks = images.read_color_chunks(data)
        lost = "" if chunks else header.colors
        return _Input(digest, images.read_image(file), chunks, lost)
    except (ValueError, OSError) as error:
        return _Input("", str(error))


def _write(out: Path, record: dict[str, Any], image: np.ndarray, color_chunks: bytes) -> None:
    png = images.encode_png(image, color_chunks)
    write_atomic(out / f"{record['image']}.png", png)
    record |= {"sr": image.shape[:2], "bytes": len(png), "sha256": hashlib.sha256(png).hexdigest()}
    with (out / MANIFEST).open("a", encoding="utf-8") as file:
        file.write(f"\n{json.dumps(record)}\n")  # a killed run may have left half a line


def read_manifest(folder: Path) -> dict[str, dict[str, Any]]:
    """The last record of each image that `super_resolve_folder` wrote into a folder, by name."""
    path = folder / MANIFEST
    records = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        with suppress(ValueError):  # empty, or half a line
            record = json.loads(line)
            records[record["image"]] = record
    return records


def main() -> None:
    """Enlarge every image of a folder four times."""
    parser = argparse.ArgumentParser(prog="python -m sr_utils.infer", description=main.__doc__)
    parser.add_argument("folder", type=Path, help="LR images")
    parser.add_argument("--checkpoint", type=Path, required=True, help="a .safetensors of ours, or a .pth")
    parser.add_argument("--out", type=Path, required=True, help="folder for the PNGs")
    parser.add_argument(
        "--self-ensemble", action="store_true", help="mean of 8 turned inputs; not allowed in the challenge"
    )
    arguments = parser.parse_args()
    try:
        model, _ = load_checkpoint(arguments.checkpoint)
        model = SelfEnsemble(model) if arguments.self_ensemble else model
        super_resolve_folder(model, images.list_images(arguments.folder), arguments.out)
    except (ValueError, OSError) as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
