"""A run of twelve steps, and when two runs are equal."""

from dataclasses import replace
from pathlib import Path

import torch

from sr_utils import checkpoints
from sr_utils.config import PROFILES
from sr_utils.training.train import read_log

TINY = replace(
    PROFILES["demo"],
    num_blocks=1,
    sub_image=32,
    sub_image_step=16,
    hr_patch_size=16,
    batch_size=2,
    total_steps=12,
    warmup_steps=2,
    log_every=2,
    validate_every=4,
    save_every=3,
    precision="float32",
    blend=0.5,
    mixup=0.5,
    ema_decay=0.8,
    optimizer="adam",
)


class StopError(Exception):
    """What ends a run in the middle."""


def story_of(folder: Path) -> list[dict]:
    """The log without its clock."""
    records = read_log(folder)
    assert all(record.pop("seconds") >= 0 for record in records)
    return records


def assert_equal_runs(one: Path, other: Path) -> None:
    """Log, trained and averaged weights, Adam's moments and the best network, bit for bit."""
    assert story_of(one) == story_of(other)
    ours, theirs = (checkpoints.load_state(folder / "state.pt") for folder in (one, other))
    ours.pop("seconds"), theirs.pop("seconds")
    assert_equal(ours, theirs, "state")
    for name in ("best", "last"):
        models, stories = zip(
            *(checkpoints.load_checkpoint(folder / f"{name}.safetensors") for folder in (one, other)),
            strict=True,
        )
        assert_equal(*(dict(model.state_dict()) for model in models), name)
        assert stories[0].pop("training_seconds") > 0 < stories[1].pop("training_seconds")
        assert stories[0] == stories[1]


def assert_equal(one: object, other: object, where: str) -> None:
    assert type(one) is type(other), where
    if isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for name in one:
            assert_equal(one[name], other[name], f"{where}.{name}")
    elif isinstance(one, list):
        assert_equal(dict(enumerate(one)), dict(enumerate(other)), where)
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    else:
        assert one == other, where
