"""What the rows of networks.csv say: `python bench/compare_networks.py`.

The networks of one recipe stand together; rows that differ in the seed alone are one line. Where MSRResNet-20
was trained with that recipe and those seeds, too, the line has the gain over it at equal time, with its 95 %
interval; that of one pair knows of photos alone.
"""

from pathlib import Path

import pandas as pd

from sr_utils.console import say
from sr_utils.experiments.paired import interval
from sr_utils.metrics import signed

TABLE = Path(__file__).with_name("networks.csv")
NOISY = "0086"  # this photo goes up and down by tenths
OWN = ("total_steps=", "light_tail=")  # what may differ between networks of one budget
KEYS = ["recipe", "network", "own"]


def join(words: list[str], *, own: bool) -> str:
    """The changes of a row in one order: a network's own, or those of its recipe."""
    return " ".join(word for word in sorted(words) if word.startswith(OWN) == own and "seed=" not in word)


def read_rows() -> pd.DataFrame:
    """PSNR in dB (RGB, border 4) by photo; the index has recipe, network, what is its own, seed."""
    rows = pd.read_csv(TABLE)
    words = rows.pop("changes").str.findall(r"\(.*\)|\S+")
    rows["recipe"] = [join(found, own=False) for found in words]
    rows["own"] = [join(found, own=True) for found in words]
    rows["seed"] = [next((word for word in found if word.startswith("seed=")), "seed=0") for found in words]
    return rows.drop(columns="parameters").set_index([*KEYS, "seed"])


def over(gain: pd.DataFrame) -> str:
    """A mean gain in dB and its interval."""
    low, high = interval(gain.to_numpy())
    return f"{signed(gain.to_numpy().mean())} ({signed(low)} to {signed(high)})"


def compare(rows: pd.DataFrame) -> pd.DataFrame:
    """One line for each recipe and network: PSNR, and the gain over MSRResNet-20 of its budget."""
    light = rows.index.get_level_values("own").str.contains("light_tail")
    rivals = rows[~light & rows.index.isin(["msrresnet"], level="network")]
    lines = []
    for (recipe, network, own), found in rows.groupby(KEYS, sort=False):
        gain = found.droplevel(KEYS) - rivals[rivals.index.isin([recipe], level="recipe")].droplevel(KEYS)
        line = {"recipe": recipe, "network": f"{network} {own}", "seeds": len(found)}
        line |= {"dB": found.to_numpy().mean(), "without 0086": found.drop(columns=NOISY).to_numpy().mean()}
        if (gain := gain.dropna()).any(axis=None):  # not over itself
            line |= {"pairs": f"{len(gain)}", "gain": over(gain)}
            line["gain without 0086"] = over(gain.drop(columns=NOISY))
        lines.append(line)
    return pd.DataFrame(lines).fillna("").round(3)


if __name__ == "__main__":
    for recipe, table in compare(read_rows()).groupby("recipe", sort=False):
        say(f"{recipe}\n{table.drop(columns='recipe').to_string(index=False)}\n")
