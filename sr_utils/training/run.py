"""A training run: where it goes on, its log, its validations, what it saves; a step itself is in `state`."""

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
from sr_utils.training.recipe import learning_rate_at
from sr_utils.training.run_files import read_log
from sr_utils.training.state import TrainingState

OnLog = Callable[[dict[str, Any]], None]
OnValidation = Callable[[nn.Module, dict[str, Any]], None]


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
        self.state = TrainingState(config, model, self.device)
        self.forward = self.group.wrap(self.state.model)
        self.owes_record = False

    def begin(self, *, fresh: bool) -> None:
        """Go on from the saved state, or from step 0; `run_files.alone` must hold the folder."""
        leads = self.group.rank == 0
        saved, problem = (None, "") if fresh else run_files.read_state(self.folder)
        records = [] if fresh else read_log(self.folder)
        if saved is None and leads and (fresh or any("val_psnr_trained" in record for record in records)):
            run_files.move_aside(self.folder)  # without state and weights, a log tells of a run all the same
        seconds = self._resume(saved) if saved else 0.0
        records = [record for record in records if record["step"] <= self.state.step]
        if records and records[-1]["step"] == self.state.step:
            self.state.losses.zero_()  # the state is saved before its step is logged
        else:
            self.owes_record = self.state.step > 0 and bool(
                self.state.due() & {"log_every", "validate_every"}
            )
        steps = self.group.total(torch.tensor(self.state.step, device=self.device.device))
        if steps != self.state.step * self.group.size:
            raise ValueError(f"The processes found different states: {self.folder} must be shared by all.")
        if leads:
            if problem:
                say(f"{problem} The run goes on from the state before it, of step {self.state.step}.")
                run_files.take_previous(self.folder)
            for path in self.folder.glob(".*.*[0-9]"):  # what a killed run was writing
                path.unlink()
            run_files.write_log(self.folder, records)
            self.kept.measure_again()
        self.resumed = self.state.step, seconds

    def catch_up(self) -> None:
        """Start the clock; write the record, or at the end the best weights, before which it was stopped."""
        self._began = time.perf_counter() - self.resumed[1]
        if self.owes_record:
            self.log(validate="validate_every" in self.state.due())
        elif self.state.step == self.config.total_steps and not self.group.rank and not self.kept.best:
            self._validate(self.resumed[1])

    def log(self, *, validate: bool) -> dict[str, Any]:
        """Append a record to `log.jsonl` and tell it; like `save`, it waits for the device."""
        skipped = self.state.require_finite()
        loss, steps = self.group.total(self.state.losses).tolist()
        record = {
            "step": self.state.step,
            "loss": loss / max(steps, 1),
            "learning_rate": learning_rate_at(self.config, self.state.step - 1),
            "seconds": time.perf_counter() - self._began,
            "skipped_steps": skipped,
        }
        self.state.losses.zero_()
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
            *_, averaged_if_any = self.state.candidates().values()
            self.on_validation(averaged_if_any, record)
            self.state.model.train()
        self._began += time.perf_counter() - began  # validation and drawing do not count as training time
        return record

    def _validate(self, seconds: float) -> dict[str, float]:
        record = self.kept.keep(self.state.candidates(), self.state.step, seconds)
        self.state.model.train()
        return record

    def save(self) -> None:
        """Write everything a resumed run needs, atomically; the record of this step may be written later."""
        self.state.require_finite()
        if self.group.rank:
            return
        seconds = time.perf_counter() - self._began
        origin = {"fingerprint": self.fingerprint, "seconds": seconds}
        run_files.write_state(self.folder, self.state.state_dict() | origin)

    def _resume(self, saved: dict[str, Any]) -> float:
        if saved["fingerprint"] != self.fingerprint:
            raise ValueError(
                f"{self.folder} was trained on other photos than the store holds now. "
                "Train with fresh=True (what is there is moved aside), or bring the old photos back."
            )
        self.state.load_state_dict(saved)
        return saved["seconds"]
