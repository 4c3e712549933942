"""The run that notebooks and commands go on with: chosen once, kept in `data/current_run.json`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sr_utils.config import DEMO, PROFILES, Config, configure
from sr_utils.console import say
from sr_utils.experiments.runs import find_run, read_runs
from sr_utils.files import write_atomic
from sr_utils.names import words
from sr_utils.paths import Paths
from sr_utils.training.record import require_same

IN_NOTEBOOKS = "RUN = its name, or PROFILE and CHANGES in notebook 01"
IN_TERMINAL = "name a profile and its changes, or sr-utils runs choose NAME"


def choose(
    config: Config,
    paths: Paths,
    *,
    base: Config | None = None,
    remember: bool = True,
    hint: str = IN_NOTEBOOKS,
) -> Config:
    """Make a run the one that notebooks and commands go on with, and say so; returns its config.

    Args:
        config: the run.
        paths: the project.
        base: what notebook 03's CHANGES were made to, if it was; None: the run itself.
        remember: False: only say which run it is, as a command does that runs notebooks on its own.
        hint: how to choose another.
    """
    if remember:
        origins = {"base": (base or config).origin, "run": config.origin}
        write_atomic(_file(paths), json.dumps(origins, indent=1))
    say(f"{describe(config)}. Another: {hint}.")
    return config


def chosen(
    run: str | Mapping[str, Any] | None, paths: Paths, changes: Mapping[str, Any] | None = None
) -> Config:
    """The run that a notebook works with, told in one line.

    Args:
        run: None: the run chosen last, or the demo; a name from the table of runs, or of a profile, which is
            chosen so; {"profile": …, field: …}: that run for this notebook alone.
        paths: the project.
        changes: fields that make a new run, which is chosen so; of the run that notebook 01 or `run` tells.

    Raises:
        ValueError: no such run, a value that cannot be used, or a folder that holds another run.
    """
    if isinstance(run, Mapping):
        given = dict(run) | dict(changes or {})
        return choose(configure(given.pop("profile", ""), given), paths, remember=False)
    base, config = _saved(paths) if run is None else (_named(run, paths),) * 2
    if base is None or config is None:
        say("No run was chosen yet, so it is the demo.")
        base = config = DEMO
    if changes:
        profile, own = base.origin
        config = configure(profile, own | dict(changes))
    require_same(paths.run(config), config)
    return choose(config, paths, base=base, remember=bool(run or changes))


def current(paths: Paths) -> Config:
    """The run chosen last, told in one line; ValueError if none was."""
    config = _saved(paths)[1]
    if config is None:
        raise ValueError(f"No run was chosen yet: name a profile, {', '.join(PROFILES)}.")
    return choose(config, paths, remember=False, hint=IN_TERMINAL)


def describe(config: Config) -> str:
    """One line: "Run demo_seed-1: the profile demo with seed 1"."""
    profile, changes = config.origin
    return f"Run {config.run_name}: the profile {profile} with {words(changes) or 'nothing changed'}"


def _file(paths: Paths) -> Path:
    return paths.root / "data" / "current_run.json"


def _saved(paths: Paths) -> tuple[Config | None, Config | None]:
    """The base and the run that were chosen last."""
    path = _file(paths)
    if not path.exists():
        return None, None
    try:
        origins = json.loads(path.read_text(encoding="utf-8"))
        base, config = (configure(*origins[name]) for name in ("base", "run"))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path}: no run that can be used ({error}). Choose one in notebook 01, or delete that file."
        ) from None
    return base, config


def _named(name: str, paths: Paths) -> Config:
    runs = read_runs(paths)
    if name in PROFILES and all(run.name != name for run in runs):
        return PROFILES[name]
    run = find_run(runs, name)
    if paths.run(run.config) != run.folder:
        raise ValueError(f"{run.folder} holds the run {run.config.run_name}: give the folder that name.")
    return run.config
