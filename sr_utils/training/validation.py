"""Validation: PSNR of weights on the validation photos, and whether saved weights were measured on these."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn
from xxhash import xxh3_128

from sr_utils import checkpoints
from sr_utils.ahead import ahead
from sr_utils.config import BORDER, SCALE
from sr_utils.console import say
from sr_utils.data.pair import Pair, read_pair
from sr_utils.enlarging.infer import super_resolve
from sr_utils.images import resize_bicubic
from sr_utils.metrics import psnr
from sr_utils.training.run_files import BEST, WEIGHTS, move_aside


def validation_psnr(model: nn.Module, pairs: Sequence[Pair], *, precision: str = "auto") -> dict[str, float]:
    """PSNR in dB (RGB, border 4) of each photo, by name."""
    result = {}
    for pair, (hr, lr) in ahead(read_pair, pairs, workers=2):
        result[pair.name] = psnr(super_resolve(model, lr, precision=precision), hr, border=BORDER)
    return result


def bicubic_psnr(pairs: Sequence[Pair]) -> dict[str, float]:
    """PSNR in dB (RGB, border 4) of each photo enlarged by bicubic, by name."""
    result = {}
    for pair, (hr, lr) in ahead(read_pair, pairs, workers=2):
        result[pair.name] = psnr(resize_bicubic(lr, SCALE), hr, border=BORDER)
    return result


def mean_psnr(per_image: dict[str, float]) -> float:
    """What decides which weights are best."""
    return sum(per_image.values()) / len(per_image)


def photo_fingerprint(pairs: Sequence[Pair]) -> str:
    """Of names and pixels, HR and LR, wherever the photos lie; errors as `read_pair`."""
    digest = xxh3_128()
    for pair, sides in ahead(read_pair, pairs, workers=2):
        for side in sides:
            digest.update(repr((pair.name, side.shape)).encode())
            digest.update(np.ascontiguousarray(side).data)
    return digest.hexdigest()


def validation_of(path: Path | str, pairs: Sequence[Pair], *, precision: str = "auto") -> dict[str, float]:
    """PSNR of saved weights by photo: from their file if it was measured on these photos, else measured."""
    model, story = checkpoints.load_checkpoint(path)
    if _was_measured_on(story, pairs, photo_fingerprint(pairs)):
        return story["val_psnr_rgb_border4"]
    return validation_psnr(model, pairs, precision=precision)


def measure_again(folder: Path, pairs: Sequence[Pair], fingerprint: str, *, precision: str) -> float:
    """Mean PSNR in dB of a run's best weights on the validation photos of now; 0 without weights.

    Weights that were measured on other photos are measured again and keep their place: so the best ones are
    neither lost nor a mark from an easier photo, and their story is true of the photos of now.
    """
    best, told = 0.0, False
    for name in WEIGHTS:
        if not (folder / name).exists():
            continue
        try:
            model, story = checkpoints.load_checkpoint(folder / name)
        except ValueError as error:
            say(error)
            move_aside(folder, [name])
            continue
        if not _was_measured_on(story, pairs, fingerprint):
            if not told:
                say(
                    f"{folder}: the saved weights were measured on other validation photos "
                    f"({', '.join(list(story.get('val_psnr_rgb_border4', {}))[:3])}, …) than those of now; "
                    "they are measured again, and the best counts from there."
                )
            told = True
            story["val_psnr_rgb_border4"] = validation_psnr(model, pairs, precision=precision)
            checkpoints.save_weights(folder / name, model, story | {"val_fingerprint": fingerprint})
        best = mean_psnr(story["val_psnr_rgb_border4"]) if name == BEST else best
    return best


def _was_measured_on(story: dict[str, Any], pairs: Sequence[Pair], fingerprint: str) -> bool:
    if "val_fingerprint" in story:
        return story["val_fingerprint"] == fingerprint
    return story.get("val_psnr_rgb_border4", {}).keys() == {pair.name for pair in pairs}  # of an older run
