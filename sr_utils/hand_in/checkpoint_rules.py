"""The checkpoint of a hand-in: its network, its story, and what it makes of photos."""

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import nn

from sr_utils import images
from sr_utils.config import BORDER, PARAMETER_LIMIT, Config
from sr_utils.data.pair import Pair
from sr_utils.enlarging.infer import super_resolve
from sr_utils.hand_in.folder import HandIn, sha256
from sr_utils.hand_in.rule import Rule, listed
from sr_utils.metrics import psnr
from sr_utils.networks import Network, count_parameters, make_network
from sr_utils.training.validation import validation_psnr

_RETRAIN = "Train with 03 and hand in that checkpoint."


def check_network(hand_in: HandIn, model: nn.Module) -> list[Rule]:
    """The parameter limit, and one image made again from the input that lies beside."""
    count = count_parameters(model)
    levels, told = _compare_sample(hand_in, model)
    return [
        Rule(
            "trainable parameters",
            count < PARAMETER_LIMIT,
            f"{count:,} < {PARAMETER_LIMIT:,}",
            "Use fewer blocks and train again.",
        ),
        Rule("checkpoint reproduces an output (≤ 1 grey level)", levels <= 1, told, "Run 04 and 07 again."),
    ]


def _compare_sample(hand_in: HandIn, model: nn.Module) -> tuple[int, str]:
    name = hand_in.manifest["sample"]
    samples = [file for file in hand_in.files if file.startswith("sample_LR.")]
    if len(samples) != 1 or f"images/{name}.png" not in hand_in.files:
        return 255, "sample or its output is missing"
    sample = hand_in.folder / samples[0]
    if sha256(sample) != hand_in.manifest["inputs"].get(name, {}).get("sha256"):
        return 255, f"the sample is not the input {name}"
    kept = images.read_image(hand_in.folder / "images" / f"{name}.png")
    again = super_resolve(model, images.read_image(sample))
    if again.shape != kept.shape:
        return 255, f"{kept.shape[0]}×{kept.shape[1]} instead of {again.shape[0]}×{again.shape[1]}"
    levels = int(np.abs(again.astype(int) - kept).max())
    return levels, f"largest difference {levels}, {psnr(again, kept, border=BORDER):.1f} dB"


def check_story(hand_in: HandIn, model: Network, metadata: dict[str, Any]) -> list[Rule]:
    """What the checkpoint says of its training, against the rules, its config and the manifest."""
    initial, data = metadata.get("initial_weights", "unknown"), metadata.get("data_fingerprint", "unknown")
    told = "none" if initial is None else "some" if isinstance(initial, dict) else str(initial)
    named = re.fullmatch(r"[0-9a-f]{64}", str(data)) and data == hand_in.manifest.get("data_fingerprint")
    config = metadata.get("config", {})
    against = _contradictions(hand_in, model, metadata)
    return [
        Rule("no initial weights (attested)", initial is None, told, _RETRAIN),
        Rule("trained on the named store only (attested)", bool(named), str(data)[:12], _RETRAIN),
        Rule(
            "trained under the challenge's rules (attested)",
            config.get("challenge") is True,
            f"profile {config.get('profile', 'unknown')}",
            _RETRAIN,
        ),
        Rule(
            "checkpoint's story agrees with its config (attested)",
            not against,
            listed(against, "it does"),
            _RETRAIN,
        ),
    ]


def _contradictions(hand_in: HandIn, model: Network, metadata: dict[str, Any]) -> list[str]:
    try:
        config = Config(**metadata["config"])
    except (KeyError, TypeError, ValueError) as error:  # for example of another version of the project
        return [f"config: {error}"]
    wanted = ("trained", "ema") if config.ema_decay else ("trained",)
    step, weights, arguments = metadata.get("step"), metadata.get("weights"), config.network_arguments
    agrees = {
        "network": model.name == config.network,
        "num_blocks": model.arguments.get("num_blocks") == arguments.get("num_blocks"),
        "profile": hand_in.manifest["profile"] == config.profile,
        "initial weights": bool(metadata.get("initial_weights")) == bool(config.initial_weights),
        f"weights {weights!r}": weights in wanted,
        f"step {step!r}": type(step) is int and 1 <= step <= config.total_steps,
    }
    if all(agrees.values()):  # so this network is no larger than the one that was loaded
        again = make_network(config.network, **arguments)
        agrees["network's arguments"] = again.arguments == model.arguments
    return [name for name, right in agrees.items() if not right]


def stored_psnr(metadata: dict[str, Any]) -> dict[str, float]:
    """The validation PSNR of each photo as the checkpoint has it; empty where a value is no finite number."""
    stored = metadata.get("val_psnr_rgb_border4")
    if not isinstance(stored, dict):
        return {}
    right = all(
        type(value) in (int, float) and math.isfinite(value) and value > 0 for value in stored.values()
    )
    return dict(stored) if right else {}


def check_validation(model: nn.Module, metadata: dict[str, Any], val_pairs: Sequence[Pair]) -> list[Rule]:
    """The stored PSNR of each photo, and what the network reaches now where the photos are at hand."""
    stored, config = stored_psnr(metadata), metadata.get("config", {})
    most = config.get("validation_images") or math.inf
    rows = [
        Rule(
            "validation PSNR of each photo (attested)",
            0 < len(stored) <= most,
            f"{len(stored)} finite numbers",
            _RETRAIN,
        )
    ]
    if not val_pairs:
        return rows
    again = validation_psnr(model, val_pairs, precision=config.get("precision", "auto"))
    strange = [f"{name} is not one of the photos" for name in stored.keys() - again.keys()]
    strange += [f"{name} has none" for name in again.keys() - stored.keys()]
    difference = max(
        (abs(again[name] - stored[name]) for name in again.keys() & stored.keys()), default=math.inf
    )
    told = listed(sorted(strange), f"{len(again)} photos, largest difference {difference:.3f} dB")
    return [
        *rows,
        Rule(
            "validation PSNR recomputed (RGB, border 4)",
            not strange and difference < 0.01,
            told,
            "Train with 03 on these validation photos.",
        ),
    ]
