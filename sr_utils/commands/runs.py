"""All runs side by side."""

import json
import sys
import time
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from dataclasses import dataclass, field
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg, subcommand

from sr_utils.commands.one_run import Choose, Delete, ExportRun, Name, Note, Show
from sr_utils.commands.shared import Command, Switch
from sr_utils.console import say
from sr_utils.paths import Paths

if TYPE_CHECKING:
    import pandas as pd

LEAST = ("validation photos", "started", "network", "steps/s", "what differs")  # columns
ProfileName = Literal["demo", "full", "fast", "open"]


def _fit(table: "pd.DataFrame") -> str:
    """The table as text; where a terminal is too narrow for it, without what is missed least."""
    for name in LEAST:
        if not sys.stdout.isatty() or len(table.to_string().splitlines()[0]) <= get_terminal_size().columns:
            break
        table = table.drop(columns=name)
    return table.to_string()


def _apart(action: object) -> AbstractContextManager:
    """Remarks go to standard error where a program reads the other one."""
    return redirect_stdout(sys.stderr) if getattr(action, "json", False) else nullcontext()


@dataclass(kw_only=True)
class Table:
    """A table of all runs, the highest PSNR first."""

    profile: Annotated[ProfileName | None, arg(metavar="NAME", help_behavior_hint="")] = None
    """Those of one profile alone."""
    json: Switch = False
    """For programs."""

    def do(self, paths: Paths) -> None:
        """Print it."""
        from sr_utils.experiments.runs import as_table, read_runs

        with _apart(self):
            runs = read_runs(paths, profile=self.profile)
        if self.json:
            say(json.dumps([run.facts() for run in runs], indent=1))
        elif runs:
            say(_fit(as_table(runs)))
        else:
            say("No runs yet. The first one: sr-utils prepare demo, then sr-utils train demo")


@dataclass(kw_only=True)
class CompareRuns:
    """The paired difference of two runs by validation photo, with its 95 % interval."""

    one: Positional[Name]
    """The run to compare with."""
    other: Positional[Name]
    """The run whose gain is told."""

    def do(self, paths: Paths) -> None:
        """Print it."""
        from sr_utils.experiments.paired import compare_runs
        from sr_utils.experiments.runs import find_run, read_runs

        runs = read_runs(paths)
        found = compare_runs(find_run(runs, self.one), find_run(runs, self.other), runs)
        say(f"PSNR in dB (RGB, border 4), the {found.weights} weights of both:")
        say(found.table.round(3).to_string())
        say(found.told)


@dataclass(kw_only=True)
class Watch:
    """A table of the runs that train now, shown again until none does."""

    every: Annotated[float, arg(metavar="SECONDS")] = 5.0
    """Seconds between two looks."""

    def do(self, paths: Paths) -> None:
        """Print it, in place of the one before where a terminal shows it."""
        from sr_utils.experiments.runs import as_table, read_runs

        while running := [run for run in read_runs(paths) if run.state == "training now"]:
            if sys.stdout.isatty():
                sys.stdout.write("\x1b[H\x1b[2J")
            say(f"{time.strftime('%H:%M:%S')}, again in {self.every:g} s; Ctrl-C ends it, not the training")
            say(_fit(as_table(running)))
            time.sleep(self.every)
        say("No run is being trained now.")


Action = (
    Annotated[Table, subcommand(name="table")]
    | Annotated[CompareRuns, subcommand(name="compare")]
    | Annotated[Show, subcommand(name="show")]
    | Annotated[Choose, subcommand(name="choose")]
    | Annotated[Note, subcommand(name="note")]
    | Annotated[Delete, subcommand(name="delete")]
    | Annotated[ExportRun, subcommand(name="export")]
    | Annotated[Watch, subcommand(name="watch")]
)


@dataclass(kw_only=True)
class Runs(Command):
    """All runs side by side; compare two, look at one, choose, note, delete, export, watch."""

    action: Action = field(default_factory=Table)
    """What to do; a name may be shortened while it is the only one."""

    def run(self) -> None:
        """Do it."""
        with _apart(self.action):
            paths = self.paths()
        self.action.do(paths)
