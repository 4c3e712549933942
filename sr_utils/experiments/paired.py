"""What the difference of two runs is worth: paired by photo, and by seed where both have several."""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sr_utils.checkpoints import read_story
from sr_utils.console import say
from sr_utils.experiments.runs import KnownRun, label_runs
from sr_utils.metrics import signed
from sr_utils.training.run_files import BEST, LAST

DRAWS = 10_000


def interval(gain: np.ndarray) -> tuple[float, float]:
    """95 % confidence interval of the mean of paired gains (seeds, photos), in their unit.

    Seeds and photos are both drawn again: a bootstrap over two crossed factors. With one seed it knows of
    photos alone.
    """
    rng = np.random.default_rng(0)
    seeds, photos = (rng.integers(size, size=(DRAWS, size)) for size in gain.shape)
    means = gain[seeds[:, :, None], photos[:, None, :]].mean(axis=(1, 2))
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def judge(gain: np.ndarray, low: float, high: float) -> str:
    """Whether a gain helps or hurts; not decidable by one seed, since its interval knows of photos alone."""
    if len(gain) < 2:
        return "not decidable"
    return "helps" if low > 0 else "hurts" if high < 0 else "not decidable"


class Difference(NamedTuple):
    """What `compare_runs` found: the second run minus the first."""

    table: pd.DataFrame
    """PSNR of each photo in dB (RGB, border 4), means over seeds, and the difference."""
    mean: float
    low: float
    high: float
    seeds: tuple[int, ...]
    verdict: str
    weights: str
    """Which weights were compared, "best" or "last"."""
    told: str
    """The sentence that says what it means."""


def compare_runs(one: KnownRun, other: KnownRun, runs: Sequence[KnownRun]) -> Difference:
    """The paired difference of two runs on their validation photos.

    Args:
        one, other: the runs; the difference is the second minus the first.
        runs: all runs, among which those that differ in the seed alone are found.

    Raises:
        ValueError: the same run twice, no weights yet, or measured on different photos.
    """
    if one.folder == other.folder:
        raise ValueError(f"Expected two runs, got {one.name} twice.")
    pairs = _pair_seeds(one, other, runs)
    both = [run for pair in pairs.values() for run in pair]
    name = LAST if all((run.folder / LAST).exists() for run in both) else BEST
    stories = [[_read(run, name) for run in pair] for pair in pairs.values()]
    first = stories[0][0]
    for run, story in zip(both, (story for pair in stories for story in pair), strict=True):
        if any(story.get(key) != first.get(key) for key in ("val_fingerprint",)) or _photos(story) != _photos(
            first
        ):
            raise ValueError(f"{run.name} and {both[0].name} were measured on different validation photos.")
    values = np.array([[list(story["val_psnr_rgb_border4"].values()) for story in pair] for pair in stories])
    gain = values[:, 1] - values[:, 0]  # (seeds, photos)
    low, high = interval(gain)
    labels = list(label_runs([one, other]))
    table = pd.DataFrame(values.mean(axis=0).T, index=pd.Index(_photos(first), name="photo"), columns=labels)
    table["difference"] = gain.mean(axis=0)
    verdict = judge(gain, low, high)
    found = (table, float(gain.mean()), low, high, tuple(pairs), verdict, name.partition(".")[0])
    return Difference(*found, _tell(Difference(*found, ""), labels, pairs))


def compare_best_two(runs: Sequence[KnownRun]) -> Difference | None:
    """As `compare_runs`: the best run minus the next one that was measured on the same photos, if any."""
    ready = [run for run in runs if (run.folder / BEST).exists() and run.psnr]
    for other in ready[1:]:
        if other.record.get("val_fingerprint") == ready[0].record.get("val_fingerprint"):
            try:
                return compare_runs(other, ready[0], runs)
            except (ValueError, OSError) as error:
                say(error)
    return None


def _photos(story: dict[str, Any]) -> list[str]:
    return list(story["val_psnr_rgb_border4"])


def _read(run: KnownRun, name: str) -> dict[str, Any]:
    try:
        return read_story(run.folder / name)
    except FileNotFoundError:
        raise ValueError(f"{run.name} has no weights yet: it is {run.state}.") from None


def _pair_seeds(
    one: KnownRun, other: KnownRun, runs: Sequence[KnownRun]
) -> dict[int, tuple[KnownRun, KnownRun]]:
    """Seed → both runs of it; the two alone where they share none."""
    first, second = (_by_seed(run, runs) for run in (one, other))
    shared = {seed: (first[seed], second[seed]) for seed in sorted(first.keys() & second.keys())}
    named = any(pair == (one, other) for pair in shared.values())
    return shared if named else {one.config.seed: (one, other)}


def _by_seed(run: KnownRun, runs: Sequence[KnownRun]) -> dict[int, KnownRun]:
    """The complete runs that differ from one in the seed alone, and itself."""
    found = {run.config.seed: run}
    for near in runs:
        alike = differs_in_seed(near, run) and near.state == run.state == "complete"
        if alike and near.record.get("val_fingerprint") == run.record.get("val_fingerprint"):
            found.setdefault(near.config.seed, near)
    return found


def differs_in_seed(one: KnownRun, other: KnownRun) -> bool:
    """Whether two runs are one recipe with two seeds."""
    try:
        return replace(one.config, seed=0) == replace(other.config, seed=0) and one.config != other.config
    except (ValueError, TypeError):  # of a newer version
        return False


def _tell(found: Difference, labels: Sequence[str], pairs: dict[int, tuple[KnownRun, KnownRun]]) -> str:
    photos = f"{len(found.table)} photos" if len(found.table) > 1 else "1 photo"
    seeds = f"{len(found.seeds)} seeds" if len(found.seeds) > 1 else "one seed"
    size = f"{signed(found.mean)} dB ({signed(found.low)} to {signed(found.high)}, {photos}, {seeds})"
    better = labels[1] if found.mean > 0 else labels[0]
    if found.verdict != "not decidable":
        return f"{better} is better: {labels[1]} minus {labels[0]} is {size}."
    why = "One seed cannot tell luck from gain." if len(found.seeds) < 2 else "The interval holds 0."
    commands = " and ".join(f"`{_command(run, found.seeds)}`" for run in pairs[found.seeds[0]])
    return f"Not decidable: {labels[1]} minus {labels[0]} is {size}. {why} More seeds: {commands}"


def _command(run: KnownRun, seeds: Sequence[int]) -> str:
    """What trains two more seeds of a run."""
    flags = [_flag(name, value) for name, value in run.changes.items() if name != "seed"]
    more = [seed for seed in range(len(seeds) + 3) if seed not in seeds][:2]
    return " ".join(["sr-utils train", run.profile, *flags, "--seed", *map(str, more)])


def _flag(name: str, value: object) -> str:
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{flag}" if value else f"--no-{flag}"
    return f"--{flag} {shlex.quote(str(value))}"
