"""`run.json` in a run's folder: what the run is and what happened to it, written when it starts and ends."""

import json
import platform
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sr_utils.checkpoints import read_story
from sr_utils.config import Config
from sr_utils.data.pair import Pair
from sr_utils.files import write_atomic
from sr_utils.names import differences, words
from sr_utils.networks import count_parameters
from sr_utils.paths import CODE
from sr_utils.training.run_files import BEST, RECORD, WEIGHTS
from sr_utils.training.validation import bicubic_psnr, mean_psnr

if TYPE_CHECKING:
    from sr_utils.training.run import Run

PACKAGES = ("sr-utils", "torch", "torchvision", "numpy", "opencv-python", "lmdb")


def read_record(folder: Path) -> dict[str, Any]:
    """The record of a run: profile, changes, config, network, …, history.

    Of a run of the first versions, which kept none, what its weights tell.

    Raises:
        FileNotFoundError: neither is there. ValueError: damaged.
    """
    path = folder / RECORD
    if path.exists():
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(record["config"]["profile"], str) or not isinstance(record["history"], list):
                raise TypeError("expected a config and a history")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ValueError(f"{path}: damaged ({error!r}). Move it away, or the folder.") from None
        return record
    stories = {name: read_story(folder / name) for name in WEIGHTS if (folder / name).exists()}
    if not stories:
        raise FileNotFoundError(f"{folder} holds no run: neither {RECORD} nor weights.")
    story = next(iter(stories.values()))
    if not isinstance(story.get("config"), dict) or not isinstance(story["config"].get("profile"), str):
        raise ValueError(f"{folder}: the weights do not tell their run.")
    told = {"label": story["network"], "step": max(told.get("step", 0) for told in stories.values())}
    if per_photo := stories.get(BEST, {}).get("val_psnr_rgb_border4"):
        told["best_psnr"] = mean_psnr(per_photo)
    return story | told | {"history": []}


def config_of(record: dict[str, Any]) -> Config:
    """The config of a record; fields that are younger than it have their defaults, which were done before.

    ValueError: of a newer version, with fields that this one lacks, or values that it does not take.
    """
    known = {field.name for field in fields(Config)}
    if unknown := sorted(record["config"].keys() - known):
        raise ValueError(f"a run of a newer version, with {', '.join(unknown)}")
    return Config(**record["config"])


def require_same(folder: Path, config: Config) -> None:
    """ValueError where a folder holds another run than its name means now, since a profile has changed."""
    try:
        there = read_record(folder)["config"]
    except (OSError, ValueError):  # without a record, or with one to be written again
        return
    if other := differences(there, vars(config)):
        now = {name: getattr(config, name) for name in other if hasattr(config, name)}
        raise ValueError(
            f"{folder} holds another run: {words(other)}; its name means {words(now)} now, since a profile "
            f"has changed. Rename the folder to {_name_of(there)}, or move it away."
        )


def _name_of(values: dict[str, Any]) -> str:
    with suppress(ValueError, TypeError):
        return config_of({"config": values}).run_name
    return "another name"


def update_record(folder: Path, **values: Any) -> None:
    """Change some of a record, where there is one; for the process that holds the folder."""
    if (folder / RECORD).exists():
        write_atomic(folder / RECORD, json.dumps(read_record(folder) | values, indent=1))


def record_best(folder: Path, best: float, pairs: Sequence[Pair], fingerprint: str) -> None:
    """Keep a record true of the validation photos of now: the best PSNR on them, and bicubic's."""
    if not (folder / RECORD).exists():
        return
    values: dict[str, Any] = {"best_psnr": best, "val_fingerprint": fingerprint}
    with suppress(ValueError):  # a damaged one is left: the table of runs tells it
        if read_record(folder).get("val_fingerprint") != fingerprint:
            values["bicubic_psnr_rgb_border4"] = bicubic_psnr(pairs)
        update_record(folder, **values)


@contextmanager
def recorded(run: "Run") -> Iterator[None]:
    """Write down that a run starts, and how it ends; of a complete one, only what other photos change."""
    complete = run.state.step == run.config.total_steps and (run.folder / RECORD).exists()
    if run.group.rank or complete:
        if not run.group.rank:
            record_best(run.folder, run.kept.best, run.kept.pairs, run.kept.fingerprint)
        yield
        return
    try:
        history = read_record(run.folder)["history"]
    except (OSError, ValueError):
        history = []
    write_atomic(run.folder / RECORD, json.dumps(_describe(run) | {"history": history}, indent=1))

    def add(event: str, why: str = "") -> None:
        moment = datetime.now().astimezone().isoformat(timespec="seconds")
        history.append({"event": event, "at": moment, "step": run.state.step} | ({"why": why} if why else {}))
        update_record(run.folder, history=history)

    add("start")
    try:
        yield
    except KeyboardInterrupt:
        with suppress(OSError):
            add("stop")
        raise
    except Exception as error:
        with suppress(OSError):
            add("fail", f"{type(error).__name__}: {error}")
        raise
    add("complete")


def _describe(run: "Run") -> dict[str, Any]:
    profile, changes = run.config.origin
    return {
        "profile": profile,
        "changes": changes,
        "config": vars(run.config),
        "network": run.state.model.name,
        "label": run.state.model.label,
        "parameters": count_parameters(run.state.model),
        "device": run.device.description,
        "processes": run.group.size,
        "machine": _machine(),
        "versions": _versions(),
        "data_fingerprint": run.fingerprint,
        "val_fingerprint": run.kept.fingerprint,
        "bicubic_psnr_rgb_border4": _bicubic(run),
        "best_psnr": run.kept.best,
    }


def _bicubic(run: "Run") -> Mapping[str, float]:
    """By validation photo; measured once."""
    with suppress(OSError, ValueError):
        record = read_record(run.folder)
        if record.get("val_fingerprint") == run.kept.fingerprint and "bicubic_psnr_rgb_border4" in record:
            return record["bicubic_psnr_rgb_border4"]
    return bicubic_psnr(run.kept.pairs)


def _machine() -> str:
    processor = platform.processor() or platform.machine()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        found = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        processor = f"{len(found)} × {found[0]}" if found else processor
    return f"{platform.system()} {platform.release()} · {processor}"


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    if (CODE.parent / ".git").exists():  # a clone, and no copy inside of another repository
        command = ["git", "-C", str(CODE.parent), "describe", "--always", "--dirty"]
        with suppress(OSError, subprocess.SubprocessError):
            done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
            found["commit"] = done.stdout.strip()
    return found
