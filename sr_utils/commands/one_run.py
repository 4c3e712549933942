"""What one does with one run: look at it, choose it, note, delete, export."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from sr_utils.commands.shared import Switch
from sr_utils.console import say
from sr_utils.paths import Paths

if TYPE_CHECKING:
    from sr_utils.experiments.runs import KnownRun

Name = Annotated[str, arg(metavar="RUN")]


def _find(paths: Paths, name: str) -> "KnownRun":
    from sr_utils.experiments.runs import find_run, read_runs

    return find_run(read_runs(paths), name)


@dataclass(kw_only=True)
class Show:
    """What is known of a run: config, machine, versions, photos, starts and stops."""

    run: Positional[Name]
    """Its name, or the beginning of it."""

    def do(self, paths: Paths) -> None:
        """Print it."""
        from sr_utils.experiments.upkeep import tell

        say(tell(_find(paths, self.run)))


@dataclass(kw_only=True)
class Choose:
    """Make a run the one that notebooks and commands go on with."""

    run: Positional[Name]
    """Its name, or the beginning of it."""

    def do(self, paths: Paths) -> None:
        """Keep it."""
        from sr_utils.experiments.chosen import chosen

        chosen(self.run, paths)


@dataclass(kw_only=True)
class Note:
    """Keep a few words with a run; they are shown in the table."""

    run: Positional[Name]
    """Its name, or the beginning of it."""
    text: Positional[str]
    """The words; "" deletes them."""

    def do(self, paths: Paths) -> None:
        """Write it."""
        from sr_utils.experiments.upkeep import write_note

        run = _find(paths, self.run)
        write_note(run, self.text)
        say(f"noted: {run.name}")


@dataclass(kw_only=True)
class Delete:
    """Delete a run and its results, after a question."""

    run: Positional[Name]
    """Its name, or the beginning of it."""
    yes: Switch = False
    """Do not ask."""

    def do(self, paths: Paths) -> None:
        """Ask, delete."""
        from sr_utils.experiments.upkeep import delete, what_goes

        run = _find(paths, self.run)
        told = ", ".join(f"{folder} ({size:.1f} MB)" for folder, size in what_goes(run, paths).items())
        if not self.yes:
            say(f"Delete {told}? It cannot be undone. [y/N]")
            if sys.stdin.readline().strip().lower() not in ("y", "yes"):
                raise ValueError("Nothing was deleted; --yes deletes without a question.")
        delete(run, paths)
        say(f"deleted: {told}")


@dataclass(kw_only=True)
class ExportRun:
    """Copy what one would send to a colleague: weights, config, log, figures."""

    run: Positional[Name]
    """Its name, or the beginning of it."""
    folder: Annotated[Positional[Path], arg(metavar="FOLDER")]
    """A new folder."""

    def do(self, paths: Paths) -> None:
        """Copy."""
        from sr_utils.experiments.upkeep import export

        run = _find(paths, self.run)
        export(run, paths, self.folder)
