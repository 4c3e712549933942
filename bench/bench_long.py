"""500 photos of 2040×1356 → both stores: wall time, anonymous memory, disk. Needs 20 GB of disk."""

import argparse
import functools
import tempfile
import threading
import time
from pathlib import Path

import measure

from sr_utils.data.build_store import build_store


def anonymous_megabytes() -> float:
    """Memory of this process that is not a mapped file."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon"))


def watch(peak: list[float], stop: threading.Event) -> None:
    """Keep the largest value seen, ten times a second."""
    while not stop.wait(0.1):
        peak[0] = max(peak[0], anonymous_megabytes())


def main() -> None:
    """Make the photos, then the store, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=500)
    parser.add_argument("--folder", type=Path, help="where to put them (default: a temporary folder)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        print("making the stand-in photos (not measured)", flush=True)
        pairs = measure.make_photos(Path(folder), arguments.photos)
        peak, stop = [0.0], threading.Event()
        watcher = threading.Thread(target=watch, args=(peak, stop), daemon=True)
        watcher.start()
        began = time.perf_counter()
        store = build_store(pairs, Path(folder) / "store")
        minutes = (time.perf_counter() - began) / 60
        stop.set()
        watcher.join()
        size = sum(store.description["bytes"].values()) / 1e9
        told = (
            f"{arguments.photos} stand-in PNG pairs of 2040×1356, {len(store)} sub-images 480/240, verified"
        )
        tell = functools.partial(
            measure.tell, baseline=told, command="python bench/bench_long.py", at_most=True
        )
        tell("500 photos to both stores: wall time", minutes, "minutes", target=4)
        tell("500 photos to both stores: peak anonymous memory", peak[0] / 1024, "GiB", target=1)
        tell("500 photos to both stores: disk (the reference: 70 GB)", size, "GB", target=15.5)


if __name__ == "__main__":
    main()
