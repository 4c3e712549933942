"""One row of the table that checks a hand-in."""

from typing import NamedTuple


class Rule(NamedTuple):
    """One rule of the challenge, checked."""

    rule: str
    """Its name; "(attested)" where a record of the run is believed, not measured again."""
    passed: bool
    figure: str
    """What was found."""
    todo: str
    """What to do where it failed."""


def listed(names: list[str], otherwise: str) -> str:
    """The first names of what is wrong, and how many there are; `otherwise` where nothing is."""
    more = f", … ({len(names)})" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more if names else otherwise
