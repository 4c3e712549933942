"""All runs side by side: what was tried, how far it came, and what it reached.

Nothing is opened but `run.json` and the end of the log, so hundreds of runs are listed in under a second.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any

import pandas as pd

from sr_utils.config import PROFILE_VALUES, Config
from sr_utils.console import say
from sr_utils.metrics import column
from sr_utils.names import nearest, tell_apart, words
from sr_utils.paths import Paths
from sr_utils.training.record import config_of, read_record
from sr_utils.training.run_files import is_training, read_last, read_log
from sr_utils.training.validation import mean_psnr

NOTE = "note.txt"


@dataclass(frozen=True)
class KnownRun:
    """A run of which there is a folder."""

    folder: Path
    record: dict[str, Any]
    """What `read_record` tells."""
    profile: str
    changes: dict[str, Any]
    """The fields that differ from the profile."""
    step: int
    seconds: float | None
    """Of training, without validation."""
    state: str
    """"training now", "complete", "stopped at 120", or "failed at 120: why"."""
    note: str

    @property
    def name(self) -> str:
        """That of the folder."""
        return self.folder.name

    @property
    def config(self) -> Config:
        """Its whole recipe; ValueError for a run of a newer version."""
        return config_of(self.record)

    @property
    def psnr(self) -> float | None:
        """The best validation so far in dB: the mean of the photos, RGB, border 4."""
        return self.record.get("best_psnr") or None

    @property
    def gain(self) -> float | None:
        """`psnr` over bicubic on the same photos."""
        bicubic = self.record.get("bicubic_psnr_rgb_border4")
        return self.psnr - mean_psnr(bicubic) if self.psnr and bicubic else None

    @property
    def photos(self) -> str:
        """The validation photos, the first and the last where there are many."""
        names = list(
            self.record.get("bicubic_psnr_rgb_border4") or self.record.get("val_psnr_rgb_border4") or ()
        )
        return " + ".join(names) if len(names) < 3 else f"{len(names)}: {names[0]} … {names[-1]}"

    def facts(self) -> dict[str, Any]:
        """Everything a table or a program wants, by name; None where it is not known."""
        history, config = self.record["history"], self.record["config"]
        return {
            "name": self.name,
            "network": self.record["label"],
            "profile": self.profile,
            "changes": self.changes,
            "step": self.step,
            "total_steps": config.get("total_steps"),
            "psnr": self.psnr,
            "gain": self.gain,
            "photos": self.photos,
            "minutes": self.seconds / 60 if self.seconds else None,
            "steps_per_second": self.step / self.seconds if self.seconds else None,
            "state": self.state,
            "started": history[0]["at"] if history else None,
            "note": self.note,
        }


def read_runs(paths: Paths, *, profile: str | None = None) -> list[KnownRun]:
    """The runs of a project, or of a profile, the highest PSNR first; what is no run is named in a line."""
    runs = []
    folder = paths.root / "checkpoints"
    for place in sorted(folder.iterdir()) if folder.is_dir() else ():
        if place.is_dir() and not place.name.startswith("."):
            try:
                runs.append(_read_run(place))
            except (ValueError, OSError, KeyError, TypeError, AttributeError) as error:
                told = (
                    str(error)
                    if isinstance(error, (ValueError, OSError))
                    else f"{place}: damaged ({error!r})."
                )
                say(f"{told} It is passed over.")
    return sorted(
        (run for run in runs if profile in (None, run.profile)), key=lambda run: (-(run.psnr or 0), run.name)
    )


def _read_run(folder: Path) -> KnownRun:
    record = read_record(folder)
    profile, changes = nearest(record["config"], PROFILE_VALUES)
    last, history = read_last(folder), record["history"]
    step = max([last.get("step", 0), record.get("step", 0), *(event["step"] for event in history[-1:])])
    note = folder / NOTE
    run = KnownRun(
        folder,
        record,
        profile,
        changes,
        step,
        last.get("seconds") or record.get("training_seconds"),
        _state(folder, history, step, record["config"].get("total_steps", 0)),
        note.read_text(encoding="utf-8").strip() if note.exists() else "",
    )
    _row(run)  # a record with other kinds of values is told now
    return run


def _state(folder: Path, history: list[dict[str, Any]], step: int, total_steps: int) -> str:
    if is_training(folder):
        return "training now"
    if step >= total_steps:
        return "complete"
    if history and history[-1]["event"] == "fail":
        return f"failed at {step:,}: {history[-1].get('why', '')}"
    return f"stopped at {step:,}"


def find_run(runs: Sequence[KnownRun], name: str) -> KnownRun:
    """The run of a name, or of the only one that begins with it or has it in it.

    ValueError names those that may be meant.
    """
    for fits in (str.__eq__, str.startswith, str.__contains__):
        found = [run for run in runs if fits(run.name, name)]
        if len(found) == 1:
            return found[0]
        if found:
            break
    there = ", ".join(run.name for run in (found or runs)[:8]) or "none yet"
    raise ValueError(f"Expected the name of one run, got {name!r}. There are: {there}.")


def label_runs(runs: Sequence[KnownRun]) -> dict[str, KnownRun]:
    """Runs by what tells them apart, as for a legend; by folder where words do not."""
    told = tell_apart([run.record["config"] for run in runs], PROFILE_VALUES)
    return {label if told.count(label) == 1 else run.name: run for label, run in zip(told, runs, strict=True)}


def read_curves(runs: Sequence[KnownRun]) -> dict[str, list[dict[str, Any]]]:
    """The logs of some runs by what tells these apart; a damaged one is named and passed over."""
    curves = {}
    for label, run in label_runs(runs).items():
        try:
            curves[label] = read_log(run.folder)
        except ValueError as error:
            say(f"{error} It is passed over.")
    return curves


def as_table(runs: Sequence[KnownRun]) -> pd.DataFrame:
    """One row per run, in their order, to be shown."""
    table = pd.DataFrame([_row(run) for run in runs])
    table = table.set_index("name") if runs else table
    return table if any(run.note for run in runs) else table.drop(columns="note", errors="ignore")


def _row(run: KnownRun) -> dict[str, str]:
    facts = run.facts()
    return {
        "name": run.name,
        "network": facts["network"],
        "what differs": shorten(words(run.changes), 60, placeholder=" …") or "nothing",
        "steps": f"{run.step:,}/{facts['total_steps']:,}",
        column("PSNR", "rgb"): _told(run.psnr, ".2f"),
        "over bicubic": _told(run.gain, "+.2f"),
        "minutes": _told(facts["minutes"], ".1f"),
        "steps/s": _told(facts["steps_per_second"], ".2f"),
        "state": run.state,
        "started": (facts["started"] or "")[:16].replace("T", " "),
        "validation photos": run.photos,
        "note": run.note,
    }


def _told(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
