"""What values the fields of a config take; what a field does not take is told by its name."""

import math
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any, get_args

# Fields, what is expected of them, and whether a value is that.
RANGES: tuple[tuple[str, str, Callable[[Any], bool]], ...] = (
    (
        "sub_image sub_image_step hr_patch_size",
        "a positive multiple of 4",  # the scale
        lambda value: value >= 4 and value % 4 == 0,
    ),
    (
        "rgb_permutation blend blend_alpha mixup cutblur brightness_contrast",
        "a number from 0 to 1",
        lambda value: 0 <= value <= 1,
    ),
    (
        "batch_size patch_draws num_blocks total_steps restart_period validate_every log_every save_every",
        "at least 1",
        lambda value: value >= 1,
    ),
    ("learning_rate mixup_alpha init_gain", "a positive number", lambda value: value > 0),
    (
        "weight_decay gradient_clip min_learning_rate warmup_steps validation_images seed",
        "at least 0",
        lambda value: value >= 0,
    ),
    ("ema_decay", "a number from 0 to below 1", lambda value: 0 <= value < 1),
)


def as_type(name: str, kind: Any, value: Any) -> Any:
    """A field's value in its own type, where that means the same; ValueError where it does not."""
    if choices := get_args(kind):
        fits, expected = value in choices, " or ".join(choices)
    elif kind is str:
        fits, expected = isinstance(value, str), "a text"
    elif kind is bool:
        fits, expected = isinstance(value, Real) and value in (0, 1), "True or False"
    else:
        fits = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
        fits = fits and kind(value) == value
        expected = "a whole number" if kind is int else "a number"
    if not fits:
        raise ValueError(f"{name}: expected {expected}, got {value!r}.")
    return value if choices else kind(value)


def require_in_range(values: Mapping[str, Any]) -> None:
    """ValueError for the first field, in the order of RANGES, whose value lies outside."""
    for together, expected, fits in RANGES:
        for name in together.split():
            if not fits(values[name]):
                raise ValueError(f"{name}: expected {expected}, got {values[name]}.")
