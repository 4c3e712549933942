"""What a step minimises, which way and how far it goes: losses, optimisers, learning rate."""

import math
from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import nn

from sr_utils.config import Config
from sr_utils.training.muon import Muon

LOSSES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "l1": F.l1_loss,
    "mse": F.mse_loss,
    "charbonnier": lambda sr, hr: torch.sqrt((sr - hr) ** 2 + 1e-6).mean(),  # L1, smooth within 1e-3 of 0
}


def make_optimizer(
    config: Config, parameters: Iterable[nn.Parameter], dtype: torch.dtype
) -> torch.optim.Optimizer:
    """The config's optimiser; `dtype` is Muon's arithmetic."""
    rate, decay = config.learning_rate, config.weight_decay
    if config.optimizer == "muon":
        return Muon(parameters, rate, weight_decay=decay, dtype=dtype)
    return torch.optim.AdamW(parameters, rate, betas=(0.9, 0.99), weight_decay=decay, fused=True)


def learning_rate_at(config: Config, step: int) -> float:
    """The step size at `step`, a pure function.

    "cosine_restarts" falls from `learning_rate` to `min_learning_rate` along a half cosine of
    `restart_period` steps and starts again; "one_cycle" rises linearly over `warmup_steps`, a tenth of the
    run at most, then falls along one half cosine to the end of the run; "constant" stays.

    Source: Loshchilov & Hutter, "SGDR", 2017; Smith & Topin, "Super-convergence", 2018.
    """
    warmup_steps = min(config.warmup_steps, config.total_steps // 10)
    if config.schedule == "constant":
        return config.learning_rate
    if config.schedule == "cosine_restarts":
        progress = step % config.restart_period / config.restart_period
    elif step < warmup_steps:
        return config.learning_rate * (step + 1) / warmup_steps
    else:
        progress = (step - warmup_steps) / max(1, config.total_steps - warmup_steps)
    share = 0.5 * (1 + math.cos(math.pi * progress))
    return config.min_learning_rate + share * (config.learning_rate - config.min_learning_rate)
