"""Time to a PSNR from scratch: the reference recipe and ours, each in plain float32 and with our engine.

The photos are those of the profile "open"; PSNR is measured on its held-aside ones, off the clock.
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
from sr_utils.config import FULL, OPEN, STUDIED
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
# With the RGB permutation that our recipe had before the study.
OURS = replace(STUDIED, total_steps=1000, warmup_steps=50, ema_decay=0.99, rgb_permutation=0.5)
REFERENCE = replace(
    FULL, profile="open", challenge=False, schedule="constant", total_steps=100_000, log_every=25
)
CONTESTANTS = {
    "ours": (OURS, "auto"),
    "reference recipe, our engine": (REFERENCE, "auto"),
    "our recipe, plain float32": (OURS, "float32"),
    "reference recipe, plain float32": (REFERENCE, "float32"),
}
GAINS = (1.0, 1.5, 2.0)  # dB over bicubic, held-aside photos, RGB, border 4
SET5 = 30.5  # dB, Y, border 4


def gain_over_bicubic(record: dict[str, Any], bicubic: float) -> float:
    """The better of trained and averaged weights."""
    return max(value for name, value in record.items() if name.startswith("val_psnr")) - bicubic


class _EnoughError(Exception):
    """The run has shown what was asked of it."""


def race(name: str, root: Path, up_to: float, minutes: float) -> list[dict[str, float]]:
    """Train one contestant until it is `up_to` dB above bicubic; its curve: step, seconds, gain, Set5."""
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
        if curve[-1]["gain"] >= up_to or record["seconds"] > 60 * minutes:
            raise _EnoughError

    scores: list[float] = []
    kept_weights.validation_psnr = validate
    with suppress(_EnoughError):
        train(config, Paths(root), on_log, fresh=True)
    return curve


def main() -> None:
    """Run every contestant in a process of its own, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--up-to", type=float, default=2.0, help="gain in dB at which the others stop")
    parser.add_argument("--minutes", type=float, default=45, help="training time after which a run gives up")
    parser.add_argument("--contestant", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.contestant:
        name, root, up_to, minutes = arguments.contestant
        print(json.dumps(race(name, Path(root), float(up_to), float(minutes))))
        return
    measure.require_cpu()
    curves: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        paths = Paths(Path(folder))
        build_split(OPEN, paths)
        for name in CONTESTANTS:
            up_to = max(GAINS) if name == "ours" else arguments.up_to
            curves[name] = measure.in_child(__file__, name, folder, up_to, arguments.minutes)
    write_atomic(CURVES, json.dumps(curves, indent=1))
    report(curves)


def seconds_to(curve: list[dict[str, float]], what: str, wanted: float) -> float | None:
    """Training time at the first validation that reaches `wanted`."""
    return next((point["seconds"] for point in curve if point[what] >= wanted), None)


def report(curves: dict[str, list[dict[str, float]]]) -> None:
    """Ratios to our time for every goal; where a run stopped below it, its ratio so far, as 'more than'."""
    tell = functools.partial(measure.tell, command=COMMAND)
    goals = [("gain", gain, f"+{gain:g} dB over bicubic") for gain in GAINS]
    for what, wanted, told in [*goals, ("set5", SET5, f"{SET5} dB on Set5 (Y, border 4)")]:
        ours = seconds_to(curves["ours"], what, wanted)
        if ours is None:
            continue
        where = "held-aside photos, RGB, border 4" if what == "gain" else "Set5"
        tell(f"time to {told}: ours", ours, "s", baseline=f"{where}")
        for name, curve in curves.items():
            if name == "ours":
                continue
            reached = seconds_to(curve, what, wanted)
            seconds = reached or curve[-1]["seconds"]
            more = "" if reached else "more than "
            tell(
                f"time to {told}: {name}, times ours",
                seconds / ours,
                "×",
                target=10 if name == "reference recipe, plain float32" else None,
                baseline=f"{more}{seconds:.0f} s against {ours:.0f} s",
            )


if __name__ == "__main__":
    main()
