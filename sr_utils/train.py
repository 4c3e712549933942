"""The training loop: one run, resumable, bit-equal to an uninterrupted one on a CPU in float32.

It tells a callback and writes `log.jsonl`; it draws nothing. `sr-utils train` is the same without a notebook.
"""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

from sr_utils import images
from sr_utils.ahead import ahead
from sr_utils.augment import augment
from sr_utils.config import Config
from sr_utils.networks import count_parameters
from sr_utils.paths import Paths
from sr_utils.recipe import LOSSES
from sr_utils.run_state import Run, read_log

__all__ = ["read_log", "train"]


def train(
    config: Config,
    paths: Paths,
    on_log: Callable[[dict[str, Any]], None] | None = None,
    *,
    fresh: bool = False,
) -> Path:
    """Train one run to its end, going on from its saved state where there is one; under torchrun, together.

    Args:
        config: the whole recipe; its `run_name` names the folder.
        paths: the project; the store of notebook 01 must be there.
        on_log: called with each record that also goes to `log.jsonl`: step, loss, learning_rate, seconds,
            and at validations the mean PSNR (RGB, border 4) of the trained and of the averaged weights.
        fresh: start afresh, whatever is saved.

    Returns:
        The run's folder, with `best.safetensors` (by validation PSNR), `last.safetensors`, `log.jsonl`.

    Raises:
        FileNotFoundError: no store. ValueError: a network over the limit, or a state saved with other data.
        FloatingPointError: the gradient stays non-finite. KeyboardInterrupt: after the state was saved.
    """
    run = Run(config, paths, fresh=fresh)
    device, group = run.device, run.group
    if group.rank == 0:
        processes = f" · {group.size} processes" if group.size > 1 else ""
        parameters = f"{count_parameters(run.model):,} parameters"
        print(f"{config.run_name} · {parameters} · {device.description}{processes}")
        if run.step == config.total_steps:
            print("This run is complete; fresh=True trains it again.")
    steps = ahead(run.sampler.batch, range(run.step, config.total_steps))
    with _interrupt_flag() as interrupted, _bar(run) as bar:
        for step, (lr, hr) in steps:
            hr, lr = images.to_tensor(hr, device.device), images.to_tensor(lr, device.device)
            hr, lr = (group.take(batch) for batch in augment(hr, lr, config, step))
            with device.autocast():
                sr = run.forward(lr.contiguous(memory_format=device.memory_format))
            loss = LOSSES[config.loss](sr, hr)
            run.optimize(loss)
            bar.update()
            due = {every for every in ("log_every", "validate_every", "save_every") if run.is_due(every)}
            if due & {"log_every", "validate_every"}:
                record = run.log(validate="validate_every" in due, on_log=on_log)
                bar.set_postfix_str(_progress(run, record), refresh=False)
            stops = interrupted.is_set()
            if group.size > 1:  # all stop after the same step; asking at every step would wait for the GPU
                stops = "log_every" in due and group.agree(stops, device.device)
            if "save_every" in due or stops:
                run.save()
            if stops:
                if group.rank == 0:
                    bar.write(f"Stopped and saved after step {run.step}. The same cell or command goes on.")
                raise KeyboardInterrupt
    return run.folder


def _bar(run: Run) -> tqdm:
    form = "{l_bar}{bar}| {n_fmt}/{total_fmt} steps [{elapsed} < {remaining}{postfix}]"
    return tqdm(
        desc="training", total=run.config.total_steps, initial=run.step, bar_format=form, file=sys.stdout,
        mininterval=1, disable=run.group.rank > 0,
    )  # fmt: skip


def _progress(run: Run, record: dict[str, Any]) -> str:
    """What the bar tells: the rate without validations, the loss, the best validation so far."""
    rate = (run.step - run.resumed[0]) / (record["seconds"] - run.resumed[1])
    best = f", best {run.best:.3f} dB" if run.best else ""
    return f"{rate:.2f} steps/s, {rate * run.config.batch_size:.0f} pairs/s, loss {record['loss']:.4f}{best}"


@contextmanager
def _interrupt_flag() -> Iterator[threading.Event]:
    """An event that Ctrl-C or SIGTERM sets, so that a step is finished before the state is saved."""
    flag = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # signals reach the main thread alone
        yield flag
        return

    def stop(kind: int, _frame: object) -> None:
        flag.set()
        signal.signal(kind, before[kind])  # a second one does not wait for the end of a step

    before = {kind: signal.signal(kind, stop) for kind in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield flag
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
