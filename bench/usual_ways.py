"""The ways that the field's tools take from photos to batches, to be compared with ours."""

import functools
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import cv2
import lmdb
import numpy as np

from sr_utils import images
from sr_utils.data.batches import Batch, random_generator
from sr_utils.data.pair import Pair
from sr_utils.data.windows import window_starts

CORES = os.cpu_count() or 1
PATCH, BATCH = 128, 16
Reader = Callable[[str], np.ndarray]


def extract(path: Path, size: int, step: int, out: Path) -> None:
    """The field's first script, one photo: decode, cut, write PNG files (compression level 3)."""
    image = cv2.imread(str(path))
    tops, lefts = (window_starts(side, size, step) for side in image.shape[:2])
    for number, (top, left) in enumerate(((top, left) for top in tops for left in lefts), 1):
        crop = np.ascontiguousarray(image[top : top + size, left : left + size])
        cv2.imwrite(str(out / f"{path.stem[:4]}_s{number:03d}.png"), crop, [cv2.IMWRITE_PNG_COMPRESSION, 3])


def encode(path: Path) -> tuple[str, bytes, tuple[int, ...]]:
    """The field's second script, one sub-image: read it back, encode it as PNG (level 1)."""
    image = cv2.imread(str(path))
    return path.stem, cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes(), image.shape


def two_scripts(pairs: list[Pair], folder: Path) -> None:
    """Sub-images as PNG files, then PNG in LMDB, with all cores, as the field's tools do it."""
    shutil.rmtree(folder, ignore_errors=True)
    with ProcessPoolExecutor(CORES) as pool:
        for side, size, step in (("hr", 480, 240), ("lr", 120, 60)):
            out = folder / side
            out.mkdir(parents=True)
            work = functools.partial(extract, size=size, step=step, out=out)
            list(pool.map(work, [getattr(pair, side) for pair in pairs]))
            files = sorted(out.iterdir())
            environment = lmdb.open(str(folder / f"{side}.lmdb"), map_size=2**36)
            with (
                environment.begin(write=True) as transaction,
                (folder / f"{side}.txt").open("w", encoding="utf-8") as meta,
            ):
                for name, data, shape in pool.map(encode, files, chunksize=8):
                    transaction.put(name.encode(), data)
                    meta.write(f"{name}.png ({shape[0]},{shape[1]},{shape[2]}) 1\n")
            environment.close()


def png_batch(read_hr: Reader, read_lr: Reader, keys: list[str], step: int) -> Batch:
    """The usual way to a batch: decode both images of every pair, crop, flip, turn; as PatchSampler.batch."""
    rng = random_generator(0, step)
    pairs = []
    for _ in range(BATCH):
        key = keys[rng.integers(len(keys))]
        hr, lr = read_hr(key), read_lr(key)
        top, left = (int(rng.integers(side - PATCH // 4 + 1)) for side in lr.shape[:2])
        lr = lr[top : top + PATCH // 4, left : left + PATCH // 4]
        hr = hr[4 * top : 4 * top + PATCH, 4 * left : 4 * left + PATCH]
        vertical, horizontal, transposed = rng.random(3) < 0.5
        for image in (lr, hr):
            image = image[::-1] if vertical else image
            image = image[:, ::-1] if horizontal else image
            pairs.append(image.transpose(1, 0, 2) if transposed else image)
    return np.stack(pairs[::2]), np.stack(pairs[1::2])


@contextmanager
def png_in_lmdb(folder: Path, keys: list[str]) -> Iterator[Callable[[int], Batch]]:
    """Batches out of PNG values; closed at the end, so that the page cache can forget the file."""
    options = {"readonly": True, "lock": False, "readahead": False, "meminit": False}
    environments = [lmdb.open(str(folder / f"{side}.lmdb"), **options) for side in ("hr", "lr")]

    def reader(transaction: lmdb.Transaction) -> Reader:
        return lambda key: images.decode_png(transaction.get(key.encode()))

    readers = [reader(environment.begin()) for environment in environments]
    yield functools.partial(png_batch, *readers, keys)
    for environment in environments:
        environment.close()


def from_files(folder: Path, suffix: str = "") -> Reader:
    """Reader of PNG files by key."""
    return lambda key: cv2.imread(str(folder / f"{key}{suffix}.png"), cv2.IMREAD_COLOR_RGB)
