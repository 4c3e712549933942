"""Weights of other projects: what their tensors tell of the network, and what has to be given or assumed."""

import math
import re
from pathlib import Path
from typing import Any

import torch

from sr_utils.console import say
from sr_utils.networks.edsr import DIV2K_MEAN

# What the tensors of a foreign file do not tell of its network, with the values of the published weights.
UNTOLD: dict[str, dict[str, Any]] = {
    "edsr": {"res_scale": 1.0, "image_range": 255.0},
    "msrresnet": {"bilinear_skip": True},
}


def parse(path: Path, content: Any) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Tensors by our names, and network and arguments as far as they tell, of a file's content.

    ValueError: not a dictionary of tensors, or of an unknown network.
    """
    if isinstance(content, dict) and {"params_ema", "params"} <= content.keys():
        say(f"{path.name} holds params_ema and params: params_ema, the averaged weights, are taken.")
    for name in ("params_ema", "params", "state_dict"):
        content = content.get(name, content) if isinstance(content, dict) else content
    if not isinstance(content, dict) or not all(
        isinstance(value, torch.Tensor) for value in content.values()
    ):
        got = f"one of {list(content)[:5]}" if isinstance(content, dict) else type(content).__name__
        raise ValueError(f"{path}: expected a dictionary of tensors, got {got}.")
    tensors = {str(name).removeprefix("module."): value.float() for name, value in content.items()}
    blocks = [int(found[1]) for name in tensors if (found := re.match(r"body\.(\d+)\.conv1\.", name))]
    num_blocks = 1 + max(blocks, default=-1)
    if "conv_after_body.weight" in tensors:
        mean = tensors.pop("mean", None)  # a constant that some files store
        stored = DIV2K_MEAN if mean is None else tuple(round(x, 4) for x in mean.flatten().tolist())
        if stored != DIV2K_MEAN:
            raise ValueError(f"{path}: expected DIV2K's mean {DIV2K_MEAN}, got {stored}.")
        return tensors, {"network": "edsr", "arguments": {"num_blocks": num_blocks}}
    if "upconv1.weight" in tensors and "conv_first.weight" in tensors:
        return tensors, {"network": "msrresnet", "arguments": {"num_blocks": num_blocks}}
    raise ValueError(
        f"{path}: unknown network. Expected the tensor names of MSRResNet or EDSR, got {list(tensors)[:5]}…"
    )


def with_arguments(path: Path, metadata: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """The metadata with what the caller says (None: nothing), and what is assumed of a foreign file.

    ValueError: what is said does not belong to the network, or the file contradicts.
    """
    given = {name: value for name, value in given.items() if value is not None}
    network, arguments = str(metadata.get("network")), metadata.get("arguments")
    if not isinstance(arguments, dict):  # a damaged story, which is told when the network is made
        return metadata
    untold = UNTOLD.get(network, {}) if "format" not in metadata else {}
    for name, value in given.items():
        if name not in untold and arguments.get(name) != value:
            got = f"the file says {arguments[name]}" if name in arguments else f"{network} has no such thing"
            raise ValueError(f"{path}: {name}={value} was given, but {got}. Leave {name} out.")
        if not isinstance(value, bool) and not 0 < value < math.inf:
            raise ValueError(f"{path}: {name}: expected a positive number, got {value}.")
    if not untold:
        return metadata
    assumed = {name: value for name, value in untold.items() if name not in given}
    return metadata | {"arguments": arguments | assumed | given, "assumed": assumed}
