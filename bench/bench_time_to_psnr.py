"""Time to a PSNR from scratch: three networks with our recipe and engine, and the reference in plain float32.

The photos are those of the profile "open"; PSNR is measured on its held-out ones, off the clock.
Settings are frozen here: our one-cycle schedule has 1,000 steps, of which a run uses what it needs.
"""

import argparse
import copy
import functools
import json
import sys
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import measure
import numpy as np
import torch

from sr_utils import device, images
from sr_utils.config import FULL, OPEN
from sr_utils.data import sources
from sr_utils.data.build_store import build_split
from sr_utils.data.pair import read_pair
from sr_utils.device import Device
from sr_utils.enlarging.infer import super_resolve
from sr_utils.files import write_atomic
from sr_utils.metrics import psnr
from sr_utils.paths import Paths
from sr_utils.training import kept_weights
from sr_utils.training import run as run_state
from sr_utils.training.train import train

COMMAND = "python bench/bench_time_to_psnr.py"
CURVES = Path(__file__).with_name("curves.json")
OURS = replace(OPEN, total_steps=1000, warmup_steps=50, ema_decay=0.99)
REFERENCE = replace(
    FULL, profile="open", challenge=False, schedule="constant", total_steps=100_000, log_every=25
)
OUR_BEST = "TwoScale, our recipe"
REFERENCE_AS_IT_WAS = "MSRResNet-20, reference recipe, plain float32"
CONTESTANTS = {
    OUR_BEST: (replace(OURS, network="two_scale"), "auto"),
    "MSRResNet-20 with a light tail, our recipe": (replace(OURS, light_tail=True), "auto"),
    "MSRResNet-20, our recipe": (OURS, "auto"),
    REFERENCE_AS_IT_WAS: (REFERENCE, "float32"),
}
GAINS = (1.0, 1.5, 2.0)  # dB over bicubic, held-out photos, RGB, border 4
SET5 = 30.5  # dB, Y, border 4
GOALS = [("gain", gain, f"+{gain:g} dB over bicubic") for gain in GAINS]
GOALS.append(("set5", SET5, f"{SET5} dB on Set5 (Y, border 4)"))
TARGETS = {2.0: 22, SET5: 20}  # times TwoScale's, for the reference


def gain_over_bicubic(record: dict[str, Any], bicubic: float) -> float:
    """The better of trained and averaged weights."""
    return max(value for name, value in record.items() if name.startswith("val_psnr")) - bicubic


def seconds_to(curve: list[dict[str, float]], what: str, wanted: float) -> float | None:
    """Training time at the first validation that reaches `wanted`."""
    return next((point["seconds"] for point in curve if point[what] >= wanted), None)


class _EnoughError(Exception):
    """The run has shown what was asked of it."""


def race(name: str, root: Path, minutes: float) -> list[dict[str, float]]:
    """Train one contestant until all goals are reached; its curve: step, seconds, gain, Set5."""
    config, precision = CONTESTANTS[name]
    config = replace(config, validate_every=25, log_every=25, save_every=10**6)
    if precision == "float32":  # PyTorch's defaults, and glibc's
        device._keep_freed_memory = lambda: None
        plain = Device(torch.device("cpu"), torch.float32, torch.contiguous_format, "plain float32")
        run_state.choose_device = lambda _: plain
    found, set5 = sources.find_benchmark(config, Paths(root), download=False)
    if found != "Set5":
        raise FileNotFoundError("Set5 is missing. Let SR_DATA name a folder that holds Set5 and train.")
    set5 = [read_pair(pair) for pair in set5]
    pairs = [read_pair(pair) for pair in sources.find_split(config, Paths(root), "val")]
    enlarged = [(images.resize_bicubic(lr, 4), hr) for hr, lr in pairs]
    bicubic = float(np.mean([psnr(sr, hr, border=4) for sr, hr in enlarged]))
    curve: list[dict[str, float]] = []

    def validate(model: torch.nn.Module, *_: object, **__: object) -> dict[str, float]:
        """As training does it, and Set5 beside; of a copy, since inference changes the memory format."""
        model = copy.deepcopy(model)
        outputs = [psnr(super_resolve(model, lr), hr, border=4, channel="y") for hr, lr in set5]
        scores.append(float(np.mean(outputs)))
        return {str(n): psnr(super_resolve(model, lr), hr, border=4) for n, (hr, lr) in enumerate(pairs)}

    def on_log(record: dict[str, Any]) -> None:
        point = {"step": record["step"], "seconds": record["seconds"], "set5": max(scores)}
        curve.append(point | {"gain": gain_over_bicubic(record, bicubic)})
        scores.clear()
        print(name, curve[-1], file=sys.stderr, flush=True)
        reached = all(seconds_to(curve, what, wanted) for what, wanted, _ in GOALS)
        if reached or record["seconds"] > 60 * minutes:
            raise _EnoughError

    scores: list[float] = []
    kept_weights.validation_psnr = validate
    with suppress(_EnoughError):
        train(config, Paths(root), on_log, fresh=True)
    return curve


def main() -> None:
    """Run every contestant in a process of its own, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60, help="training time after which a run gives up")
    parser.add_argument("--contestant", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.contestant:
        name, root, minutes = arguments.contestant
        print(json.dumps(race(name, Path(root), float(minutes))))
        return
    measure.require_cpu()
    curves: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        paths = Paths(Path(folder))
        build_split(OPEN, paths)
        for name in CONTESTANTS:
            curves[name] = measure.in_child(__file__, name, folder, arguments.minutes)
    write_atomic(CURVES, json.dumps(curves, indent=1))
    report(curves)


def report(curves: dict[str, list[dict[str, float]]]) -> None:
    """Ratios to TwoScale's time for every goal; of a run that stopped below it, 'more than' its own."""
    measure.forget(COMMAND)  # rows of other contestants
    tell = functools.partial(measure.tell, command=COMMAND)
    for what, wanted, told in GOALS:
        ours = seconds_to(curves[OUR_BEST], what, wanted)
        if ours is None:
            continue
        where = "held-out photos, RGB, border 4" if what == "gain" else "Set5"
        tell(f"time to {told}: {OUR_BEST}", ours, "s", baseline=where)
        for name, curve in curves.items():
            if name == OUR_BEST:
                continue
            reached = seconds_to(curve, what, wanted)
            seconds = reached or curve[-1]["seconds"]
            more = "" if reached else "more than "
            tell(
                f"time to {told}: {name}, times TwoScale's",
                seconds / ours,
                "×",
                target=TARGETS.get(wanted) if name == REFERENCE_AS_IT_WAS else None,
                baseline=f"{more}{seconds:.0f} s against {ours:.0f} s",
            )


if __name__ == "__main__":
    main()
