"""How a run is called: by what differs from its profile, in folders, figures, tables and the terminal.

`values` is a run's config by field, `profiles` those of the profiles by name.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

Values = Mapping[str, Any]
LONGEST = 80  # characters of a folder's name; Windows has 260 for a whole path
FREE_TEXT = ("profile", "initial_weights")  # fields that may hold what no folder may be named, or two alike


def nearest(values: Values, profiles: Mapping[str, Values]) -> tuple[str, dict[str, Any]]:
    """The profile of the same photos that differs in the fewest fields, and the values of those fields."""
    alike = [name for name, own in profiles.items() if own["profile"] == values["profile"]]
    changes = {name: differences(values, profiles[name]) for name in alike or profiles}
    profile = min(changes, key=lambda name: len(changes[name]))
    return profile, changes[profile]


def differences(values: Values, others: Values) -> dict[str, Any]:
    """The values that differ from those of another run."""
    return {name: value for name, value in values.items() if value != others.get(name, value)}


def folder_name(profile: str, changes: Values) -> str:
    """Name of a run's folders: "demo_learning_rate-0.001"; of equal runs equal, of different ones never.

    One that is long, or has free text in it, ends in a digest of all changes. There are no capitals, which
    some disks do not tell apart.
    """
    name = "_".join([profile, *(f"{field}-{_told(value)}" for field, value in changes.items())])
    free = any(field in changes for field in FREE_TEXT)
    if len(name) <= LONGEST and not free:
        return name
    digest = hashlib.sha256(json.dumps([profile, changes], sort_keys=True).encode()).hexdigest()[:8]
    safe = re.sub(r"[^a-z0-9._-]", "-", name.lower())
    return f"{safe[: LONGEST - 9].rstrip('.-_')}_{digest}"


def digest_name(values: Values, defaults: Values) -> str:
    """What a run's folders were called before they had readable names; it knows no profiles."""
    changed = sorted(values.items() - defaults.items())
    digest = hashlib.sha256(json.dumps(changed).encode()).hexdigest()[:8]
    blocks = values["num_blocks"] if values["network"] in ("msrresnet", "edsr") else ""
    return f"{values['network']}{blocks}_{values['profile']}_{digest}"


def words(changes: Values) -> str:
    """Changes as figures and tables tell them: "learning rate 0.001, flip off"."""
    return ", ".join(f"{field.replace('_', ' ')} {_told(value)}" for field, value in changes.items())


def tell_apart(runs: Sequence[Values], profiles: Mapping[str, Values]) -> list[str]:
    """What tells each run from the others, in words.

    Of two runs of a profile the fields that differ ("learning rate 0.001" and "learning rate 0.002"), as of
    more that differ in one; else what of a run's changes is not common to all, or the profile's name.
    """
    origins = [nearest(run, profiles) for run in runs]
    fields = [
        name for name in (runs[0] if runs else ()) if any(run.get(name) != runs[0][name] for run in runs)
    ]
    alone = len(runs) == 1
    related = len({profile for profile, _ in origins}) == 1
    if fields and related and (len(fields) == 1 or len(runs) == 2):
        return [words({name: run[name] for name in fields if name in run}) for run in runs]
    told = []
    for profile, changes in origins:
        own = words({name: value for name, value in changes.items() if alone or name in fields})
        told.append(own if own and related else ", ".join(filter(None, (profile, own))))
    return told


def _told(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)
