"""What the rows of networks.csv say: `python bench/compare_networks.py`.

Rows that differ in the seed alone are one line. Where MSRResNet-20 was trained with the same recipe, patch
and seeds, the line has the gain over it at equal time, with its 95 % interval; that of one pair knows of
photos alone.
"""

from pathlib import Path

import pandas as pd

from sr_utils.console import say
from sr_utils.experiments.paired import interval
from sr_utils.metrics import signed

TABLE = Path(__file__).with_name("networks.csv")
NOISY = "0086"  # this photo goes up and down by tenths
KEYS = ["network", "recipe", "shared"]
OWN = ("total_steps=", "light_tail=")  # what may differ between networks of one budget


def without(words: list[str], *names: str) -> str:
    """The changes of a row in one order, without those that begin with one of these names."""
    return " ".join(word for word in sorted(words) if not word.startswith(("seed=", *names)))


def read_rows() -> pd.DataFrame:
    """PSNR in dB (RGB, border 4) by photo; the index has network, recipe, what a rival shares, seed."""
    rows = pd.read_csv(TABLE)
    words = rows.pop("changes").str.findall(r"\(.*\)|\S+")
    rows["recipe"] = [without(found) for found in words]
    rows["shared"] = [without(found, *OWN) for found in words]
    rows["seed"] = [next(word for word in found if word.startswith("seed=")) for found in words]
    return rows.drop(columns="parameters").set_index([*KEYS, "seed"])


def over(gain: pd.DataFrame) -> str:
    """A mean gain in dB and its interval."""
    low, high = interval(gain.to_numpy())
    return f"{signed(gain.to_numpy().mean())} ({signed(low)} to {signed(high)})"


def compare(rows: pd.DataFrame) -> pd.DataFrame:
    """One line for each network and recipe: PSNR, and the gain over MSRResNet-20 of its budget."""
    light = rows.index.get_level_values("recipe").str.contains("light_tail")
    rivals = rows[~light & rows.index.isin(["msrresnet"], level="network")]
    lines = []
    for (network, recipe, shared), found in rows.groupby(KEYS, sort=False):
        gain = found.droplevel(KEYS) - rivals[rivals.index.isin([shared], level="shared")].droplevel(KEYS)
        line = {"network": network, "recipe": recipe, "seeds": len(found)}
        line |= {"dB": found.to_numpy().mean(), "without 0086": found.drop(columns=NOISY).to_numpy().mean()}
        if (gain := gain.dropna()).any(axis=None):  # not over itself
            line |= {"pairs": f"{len(gain)}", "gain": over(gain)}
            line["gain without 0086"] = over(gain.drop(columns=NOISY))
        lines.append(line)
    return pd.DataFrame(lines).fillna("").round(3)


if __name__ == "__main__":
    say(compare(read_rows()).to_string(index=False))
