"""The store of a profile's training photos, opened only if it was cut from the photos of now."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sr_utils.config import Config
from sr_utils.console import say
from sr_utils.data import sources
from sr_utils.data.pair import Pair
from sr_utils.data.store import Store, open_store
from sr_utils.paths import Paths

SAMPLE = 2**16  # bytes out of the middle of a photo's file


def open_split(config: Config, paths: Paths) -> Store:
    """Open the store that `build_split` made for a profile; two LMDBs of other tools are taken as they are.

    Photos that are gone are no error, but told: a complete store does not need them, and a rented machine may
    have it alone.

    Raises:
        FileNotFoundError: no store.
        ValueError: damaged, or cut from other photos or in another way than config and paths say now.
    """
    store = open_store(paths.store(config.profile))
    if store.description["build_id"]:
        _require_recipe(store.description, config)
        _require_photos(store, config, paths)
    return store


def _require_recipe(description: dict[str, Any], config: Config) -> None:
    """A run's own account of its sub-images must be true."""
    for name in ("codec", "sub_image", "sub_image_step", "reduced_copies"):
        wanted, key = getattr(config, name), "step" if name == "sub_image_step" else name
        if description.get(key, wanted) != wanted:
            raise ValueError(
                f"{name}: expected {wanted}, but the store has {description[key]}. "
                "Run notebook 01 (sr-utils prepare) again: it builds the store of the run chosen now."
            )


def _require_photos(store: Store, config: Config, paths: Paths) -> None:
    built = store.description
    if built.get("contents") == "":  # of arrays, which no folder holds
        return
    try:
        pairs = sources.find_split(config, paths, "train")
    except FileNotFoundError as error:
        say(f"The store of {len(store.photos)} photos is taken as it is: {error}")
        return
    if built["sources"] != source_digest(pairs) and built.get("contents") != content_digest(pairs):
        names = [photo.name for photo in store.photos]
        raise ValueError(
            f"{store.folder} was cut from other photos than those of now: from {len(names)} "
            f"({', '.join(names[:3])}, …), and now there are {len(pairs)} "
            f"({', '.join(pair.name for pair in pairs[:3])}, …). Run notebooks/01_prepare_data.ipynb again, "
            "or correct data/paths.json."
        )


def source_digest(pairs: Sequence[Pair]) -> str:
    """Changes when a photo is added, removed, moved or written again."""
    facts: list[tuple[object, ...]] = []
    for name, *sides, _ in pairs:  # a reduced copy tells its share by its name
        for side in sides:
            if isinstance(side, np.ndarray):
                facts.append((name, side.shape, hashlib.sha256(side.tobytes()).hexdigest()))
            elif side is not None:
                status = Path(side).stat()
                facts.append((name, str(Path(side).resolve()), status.st_size, status.st_mtime_ns))
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def content_digest(pairs: Sequence[Pair]) -> str:
    """Equal for the same files wherever they are copied to, and read quickly; empty if there are arrays."""
    digest = hashlib.sha256()
    for name, *sides, _ in pairs:
        for side in sides:
            if isinstance(side, np.ndarray):
                return ""
            if side is not None:
                size = Path(side).stat().st_size
                with Path(side).open("rb") as file:
                    file.seek(max(0, size - SAMPLE) // 2)
                    digest.update(repr((name, size, file.read(SAMPLE))).encode())
    return digest.hexdigest()
