"""A sweep: `train demo --learning-rate 5e-4 1e-3 2e-3` trains one run after another."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from sr_utils.commands.shared import resolve
from sr_utils.commands.train import Train


def spread(arguments: Sequence[str]) -> list[list[str]]:
    """The command lines that a line means: of `train`, one for each combination of flags' values."""
    if not arguments or arguments[0] != "train":
        return [list(arguments)]
    groups: list[list[str]] = []  # a flag with its values, or one word
    for word in arguments:
        if groups and groups[-1][0].startswith("--") and not word.startswith("--"):
            groups[-1].append(word)
        else:
            groups.append([word])
    choices = [[[flag, value] for value in values] or [[flag]] for flag, *values in groups]
    return [[word for group in line for word in group] for line in product(*choices)]


@dataclass
class Sweep:
    """Several trainings, one after another; each goes on where it was stopped."""

    trainings: tuple[Train, ...]

    @property
    def quiet(self) -> bool:
        """As for one training."""
        return self.trainings[0].quiet

    def require_root(self) -> None:
        """As for one training."""
        self.trainings[0].require_root()

    def run(self) -> None:
        """Train all, though one may fail, and print their table; Ctrl-C ends the list."""
        from sr_utils.config import PROFILE_VALUES
        from sr_utils.console import say
        from sr_utils.experiments.runs import as_table, read_runs
        from sr_utils.names import tell_apart
        from sr_utils.training.train import train

        paths, configs, failed = self.trainings[0].paths(), [], []
        for number, training in enumerate(self.trainings, 1):
            say(f"\n=== {number} of {len(self.trainings)} ===")
            configs.append(resolve(training.config, paths))
            try:
                train(configs[-1], paths, fresh=training.fresh)
            except FloatingPointError as error:  # of one that went too far; the others may not
                say(error)
                failed.append(number - 1)
        if os.environ.get("RANK", "0") == "0":
            folders = [paths.run(config) for config in configs]
            say(as_table([run for run in read_runs(paths) if run.folder in folders]).to_string())
            say("Two of them, photo by photo: sr-utils runs compare A B")
        if failed:
            labels = tell_apart([vars(config) for config in configs], PROFILE_VALUES)
            told = "; ".join(labels[number] for number in failed)
            raise ValueError(f"{len(failed)} of {len(configs)} failed: {told}.")
