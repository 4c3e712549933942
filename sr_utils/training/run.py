"""What changes from step to step of a training run: weights, their average, the optimiser, counters, log."""

import copy
import json
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from sr_utils import checkpoints
from sr_utils.config import Config
from sr_utils.console import say
from sr_utils.data import sources
from sr_utils.data.batches import PatchSampler
from sr_utils.data.overlap import require_apart
from sr_utils.data.splits import open_split
from sr_utils.device import choose_device
from sr_utils.paths import Paths
from sr_utils.training import run_files
from sr_utils.training.distributed import join
from sr_utils.training.kept_weights import KeptWeights
from sr_utils.training.recipe import learning_rate_at, make_optimizer
from sr_utils.training.run_files import read_log

OnLog = Callable[[dict[str, Any]], None]
OnValidation = Callable[[nn.Module, dict[str, Any]], None]
PATIENCE = 10  # steps in a row with a non-finite gradient after which a run stops


class Run:
    """One run; every process of it has one, and the first one tells `on_log` and `on_validation`."""

    def __init__(
        self,
        config: Config,
        paths: Paths,
        on_log: OnLog | None = None,
        on_validation: OnValidation | None = None,
    ) -> None:
        self.on_log, self.on_validation = on_log, on_validation
        self.config, self.folder, self.group = config, paths.run(config), join()
        if config.batch_size % self.group.size:
            processes = f"the {self.group.size} processes"
            raise ValueError(f"batch_size: expected a multiple of {processes}, got {config.batch_size}.")
        self.device = choose_device(config.precision)
        model, initial_weights = checkpoints.start_network(config, paths)
        val_pairs = sources.find_split(config, paths, "val")
        store = open_split(config, paths)
        if config.challenge:
            require_apart(store, val_pairs)
        self.fingerprint: str = store.description["fingerprint"]
        origin = {"data_fingerprint": self.fingerprint, "initial_weights": initial_weights}
        self.kept = KeptWeights(config, self.folder, val_pairs, origin)
        self.sampler = PatchSampler(
            store,
            hr_patch_size=config.hr_patch_size,
            batch_size=config.batch_size,
            seed=config.seed,
            flip=config.flip,
            rotate=config.rotate,
            draws=config.patch_draws,
        )
        self.model = model.to(self.device.device).to(memory_format=self.device.memory_format)
        self.forward = self.group.wrap(self.model)
        self.average = copy.deepcopy(self.model) if config.ema_decay else None
        self.optimizer = make_optimizer(config, model.parameters(), self.device.dtype)
        # The scaler skips non-finite steps without waiting for the device; only fp16 needs its scaling.
        self.fixed_scale = None if self.device.dtype == torch.float16 else 1.0
        self.scaler = torch.amp.GradScaler(self.device.device.type, init_scale=self.fixed_scale or 2.0**16)
        self.losses = torch.zeros(2, device=self.device.device)  # sum and number since the last record
        self.failures = torch.zeros(2, device=self.device.device)  # non-finite steps: in a row, and in all
        self.step, self.owes_record = 0, False

    def begin(self, *, fresh: bool) -> None:
        """Go on from the saved state, or from step 0; `run_files.alone` must hold the folder."""
        leads = self.group.rank == 0
        state, problem = (None, "") if fresh else run_files.read_state(self.folder)
        records = [] if fresh else read_log(self.folder)
        if state is None and leads and (fresh or any("val_psnr_trained" in record for record in records)):
            run_files.move_aside(self.folder)  # without state and weights, a log tells of a run all the same
        seconds = self._resume(state) if state else 0.0
        records = [record for record in records if record["step"] <= self.step]
        if records and records[-1]["step"] == self.step:
            self.losses.zero_()  # the state is saved before its step is logged
        else:
            self.owes_record = self.step > 0 and (self.is_due("log_every") or self.is_due("validate_every"))
        steps = self.group.total(torch.tensor(self.step, device=self.device.device))
        if steps != self.step * self.group.size:
            raise ValueError(f"The processes found different states: {self.folder} must be shared by all.")
        if leads:
            if problem:
                say(f"{problem} The run goes on from the state before it, of step {self.step}.")
                run_files.take_previous(self.folder)
            for path in self.folder.glob(".*.*[0-9]"):  # what a killed run was writing
                path.unlink()
            run_files.write_log(self.folder, records)
            self.kept.measure_again()
        self.resumed = self.step, seconds
        self._began = time.perf_counter() - seconds

    def catch_up(self) -> None:
        """Write the record, or at the end of a run the best weights, before which the run was stopped."""
        if self.owes_record:
            self.log(validate=self.is_due("validate_every"))
        elif self.step == self.config.total_steps and not self.group.rank and not self.kept.best:
            self._validate(self.resumed[1])

    def is_due(self, every: str) -> bool:
        """Whether this step is one of the config's `every`, or the last one."""
        return self.step % getattr(self.config, every) == 0 or self.step == self.config.total_steps

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
        self._average()
        bad = ~torch.isfinite(norm)
        self.failures = torch.stack([(self.failures[0] + 1) * bad, self.failures[1] + bad])
        self.losses += torch.where(bad, 0, torch.stack([loss.detach(), torch.ones_like(loss)]))
        self.step += 1

    @torch.no_grad()
    def _average(self) -> None:
        """Move the averaged weights towards the trained ones; they begin as those of the first step."""
        if self.average is not None:
            share = 1 - self.config.ema_decay if self.step else 1.0
            torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), share)

    def log(self, *, validate: bool) -> dict[str, Any]:
        """Append a record to `log.jsonl` and tell it; like `save`, it waits for the device."""
        skipped = self._require_finite()
        loss, steps = self.group.total(self.losses).tolist()
        record = {
            "step": self.step,
            "loss": loss / max(steps, 1),
            "learning_rate": learning_rate_at(self.config, self.step - 1),
            "seconds": time.perf_counter() - self._began,
            "skipped_steps": skipped,
        }
        self.losses.zero_()
        if self.group.rank:
            return record
        began = time.perf_counter()
        if validate:
            record |= self._validate(record["seconds"])
        with (self.folder / run_files.LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        if self.on_log:
            self.on_log(record)
        if validate and self.on_validation:
            self.on_validation(self.model if self.average is None else self.average, record)
            self.model.train()
        self._began += time.perf_counter() - began  # validation and drawing do not count as training time
        return record

    def _require_finite(self) -> int:
        """How many steps were skipped so far; FloatingPointError where nothing else happens any more."""
        in_a_row, skipped = (int(count) for count in self.failures.tolist())
        if in_a_row >= PATIENCE:
            raise FloatingPointError(
                f"The gradient was not finite for {in_a_row} steps in a row (step {self.step}). Lower the "
                "learning_rate, set gradient_clip=1, or precision='float32', which is a new run."
            )
        return skipped

    def _validate(self, seconds: float) -> dict[str, float]:
        candidates = {"trained": self.model}
        if self.average is not None:
            candidates["ema"] = self.average
        record = self.kept.keep(candidates, self.step, seconds)
        self.model.train()
        return record

    def save(self) -> None:
        """Write everything a resumed run needs, atomically; the record of this step may be written later."""
        self._require_finite()
        if self.group.rank:
            return
        run_files.write_state(
            self.folder,
            {
                "model": self.model.state_dict(),
                "ema": self.average.state_dict() if self.average is not None else {},
                "optimizer": self.optimizer.state_dict(),
                "scaler": self.scaler.state_dict(),
                "losses": self.losses,
                "failures": self.failures,
                "step": self.step,
                "fingerprint": self.fingerprint,
                "seconds": time.perf_counter() - self._began,
            },
        )

    def _resume(self, state: dict[str, Any]) -> float:
        if state["fingerprint"] != self.fingerprint:
            raise ValueError(
                f"{self.folder} was trained on other photos than the store holds now. "
                "Train with fresh=True (what is there is moved aside), or bring the old photos back."
            )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average is not None:  # the first versions had "module." before each name, and a counter
            weights = {name.removeprefix("module."): value for name, value in state["ema"].items()}
            weights.pop("n_averaged", None)
            self.average.load_state_dict(weights)
        if self.fixed_scale is None and state["scaler"]["scale"] != 1.0:  # 1: of a precision without scaling
            self.scaler.load_state_dict(state["scaler"])
        for name in ("losses", "failures"):
            setattr(self, name, state[name].to(self.device.device))
        self.step = state["step"]
        return state["seconds"]
