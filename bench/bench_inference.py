"""Enlarging: against a plain float32 whole-image forward, tile sizes, and a folder of test images."""

import argparse
import functools
import json
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import measure
import numpy as np
import torch

from sr_utils import images
from sr_utils.device import choose_device
from sr_utils.enlarging.infer import super_resolve, super_resolve_folder
from sr_utils.enlarging.tiles import AUTO_TILE
from sr_utils.networks import MSRResNet, TwoScale

COMMAND = "python bench/bench_inference.py"
# LR height and width: a DIV2K test input, twice and four times its sides (the last is a whole DIV2K photo)
SMALL, MIDDLE, LARGE = (339, 510), (678, 1020), (1356, 2040)
TILES = (128, 256, 384, 512, None)


def plain(image: np.ndarray) -> np.ndarray:
    """MSRResNet-20 as a textbook writes it: float32, the whole image at once."""
    lr = torch.from_numpy(image).permute(2, 0, 1)[None].contiguous().float() / 255
    with torch.no_grad():
        sr = NETWORKS["MSRResNet-20"](lr)
    return (sr[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()


LIGHT = MSRResNet(light_tail=True).label  # what `sr-utils enlarge` takes by default
NETWORKS = {
    network.label: network.eval() for network in (MSRResNet(), MSRResNet(light_tail=True), TwoScale())
}


def ours(image: np.ndarray, network: str = LIGHT, tile: int | str | None = "auto") -> np.ndarray:
    """What users call."""
    return super_resolve(NETWORKS[network], image, tile=tile)


CONTESTANTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"plain": plain}
CONTESTANTS |= {name: functools.partial(ours, network=name) for name in NETWORKS}
CONTESTANTS |= {f"tile {tile}": functools.partial(ours, tile=tile) for tile in TILES}


def contest(name: str, size: tuple[int, int]) -> dict[str, float]:
    """Median seconds of three runs after a warm-up, and the MB that they took beside the network."""
    image = np.random.default_rng(0).integers(256, size=(*size, 3), dtype=np.uint8)
    began_with = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    seconds = []
    for _ in range(4):
        began = time.perf_counter()
        CONTESTANTS[name](image)
        seconds.append(time.perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return {"seconds": statistics.median(seconds[1:]), "memory": peak - began_with}


def main() -> None:
    """Run all claims; contestants take turns, each in a fresh process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--contestant", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.contestant:
        name, *size = arguments.contestant
        print(json.dumps(contest(name, (int(size[0]), int(size[1])))))
        return
    measure.require_cpu()
    tell = functools.partial(measure.tell, command=COMMAND)
    in_child = functools.partial(measure.in_child, __file__)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in CONTESTANTS}
    for _ in range(arguments.rounds):
        for name, results in found.items():
            results.append(in_child(name, *(MIDDLE if name.startswith("tile") else SMALL)))
    seconds = {name: statistics.median(one["seconds"] for one in results) for name, results in found.items()}
    memory = {name: statistics.median(one["memory"] for one in results) for name, results in found.items()}
    told = f"MSRResNet-20, float32; 510×339 → 2040×1356; {choose_device().description}"
    for network, least, most in (("MSRResNet-20", 5, 50), (LIGHT, 14, 15), ("TwoScale", 14, 15)):
        tell(
            f"×4 of one image, {network}: times a plain forward of MSRResNet-20",
            seconds["plain"] / seconds[network],
            "×",
            target=least,
            baseline=f"{seconds['plain']:.2f} s against {seconds[network]:.2f} s; {told}",
        )
        tell(
            f"×4 of one image, {network}: share of the plain forward's peak memory",
            100 * memory[network] / memory["plain"],
            "%",
            target=most,
            at_most=True,
            baseline=f"{memory['plain']:.0f} MB against {memory[network]:.0f} MB; {told}",
        )
    told = f"{LIGHT}, 1020×678 → 4080×2712; {choose_device().description}"
    for tile in TILES:
        tell(
            f"×4 of one image in tiles of {tile or 'the whole image'}",
            seconds[f"tile {tile}"],
            "s",
            baseline=f"{memory[f'tile {tile}']:.0f} MB; the default is {AUTO_TILE}; {told}",
        )
    # The bound: as many multiplications without overlap, at the speed of a whole image.
    bound = seconds["tile None"] * LARGE[0] * LARGE[1] / (MIDDLE[0] * MIDDLE[1])
    large = in_child(LIGHT, *LARGE)["seconds"]
    tell(
        "×4 of 2040×1356 in tiles: times the arithmetic bound",
        large / bound,
        "×",
        baseline=f"{large:.1f} s against {bound:.1f} s: 4 whole images of 1020×678",
    )
    folder = Path(os.environ.get("SR_DATA", "none")) / "DIV2K_test_LR"
    if not folder.is_dir():
        print("80 test images: skipped, SR_DATA names no folder with DIV2K_test_LR")
        return
    files = images.list_images(folder)
    for network in (LIGHT, "TwoScale"):
        with tempfile.TemporaryDirectory() as out:
            began = time.perf_counter()
            super_resolve_folder(NETWORKS[network], files, out)
            minutes = (time.perf_counter() - began) / 60
            size = images.read_header(Path(out) / f"{files[0].stem}.png")
        told = f"{len(files)} images like {files[0].name} → {size.width}×{size.height}, PNG in and out"
        tell(
            f"80 test images, {network}: wall time", minutes, "minutes", target=1, at_most=True, baseline=told
        )


if __name__ == "__main__":
    main()
