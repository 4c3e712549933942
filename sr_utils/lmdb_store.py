"""Sub-images of photo pairs in two LMDBs: complete and verified, or not there.

A store is a folder with `HR_sub.lmdb`, `LRx4_sub.lmdb` and `store.json`. It is built in `<folder>.building`,
verified, then swapped in: old → `<folder>.old`, new → `<folder>`, `.old` deleted. A sub-image is a crop of at
most 480×480 HR pixels: large enough for many patches, small enough that a patch touches little of the map.
"""

import hashlib
import json
import os
import shutil
import sys
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import lmdb
import numpy as np
from tqdm import tqdm
from xxhash import xxh3_64_intdigest

from sr_utils import images, sources
from sr_utils.ahead import ahead
from sr_utils.config import SCALE
from sr_utils.sub_images import BUILD_KEY, SIDES, VERSION, Photo, Store, close_open, open_store, photo_keys
from sr_utils.swap import swapped_in

__all__ = ["Store", "build_store", "open_store"]

PNG_SHARE = 0.7  # PNG needs less of the disk than raw pixels; an upper estimate for the free-space check


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
    workers: int | None = None,
) -> Store:
    """Cut photos into sub-images and write them, HR and LR, in one pass; an up-to-date store is left alone.

    Args:
        pairs: (name, HR path or array, LR path, array or None) each; LR is made from HR where it is None.
        folder: the store's place; its neighbours `<folder>.building` and `<folder>.old` are used too.
        codec: "raw" pixels, or "png" with `meta_info.txt`, which other tools of the field read.
        sub_image, step: side and distance of the windows in HR pixels.
        smallest: least HR side in pixels of a photo; give the training patch.
        skip_small: leave smaller photos out and count them, instead of refusing them.
        workers: threads that decode and cut; None: one per core.

    Raises:
        ValueError: photos that cannot be used, named; OSError: no space, no permission. The old store stays.
    """
    folder = Path(folder)
    if codec not in ("raw", "png") or sub_image % SCALE or step % SCALE or min(sub_image, step) < SCALE:
        raise ValueError(
            "build_store: expected codec 'raw' or 'png' and multiples of 4, "
            f"got {codec!r}, sub_image {sub_image}, step {step}."
        )
    pairs = [
        sources.Pair(name, *(Path(side) if isinstance(side, str) else side for side in sides))
        for name, *sides in pairs
    ]
    planned = _plan(pairs, sub_image, step, smallest, skip_small)
    recipe = {"version": VERSION, "codec": codec, "scale": SCALE, "sub_image": sub_image, "step": step}
    recipe["sources"] = _source_digest(pairs, smallest)
    with suppress(FileNotFoundError, ValueError):  # none there, or a damaged one: both are built anew
        store = open_store(folder)
        if all(store.description.get(name) == value for name, value in recipe.items()):
            return store
    _require_space(folder, [photo for _, photo in planned], codec)
    with swapped_in(folder) as building:
        recipe |= {"build_id": uuid.uuid4().hex, "skipped": len(pairs) - len(planned)}
        _write(planned, building, recipe, workers or os.cpu_count() or 1)
        close_open(folder)  # a notebook may still hold the old store
    return open_store(folder)


def _plan(
    pairs: Sequence[sources.Pair], sub_image: int, step: int, smallest: int, skip_small: bool
) -> list[tuple[sources.Pair, Photo]]:
    """Each usable pair with its windows, from headers alone."""
    planned, small, keys = [], [], set()
    for index, pair in enumerate(pairs):
        size = pair.hr.shape[:2] if isinstance(pair.hr, np.ndarray) else images.read_header(pair.hr)[:2]
        if min(size) < max(smallest, SCALE):
            small.append(f"{pair.name} ({size[0]}×{size[1]})")
            continue
        height, width = (side // SCALE * SCALE for side in size)
        window = min(height, sub_image), min(width, sub_image)
        count = len(window_starts(height, window[0], step)) * len(window_starts(width, window[1], step))
        key = pair.name if pair.name.isascii() and not set(pair.name) & set("\n()") else f"photo{index:05d}"
        if key in keys:
            raise ValueError(f"Two photos are named {key}. Rename one of them.")
        keys.add(key)
        planned.append((pair, Photo(pair.name, key, *window, count, [])))
    if (small and not skip_small) or not planned:
        raise ValueError(
            f"{len(small)} of {len(pairs)} photos are smaller than the training patch ({smallest} pixels): "
            f"{', '.join(small[:5])}. Remove them, or pass skip_small=True."
        )
    return planned


def _source_digest(pairs: Iterable[sources.Pair], smallest: int) -> str:
    """Changes when a photo is added, removed or written again."""
    digest = hashlib.sha256(str(smallest).encode())
    for pair in pairs:
        for side in (pair.hr, pair.lr):
            if isinstance(side, Path):
                status = side.stat()
                side = f"{side.resolve()} {status.st_size} {status.st_mtime_ns}"
            elif side is not None:
                digest.update(side.tobytes())
                side = side.shape
            digest.update(f"{pair.name} {side}".encode())
    return digest.hexdigest()


def _require_space(folder: Path, photos: Iterable[Photo], codec: str) -> None:
    raw = sum(photo.count * photo.height * photo.width * 3 for photo in photos)
    needed = int(raw * (1 + 1 / SCALE**2) * (1.02 if codec == "raw" else PNG_SHARE)) + 2**20
    folder.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder.parent).free
    if free < needed:
        raise OSError(
            f"{folder} needs {needed / 1e9:.2f} GB, but only {free / 1e9:.2f} GB are free. "
            "Make space, use a larger sub_image_step (352 instead of 240), or codec='png'."
        )


def _cut(planned: tuple[sources.Pair, Photo], recipe: dict) -> list[list[bytes]]:
    """All HR values, then all LR values, of one photo."""
    (pair, photo), values = planned, []
    for image, scale in zip(sources.read_pair(pair), (1, SCALE), strict=True):
        height, width = photo.height // scale, photo.width // scale
        tops = window_starts(image.shape[0], height, recipe["step"] // scale)
        lefts = window_starts(image.shape[1], width, recipe["step"] // scale)
        crops = (image[top : top + height, left : left + width] for top in tops for left in lefts)
        values.append(
            [crop.tobytes() if recipe["codec"] == "raw" else images.encode_png(crop) for crop in crops]
        )
        photo.checksums.append([xxh3_64_intdigest(value) for value in values[-1]])
    return values


def _write(planned: list[tuple[sources.Pair, Photo]], building: Path, recipe: dict, workers: int) -> None:
    photos = [photo for _, photo in planned]
    environments = [lmdb.open(str(building / side), map_size=2**26, sync=False) for side in SIDES]
    try:
        cut = ahead(partial(_cut, recipe=recipe), planned, depth=workers, workers=workers)
        bar = tqdm(cut, "sub-images", len(photos), unit="photo", file=sys.stdout, mininterval=0.5)
        for (_, photo), sides in bar:
            for environment, values in zip(environments, sides, strict=True):
                _put(environment, photo_keys(photo), values)
        for side, environment in enumerate(environments):
            _put(environment, [BUILD_KEY], [recipe["build_id"].encode()])
            environment.sync(True)
            _verify(environment, photos, side)
    finally:
        for environment in environments:
            environment.close()
    if recipe["codec"] == "png":
        for scale, side in zip((1, SCALE), SIDES, strict=True):
            images.write_atomic(building / side / "meta_info.txt", "".join(_meta_info(photos, scale)))
    for side in SIDES:
        (building / side / "lock.mdb").unlink(missing_ok=True)
    content = hashlib.sha256(json.dumps([photo.checksums for photo in photos]).encode()).hexdigest()
    recipe |= {"fingerprint": content, "photos": [photo._asdict() for photo in photos]}
    recipe["bytes"] = {side: (building / side / "data.mdb").stat().st_size for side in SIDES}
    images.write_atomic(building / "store.json", json.dumps(recipe))


def _put(environment: lmdb.Environment, keys: list[bytes], values: list[bytes]) -> None:
    while True:
        try:
            with environment.begin(write=True) as transaction:
                for key, value in zip(keys, values, strict=True):
                    transaction.put(key, value)
            return
        except lmdb.MapFullError:  # the file grows only by what is written; the map is an upper bound
            environment.set_mapsize(2 * environment.info()["map_size"])
        except lmdb.Error as error:
            free = shutil.disk_usage(environment.path()).free
            raise OSError(
                f"{environment.path()} could not be written ({error}); {free / 1e9:.2f} GB are free. "
                "Make space and run this again; an old store is kept."
            ) from None


def _verify(environment: lmdb.Environment, photos: Iterable[Photo], side: int) -> None:
    """Read everything back: every key there, every byte as the write pass had it."""
    with environment.begin(buffers=True) as transaction:
        for photo in photos:
            for key, checksum in zip(photo_keys(photo), photo.checksums[side], strict=True):
                if xxh3_64_intdigest(transaction.get(key, b"")) != checksum:
                    raise OSError(
                        f"{environment.path()}: {key.decode()} was not written right. Check the disk."
                    )


def _meta_info(photos: Iterable[Photo], scale: int) -> Iterator[str]:
    for photo in photos:
        for key in photo_keys(photo):
            yield f"{key.decode()}.png ({photo.height // scale},{photo.width // scale},3) 1\n"
