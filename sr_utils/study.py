"""The ablations: paired runs of one short budget, one change each, and what their difference is worth.

Runs of one seed see the same patches and the same draws of every augmentation that they share. `python -m
sr_utils.study ARM` trains an arm again and puts its rows into bench/ablations.csv.
"""

import argparse
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from sr_utils import checkpoints, images
from sr_utils.config import OPEN, Config
from sr_utils.lmdb_store import build_split
from sr_utils.paths import Paths
from sr_utils.train import train

BASE = replace(
    OPEN, total_steps=600, hr_patch_size=96, warmup_steps=30, ema_decay=0.98, rgb_permutation=0.0,
    log_every=100, validate_every=600, save_every=200,
)  # fmt: skip
SEEDS = (0, 1, 2)
REFERENCE: dict[str, Any] = {
    "optimizer": "adam", "learning_rate": 2e-4, "schedule": "constant", "init_gain": 0.1, "ema_decay": 0.0,
    "gradient_clip": 0.0, "rgb_permutation": 0.5, "blend": 0.15, "mixup": 0.2,
}  # fmt: skip
STEM = {"num_blocks": 19, "unshuffle_stem": True}
# Arm → what differs from BASE, and the arm to compare it with (None: BASE).
ARMS: dict[str, tuple[dict[str, Any], str | None]] = {
    "flips and rotations": ({}, None),
    "no augmentation": ({"flip": False, "rotate": False}, None),
    "RGB permutation": ({"rgb_permutation": 0.5}, None),
    "Blend": ({"blend": 0.15}, None),
    "RGB permutation and Blend": ({"rgb_permutation": 0.5, "blend": 0.15}, None),
    "MixUp, α 0.2": ({"mixup": 0.2, "mixup_alpha": 0.2}, None),
    "MixUp, α 1.2": ({"mixup": 0.2, "mixup_alpha": 1.2}, None),
    "brightness and contrast": ({"brightness_contrast": 0.5}, None),
    "19 blocks behind the stem": (STEM, None),
    "CutBlur": (STEM | {"cutblur": 0.5}, "19 blocks behind the stem"),
    "MSE": ({"loss": "mse"}, None),
    "Charbonnier": ({"loss": "charbonnier"}, None),
    "16 blocks": ({"num_blocks": 16}, None),
    "EDSR": ({"network": "edsr", "num_blocks": 16}, "16 blocks"),
    "CARN": ({"network": "carn"}, None),
    "no EMA": ({"ema_decay": 0.0}, None),
    "Adam": ({"optimizer": "adam"}, None),
    "reference recipe": (REFERENCE, None),
}


def arm_config(arm: str, seed: int, **changes: Any) -> Config:
    """The run of an arm and a seed."""
    if arm not in ARMS:
        raise ValueError(f"arm: expected one of {', '.join(ARMS)}; got {arm!r}.")
    return replace(BASE, seed=seed, **(ARMS[arm][0] | changes))


def run_arm(arm: str, seed: int, paths: Paths, **changes: Any) -> pd.DataFrame:
    """Train an arm with one seed (or go on); a row per held-aside photo with its PSNR (RGB, border 4)."""
    config = arm_config(arm, seed, **changes)
    build_split(config, paths)
    _, story = checkpoints.load_checkpoint(train(config, paths) / "last.safetensors")
    rows = [{"photo": name, "psnr": value} for name, value in story["val_psnr_rgb_border4"].items()]
    told = {"arm": arm, "seed": seed, "steps": config.total_steps, "run": config.run_name}
    told |= {"data": story["data_fingerprint"][:12], "seconds": round(story["training_seconds"], 1)}
    return pd.DataFrame(rows).assign(**told)


def compare_arms(table: pd.DataFrame, *, draws: int = 10_000) -> pd.DataFrame:
    """Mean gain of every arm over the arm it is compared with, in dB, with a 95 % confidence interval.

    Seeds and photos are paired, and both are drawn again: a bootstrap over two crossed factors.
    """
    rng = np.random.default_rng(0)
    values = {
        arm: rows.pivot(index="seed", columns="photo", values="psnr") for arm, rows in table.groupby("arm")
    }
    rows = []
    for arm, (_, other) in ARMS.items():
        other = other or next(iter(ARMS))
        if arm == other or arm not in values or other not in values:
            continue
        gain = (values[arm] - values[other]).dropna().to_numpy()  # (seeds, photos)
        seeds, photos = (rng.integers(size, size=(draws, size)) for size in gain.shape)
        means = gain[seeds[:, :, None], photos[:, None, :]].mean(axis=(1, 2))
        low, high = np.quantile(means, (0.025, 0.975))
        verdict = "helps" if low > 0 else "hurts" if high < 0 else "not decidable"
        rows.append((arm, other, gain.mean(), low, high, len(gain), verdict))
    columns = ["arm", "against", "gain in dB", "from", "to", "seeds", "at this budget"]
    return pd.DataFrame(rows, columns=columns).set_index("arm")


def main() -> None:
    """Train arms and keep their rows."""
    parser = argparse.ArgumentParser("python -m sr_utils.study", description=main.__doc__)
    parser.add_argument("arms", nargs="*", metavar="ARM", help=f"default: all; {', '.join(ARMS)}")
    arguments = parser.parse_args()
    paths = Paths.find()
    path = paths.root / "bench" / "ablations.csv"
    for seed in SEEDS:
        for arm in arguments.arms or ARMS:
            rows = run_arm(arm, seed, paths)
            kept = [pd.read_csv(path)] if path.exists() else []
            kept = [table[(table["arm"] != arm) | (table["seed"] != seed)] for table in kept]
            images.write_atomic(path, pd.concat([*kept, rows]).round(4).to_csv(index=False))


if __name__ == "__main__":
    main()
