"""Making the LMDBs and reading training pairs, against the usual ways; same cores, inputs, outputs."""

import argparse
import functools
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import measure
import numpy as np
from usual_ways import BATCH, CORES, PATCH, from_files, png_batch, png_in_lmdb, two_scripts

from sr_utils.ahead import ahead
from sr_utils.data.batches import Batch, PatchSampler
from sr_utils.data.build_store import build_store
from sr_utils.data.pair import Pair
from sr_utils.data.store import open_store

tell = functools.partial(measure.tell, command="python bench/bench_data.py")
ROUND = 200  # batches of ours in one measurement: a few seconds


def ours(pairs: list[Pair], folder: Path) -> None:
    """One pass from photos to a verified store."""
    shutil.rmtree(folder, ignore_errors=True)
    build_store(pairs, folder)


@contextmanager
def ours_in_lmdb(folder: Path, draws: int = 1) -> Iterator[Callable[[int], Batch]]:
    """Batches out of our store; with `draws` above 1 of so many patches the one with the most detail."""
    store = open_store(folder)
    yield PatchSampler(store, hr_patch_size=PATCH, batch_size=BATCH, seed=0, draws=draws).batch
    store.close()


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
    png, raw = folder / "png", folder / "raw"
    make_both(pairs, png, raw)
    keys = [path.stem for path in sorted((png / "hr").iterdir())]
    names = [pair.name for pair in pairs]
    readers = {
        "PNG sub-image files": functools.partial(
            png_batch, from_files(png / "hr"), from_files(png / "lr"), keys, 0
        ),
        "whole PNG photos": functools.partial(
            png_batch, from_files(folder / "HR"), from_files(folder / "LR", "x4"), names, 0
        ),
    }
    cv2.setNumThreads(1)
    read_warm(raw, png, keys, readers)
    read_cold(raw, png, keys)
    wait(raw)


def make_both(pairs: list[Pair], png: Path, raw: Path) -> None:
    """Photos to both stores."""
    seconds = measure.alternate({"png": lambda: two_scripts(pairs, png), "raw": lambda: ours(pairs, raw)})
    tell(
        "making both stores: times the field's two scripts",
        seconds["png"] / seconds["raw"],
        "×",
        target=15,
        baseline=f"{seconds['png']:.1f} s against {seconds['raw']:.2f} s; "
        f"{len(pairs)} stand-in photos of 2040×1356, {CORES} cores",
    )


def read_warm(raw: Path, png: Path, keys: list[str], readers: dict[str, Callable[[], Batch]]) -> None:
    """Batches out of the page cache."""
    copied = np.zeros(ROUND * BATCH * (PATCH**2 + (PATCH // 4) ** 2) * 3, np.uint8)
    target = np.empty_like(copied)
    with (
        ours_in_lmdb(raw) as our_batch,
        ours_in_lmdb(raw, draws=2) as chosen_batch,
        png_in_lmdb(png, keys) as lmdb_batch,
    ):
        readers = {"PNG sub-images in LMDB": lambda: lmdb_batch(0)} | readers
        contestants: dict[str, Callable[[], object]] = {
            **readers,
            "ours": lambda: [our_batch(step) for step in range(ROUND)],
            "ours of two": lambda: [chosen_batch(step) for step in range(ROUND)],
            "memory copy": lambda: np.copyto(target, copied),
        }
        seconds = measure.alternate(contestants)
    ours_rate = ROUND * BATCH / seconds["ours"]
    told = f"one thread, warm cache, {PATCH}/{PATCH // 4} crops with flips and rotation"
    tell("training pairs per second", ours_rate, "pairs/s", target=10_000, baseline=told)
    rate = ROUND * BATCH / seconds["ours of two"]
    tell("training pairs per second, of two patches the one with more detail", rate, "pairs/s", baseline=told)
    for name in readers:
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


def read_cold(raw: Path, png: Path, keys: list[str]) -> None:
    """The first batch from the disk."""
    seconds: dict[str, list[float]] = {"ours": [], "png": []}
    for step in range(5):
        for name, place, opened in (("ours", raw, ours_in_lmdb(raw)), ("png", png, png_in_lmdb(png, keys))):
            forget(place)
            with opened as batch:
                began = time.perf_counter()
                batch(step)
                seconds[name].append(time.perf_counter() - began)
    rate, other = (BATCH / statistics.median(seconds[name]) for name in ("ours", "png"))
    tell(
        "training pairs per second, cold page cache",
        rate,
        "pairs/s",
        baseline=f"PNG in LMDB, cold: {other:.0f} pairs/s; first batch, median",
    )


def wait(raw: Path) -> None:
    """How long a step waits for its batch."""
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
