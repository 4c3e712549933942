"""The networks that can be compared: those that come with the project, and the best weights of your runs."""

import textwrap
from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from typing import Any

from torch import nn

from sr_utils import names
from sr_utils.checkpoints import load_checkpoint, segments
from sr_utils.config import Config
from sr_utils.console import say
from sr_utils.networks import Network


def load_shipped(folder: Path | str, *, taken: Iterable[str] = ()) -> dict[str, nn.Module]:
    """The networks that come with the project, by label and steps of all segments: "EDSR · 2,000 steps".

    No two have one label, nor one of `taken`; a file that cannot be read is named and passed over.
    """
    networks: dict[str, nn.Module] = {}
    for path, model, metadata in _load_all(sorted(Path(folder).glob("*.safetensors"))):
        steps = sum(story.get("config", {}).get("total_steps", 0) for story in segments(metadata))
        label = f"{model.label} · {f'{steps:,} steps' if steps else path.stem}"
        networks[_free_label(label, path.stem, {*taken, *networks})] = model
    return networks


def load_runs(folder: Path | str, *, beside: Config, taken: Iterable[str] = ()) -> dict[str, nn.Module]:
    """The best weights of other runs of the same photos, by network and what differs: "EDSR · seed 1".

    Labels and files that cannot be read as in `load_shipped`.
    """
    networks: dict[str, nn.Module] = {}
    own = {beside.run_name, beside.digest_name}
    runs = [path for path in sorted(Path(folder).glob("*/best.safetensors")) if path.parent.name not in own]
    for path, model, metadata in _load_all(runs):
        config, run = metadata.get("config", {}), path.parent.name
        if config.get("profile") == beside.profile:
            changes = names.differences(config, vars(beside))
            changes = {
                name: value for name, value in changes.items() if name not in ("network", "num_blocks")
            }
            label = f"{model.label} · {textwrap.shorten(names.words(changes), 40, placeholder=' …') or run}"
            networks[_free_label(label, run, {*taken, *networks})] = model
    return networks


def _load_all(files: Iterable[Path]) -> Iterator[tuple[Path, Network, dict[str, Any]]]:
    for path in files:
        try:
            yield path, *load_checkpoint(path)
        except (ValueError, OSError) as error:
            say(f"{error} It is passed over.")


def _free_label(label: str, mark: str, taken: Container[str]) -> str:
    while label in taken:
        label += f" · {mark}"
    return label
