"""Networks and recipes at equal time: one run and its row in networks.csv; or, with --time, a step of each.

    python bench/bench_networks.py two-7-2-7 total_steps=2063 seed=1 patch_draws=2

The budget is wall time on an idle machine: how many steps fit comes from --time. So the runs themselves may
share the machine, and with OMP_NUM_THREADS=1 two of them have a core each. A run that was stopped goes on.
"""

import argparse
import shutil
import statistics
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from filelock import FileLock
from torch import nn
from tried import TRIED

from sr_utils import checkpoints, images
from sr_utils.config import OPEN, STUDIED, Config
from sr_utils.console import say
from sr_utils.data import sources
from sr_utils.data.build_store import build_split
from sr_utils.data.pair import read_pair
from sr_utils.device import choose_device
from sr_utils.experiments.collection import load_shipped
from sr_utils.files import write_atomic
from sr_utils.networks import NETWORKS, Network, count_parameters, make_network
from sr_utils.paths import Paths
from sr_utils.training.muon import Muon
from sr_utils.training.train import train
from sr_utils.training.validation import mean_psnr, validation_psnr

TABLE = Path(__file__).with_name("networks.csv")


def register() -> None:
    """Make TRIED known to runs and to files of weights."""

    def named(name: str) -> Network:
        model = TRIED[name]()
        model.name = model.label = name  # type: ignore[misc]
        return model

    for name in TRIED:
        NETWORKS[name] = lambda name=name, **_: named(name)  # type: ignore[assignment,misc]


def value_of(name: str, text: str) -> Any:
    """A field's value as a row tells it."""
    kind = type(getattr(STUDIED, name))
    if kind is bool and text not in ("True", "False"):
        raise ValueError(f"{name}: expected True or False, got {text}.")
    return text == "True" if kind is bool else kind(text)


def recipe(network: str, changes: dict[str, str]) -> Config:
    """Ours as studied, HR patch 96; warm-up, average and validations follow the length."""
    given = {name: value_of(name, text) for name, text in changes.items()}
    steps = given.get("total_steps", 1000)
    own = {"total_steps": steps, "warmup_steps": max(30, steps // 20), "ema_decay": 1 - 10 / steps}
    own |= {"hr_patch_size": 96, "validate_every": -(-steps // 4), "save_every": 300}
    config = replace(STUDIED, **(own | given))
    vars(config)["network"] = network  # its own check knows none of TRIED
    return config


def keep(network: str, changes: dict[str, str], config: Config, paths: Paths) -> None:
    """Train, write the row, and tell the dead units."""
    build_split(config, paths)
    folder = train(config, paths)
    model, story = checkpoints.load_checkpoint(folder / "last.safetensors")
    psnr = {name: round(value, 4) for name, value in story["val_psnr_rgb_border4"].items()}
    told = " ".join(f"{name}={value}" for name, value in changes.items())
    row = {"network": network, "changes": told, "parameters": count_parameters(model)} | psnr
    with FileLock(TABLE.with_suffix(".lock")):  # another run may end at the same time
        write_atomic(TABLE, pd.concat([pd.read_csv(TABLE), pd.DataFrame([row])]).to_csv(index=False))
    tell_dead_units({network: model}, paths)
    shutil.rmtree(folder)


def step_seconds(config: Config, hr_patch_size: int, batch_size: int = 16, runs: int = 12) -> float:
    """Median of forward, backward and update on one batch."""
    device = choose_device()
    model = make_network(config.network, **config.network_arguments).to(memory_format=device.memory_format)
    optimizer = Muon(model.parameters(), 1e-3, dtype=device.dtype)
    hr = torch.rand(batch_size, 3, hr_patch_size, hr_patch_size)
    lr = F.avg_pool2d(hr, 4).contiguous(memory_format=device.memory_format)
    seconds = []
    for _ in range(runs):
        began = time.perf_counter()
        with device.autocast():
            sr = model(lr)
        optimizer.zero_grad(set_to_none=True)
        F.l1_loss(sr, hr).backward()
        optimizer.step()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[3:])


@torch.no_grad()
def dead_units(network: Network, photos: list[np.ndarray]) -> list[float]:
    """The share of every block's hidden units that are active in no pixel of any photo (LR)."""
    largest: dict[nn.Module, torch.Tensor] = {}

    def look(layer: nn.Module, _: object, output: torch.Tensor) -> None:
        found = output.amax(dim=(0, 2, 3))
        largest[layer] = torch.maximum(largest.get(layer, found), found)

    for name, layer in network.named_modules():
        if name.endswith(".conv1"):
            layer.register_forward_hook(look)
    for photo in photos:
        network(images.to_tensor(photo)[None])
    return [(values <= 0).float().mean().item() for values in largest.values()]


def tell_dead_units(networks: Mapping[str, Network], paths: Paths) -> None:
    """Of each network, on the held-out photos."""
    photos = [read_pair(pair)[1] for pair in sources.find_split(OPEN, paths, "val")]
    for label, network in networks.items():
        say(f"{label}: {' '.join(f'{share:.0%}' for share in dead_units(network, photos))}")


class Recoloured(nn.Module):
    """A network that gets its photos as BRG; PSNR over all channels does not mind, what it learned may."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network, self.receptive_field, self.grid = network, network.receptive_field, network.grid

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        return self.network(lr.roll(1, dims=1)).roll(-1, dims=1)


def tell_seen(networks: Mapping[str, Network], paths: Paths) -> None:
    """Mean PSNR in dB (RGB, border 4) on held-out photos, as they are and as BRG, and on some that taught."""
    seen = sources.find_split(OPEN, paths, "train")
    photos = {"held out": sources.find_split(OPEN, paths, "val")}
    photos["wallpapers seen"] = [pair for pair in seen if pair.hr.parent.name == "photos"][::7]
    photos["BSDS seen"] = [pair for pair in seen if "BSDS" in str(pair.hr)][::20]
    for label, network in networks.items():
        told = {kind: mean_psnr(validation_psnr(network, pairs)) for kind, pairs in photos.items()}
        told["held out as BRG"] = mean_psnr(validation_psnr(Recoloured(network), photos["held out"]))
        say(f"{label}: {', '.join(f'{kind} {value:.3f}' for kind, value in told.items())}")


def main() -> None:
    """One run, or the times, or the dead units, or the photos seen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--time", action="store_true", help="of a step of the network, or of each")
    parser.add_argument("--dead", action="store_true", help="units in each block of the shipped networks")
    parser.add_argument("--seen", action="store_true", help="the shipped networks on photos that taught them")
    register()
    parser.add_argument("network", nargs="?", choices=[*NETWORKS])
    parser.add_argument("changes", nargs="*", help="field=value of sr_utils/config.py")
    arguments = parser.parse_args()
    changes = dict(text.split("=", 1) for text in arguments.changes)
    if arguments.time:
        for name in [arguments.network] if arguments.network else NETWORKS:
            config = recipe(name, changes)
            told = [f"{1000 * step_seconds(config, side):.1f} ms at patch {side}" for side in (96, 128)]
            say(f"{name} {' '.join(arguments.changes)}: {', '.join(told)}")
        return
    paths = Paths(Path(__file__).parents[1])
    if arguments.dead or arguments.seen:
        tell = tell_seen if arguments.seen else tell_dead_units
        tell(load_shipped(paths.root / "checkpoints"), paths)
        return
    if not arguments.network:
        parser.error(f"network: name one of {', '.join(NETWORKS)}.")
    keep(arguments.network, changes, recipe(arguments.network, changes), paths)


if __name__ == "__main__":
    main()
