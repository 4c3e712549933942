"""Sub-images of photo pairs in two LMDBs: complete and verified, or not there.

A store is a folder with `HR_sub.lmdb`, `LRx4_sub.lmdb` and `store.json`. A sub-image is a crop, by
default of 480×480 HR pixels: enough for many patches, and a patch of it touches little of the map.
"""

import hashlib
import json
import os
import shutil
import sys
import uuid
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from itertools import product
from pathlib import Path

import lmdb
import numpy as np
from tqdm import tqdm
from xxhash import xxh3_64_intdigest

from sr_utils import images
from sr_utils.ahead import ahead
from sr_utils.config import PROFILES, SCALE, Config
from sr_utils.data import sources
from sr_utils.data.overlap import require_apart
from sr_utils.data.splits import content_digest, source_digest
from sr_utils.data.store import BUILD_KEY, SIDES, VERSION, Photo, Store, close_open, open_store
from sr_utils.data.swap import swapped_in
from sr_utils.files import write_atomic
from sr_utils.paths import Paths


def window_starts(side: int, size: int, step: int) -> list[int]:
    """Where windows of `size` begin along a side; the last one is moved in so that it ends at the border."""
    starts = list(range(0, side - size + 1, step))
    return starts if starts[-1] == side - size else [*starts, side - size]


def build_store(
    pairs: Sequence[sources.Pair],
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
    pairs = [sources.Pair(*pair) for pair in pairs]
    planned = _plan(pairs, sub_image, step, smallest, skip_small)
    recipe = {"version": VERSION, "codec": codec, "sub_image": sub_image, "step": step, "smallest": smallest}
    recipe["reduced_copies"] = any(pair.reduced_to < 1 for pair in pairs)
    recipe["sources"] = source_digest(pairs)
    with suppress(FileNotFoundError, ValueError):  # none there, or a damaged one: both are built anew
        store = open_store(folder)
        if recipe.items() <= store.description.items():
            return store
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "store.json").exists():
        raise ValueError(
            f"{folder} holds other files, which a store would replace. Delete it, or name another."
        )
    _require_space(folder, [photo for _, photo in planned], codec)
    with swapped_in(folder) as building:
        told = {"contents": content_digest(pairs), "skipped": len(pairs) - len(planned)}
        _write(planned, building, recipe | told)
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
    photos = [photo for _, photo in _plan(pairs, *sizes, not config.challenge)]
    return len(photos), _needed_bytes(photos, config.codec)


def _smallest(config: Config) -> int:
    profile = PROFILES.get(config.profile, config)  # a user's own name has no patch size of its own
    return max(config.hr_patch_size, profile.hr_patch_size)


def _plan(
    pairs: list[sources.Pair], sub_image: int, step: int, smallest: int, skip_small: bool
) -> list[tuple[sources.Pair, Photo]]:
    """Each usable pair with its windows, from headers alone."""
    planned, small, prefixes = [], [], set()
    for index, pair in enumerate(pairs):
        size = sources.hr_size(pair)
        if min(size) < max(smallest, SCALE):
            small.append(f"{pair.name} ({size[0]}×{size[1]})")
            continue
        height, width = (side // SCALE * SCALE for side in size)
        window = min(height, sub_image), min(width, sub_image)
        corners = product(window_starts(height, window[0], step), window_starts(width, window[1], step))
        plain = pair.name.isascii() and not set(pair.name) & set("\n()")
        prefix = pair.name if plain else f"photo{index:05d}"
        if prefix in prefixes:
            raise ValueError(f"Two photos are named {prefix}. Rename one of them.")
        prefixes.add(prefix)
        windows = {f"{prefix}_s{number:03d}": corner for number, corner in enumerate(corners, 1)}
        planned.append((pair, Photo(pair.name, *window, windows, [])))
    if (small and not skip_small) or not planned:
        raise ValueError(
            f"{len(small)} of {len(pairs)} photos are smaller than the training patch ({smallest} pixels): "
            f"{', '.join(small[:5])}. Remove them, or leave them out by skip_small=True "
            "(in a config: challenge=False)."
        )
    return planned


def _needed_bytes(photos: list[Photo], codec: str) -> int:
    raw = sum(len(photo.windows) * photo.height * photo.width * 3 for photo in photos)
    share = 1.02 if codec == "raw" else 0.7  # of the raw pixels, at most
    return int(raw * (1 + 1 / SCALE**2) * share) + 2**20


def _require_space(folder: Path, photos: list[Photo], codec: str) -> None:
    needed = _needed_bytes(photos, codec)
    folder.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder.parent).free
    if free < needed:
        raise OSError(
            f"{folder} needs {needed / 1e9:.2f} GB, but only {free / 1e9:.2f} GB are free. "
            "Make space, or set sub_image_step=352 (it is 240) or codec='png' (CHANGES in the notebooks)."
        )


def _cut(planned: tuple[sources.Pair, Photo], codec: str) -> list[list[bytes]]:
    """All HR values, then all LR values, of one photo."""
    (pair, photo), values = planned, []
    encode = np.ndarray.tobytes if codec == "raw" else images.encode_png
    for image, scale in zip(sources.read_pair(pair), (1, SCALE), strict=True):
        crops = (
            image[top // scale : (top + photo.height) // scale, left // scale : (left + photo.width) // scale]
            for top, left in photo.windows.values()
        )
        values.append([encode(crop) for crop in crops])
        photo.checksums.append([xxh3_64_intdigest(value) for value in values[-1]])
    return values


def _write(planned: list[tuple[sources.Pair, Photo]], building: Path, recipe: dict) -> None:
    photos, build_id = [photo for _, photo in planned], uuid.uuid4().hex
    create = partial(lmdb.open, map_size=2**26, sync=False, lock=False)
    with create(str(building / SIDES[0])) as hr, create(str(building / SIDES[1])) as lr:
        workers = os.cpu_count() or 1
        cut = ahead(partial(_cut, codec=recipe["codec"]), planned, depth=workers, workers=workers)
        bar = tqdm(cut, "sub-images", len(photos), unit="photo", file=sys.stdout, mininterval=0.5)
        for (_, photo), sides in bar:
            for environment, values in zip((hr, lr), sides, strict=True):
                _put(environment, photo.windows, values)
        for side, environment in enumerate((hr, lr)):
            _put(environment, [BUILD_KEY.decode()], [build_id.encode()])
            environment.sync(True)
            _verify(environment, photos, side)
    if recipe["codec"] == "png":
        for scale, side in zip((1, SCALE), SIDES, strict=True):
            listing = ""
            for photo in photos:
                shape = f"({photo.height // scale},{photo.width // scale},3)"
                listing += "".join(f"{key}.png {shape} 1\n" for key in photo.windows)
            write_atomic(building / side / "meta_info.txt", listing)
    checksums = json.dumps([photo.checksums for photo in photos])
    description = recipe | {
        "build_id": build_id,
        "fingerprint": hashlib.sha256(checksums.encode()).hexdigest(),
        "photos": [photo._asdict() for photo in photos],
        "bytes": {side: (building / side / "data.mdb").stat().st_size for side in SIDES},
    }
    write_atomic(building / "store.json", json.dumps(description))


def _put(environment: lmdb.Environment, keys: Iterable[str], values: list[bytes]) -> None:
    while True:
        try:
            with environment.begin(write=True) as transaction:
                for key, value in zip(keys, values, strict=True):
                    transaction.put(key.encode(), value)
            return
        except lmdb.MapFullError:  # the file grows only by what is written; the map is an upper bound
            environment.set_mapsize(2 * environment.info()["map_size"])
        except lmdb.Error as error:
            raise OSError(
                f"{environment.path()} could not be written ({error}). "
                "Make space and run this again; an old store is kept."
            ) from None


def _verify(environment: lmdb.Environment, photos: list[Photo], side: int) -> None:
    """Read everything back: every key there, every byte as the write pass had it."""
    with environment.begin(buffers=True) as transaction:
        for photo in photos:
            for key, checksum in zip(photo.windows, photo.checksums[side], strict=True):
                if xxh3_64_intdigest(transaction.get(key.encode(), b"")) != checksum:
                    raise OSError(f"{environment.path()}: {key} was not written right. Check the disk.")
