"""Reading sub-images: an open store, safe to share between threads, processes and re-run notebook cells."""

import hashlib
import json
import os
import re
import threading
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import lmdb
import numpy as np

from sr_utils import images
from sr_utils.config import SCALE
from sr_utils.data.swap import recover

VERSION = 2
SIDES = ("HR_sub.lmdb", f"LRx{SCALE}_sub.lmdb")
BUILD_KEY = b"__build__"
_REBUILD = "Delete the folder and run notebooks/01_prepare_data.ipynb again."


class Photo(NamedTuple):
    """The sub-images of one photo."""

    name: str
    height: int  # of its HR windows: min(side, sub_image)
    width: int
    windows: Mapping[str, tuple[int, int] | None]  # ASCII key (`0001_s001`, …) → top left in HR, if known
    checksums: list[list[int]]  # XXH3 of each HR value, then of each LR value


# Stores that are open in this process: LMDB allows a file to be opened once per process.
_OPEN: "weakref.WeakValueDictionary[Path, Store]" = weakref.WeakValueDictionary()


def close_open(folder: Path) -> None:
    """Close the store that this process has open there: Windows renames no open file."""
    if store := _OPEN.get(folder.resolve()):
        store.close()


def open_store(folder: Path | str) -> "Store":
    """Open a complete store for reading; the same object while it is open already.

    FileNotFoundError if there is none; ValueError if it is damaged, incomplete, or of another version.
    """
    folder = Path(folder).resolve()
    recover(folder)
    description = _read_description(folder)
    store = _OPEN.get(folder)
    if store is None or not store._transactions or store.description != description:
        close_open(folder)  # another process has rebuilt it
        store = _OPEN[folder] = Store(folder, description)
    return store


class Store:
    """An open pair of LMDBs; made by `open_store`. It survives fork and pickling."""

    def __init__(self, folder: Path, description: dict) -> None:
        self.folder, self.description = folder, description
        self.photos = [Photo(**photo) for photo in description["photos"]]
        self.keys = [key.encode() for photo in self.photos for key in photo.windows]
        self.sizes = np.array([(photo.height, photo.width) for photo in self.photos for _ in photo.windows])
        self._open()

    def __len__(self) -> int:
        return len(self.keys)

    def _open(self) -> None:
        self._pid, self._lock = os.getpid(), threading.Lock()  # after a fork, the parent's may be taken
        self._environments: list[lmdb.Environment] = []
        self._transactions: list[lmdb.Transaction] = []
        try:
            for side, size in self.description["bytes"].items():
                self._open_side(self.folder / side, size)
        except ValueError:
            self.close()
            raise

    def _open_side(self, place: Path, expected: int) -> None:
        data = place / "data.mdb"
        size = data.stat().st_size if data.is_file() else 0
        if size != expected:
            raise ValueError(f"{place}: expected {expected} bytes, got {size}. {_REBUILD}")
        try:
            environment = lmdb.open(
                str(place), readonly=True, lock=False, readahead=False, meminit=False, max_spare_txns=0
            )
            self._environments.append(environment)
            transaction = environment.begin(buffers=True)
            self._transactions.append(transaction)
            build = bytes(transaction.get(BUILD_KEY, b""))
            entries = environment.stat()["entries"] - (build != b"")
        except lmdb.Error as error:
            raise ValueError(f"{place} cannot be read ({error}). {_REBUILD}") from None
        expected_build = self.description["build_id"].encode()
        if expected_build and build != expected_build:
            raise ValueError(f"{place} belongs to another build than its store.json. {_REBUILD}")
        if entries != len(self):
            raise ValueError(f"{place}: expected {len(self)} sub-images, got {entries}. {_REBUILD}")

    def close(self) -> None:
        """Release the memory maps."""
        with self._lock:
            for environment in self._environments:
                environment.close()  # and its transaction
            self._environments, self._transactions = [], []

    def read_patch(self, index: int, top: int, left: int, height: int, width: int) -> list[np.ndarray]:
        """Copies of an aligned HR and LR crop of sub-image `index`: uint8 (4h, 4w, 3) and (h, w, 3).

        `top`, `left`, `height` and `width` are in LR pixels.
        """
        if os.getpid() != self._pid:
            self._open()  # LMDB must not be used across a fork
        patches = []
        with self._lock:  # so that `close` in one thread never unmaps what another one reads
            if not self._transactions:
                raise ValueError(f"{self.folder} was closed or rebuilt. Open it again with open_store.")
            for transaction, scale in zip(self._transactions, (SCALE, 1), strict=True):
                value, image = transaction.get(self.keys[index]), None
                if value is not None and self.description["codec"] == "raw":
                    image = np.frombuffer(value, np.uint8).reshape(*self.sizes[index] * scale // SCALE, 3)
                elif value is not None:
                    image = images.decode_png(value)
                if image is None:  # in foreign LMDBs: our own were read back when they were written
                    key = self.keys[index].decode()
                    raise ValueError(f"{self.folder}: sub-image {key} is missing or damaged. Build it again.")
                rows = slice(top * scale, (top + height) * scale)
                patches.append(image[rows, left * scale : (left + width) * scale].copy())
        return patches

    def read(self, index: int) -> list[np.ndarray]:
        """HR and LR of one whole sub-image, uint8 (4h, 4w, 3) and (h, w, 3)."""
        height, width = (int(side) // SCALE for side in self.sizes[index])
        return self.read_patch(index, 0, 0, height, width)

    def __reduce__(self) -> tuple:
        return _unpickle, (self.folder, self.description["fingerprint"])


def _unpickle(folder: Path, fingerprint: str) -> Store:
    store = open_store(folder)
    if store.description["fingerprint"] != fingerprint:
        raise ValueError(f"{folder} was rebuilt since this object was made. Open it again with open_store.")
    return store


def _read_description(folder: Path) -> dict:
    path = folder / "store.json"
    listings = list(folder.glob("*.lmdb/meta_info.txt"))
    if not path.exists():
        if len(listings) == 2:
            return _describe_foreign(listings)
        raise FileNotFoundError(f"{path} is missing. Run notebooks/01_prepare_data.ipynb first.")
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        needed = ("version", "codec", "photos", "bytes", "build_id", "fingerprint")
        version, *_ = [description[name] for name in needed]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}). {_REBUILD}") from None
    if version != VERSION:
        raise ValueError(f"{path}: expected version {VERSION}, got {version}. {_REBUILD}")
    return description


def _describe_foreign(listings: list[Path]) -> dict:
    """The like of a store.json for two LMDBs of PNGs by another tool of the field, from their meta_info.txt.

    A line is `0001_s001.png (480,480,3) 1`: name, shape, compression level; the key has no suffix.
    """
    sides = []
    for path in listings:
        sizes = {}
        for line in path.read_text(encoding="utf-8").splitlines() or [""]:
            part = re.fullmatch(r"(.+?)(?:\.\w+)? \((\d+),(\d+),3\) \d+", line)
            if not part:
                raise ValueError(f"{path}: expected lines like '0001_s001.png (480,480,3) 1', got {line!r}.")
            sizes[part[1]] = int(part[2]), int(part[3])
        sides.append((sizes, path.parent))
    (lr, lr_place), (hr, hr_place) = sorted(sides, key=lambda side: max(side[0].values()))
    enlarged = {key: (SCALE * height, SCALE * width) for key, (height, width) in lr.items()}
    if different := hr.items() ^ enlarged.items():
        raise ValueError(f"{hr_place} and {lr_place} do not match, for example {min(different)}.")
    return {
        "codec": "png",
        "build_id": "",
        "fingerprint": hashlib.sha256(repr((hr, lr)).encode()).hexdigest(),
        "photos": [Photo(key, *size, {key: None}, [])._asdict() for key, size in hr.items()],
        "bytes": {place.name: (place / "data.mdb").stat().st_size for place in (hr_place, lr_place)},
    }
