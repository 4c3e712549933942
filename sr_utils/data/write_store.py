"""Writing sub-images into two LMDBs, in one pass over the photos, and reading every byte back."""

import hashlib
import json
import os
import sys
import uuid
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
from tqdm import tqdm
from xxhash import xxh3_64_intdigest

from sr_utils import images
from sr_utils.ahead import ahead
from sr_utils.config import SCALE
from sr_utils.data.pair import read_pair
from sr_utils.data.store import BUILD_KEY, SIDES, Photo
from sr_utils.data.windows import Planned
from sr_utils.files import write_atomic


def write_store(planned: Sequence[Planned], building: Path, recipe: dict[str, Any]) -> None:
    """The LMDBs of these sub-images and their `store.json` in an empty folder.

    Args:
        recipe: what `store.json` tells beside photos and checksums; its "codec" is "raw" or "png".

    OSError: the disk is full, or what is read back is not what was written.
    """
    build_id = uuid.uuid4().hex
    create = partial(lmdb.open, map_size=2**26, sync=False, lock=False)
    with create(str(building / SIDES[0])) as hr, create(str(building / SIDES[1])) as lr:
        photos = _write_photos(planned, (hr, lr), recipe["codec"])
        for side, environment in enumerate((hr, lr)):
            _put(environment, [BUILD_KEY.decode()], [build_id.encode()])
            environment.sync(True)
            _verify(environment, photos, side)
    if recipe["codec"] == "png":
        for scale, name in zip((1, SCALE), SIDES, strict=True):
            write_atomic(building / name / "meta_info.txt", _listing(photos, scale))
    checksums = json.dumps([photo.checksums for photo in photos])
    description = recipe | {
        "build_id": build_id,
        "fingerprint": hashlib.sha256(checksums.encode()).hexdigest(),
        "photos": [photo._asdict() for photo in photos],
        "bytes": {name: (building / name / "data.mdb").stat().st_size for name in SIDES},
    }
    write_atomic(building / "store.json", json.dumps(description))


def _write_photos(
    planned: Sequence[Planned], environments: tuple[lmdb.Environment, lmdb.Environment], codec: str
) -> list[Photo]:
    workers, photos = os.cpu_count() or 1, []
    cut = ahead(partial(_cut, codec=codec), planned, depth=workers, workers=workers)
    bar = tqdm(cut, "sub-images", len(planned), unit="photo", file=sys.stdout, mininterval=0.5)
    for (pair, height, width, windows), sides in bar:
        for environment, values in zip(environments, sides, strict=True):
            _put(environment, windows, values)
        checksums = [[xxh3_64_intdigest(value) for value in values] for values in sides]
        photos.append(Photo(pair.name, height, width, windows, checksums))
    return photos


def _cut(planned: Planned, codec: str) -> list[list[bytes]]:
    """All HR values, then all LR values, of one photo."""
    encode: Callable[[np.ndarray], bytes] = np.ndarray.tobytes if codec == "raw" else images.encode_png
    height, width, sides = planned.height, planned.width, []
    for image, scale in zip(read_pair(planned.pair), (1, SCALE), strict=True):
        crops = (
            image[top // scale : (top + height) // scale, left // scale : (left + width) // scale]
            for top, left in planned.windows.values()
        )
        sides.append([encode(crop) for crop in crops])
    return sides


def _listing(photos: Sequence[Photo], scale: int) -> str:
    """The meta_info.txt of one side, as other tools of the field read it."""
    listing = ""
    for photo in photos:
        shape = f"({photo.height // scale},{photo.width // scale},3)"
        listing += "".join(f"{key}.png {shape} 1\n" for key in photo.windows)
    return listing


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


def _verify(environment: lmdb.Environment, photos: Sequence[Photo], side: int) -> None:
    """Read everything back: every key there, every byte as the write pass had it."""
    with environment.begin(buffers=True) as transaction:
        for photo in photos:
            for key, checksum in zip(photo.windows, photo.checksums[side], strict=True):
                if xxh3_64_intdigest(transaction.get(key.encode(), b"")) != checksum:
                    raise OSError(f"{environment.path()}: {key} was not written right. Check the disk.")
