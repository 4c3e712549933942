"""What the steps of a run change, and how: weights, their average, the optimiser, counters."""

import copy
from typing import Any

import torch
from torch import nn

from sr_utils.config import Config
from sr_utils.device import Device
from sr_utils.networks import Network
from sr_utils.training.recipe import learning_rate_at, make_optimizer

PATIENCE = 10  # steps in a row with a non-finite gradient after which a run stops


class TrainingState:
    """Everything that is saved for going on, on one process.

    Args:
        model: moved to the device; trained in place.
    """

    def __init__(self, config: Config, model: Network, device: Device) -> None:
        self.config, self.step = config, 0
        self.model = model.to(device.device).to(memory_format=device.memory_format)
        self.average = copy.deepcopy(self.model) if config.ema_decay else None
        self.optimizer = make_optimizer(config, model.parameters(), device.dtype)
        # The scaler skips non-finite steps without waiting for the device; only fp16 needs its scaling.
        self.fixed_scale = None if device.dtype == torch.float16 else 1.0
        self.scaler = torch.amp.GradScaler(device.device.type, init_scale=self.fixed_scale or 2.0**16)
        self.losses = torch.zeros(2, device=device.device)  # sum and number since the last record
        self.failures = torch.zeros(2, device=device.device)  # non-finite steps: in a row, and in all

    def due(self) -> set[str]:
        """Those of `log_every`, `validate_every`, `save_every` of which this step is one; at the end, all."""
        ends = self.step == self.config.total_steps
        names = ("log_every", "validate_every", "save_every")
        return {name for name in names if ends or self.step % getattr(self.config, name) == 0}

    def optimize(self, loss: torch.Tensor) -> None:
        """Backward, clip, update and average; a step with a non-finite gradient changes no weight."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate_at(self.config, self.step)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        weights = list(self.model.parameters())
        norm = nn.utils.get_total_norm([weight.grad for weight in weights if weight.grad is not None])
        if self.config.gradient_clip:
            nn.utils.clip_grads_with_norm_(weights, self.config.gradient_clip, norm)
        self.scaler.step(self.optimizer)
        self.scaler.update(self.fixed_scale)
        self._move_average()
        bad = ~torch.isfinite(norm)
        self.failures = torch.stack([(self.failures[0] + 1) * bad, self.failures[1] + bad])
        self.losses += torch.where(bad, 0, torch.stack([loss.detach(), torch.ones_like(loss)]))
        self.step += 1

    @torch.no_grad()
    def _move_average(self) -> None:
        """The averaged weights follow the trained ones; they begin as those of the first step."""
        if self.average is not None:
            share = 1 - self.config.ema_decay if self.step else 1.0
            torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), share)

    def require_finite(self) -> int:
        """How many steps were skipped so far; FloatingPointError where nothing else happens any more."""
        in_a_row, skipped = (int(count) for count in self.failures.tolist())
        if in_a_row >= PATIENCE:
            raise FloatingPointError(
                f"The gradient was not finite for {in_a_row} steps in a row (step {self.step}). Lower the "
                "learning_rate, set gradient_clip=1, or precision='float32', which is a new run."
            )
        return skipped

    def candidates(self) -> dict[str, Network]:
        """The networks that a validation measures."""
        return {"trained": self.model} | ({} if self.average is None else {"ema": self.average})

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs of it."""
        return {
            "model": self.model.state_dict(),
            "ema": self.average.state_dict() if self.average is not None else {},
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "losses": self.losses,
            "failures": self.failures,
            "step": self.step,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what `state_dict` returned."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average is not None:  # the first versions had "module." before each name, and a counter
            weights = {name.removeprefix("module."): value for name, value in state["ema"].items()}
            weights.pop("n_averaged", None)
            self.average.load_state_dict(weights)
        if self.fixed_scale is None and state["scaler"]["scale"] != 1.0:  # 1: of a precision without scaling
            self.scaler.load_state_dict(state["scaler"])
        for name in ("losses", "failures"):
            setattr(self, name, state[name].to(getattr(self, name).device))
        self.step = state["step"]
