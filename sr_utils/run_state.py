"""What changes from step to step of a training run: weights, their average, Adam's moments, counters, log."""

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from sr_utils import checkpoints, images, sources
from sr_utils.batches import PatchSampler
from sr_utils.config import BORDER, PARAMETER_LIMIT, Config, Paths
from sr_utils.device import choose_device
from sr_utils.infer import super_resolve
from sr_utils.metrics import psnr
from sr_utils.networks import count_parameters, make_network
from sr_utils.sub_images import open_store

PATIENCE = 10  # steps in a row with a non-finite gradient after which a run stops


def learning_rate_at(config: Config, step: int) -> float:
    """Adam's step size at `step`, a pure function.

    "cosine_restarts" falls from `learning_rate` to `min_learning_rate` along a half cosine of
    `restart_period` steps and starts again; "one_cycle" rises linearly over `warmup_steps`, then falls along
    one half cosine to the end of the run; "constant" stays.

    Source: Loshchilov & Hutter, "SGDR", 2017; Smith & Topin, "Super-convergence", 2018.
    """
    if config.schedule == "constant":
        return config.learning_rate
    if config.schedule == "cosine_restarts":
        progress = step % config.restart_period / config.restart_period
    elif step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    else:
        progress = (step - config.warmup_steps) / max(1, config.total_steps - config.warmup_steps)
    share = 0.5 * (1 + math.cos(math.pi * progress))
    return config.min_learning_rate + share * (config.learning_rate - config.min_learning_rate)


class Run:
    """What changes from step to step: weights, their average, Adam's moments, counters; saved and resumed."""

    def __init__(self, config: Config, paths: Paths, *, fresh: bool) -> None:
        self.config, self.folder = config, paths.run(config.run_name)
        self.device = choose_device(config.precision)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            model = make_network(config.network, **config.network_arguments)
        parameters = count_parameters(model)
        if config.challenge and parameters >= PARAMETER_LIMIT:
            raise ValueError(
                f"{config.network} has {parameters:,} trainable parameters; the challenge allows fewer than "
                f"{PARAMETER_LIMIT:,}. Use fewer blocks, or challenge=False."
            )
        if config.cutblur:
            raise ValueError(
                f"cutblur: {config.network} takes LR images, and CutBlur makes HR-sized ones. Set cutblur=0."
            )
        self.val_pairs = sources.find_split(config, paths, "val")[: config.validation_images or None]
        store = open_store(paths.store(config.profile))
        self.fingerprint: str = store.description["fingerprint"]
        self.sampler = PatchSampler(
            store, hr_patch_size=config.hr_patch_size, batch_size=config.batch_size, seed=config.seed,
            flip=config.flip, rotate=config.rotate,
        )  # fmt: skip
        self.model = model.to(self.device.device, memory_format=self.device.memory_format)
        self.ema = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(config.ema_decay))
        self.optimizer = torch.optim.Adam(
            model.parameters(), lr=config.learning_rate, betas=(0.9, 0.99), fused=True
        )
        # The scaler skips non-finite steps without waiting for the device; only fp16 needs its scaling.
        self.fixed_scale = None if self.device.dtype == torch.float16 else 1.0
        self.scaler = torch.amp.GradScaler(self.device.device.type, init_scale=self.fixed_scale or 2.0**16)
        self.losses = torch.zeros(2, device=self.device.device)  # sum and number since the last record
        self.failures = torch.zeros(2, device=self.device.device)  # non-finite steps: in a row, and in all
        self.step, self.best = 0, 0.0
        if fresh:
            for name in ("state.pt", "log.jsonl", "best.safetensors", "last.safetensors"):
                (self.folder / name).unlink(missing_ok=True)
        seconds = self._resume() if (self.folder / "state.pt").exists() else 0.0
        kept = [record for record in read_log(self.folder) if record["step"] <= self.step]
        images.write_atomic(self.folder / "log.jsonl", "".join(map(_line, kept)))
        self._began = time.perf_counter() - seconds

    def is_due(self, every: str) -> bool:
        """Whether this step is one of the config's `every`, or the last one."""
        return self.step % getattr(self.config, every) == 0 or self.step == self.config.total_steps

    def optimize(self, loss: torch.Tensor) -> None:
        """Backward, clip, Adam and the average; a step with a non-finite gradient changes no weight."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate_at(self.config, self.step)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        largest = self.config.gradient_clip or math.inf
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), largest, foreach=True)
        self.scaler.step(self.optimizer)
        self.scaler.update(self.fixed_scale)
        if self.config.ema_decay:
            self.ema.update_parameters(self.model)
        bad = ~torch.isfinite(norm)
        self.failures = torch.stack([(self.failures[0] + 1) * bad, self.failures[1] + bad])
        self.losses += torch.where(bad, 0, torch.stack([loss.detach(), torch.ones_like(loss)]))
        self.step += 1

    def log(self, *, validate: bool, on_log: Callable[[dict[str, Any]], None] | None) -> dict[str, Any]:
        """Append a record to `log.jsonl` and tell it; the only place that waits for the device."""
        in_a_row, skipped = (int(count) for count in self.failures.tolist())
        record = {
            "step": self.step,
            "loss": float(self.losses[0] / self.losses[1].clamp(min=1)),
            "learning_rate": learning_rate_at(self.config, self.step - 1),
            "seconds": time.perf_counter() - self._began,
            "skipped_steps": skipped,
        }
        if in_a_row >= PATIENCE:
            raise FloatingPointError(
                f"The gradient was not finite for {in_a_row} steps in a row (step {self.step}). Lower the "
                "learning_rate, set gradient_clip=1, or precision='float32'; the last saved state is kept."
            )
        began = time.perf_counter()
        if validate:
            record |= self._validate()
        self.losses.zero_()
        with (self.folder / "log.jsonl").open("a") as file:
            file.write(_line(record))
        if on_log:
            on_log(record)
        self._began += time.perf_counter() - began  # validation and drawing do not count as training time
        return record

    def _validate(self) -> dict[str, float]:
        candidates = {"trained": self.model} | ({"ema": self.ema.module} if self.config.ema_decay else {})
        record = {}
        for kind, model in candidates.items():
            per_image = validation_psnr(model, self.val_pairs, precision=self.config.precision)
            record[f"val_psnr_{kind}"] = mean = sum(per_image.values()) / len(per_image)
            if mean > self.best:
                self.best = mean
                self._save_weights("best", model, kind, per_image)
            if self.step == self.config.total_steps:
                self._save_weights("last", model, kind, per_image)
        self.model.train()
        return record

    def _save_weights(self, name: str, model: nn.Module, kind: str, per_image: dict[str, float]) -> None:
        story = {
            "step": self.step,
            "weights": kind,
            "val_psnr_rgb_border4": per_image,
            "config": asdict(self.config),
            "data_fingerprint": self.fingerprint,
            "training_seconds": time.perf_counter() - self._began,
            "initial_weights": None,
            "ensemble": False,
        }
        checkpoints.save_weights(self.folder / f"{name}.safetensors", model, story)

    def save(self) -> None:
        """Write everything a resumed run needs, atomically."""
        checkpoints.save_state(self.folder / "state.pt", {
            "model": self.model.state_dict(), "ema": self.ema.state_dict(),
            "optimizer": self.optimizer.state_dict(), "scaler": self.scaler.state_dict(),
            "losses": self.losses, "failures": self.failures, "step": self.step,
            "best": self.best, "fingerprint": self.fingerprint,
            "seconds": time.perf_counter() - self._began,
        })  # fmt: skip

    def _resume(self) -> float:
        state = checkpoints.load_state(self.folder / "state.pt")
        if state["fingerprint"] != self.fingerprint:
            raise ValueError(
                f"{self.folder} was trained on other photos than the store holds now. "
                "Train with fresh=True, or bring the old photos back."
            )
        for name in ("model", "ema", "optimizer", "scaler"):
            getattr(self, name).load_state_dict(state[name])
        for name in ("losses", "failures"):
            setattr(self, name, state[name].to(self.device.device))
        self.step, self.best = state["step"], state["best"]
        return state["seconds"]


def validation_psnr(
    model: nn.Module, pairs: Sequence[sources.Pair], *, precision: str = "auto"
) -> dict[str, float]:
    """PSNR in dB (RGB, border 4) of each photo, by name."""
    result = {}
    for pair in pairs:
        hr, lr = sources.read_pair(pair)
        result[pair.name] = psnr(super_resolve(model, lr, precision=precision), hr, border=BORDER)
    return result


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The records of a run so far; none where it has not started."""
    path = folder / "log.jsonl"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]  # a kill can leave half a line


def _line(record: dict[str, Any]) -> str:
    return json.dumps(record) + "\n"
