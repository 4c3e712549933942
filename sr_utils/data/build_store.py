"""Sub-images of photo pairs in two LMDBs: complete and verified, or not there.

A store is a folder with `HR_sub.lmdb`, `LRx4_sub.lmdb` and `store.json`. A sub-image is a crop, by
default of 480×480 HR pixels: enough for many patches, and a patch of it touches little of the map.
"""

import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sr_utils.config import PROFILES, SCALE, Config
from sr_utils.data import sources
from sr_utils.data.overlap import require_apart
from sr_utils.data.pair import Pair
from sr_utils.data.splits import content_digest, open_split, source_digest
from sr_utils.data.store import VERSION, Store, close_open, open_store
from sr_utils.data.swap import swapped_in
from sr_utils.data.windows import Planned, needed_bytes, plan_windows
from sr_utils.data.write_store import write_store
from sr_utils.paths import Paths


def build_store(
    pairs: Sequence[Pair],
    folder: Path | str,
    *,
    codec: str = "raw",
    sub_image: int = 480,
    step: int = 240,
    smallest: int = SCALE,
    skip_small: bool = False,
) -> Store:
    """Cut photos into sub-images and write them, HR and LR, in one pass; an up-to-date store is left alone.

    Args:
        pairs: (name, HR path or array, LR path, array or None) each; LR is made from HR where it is None.
        folder: the store's place; it is built in `<folder>.building`.
        codec: "raw" pixels, or "png" with `meta_info.txt`, which other tools of the field read.
        sub_image, step: side and distance of the windows in HR pixels.
        smallest: least HR side in pixels of a photo; give the training patch.
        skip_small: leave smaller photos out and count them, instead of refusing them.

    ValueError names photos that cannot be used, OSError tells of space or permission; the old store stays.
    """
    folder = Path(folder)
    if codec not in ("raw", "png") or sub_image % SCALE or step % SCALE or min(sub_image, step) < SCALE:
        raise ValueError(f"Expected 'raw' or 'png', multiples of 4; got {codec!r}, {sub_image}, {step}.")
    if not pairs:
        raise ValueError("build_store: expected at least one photo, got none.")
    pairs = [Pair(*pair) for pair in pairs]
    planned = plan_windows(pairs, sub_image, step, smallest, skip_small)
    recipe: dict[str, Any] = {
        "version": VERSION,
        "codec": codec,
        "sub_image": sub_image,
        "step": step,
        "smallest": smallest,
        "reduced_copies": any(pair.reduced_to < 1 for pair in pairs),
        "sources": source_digest(pairs),
    }
    with suppress(FileNotFoundError, ValueError):  # none there, or a damaged one: both are built anew
        store = open_store(folder)
        if recipe.items() <= store.description.items():
            return store
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "store.json").exists():
        raise ValueError(
            f"{folder} holds other files, which a store would replace. Delete it, or name another."
        )
    _require_space(folder, planned, codec)
    with swapped_in(folder) as building:
        told = {"contents": content_digest(pairs), "skipped": len(pairs) - len(planned)}
        write_store(planned, building, recipe | told)
        close_open(folder)  # a notebook may still hold the old store
    return open_store(folder)


def build_split(config: Config, paths: Paths) -> Store:
    """The store of a profile's training photos, one for all runs of the profile.

    ValueError, beside those of `build_store`, if the challenge's rules hold and a validation photo is in it.
    """
    store = build_store(
        sources.find_split(config, paths, "train"),
        paths.store(config.profile),
        codec=config.codec,
        sub_image=config.sub_image,
        step=config.sub_image_step,
        smallest=_smallest(config),
        skip_small=not config.challenge,
    )
    if config.challenge:
        require_apart(store, sources.find_split(config, paths, "val"))
    return store


def plan_split(config: Config, paths: Paths) -> tuple[int, int]:
    """How many photos the store of `build_split` has, and the bytes it takes at most; errors as there."""
    pairs = sources.find_split(config, paths, "train")
    sizes = config.sub_image, config.sub_image_step, _smallest(config)
    planned = plan_windows(pairs, *sizes, not config.challenge)
    return len(planned), needed_bytes(planned, config.codec)


def _smallest(config: Config) -> int:
    profile = PROFILES.get(config.profile, config)  # a user's own name has no patch size of its own
    return max(config.hr_patch_size, profile.hr_patch_size)


def _require_space(folder: Path, planned: Sequence[Planned], codec: str) -> None:
    needed = needed_bytes(planned, codec)
    folder.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder.parent).free
    if free < needed:
        raise OSError(
            f"{folder} needs {needed / 1e9:.2f} GB, but only {free / 1e9:.2f} GB are free. "
            "Make space, or set sub_image_step=352 (it is 240) or codec='png' (CHANGES in the notebooks)."
        )


def ready_split(config: Config, paths: Paths) -> Store:
    """The store that a run needs: as it is where it fits, else built; errors as `build_split`.

    What other tools made, or of which the photos are gone, is taken as by `open_split`.
    """
    folder = paths.store(config.profile)
    if folder.is_dir() and not (folder / "store.json").exists():
        return open_split(config, paths)
    try:
        return build_split(config, paths)
    except FileNotFoundError:
        return open_split(config, paths)
