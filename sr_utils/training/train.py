"""The training loop: one run, resumable, bit-equal to an uninterrupted one on a CPU in float32.

It tells a callback and writes `log.jsonl`; it draws nothing. `sr-utils train` is the same without a notebook.
"""

from pathlib import Path
from typing import Any

from tqdm import tqdm

from sr_utils import images
from sr_utils.ahead import ahead
from sr_utils.config import Config
from sr_utils.console import say
from sr_utils.data import sources
from sr_utils.device import choose_device
from sr_utils.networks import count_parameters
from sr_utils.paths import Paths
from sr_utils.training import run_files
from sr_utils.training.augment import augment
from sr_utils.training.distributed import join
from sr_utils.training.recipe import LOSSES
from sr_utils.training.record import record_best, recorded, require_same
from sr_utils.training.run import OnLog, OnValidation, Run
from sr_utils.training.run_files import read_log
from sr_utils.training.stopping import LastingOutput, stop_flag
from sr_utils.training.validation import measure_again, photo_fingerprint

__all__ = ["read_log", "train"]

COMPLETE = (
    "This run is complete; fresh=True (--fresh) trains it again and moves what is there aside, and another "
    "seed or length is another run."
)


def train(
    config: Config,
    paths: Paths,
    on_log: OnLog | None = None,
    *,
    on_validation: OnValidation | None = None,
    fresh: bool = False,
    take_weights: bool = False,
) -> Path:
    """Train one run to its end, going on from its saved state where there is one; under torchrun, together.

    Args:
        config: the whole recipe; its `run_name` names the folder.
        paths: the project; the store of notebook 01 must be there.
        on_log: called with each record that also goes to `log.jsonl`: step, loss, learning_rate, seconds,
            and at validations the mean PSNR (RGB, border 4) of the trained and of the averaged weights.
        on_validation: called after that at each validation, with the network that was measured (the averaged
            one where there is one) and the record.
        fresh: start afresh; what is saved is moved to `replaced-1/` (or 2, …) in the run's folder.
        take_weights: where weights of an unfinished run lie without a state, return them as they are.

    Returns:
        The run's folder, with `best.safetensors` (by validation PSNR), `last.safetensors`, `log.jsonl`. A
        complete run is left as it is, and so are its weights without a state.

    Raises:
        FileNotFoundError: no store. OSError: another process trains this run.
        FloatingPointError: the gradient stays non-finite. KeyboardInterrupt: after the state was saved.
        ValueError: a network over the limit, a state saved with other data, or weights of an unfinished run
        without a state, which are not trained over.
    """
    folder = paths.run(config)
    if not fresh and run_files.has_weights_alone(folder):
        _take_weights(folder, config, paths, unfinished=take_weights)
        return folder
    if not fresh:
        require_same(folder, config)
    run = Run(config, paths, on_log, on_validation)
    with run_files.alone(folder, run.group, run.device.device):
        run.begin(fresh=fresh)
        with recorded(run):
            _train(run)
    return folder


def _take_weights(folder: Path, config: Config, paths: Paths, *, unfinished: bool) -> None:
    """Leave a run of weights without a state as it is, but measured on the validation photos of now."""
    group, device = join(), choose_device(config.precision).device
    complete = run_files.last_step(folder) == config.total_steps
    if not (complete or unfinished) or not (folder / run_files.BEST).exists():
        raise ValueError(
            f"{folder} holds weights (step {run_files.last_step(folder)} of {config.total_steps}), but no "
            "training state to go on from. fresh=True (--fresh) trains from the start and moves them aside; "
            "another seed or length is another run, which leaves them. Notebook 03 shows them as they are."
        )
    with run_files.alone(folder, group, device):
        if group.rank == 0:
            say(COMPLETE if complete else f"{folder} has no state: its weights are taken as they are.")
            pairs = sources.find_split(config, paths, "val")
            fingerprint = photo_fingerprint(pairs)
            best = measure_again(folder, pairs, fingerprint, precision=config.precision)
            record_best(folder, best, pairs, fingerprint)


def _train(run: Run) -> None:
    config, device, group = run.config, run.device, run.group
    if group.rank == 0:
        processes = f" · {group.size} processes" if group.size > 1 else ""
        parameters = f"{count_parameters(run.state.model):,} parameters"
        say(f"{config.run_name} · {parameters} · {device.description}{processes}")
        if run.state.step == config.total_steps:
            say(COMPLETE)
    run.catch_up()
    steps = ahead(run.sampler.batch, range(run.state.step, config.total_steps))
    with stop_flag() as told_to_stop, _bar(run) as bar:
        for step, (lr_batch, hr_batch) in steps:
            pair = images.to_tensor(hr_batch, device.device), images.to_tensor(lr_batch, device.device)
            hr, lr = (group.take(batch) for batch in augment(*pair, config, step))
            with device.autocast():
                sr = run.forward(lr.contiguous(memory_format=device.memory_format))
            loss = LOSSES[config.loss](sr, hr)
            run.state.optimize(loss)
            bar.update()
            due = run.state.due()
            if "save_every" in due or ("validate_every" in due and not run_files.has_state(run.folder)):
                run.save()  # first: a validation may fail, and there shall be no weights without a state
            if due & {"log_every", "validate_every"}:
                record = run.log(validate="validate_every" in due)
                bar.set_postfix_str(_progress(run, record), refresh=False)
            stops = told_to_stop.is_set()
            if group.size > 1:  # all stop after the same step; asking at every step would wait for the GPU
                stops = "log_every" in due and group.agree(stops, device.device)
            if stops:
                run.save()
                if group.rank == 0:
                    told = f"Stopped and saved after step {run.state.step}. The same cell or command goes on."
                    bar.write(told, file=LastingOutput())
                raise KeyboardInterrupt


def _bar(run: Run) -> tqdm:
    form = "{l_bar}{bar}| {n_fmt}/{total_fmt} steps [{elapsed} < {remaining}{postfix}]"
    return tqdm(
        desc="training",
        total=run.config.total_steps,
        initial=run.state.step,
        bar_format=form,
        mininterval=1,
        file=LastingOutput(),
        disable=run.group.rank > 0,
    )


def _progress(run: Run, record: dict[str, Any]) -> str:
    """What the bar tells: the rate without validations, the loss, the best validation so far."""
    rate = (run.state.step - run.resumed[0]) / (record["seconds"] - run.resumed[1])
    best = f", best {run.kept.best:.3f} dB" if run.kept.best else ""
    return f"{rate:.2f} steps/s, {rate * run.config.batch_size:.0f} pairs/s, loss {record['loss']:.4f}{best}"
