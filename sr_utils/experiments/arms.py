"""The study's arms: what each changes in one short run, and what the challenge's author found of it."""

from dataclasses import replace
from typing import Any

from sr_utils.config import STUDIED, Config

BASE = replace(
    STUDIED,
    total_steps=600,
    hr_patch_size=96,
    warmup_steps=30,
    ema_decay=0.98,
    log_every=100,
    validate_every=600,
    save_every=200,
)
SEEDS = (0, 1, 2)
REFERENCE: dict[str, Any] = {
    "optimizer": "adam",
    "learning_rate": 2e-4,
    "schedule": "constant",
    "init_gain": 0.1,
    "ema_decay": 0.0,
    "gradient_clip": 0.0,
    "rgb_permutation": 0.5,
    "blend": 0.15,
    "mixup": 0.2,
}
STEM = {"num_blocks": 19, "unshuffle_stem": True}
EDSR: dict[str, Any] = {"network": "edsr", "num_blocks": 16}
CARN: dict[str, Any] = {"network": "carn"}
TWO_SCALE: dict[str, Any] = {"network": "two_scale"}
LIGHT_TAIL = {"light_tail": True}
CHECK = "20 steps on the demo's photos"  # compared with no other arm, but trained again by a test
# Arm → what differs from BASE, and the arm to compare it with (None: BASE). Equal time: with patches of 96
# pixels a step of EDSR takes 0.77 of the time of BASE, CARN's 0.68, the light tail's 0.61, TwoScale's 0.39
# (measured again since then on another machine: 0.42).
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
    "EDSR, equal steps": (EDSR, None),
    "EDSR, equal time": (EDSR | {"total_steps": 780}, None),
    "CARN, equal steps": (CARN, None),
    "CARN, equal time": (CARN | {"total_steps": 880}, None),
    "light tail, equal steps": (LIGHT_TAIL, None),
    "light tail, equal time": (LIGHT_TAIL | {"total_steps": 980}, None),
    "TwoScale, equal steps": (TWO_SCALE, None),
    "TwoScale, equal time": (TWO_SCALE | {"total_steps": 1520}, None),
    "weight decay": ({"weight_decay": 1.0}, None),
    "patches of most detail": ({"patch_draws": 2}, None),
    "no bilinear skip": ({"bilinear_skip": False}, None),
    "no EMA": ({"ema_decay": 0.0}, None),
    "Adam": ({"optimizer": "adam"}, None),
    "reference recipe": (REFERENCE, None),
    CHECK: ({"profile": "demo", "total_steps": 20, "batch_size": 4, "precision": "float32"}, None),
}

# Arm → what the challenge's author found of it, and which verdict would confirm that.
CLAIMS = {
    "RGB permutation": ("RGB permutation helps", "helps"),
    "RGB permutation and Blend": ("RGB permutation and Blend help", "helps"),
    "MSE": ("MSE is worse than L1", "hurts"),
    "CutBlur": ("CutBlur does not help", "no gain"),
    "brightness and contrast": ("brightness and contrast do not help", "no gain"),
    "EDSR, equal steps": ("EDSR is not better at equal steps", "no gain"),
    "CARN, equal steps": ("CARN is not better at equal steps", "no gain"),
}


def arm_config(arm: str, seed: int, **changes: Any) -> Config:
    """The run of an arm and a seed."""
    if arm not in ARMS:
        raise ValueError(f"arm: expected one of {', '.join(ARMS)}; got {arm!r}.")
    return replace(BASE, seed=seed, **(ARMS[arm][0] | changes))
