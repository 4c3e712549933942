"""The ablations: paired runs of one short budget, one change each, and what their difference is worth.

Runs of one seed see the same patches and the same draws of every augmentation that they share. `sr-utils
study` trains what bench/ablations.csv lacks; with the name of an arm, that arm again.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sr_utils import checkpoints
from sr_utils.data.build_store import build_split
from sr_utils.experiments.arms import ARMS, BASE, CHECK, CLAIMS, SEEDS, arm_config
from sr_utils.experiments.paired import interval, judge
from sr_utils.files import write_atomic
from sr_utils.metrics import signed
from sr_utils.paths import Paths
from sr_utils.training.train import train

__all__ = [
    "ARMS",
    "BASE",
    "CHECK",
    "CLAIMS",
    "SEEDS",
    "arm_config",
    "compare_arms",
    "judge_claims",
    "read_table",
    "run_arm",
    "run_study",
]

COLUMNS = ["photo", "psnr", "arm", "seed", "steps", "run", "data", "seconds"]  # of bench/ablations.csv
NEGLIGIBLE = 0.03  # dB, the gain that the challenge's author reported


def table_path(paths: Paths) -> Path:
    """The committed rows of all runs."""
    return paths.root / "bench" / "ablations.csv"


def read_table(paths: Paths) -> pd.DataFrame:
    """The committed rows (COLUMNS); PSNR in dB (RGB, border 4)."""
    path = table_path(paths)
    return pd.read_csv(path, dtype={"photo": str}) if path.exists() else pd.DataFrame(columns=COLUMNS)


def run_arm(arm: str, seed: int, paths: Paths, **changes: Any) -> pd.DataFrame:
    """Train an arm with one seed, or go on; all that is kept are its rows, one per held-out photo."""
    config = arm_config(arm, seed, **changes)
    build_split(config, paths)
    folder = train(config, paths)
    _, story = checkpoints.load_checkpoint(folder / "last.safetensors")
    shutil.rmtree(folder)
    rows = [{"photo": name, "psnr": value} for name, value in story["val_psnr_rgb_border4"].items()]
    told: dict[str, str | int | float] = {
        "arm": arm,
        "seed": seed,
        "steps": config.total_steps,
        "run": config.digest_name,
    }
    told |= {"data": story["data_fingerprint"][:12], "seconds": round(story["training_seconds"], 1)}
    return pd.DataFrame(rows).assign(**told)


def compare_arms(table: pd.DataFrame) -> pd.DataFrame:
    """Mean gain of every arm over the arm it is compared with, in dB, with a 95 % confidence interval.

    Seeds and photos are paired; see `paired.interval` and `paired.judge`.
    """
    values = {
        arm: rows.pivot(index="seed", columns="photo", values="psnr") for arm, rows in table.groupby("arm")
    }
    rows = []
    for arm, (_, other) in ARMS.items():
        other = other or next(iter(ARMS))
        if arm in (other, CHECK) or arm not in values or other not in values:
            continue
        gain = (values[arm] - values[other]).dropna().to_numpy()  # (seeds, photos)
        low, high = interval(gain)
        verdict = judge(gain, low, high)
        steps = table.loc[table["arm"] == arm, "steps"].iloc[0]
        median = np.median(gain.mean(axis=0))
        rows.append((arm, other, steps, gain.mean(), low, high, median, len(gain), verdict))
    columns = [
        "arm",
        "against",
        "steps",
        "gain in dB",
        "from",
        "to",
        "median photo",
        "seeds",
        "at this budget",
    ]
    return pd.DataFrame(rows, columns=columns).set_index("arm")


def judge_claims(gains: pd.DataFrame) -> pd.DataFrame:
    """What a table of `compare_arms` says of the challenge's claims about the arms that were run.

    "No gain" is confirmed where the interval ends below `NEGLIGIBLE`.
    """
    rows, known = [], gains.to_dict("index")
    for arm, (claim, expected) in CLAIMS.items():
        if arm not in known:
            continue
        found = known[arm]
        verdict = found["at this budget"]
        if expected == "no gain" and found["seeds"] > 1 and found["to"] < NEGLIGIBLE:
            verdict = "no gain"
        opposite = {"helps": "hurts", "hurts": "helps", "no gain": "helps"}[expected]
        judged = {expected: "confirmed", opposite: "contradicted"}.get(verdict, "not decidable")
        gain, low, high = (signed(found[name]) for name in ("gain in dB", "from", "to"))
        rows.append((claim, arm, f"{gain} ({low} to {high})", judged))
    return pd.DataFrame(rows, columns=["claim", "arm", "dB here", "at this budget"]).set_index("claim")


def run_study(paths: Paths, arms: Sequence[str] = ()) -> None:
    """Train these arms, or all that bench/ablations.csv lacks, and keep their rows there."""
    runs = [(arm_config(arm, seed), arm, seed) for seed in SEEDS for arm in arms or ARMS]
    for config, arm, seed in runs:
        kept = read_table(paths)
        if arms or config.digest_name not in set(kept["run"]):
            rows = run_arm(arm, seed, paths)
            kept = kept[(kept["arm"] != arm) | (kept["seed"] != seed)]
            table = pd.concat([kept, rows]) if len(kept) else rows
            write_atomic(table_path(paths), table.round(4).to_csv(index=False))
