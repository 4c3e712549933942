"""Weights with their story, and training states: written whole or not at all, never running code from a file.

Source of the file format: safetensors; foreign `.pth` files are read with `weights_only=True`.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import nn

from sr_utils import foreign
from sr_utils.config import PARAMETER_LIMIT, Config
from sr_utils.console import say
from sr_utils.files import write_atomic
from sr_utils.networks import Network, count_parameters, make_network
from sr_utils.paths import Paths

FORMAT = "sr_utils 1"
HEADER_BYTES = 100_000_000  # safetensors' own limit


def save_weights(path: Path | str, model: Network, metadata: dict[str, Any], *, half: bool = False) -> None:
    """Write a network's tensors and metadata as one safetensors file.

    Args:
        path: ends in .safetensors.
        model: the network.
        metadata: JSON-able values by name; network and its arguments are added.
        half: store float16, half the size for less than 0.001 dB.
    """
    dtype = torch.float16 if half else torch.float32
    tensors = {
        name: value.detach().to("cpu", dtype).contiguous() for name, value in model.state_dict().items()
    }
    story = metadata | {"format": FORMAT, "network": model.name, "arguments": model.arguments}
    text = {name: json.dumps(value) for name, value in story.items()}
    write_atomic(path, safetensors.torch.save(tensors, text))


def weights_digest(model: nn.Module) -> str:
    """SHA-256 of a network's tensors: equal for equal weights, whatever file they come from."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode() + value.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def load_checkpoint(
    path: Path | str,
    *,
    res_scale: float | None = None,
    image_range: float | None = None,
    bilinear_skip: bool | None = None,
) -> tuple[Network, dict[str, Any]]:
    """A network in float32 on the CPU, in eval mode, and the metadata of its file.

    Args:
        path: our .safetensors, or a .pth with the field's tensor names: bare, under `params_ema`, `params` or
            `state_dict` (in this order), with or without a `module.` prefix. Its metadata is {"network",
            "arguments", "assumed"} alone.
        res_scale, image_range: of a foreign EDSR, whose tensors do not tell them; None: 1 and 255, as in the
            published weights of its baseline, and a line says so.
        bilinear_skip: the same of a foreign MSRResNet; None: True.

    Raises:
        FileNotFoundError: no such file.
        ValueError: damaged, with code in it, of an unknown network, tensors that do not fit, or not finite;
            or an argument that its network does not have, or that our file contradicts.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing. Run notebooks/03_train.ipynb first, or correct the path."
        )
    if path.suffix == ".safetensors":
        tensors, metadata = _read_safetensors(path)
    else:
        content = _load_tensors(path, "not a plain file of tensors, so it is not loaded")
        tensors, metadata = foreign.parse(path, content)
    given = {"res_scale": res_scale, "image_range": image_range, "bilinear_skip": bilinear_skip}
    metadata = foreign.with_arguments(path, metadata, given)
    try:
        model = make_network(metadata["network"], **metadata["arguments"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: unknown network in the metadata ({error}).") from None
    _require_fit(path, model, tensors)
    model.load_state_dict(tensors)
    seconds = [story.get("training_seconds") for story in segments(metadata)]
    model.training_minutes = sum(value for value in seconds if isinstance(value, int | float)) / 60
    if assumed := metadata.get("assumed"):
        told = ", ".join(f"{name}={value}" for name, value in assumed.items())
        say(f"{path.name} does not tell all: assumed {model.label}, RGB, {told}. Name what is otherwise.")
    return model.eval(), metadata


def segments(story: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The stories of a file of weights and of those that it began from, the last one first."""
    current: Any = story
    while isinstance(current, dict):
        yield current
        current = current.get("initial_weights")


def start_network(config: Config, paths: Paths) -> tuple[Network, dict[str, Any] | None]:
    """A run's network before its first step, and the story of its initial weights, if it has some."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = make_network(config.network, **config.network_arguments)
    parameters = count_parameters(model)
    if config.challenge and parameters >= PARAMETER_LIMIT:
        raise ValueError(
            f"{config.network} has {parameters:,} trainable parameters; the challenge allows fewer than "
            f"{PARAMETER_LIMIT:,}. Use fewer blocks, or challenge=False."
        )
    if not config.initial_weights:
        return model, None
    path = paths.root / config.initial_weights
    initial, story = load_checkpoint(path)
    if (initial.name, initial.arguments) != (model.name, model.arguments):
        raise ValueError(
            f"{path} holds {initial.name} {initial.arguments}, "
            f"but the run trains {model.name} {model.arguments}."
        )
    model.load_state_dict(initial.state_dict())
    return model, story


def read_story(path: Path | str) -> dict[str, Any]:
    """The metadata of one of our safetensors files, of which no tensor is read; ValueError, OSError."""
    try:
        with Path(path).open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > HEADER_BYTES:
                raise ValueError(f"a header of {length} bytes")
            text = json.loads(file.read(length)).get("__metadata__", {})
        story = {name: json.loads(value) for name, value in text.items()}
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        raise ValueError(f"{path}: damaged, or not a safetensors file ({error}).") from None
    if story.get("format") != FORMAT:
        raise ValueError(f"{path}: expected metadata of format {FORMAT!r}, got {story.get('format')!r}.")
    return story


def _read_safetensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    try:
        with safetensors.safe_open(path, "pt") as file:
            metadata = {name: json.loads(value) for name, value in (file.metadata() or {}).items()}
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, ValueError) as error:
        raise ValueError(f"{path}: damaged, or not a safetensors file ({error}).") from None
    if metadata.get("format") != FORMAT:
        raise ValueError(f"{path}: expected metadata of format {FORMAT!r}, got {metadata.get('format')!r}.")
    return tensors, metadata


def _require_fit(path: Path, model: Network, tensors: dict[str, torch.Tensor]) -> None:
    expected = model.state_dict()
    problems = {
        "missing": sorted(expected.keys() - tensors.keys()),
        "unexpected": sorted(tensors.keys() - expected.keys()),
        "wrong shape": [
            f"{name} {tuple(tensors[name].shape)} instead of {tuple(value.shape)}"
            for name, value in expected.items()
            if name in tensors and tensors[name].shape != value.shape
        ],
        "not finite": [name for name, value in tensors.items() if not torch.isfinite(value).all()],
    }
    told = [f"{kind}: {', '.join(found[:5])} ({len(found)})" for kind, found in problems.items() if found]
    if told:
        raise ValueError(f"{path} does not fit {model.name}: {'; '.join(told)}.")


def save_state(path: Path | str, state: dict[str, Any], *, keep: Path | None = None) -> None:
    """Write a training state (nested dictionaries of tensors, numbers, strings); `keep` as `write_atomic`."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomic(path, buffer.getvalue(), keep=keep)


def load_state(path: Path | str) -> dict[str, Any]:
    """Read a training state on the CPU; ValueError if it is damaged, be it by one bit."""
    state = _load_tensors(path, "damaged training state")
    with zipfile.ZipFile(path) as content:  # torch does not compare the checksums
        if bad := content.testzip():
            raise ValueError(f"{path}: damaged training state (wrong checksum of {bad}).")
    return state


def _load_tensors(path: Path | str, otherwise: str) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zip and torch each raise their own kinds
        reason = str(error).split("\n")[0][:200]
        raise ValueError(f"{path}: {otherwise} ({reason}).") from None
