"""Training a run, the study's arms, and all notebooks."""

import os
from dataclasses import dataclass, field
from typing import Annotated

from tyro.conf import Positional, arg

from sr_utils.commands.shared import Chosen, Command, Named, Switch, resolve
from sr_utils.experiments.arms import arm_config


@dataclass(kw_only=True)
class Train(Command):
    """Train a run, or go on with it; under torchrun, on several GPUs.

    A flag with several values trains one run after another: --learning-rate 1e-3 2e-3.
    """

    config: Named = field(default_factory=Chosen)
    """The recipe; every field is a flag."""
    fresh: Switch = False
    """Start afresh instead of going on."""

    def run(self) -> None:
        """Train to the end."""
        from sr_utils.training.train import train

        paths = self.paths()
        folder = train(resolve(self.config, paths), paths, fresh=self.fresh)
        if os.environ.get("RANK", "0") == "0":
            print(f"done: {folder}")


@dataclass(kw_only=True)
class Study(Command):
    """Train the study's arms that bench/ablations.csv lacks, or those named again, and keep their rows."""

    arms: Annotated[Positional[tuple[str, ...]], arg(metavar="ARM …", help_behavior_hint="")] = ()
    """Names of arms, for example "MSE"."""

    def __post_init__(self) -> None:
        for arm in self.arms:
            arm_config(arm, 0)  # an unknown one is told

    def run(self) -> None:
        """Train them; without names the same command goes on."""
        from sr_utils.experiments.study import run_study

        run_study(self.paths(), self.arms)
        print(f"done: bench/ablations.csv has {', '.join(self.arms) or 'every arm'}")


@dataclass(kw_only=True)
class Notebooks(Command):
    """Run the notebooks; executed copies, also as HTML, go to report/executed."""

    config: Named = field(default_factory=Chosen)
    """What all notebooks are given; no other run is chosen by that."""
    only: Annotated[tuple[str, ...], arg(metavar="NN …", help_behavior_hint="")] = ()
    """Numbers of notebooks, for example 01 03; the default is all."""
    download: bool = True
    """Let notebook 05 download Set5 (1 MB) where it is missing."""

    def run(self) -> None:
        """Run them in order."""
        from sr_utils.commands.run_notebooks import run_notebooks

        paths = self.paths()
        profile, changes = resolve(self.config, paths, remember=False).origin
        run_notebooks(profile, changes, paths, only=self.only, download=self.download)
