"""Making the LMDBs and reading training pairs, against the usual ways; same cores, inputs, outputs."""

import argparse
import functools
import os
import shutil
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import cv2
import lmdb
import measure
import numpy as np

from sr_utils import images
from sr_utils.ahead import ahead
from sr_utils.data.batches import PatchSampler, random_generator
from sr_utils.data.build_store import build_store
from sr_utils.data.pair import Pair
from sr_utils.data.store import open_store
from sr_utils.data.windows import window_starts

COMMAND = "python bench/bench_data.py"
CORES = os.cpu_count() or 1
PATCH, BATCH = 128, 16


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


def ours(pairs: list[Pair], folder: Path) -> None:
    """One pass from photos to a verified store."""
    shutil.rmtree(folder, ignore_errors=True)
    build_store(pairs, folder)


def png_batch(read_hr, read_lr, keys: list[str], step: int) -> tuple[np.ndarray, np.ndarray]:
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
def png_in_lmdb(folder: Path, keys: list[str]):
    """Batches out of PNG values; closed at the end, so that the page cache can forget the file."""
    options = {"readonly": True, "lock": False, "readahead": False, "meminit": False}
    environments = [lmdb.open(str(folder / f"{side}.lmdb"), **options) for side in ("hr", "lr")]

    def reader(transaction):
        return lambda key: images.decode_png(transaction.get(key.encode()))

    readers = [reader(environment.begin()) for environment in environments]
    yield functools.partial(png_batch, *readers, keys)
    for environment in environments:
        environment.close()


@contextmanager
def ours_in_lmdb(folder: Path, draws: int = 1):
    """Batches out of our store; with `draws` above 1 of so many patches the one with the most detail."""
    store = open_store(folder)
    yield PatchSampler(store, hr_patch_size=PATCH, batch_size=BATCH, seed=0, draws=draws).batch
    store.close()


def from_files(folder: Path, suffix: str = ""):
    """Reader of PNG files by key."""
    return lambda key: cv2.imread(str(folder / f"{key}{suffix}.png"), cv2.IMREAD_COLOR_RGB)


def forget(folder: Path) -> None:
    """Drop a folder's files from the page cache."""
    os.sync()
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def main() -> None:
    """Run all claims."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=12, help="stand-ins of 2040×1356 (default 12)")
    parser.add_argument("--folder", type=Path, help="where to put them (default: a temporary folder)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        run(Path(folder), arguments.photos)


def run(folder: Path, count: int) -> None:
    """All claims on `count` photos below `folder`."""
    pairs = measure.make_photos(folder, count)
    base = f"{count} stand-in photos of 2040×1356, {CORES} cores"
    tell = functools.partial(measure.tell, command=COMMAND)
    png, raw = folder / "png", folder / "raw"
    seconds = measure.alternate({"png": lambda: two_scripts(pairs, png), "raw": lambda: ours(pairs, raw)})
    tell(
        "making both stores: times the field's two scripts",
        seconds["png"] / seconds["raw"],
        "×",
        target=15,
        baseline=f"{seconds['png']:.1f} s against {seconds['raw']:.2f} s; {base}",
    )

    keys = [path.stem for path in sorted((png / "hr").iterdir())]
    names = [pair.name for pair in pairs]
    readers = {
        "PNG sub-image files": (from_files(png / "hr"), from_files(png / "lr"), keys),
        "whole PNG photos": (from_files(folder / "HR"), from_files(folder / "LR", "x4"), names),
    }
    cv2.setNumThreads(1)
    copied = np.zeros(200 * BATCH * (PATCH**2 + (PATCH // 4) ** 2) * 3, np.uint8)
    target = np.empty_like(copied)
    rates = {name: functools.partial(png_batch, *reader, 0) for name, reader in readers.items()}
    with (
        ours_in_lmdb(raw) as our_batch,
        ours_in_lmdb(raw, draws=2) as chosen_batch,
        png_in_lmdb(png, keys) as lmdb_batch,
    ):
        rates |= {"PNG sub-images in LMDB": lambda: lmdb_batch(0)}
        rates |= {"ours": lambda: [our_batch(step) for step in range(200)]}
        rates |= {"ours of two": lambda: [chosen_batch(step) for step in range(200)]}
        rates |= {"memory copy": lambda: np.copyto(target, copied)}
        seconds = measure.alternate(rates)
    ours_rate = 200 * BATCH / seconds["ours"]
    told = f"one thread, warm cache, {PATCH}/{PATCH // 4} crops with flips and rotation"
    tell("training pairs per second", ours_rate, "pairs/s", target=10_000, baseline=told)
    rate = 200 * BATCH / seconds["ours of two"]
    tell("training pairs per second, of two patches the one with more detail", rate, "pairs/s", baseline=told)
    for name in ("PNG sub-images in LMDB", *readers):
        rate = BATCH / seconds[name]
        tell(
            f"training pairs per second: times {name}",
            ours_rate / rate,
            "×",
            target=60 if "LMDB" in name else None,
            baseline=f"{rate:.0f} pairs/s; {told}",
        )
    share = seconds["memory copy"] / seconds["ours"]
    tell("training pairs: share of a memory copy's speed", share, "", baseline="numpy copy of the same bytes")

    cold: dict[str, list[float]] = {"ours": [], "png": []}
    for step in range(5):
        for name, place, opened in (("ours", raw, ours_in_lmdb(raw)), ("png", png, png_in_lmdb(png, keys))):
            forget(place)
            with opened as batch:
                began = time.perf_counter()
                batch(step)
                cold[name].append(time.perf_counter() - began)
    rate, other = (BATCH / statistics.median(cold[name]) for name in ("ours", "png"))
    tell(
        "training pairs per second, cold page cache",
        rate,
        "pairs/s",
        baseline=f"PNG in LMDB, cold: {other:.0f} pairs/s; first batch, median",
    )

    waited = 0.0
    with ours_in_lmdb(raw, draws=2) as batch:
        for step in range(310):  # the page cache was emptied above
            batch(step)
        steps = ahead(batch, range(310))
        for step in range(310):
            began = time.perf_counter()
            next(steps)
            waited += (time.perf_counter() - began) * (step >= 10)
            time.sleep(0.01)
    share = 100 * waited / (waited + 300 * 0.01)
    told = f"batch {BATCH}, of two patches the one with more detail, one thread ahead, the step is a sleep"
    tell("share of a 10 ms step spent waiting for data", share, "%", target=2, at_most=True, baseline=told)


if __name__ == "__main__":
    main()
