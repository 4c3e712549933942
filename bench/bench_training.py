"""One training step: ours against a plain float32 loop and against the machine's own speed; loop, memory."""

import argparse
import functools
import itertools
import json
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import measure
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from sr_utils import images
from sr_utils.config import FAST, FULL, Config
from sr_utils.data.batches import PatchSampler
from sr_utils.data.build_store import build_store
from sr_utils.data.store import open_store
from sr_utils.device import choose_device
from sr_utils.networks import MSRResNet, Network, TwoScale
from sr_utils.paths import Paths
from sr_utils.training.train import train

COMMAND = "python bench/bench_training.py"
STEPS, WARM_UP = 8, 3
LIGHT = MSRResNet(light_tail=True)
QUICKER = {LIGHT.label: replace(FAST, light_tail=True), "TwoScale": replace(FAST, network="two_scale")}
OURS = {"ours": FULL} | QUICKER  # the quicker ones with our recipe, too


def plain(sampler: PatchSampler) -> Callable[[int], None]:
    """A step as a textbook writes it: float32, PyTorch's defaults; our pairs, so reading plays no part."""
    model = MSRResNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-4, betas=(0.9, 0.99))

    def step(number: int) -> None:
        batch = (torch.from_numpy(side) for side in sampler.batch(number))
        lr, hr = (side.permute(0, 3, 1, 2).contiguous().float() / 255 for side in batch)
        optimizer.zero_grad()
        loss = F.l1_loss(model(lr), hr)
        loss.backward()
        optimizer.step()

    return step


def bare(sampler: PatchSampler) -> Callable[[int], None]:
    """Forward, backward and optimiser as our loop runs them, on one batch that is already there."""
    device = choose_device()
    model = MSRResNet().to(device.device, memory_format=device.memory_format)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-4, betas=(0.9, 0.99), fused=True)
    lr, hr = (images.to_tensor(batch, device.device) for batch in sampler.batch(0))
    lr = lr.contiguous(memory_format=device.memory_format)

    def step(_: int) -> None:
        with device.autocast():
            sr = model(lr)
        optimizer.zero_grad(set_to_none=True)
        F.l1_loss(sr, hr).backward()
        optimizer.step()

    return step


def matrix_product(_: PatchSampler) -> Callable[[int], None]:
    """A large product of bf16 matrices: what the machine's convolutions could reach."""
    choose_device()
    matrix = torch.rand(4096, 4096).bfloat16()
    return lambda _: torch.mm(matrix, matrix)


def ours(config: Config, paths: Paths) -> list[float]:
    """Seconds of each step of `sr_utils.training.train`, as its own log tells them."""
    seconds: list[float] = []
    train(config, paths, lambda record: seconds.append(record["seconds"]), fresh=True)
    return [later - earlier for earlier, later in itertools.pairwise(seconds)]


def gflop(network: Network) -> float:
    """Of forward and backward on 16 pairs of HR patch 128, convolutions alone, in 10⁹."""
    with FlopCounterMode(display=False) as counter:
        F.l1_loss(network(torch.rand(16, 3, 32, 32)), torch.rand(16, 3, 128, 128)).backward()
    return counter.get_total_flops() / 1e9


def contest(name: str, root: Path, batch_size: int) -> dict[str, float]:
    """Median seconds per step and peak memory in GB of one contestant, in a process of its own."""
    steps = WARM_UP + (STEPS if batch_size == 16 else 1)  # larger ones are asked for their memory alone
    config = replace(
        OURS.get(name, FULL),
        challenge=False,  # validation photos may be training photos here
        batch_size=batch_size,
        total_steps=steps,
        log_every=1,
        validation_images=1,
        validate_every=10**6,
        save_every=10**6,
    )
    paths = Paths(root, val_hr=root / "HR", val_lr=root / "LR")
    if name in OURS:
        seconds = ours(config, paths)[WARM_UP - 1 :]
    else:
        store = open_store(paths.store("full"))
        step = {"plain": plain, "bare": bare, "matrix product": matrix_product}[name](
            PatchSampler(store, hr_patch_size=128, batch_size=batch_size, seed=0)
        )
        seconds = []
        for number in range(steps):
            began = time.perf_counter()
            step(number)
            seconds.append(time.perf_counter() - began)
        seconds = seconds[WARM_UP:]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return {"seconds": statistics.median(seconds), "peak": peak}


def main() -> None:
    """Run all claims; contestants take turns, each in a fresh process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--contestant", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.contestant:
        name, root, batch_size = arguments.contestant
        print(json.dumps(contest(name, Path(root), int(batch_size))))
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        build_store(measure.make_photos(root, 4), Paths(root).store("full"))
        run(root, arguments.rounds)


def run(root: Path, rounds: int) -> None:
    """All claims."""
    measure.require_cpu()
    tell = functools.partial(measure.tell, command=COMMAND)
    in_child = functools.partial(measure.in_child, __file__)
    names = ("plain", *OURS, "bare", "matrix product")
    results: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for _ in range(rounds):
        for name, found in results.items():
            found.append(in_child(name, root, 16))
    seconds = {name: statistics.median(one["seconds"] for one in found) for name, found in results.items()}
    peak = {name: statistics.median(one["peak"] for one in found) for name, found in results.items()}
    told = f"MSRResNet-20, batch 16, HR patch 128; {choose_device().description}"
    tell(
        "training step: times a plain float32 loop",
        seconds["plain"] / seconds["ours"],
        "×",
        target=3.2,
        baseline=f"{seconds['plain']:.2f} s against {seconds['ours']:.3f} s; {told}",
    )
    for network in QUICKER:
        tell(
            f"training step of {network}, our recipe: times one of MSRResNet-20, the reference's",
            seconds[network] / seconds["ours"],
            "×",
            baseline=f"{seconds[network]:.3f} s against {seconds['ours']:.3f} s; batch 16, HR patch 128",
        )
    product = 2 * 4096**3 / seconds["matrix product"] / 1e9
    for name, network in {"ours": MSRResNet(), LIGHT.label: LIGHT, "TwoScale": TwoScale()}.items():
        rate = gflop(network) / seconds[name]
        tell(
            f"training step{'' if name == 'ours' else f' of {name}'}: share of the bf16 matrix-product rate",
            100 * rate / product,
            "%",
            target=80 if name == "ours" else None,
            baseline=f"{rate:.0f} of {product:.0f} GFLOP/s (4096×4096); batch 16, HR patch 128",
        )
    overhead = 100 * (seconds["ours"] / seconds["bare"] - 1)
    tell(
        "training loop: overhead beyond forward, backward, optimiser",
        overhead,
        "%",
        target=3,
        at_most=True,
        baseline=f"{seconds['ours']:.3f} s against {seconds['bare']:.3f} s; {told}",
    )
    tell(
        "training step: peak memory of the process",
        peak["ours"],
        "GB",
        baseline=f"plain float32: {peak['plain']:.2f} GB; {told}",
    )
    large = in_child("ours", root, 64)["peak"]
    fits = int(16 + (8 - peak["ours"]) / (large - peak["ours"]) * 48) // 8 * 8
    while (taken := in_child("ours", root, fits)["peak"]) > 8:
        fits -= 8
    tell("training step: largest batch that fits 8 GB", fits, "pairs", baseline=f"{taken:.2f} GB; {told}")


if __name__ == "__main__":
    main()
