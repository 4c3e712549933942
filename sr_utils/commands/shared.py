"""What the commands have in common: the project, silence, profiles with their fields, and photos."""

import io
import os
from abc import ABC, abstractmethod
from contextlib import nullcontext, redirect_stdout
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import FlagCreatePairsOff, Suppress, arg, subcommand
from tyro.extras import subcommand_type_from_defaults

from sr_utils.config import PROFILES, Config
from sr_utils.paths import CODE, Paths, find_root

if TYPE_CHECKING:
    from sr_utils.networks import Network

BEST = "checkpoints/msrresnet20_light_open.safetensors"  # by the held-out photos, see its card
Folder = Annotated[Path | None, arg(metavar="DIR", help_behavior_hint="")]  # the text tells the default
File = Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")]
Number = Annotated[float | None, arg(metavar="FLOAT", help_behavior_hint="")]
SOME = "(at least one)"  # in place of a default
Switch = FlagCreatePairsOff[bool]


@dataclass(kw_only=True)
class Command(ABC):
    """The arguments of every command."""

    root: Folder = None
    """Project folder; the default is the one around the current folder."""
    quiet: Switch = False
    """Say nothing but errors."""

    def require_root(self) -> None:
        """Errors as `find_root`, for commands that do not need a project too."""
        if self.root:
            find_root(self.root)

    def paths(self) -> Paths:
        """The project's folders."""
        return Paths.find(self.root)

    @abstractmethod
    def run(self) -> None:
        """Do it; what a user can mend raises ValueError, OSError, …, told in one line."""


@dataclass(kw_only=True)
class Foreign:
    """What a foreign file of weights does not tell."""

    res_scale: Number = None
    """Factor on the residuals of foreign EDSR weights (the paper's large network: 0.1)."""
    image_range: Number = None
    """Largest pixel value that foreign EDSR weights expect, 255 or 1."""

    def load(self, path: Path) -> "Network":
        """The network of a checkpoint."""
        from sr_utils.checkpoints import load_checkpoint

        return load_checkpoint(path, res_scale=self.res_scale, image_range=self.image_range)[0]


@dataclass(frozen=True, kw_only=True)
class Fields(Config):
    """A profile's fields as flags; which photos it has is no flag."""

    profile: Suppress[str] = "full"

    def config(self) -> Config:
        """The config that the flags tell."""
        return Config(**{field.name: getattr(self, field.name) for field in fields(Config)})


SUMMARIES = {
    "demo": "Six embedded photos, 400 steps: minutes on a CPU.",
    "full": "The reference's recipe on mini-DIV2K: days on a GPU.",
    "fast": "Our recipe on mini-DIV2K: a fraction of the steps.",
    "open": "Our recipe on 540 other photos; not for the challenge.",
}
if TYPE_CHECKING:
    Profile = Fields  # what each of the subcommands gives
else:
    Profile = subcommand_type_from_defaults(
        {name: Fields(**asdict(config)) for name, config in PROFILES.items()},
        descriptions=SUMMARIES,
        sort_subcommands=False,
    )


@dataclass
class Chosen:
    """The run chosen last: by a command, or in a notebook."""


Named = Annotated[Chosen, subcommand(name="chosen", description="The run chosen last.")] | Profile


def resolve(named: Chosen | Fields, paths: Paths, *, remember: bool = True) -> Config:
    """The config that a command is given, which becomes the chosen run, or that of the run chosen last."""
    from sr_utils.experiments.chosen import IN_TERMINAL, choose, current

    first = os.environ.get("RANK", "0") == "0"  # of torchrun's processes, which tells it
    with nullcontext() if first else redirect_stdout(io.StringIO()):
        if isinstance(named, Chosen):
            return current(paths)
        return choose(named.config(), paths, remember=remember and first, hint=IN_TERMINAL)


def best_weights(root: Path | None) -> Path:
    """The best weights that come with the project: this one's, or the one whose code runs."""
    try:
        folder = find_root(root)
    except FileNotFoundError:
        if root:
            raise
        folder = CODE.parent
    return folder / BEST
