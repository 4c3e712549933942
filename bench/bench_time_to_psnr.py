"""Time to a PSNR from scratch: the reference recipe, and ours with three networks; steps times their seconds.

`--curves` trains every contestant until it reaches all goals: PSNR by step, which does not depend on the
machine, so it may be a busy one. Without it, steps of each are timed on an idle machine, in turn; the time
to a goal is their product. A plain float32 loop needs the steps that our engine needs: of the reference 325
to +1 dB and 725 to +1.5 dB, of our recipe 125, 250 and 525 to +2 dB, when both were trained.

The photos are those of the profile "open"; PSNR is measured on its held-out ones. Settings are frozen here:
our one-cycle schedule has 1,000 steps, of which a run uses what it needs.
"""

import argparse
import copy
import functools
import itertools
import json
import statistics
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
from sr_utils.config import FULL, OPEN, Config
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
REFERENCE = replace(FULL, profile="open", challenge=False, schedule="constant", total_steps=100_000)
OUR_BEST = "TwoScale, our recipe"
CONTESTANTS = {
    OUR_BEST: replace(OURS, network="two_scale"),
    "MSRResNet-20 with a light tail, our recipe": replace(OURS, light_tail=True),
    "MSRResNet-20, our recipe": OURS,
    "MSRResNet-20, reference recipe": REFERENCE,
}
PLAIN = ", plain float32"  # of a contestant: without our engine
TIMED = [*CONTESTANTS, "MSRResNet-20, reference recipe" + PLAIN]
GAINS = (1.0, 1.5, 2.0)  # dB over bicubic, held-out photos, RGB, border 4
SET5 = 30.5  # dB, Y, border 4
GOALS = [("gain", gain, f"+{gain:g} dB over bicubic") for gain in GAINS]
GOALS.append(("set5", SET5, f"{SET5} dB on Set5 (Y, border 4)"))
TARGETS = {2.0: 22, SET5: 20}  # times TwoScale's, for the reference in plain float32
WARM_UP, STEPS = 3, 6
Curve = list[dict[str, float]]


def gain_over_bicubic(record: dict[str, Any], bicubic: float) -> float:
    """The better of trained and averaged weights."""
    return max(value for name, value in record.items() if name.startswith("val_psnr")) - bicubic


def steps_to(curve: Curve, what: str, wanted: float) -> float | None:
    """Steps until the first validation that reaches `wanted`."""
    return next((point["step"] for point in curve if point[what] >= wanted), None)


class _EnoughError(Exception):
    """The run has shown what was asked of it."""


def race(config: Config, root: Path) -> Curve:
    """Train one contestant until all goals are reached, or to its end: step, gain, Set5."""
    found, set5 = sources.find_benchmark(config, Paths(root), download=False)
    if found != "Set5":
        raise FileNotFoundError("Set5 is missing. Let SR_DATA name a folder that holds Set5 and train.")
    set5 = [read_pair(pair) for pair in set5]
    pairs = [read_pair(pair) for pair in sources.find_split(config, Paths(root), "val")]
    bicubic = float(np.mean([psnr(images.resize_bicubic(lr, 4), hr, border=4) for hr, lr in pairs]))
    curve: Curve = []
    scores: list[float] = []

    def validate(model: torch.nn.Module, *_: object, **__: object) -> dict[str, float]:
        """As training does it, and Set5 beside; of a copy, since inference changes the memory format."""
        model = copy.deepcopy(model)
        outputs = [psnr(super_resolve(model, lr), hr, border=4, channel="y") for hr, lr in set5]
        scores.append(float(np.mean(outputs)))
        return {str(n): psnr(super_resolve(model, lr), hr, border=4) for n, (hr, lr) in enumerate(pairs)}

    def on_log(record: dict[str, Any]) -> None:
        point = {"step": record["step"], "gain": gain_over_bicubic(record, bicubic), "set5": max(scores)}
        curve.append(point)
        scores.clear()
        print(point, file=sys.stderr, flush=True)
        if all(steps_to(curve, what, wanted) for what, wanted, _ in GOALS):
            raise _EnoughError

    kept_weights.validation_psnr = validate
    with suppress(_EnoughError):
        train(replace(config, validate_every=25, log_every=25, save_every=10**6), Paths(root), on_log)
    return curve


def step_seconds(name: str, root: Path) -> float:
    """Median of some steps of `train`, as its own log tells them."""
    if name.endswith(PLAIN):  # PyTorch's defaults, and glibc's
        device._keep_freed_memory = lambda: None
        plain = Device(torch.device("cpu"), torch.float32, torch.contiguous_format, "plain float32")
        run_state.choose_device = lambda _: plain
    config = replace(CONTESTANTS[name.removesuffix(PLAIN)], total_steps=WARM_UP + STEPS, log_every=1)
    config = replace(config, validation_images=1, validate_every=10**6, save_every=10**6)
    seconds: list[float] = []
    train(config, Paths(root), lambda record: seconds.append(record["seconds"]), fresh=True)
    return statistics.median(later - earlier for earlier, later in itertools.pairwise(seconds[WARM_UP - 1 :]))


def main() -> None:
    """Curves, or the times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--curves", nargs="*", metavar="NAME", help="train: all contestants, or these")
    parser.add_argument("--rounds", type=int, default=5, help="of timed steps (default 5)")
    parser.add_argument("--contestant", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.contestant:
        name, root = arguments.contestant
        print(json.dumps(step_seconds(name, Path(root))))
        return
    measure.require_cpu()
    curves = json.loads(CURVES.read_text(encoding="utf-8")) if CURVES.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        build_split(OPEN, Paths(Path(folder)))
        if arguments.curves is not None:
            for name in arguments.curves or CONTESTANTS:
                curves[name] = race(CONTESTANTS[name], Path(folder))
                write_atomic(CURVES, json.dumps(curves, indent=1))
            return
        times: dict[str, list[float]] = {name: [] for name in TIMED}
        for _ in range(arguments.rounds):
            for name, found in times.items():
                found.append(measure.in_child(__file__, name, folder))
    seconds = {name: statistics.median(found) for name, found in times.items()}
    for name in CONTESTANTS:
        for point in curves[name]:
            point["seconds"] = round(point["step"] * seconds[name], 1)
    plain = TIMED[-1]
    points = curves[plain.removesuffix(PLAIN)]
    curves[plain] = [point | {"seconds": round(point["step"] * seconds[plain], 1)} for point in points]
    write_atomic(CURVES, json.dumps({name: curves[name] for name in TIMED}, indent=1))
    report(curves, seconds)


def report(curves: dict[str, Curve], seconds: dict[str, float]) -> None:
    """Seconds of a step; TwoScale's time to every goal, and how many times as long the others take."""
    measure.forget(COMMAND)  # rows of other contestants
    tell = functools.partial(measure.tell, command=COMMAND)
    for name, value in seconds.items():
        tell(f"a training step: {name}", value, "s", baseline="batch 16, HR patch 128; contestants in turn")
    for what, wanted, told in GOALS:
        where = "held-out photos, RGB, border 4" if what == "gain" else "Set5"
        steps = {name: steps_to(curves[name], what, wanted) for name in TIMED}
        times = {name: count * seconds[name] for name, count in steps.items() if count}
        if OUR_BEST not in times:
            continue
        tell(
            f"time to {told}: {OUR_BEST}", times[OUR_BEST], "s", baseline=f"{steps[OUR_BEST]} steps; {where}"
        )
        for name in list(times)[1:]:
            tell(
                f"time to {told}: {name}, times TwoScale's",
                times[name] / times[OUR_BEST],
                "×",
                target=TARGETS.get(wanted) if name.endswith(PLAIN) else None,
                baseline=f"{times[name]:.0f} s, {steps[name]} steps, against {times[OUR_BEST]:.0f} s",
            )


if __name__ == "__main__":
    main()
