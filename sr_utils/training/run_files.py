"""The folder of a run: training states, log and weights, and the one process that may change them."""

import itertools
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from sr_utils import checkpoints
from sr_utils.console import say
from sr_utils.files import flush, write_atomic
from sr_utils.training.distributed import Group

STATES = STATE, PREVIOUS = "state.pt", "state.previous.pt"
LOG, RECORD = "log.jsonl", "run.json"
WEIGHTS = BEST, LAST = "best.safetensors", "last.safetensors"
LOCK = ".lock"
TAIL_BYTES = 4096  # of a log; a record takes 200
PROBE_SECONDS = 0.2  # for which a run waits for its folder: `is_training` holds it for much less


@contextmanager
def alone(folder: Path, group: Group, device: torch.device) -> Iterator[None]:
    """Hold the folder for one run; the lock ends with the run's first process, however that ends.

    OSError in every process of the group while another run holds it.
    """
    lock, taken = FileLock(folder / LOCK, timeout=PROBE_SECONDS, poll_interval=0.01), False
    if group.rank == 0:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except Timeout:
            taken = True
    try:
        if group.agree(taken, device):
            raise OSError(f"{folder} is being trained by another process. Wait for it, or stop it.")
        yield
    finally:
        lock.release()


def is_training(folder: Path) -> bool:
    """Whether a process holds the folder now; asking changes nothing and stops no one."""
    if not (folder / LOCK).exists():
        return False
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        return True
    except OSError:  # a folder that may only be read
        return False
    lock.release()
    return False


def move_aside(folder: Path, names: Sequence[str] = (*STATES, LOG, *WEIGHTS)) -> None:
    """Move what is there of a run to `replaced-1/` (or 2, …) in its folder; nothing reads or deletes that."""
    found = [folder / name for name in names if (folder / name).exists()]
    if not found:
        return
    if LOG in names and (folder / RECORD).exists():
        found.append(folder / RECORD)  # the whole run
    places = (folder / f"replaced-{number}" for number in itertools.count(1))
    place = next(place for place in places if not place.exists())
    place.mkdir()
    for path in found:
        path.replace(place / path.name)
    flush(place)
    flush(folder)
    say(f"{', '.join(path.name for path in found)} moved to {place}; delete that folder at will.")


def has_weights_alone(folder: Path) -> bool:
    """Whether there are weights and no state: it was deleted, or they were brought from another machine."""
    return any((folder / name).exists() for name in WEIGHTS) and not has_state(folder)


def has_state(folder: Path) -> bool:
    """Whether there is a state to go on from."""
    return any((folder / name).exists() for name in STATES)


def last_step(folder: Path) -> int:
    """The furthest step that the log or the weights of a run tell of."""
    stories = (checkpoints.load_checkpoint(folder / name)[1] for name in WEIGHTS if (folder / name).exists())
    return max(record.get("step", 0) for record in (*read_log(folder)[-1:], *stories, {}))


def read_state(folder: Path) -> tuple[dict[str, Any] | None, str]:
    """The last good state, if any was saved, and what is wrong with the newest, if it is not that.

    Raises:
        ValueError: no state is good; the message says what to do.
    """
    problems: list[str] = []
    for name in STATES:
        try:
            if (folder / name).exists():
                return checkpoints.load_state(folder / name), " ".join(problems)
            problems.append(f"{folder / name} is missing.")
        except ValueError as error:
            problems.append(str(error))
    if has_state(folder):
        raise ValueError(
            f"{' '.join(problems)} fresh=True (--fresh) trains from the start and moves all of it to "
            f"{folder / 'replaced-1'} or the like; to keep on using its weights, delete the damaged state."
        )
    return None, ""


def write_state(folder: Path, state: dict[str, Any]) -> None:
    """Save a state with the log so far, and keep the one before: a crash may spoil the newest file."""
    if (folder / LOG).exists():
        flush(folder / LOG)
    checkpoints.save_state(folder / STATE, state, keep=folder / PREVIOUS)


def take_previous(folder: Path) -> None:
    """Go on from the state before the newest, which is damaged; it is kept as `state.damaged.pt`."""
    if (folder / STATE).exists():
        (folder / STATE).replace(folder / "state.damaged.pt")
    (folder / PREVIOUS).replace(folder / STATE)


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The records of a run so far; none where it has not started. ValueError names a damaged line."""
    path = folder / LOG
    records = []
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    for number, line in enumerate(lines, 1):
        if number == len(lines) and not line.endswith(b"\n"):
            break  # a kill can leave half a line
        try:
            record = json.loads(line)
            if not isinstance(record, dict) or not {"step", "loss", "seconds"} <= record.keys():
                raise ValueError("expected a record with step, loss and seconds")
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: damaged ({error}). Delete that line.") from None
        records.append(record)
    return records


def read_last(folder: Path) -> dict[str, Any]:
    """The last record of a log, of which no more is read than its end; {} without one, or if damaged."""
    try:
        with (folder / LOG).open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - TAIL_BYTES))
            lines = file.read().split(b"\n")[:-1]  # a kill can leave half a line
        record = json.loads(lines[-1]) if lines else {}
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def write_log(folder: Path, records: Sequence[dict[str, Any]]) -> None:
    """Replace the whole log."""
    write_atomic(folder / LOG, "".join(json.dumps(record) + "\n" for record in records))
