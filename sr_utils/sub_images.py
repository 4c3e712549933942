"""Reading sub-images: an open store, safe to share between threads, processes and re-run notebook cells."""

import hashlib
import json
import os
import re
import threading
import weakref
from pathlib import Path
from typing import NamedTuple

import lmdb
import numpy as np

from sr_utils import images
from sr_utils.config import SCALE
from sr_utils.swap import recover

VERSION = 1
SIDES = ("HR_sub.lmdb", f"LRx{SCALE}_sub.lmdb")
BUILD_KEY = b"__build__"
_REBUILD = "Delete the folder and run notebooks/01_prepare_data.ipynb again."


class Photo(NamedTuple):
    """The sub-images of one photo."""

    name: str
    key: str
    """ASCII prefix of its keys: `<key>_s001`, `<key>_s002`, …"""
    height: int
    width: int
    """Size of its HR windows: min(side, 480)."""
    count: int
    checksums: list[list[int]]
    """XXH3 of each HR value, then of each LR value."""


def photo_keys(photo: Photo) -> list[bytes]:
    """The keys of all sub-images of a photo, in both LMDBs."""
    return [f"{photo.key}_s{number:03d}".encode() for number in range(1, photo.count + 1)]


# Stores that are open in this process: LMDB allows a file to be opened once per process.
_OPEN: "weakref.WeakValueDictionary[tuple, Store]" = weakref.WeakValueDictionary()


def _identity(folder: Path) -> tuple[int, Path]:
    return os.getpid(), folder.resolve()


def close_open(folder: Path) -> None:
    """Close the store that this process has open there: Windows renames no open file."""
    if store := _OPEN.get(_identity(folder)):
        store.close()


def open_store(folder: Path | str) -> "Store":
    """Open a complete store for reading; the same object while it is open already.

    Raises:
        FileNotFoundError: there is none (it says which notebook makes it).
        ValueError: damaged, incomplete, or of another version.
    """
    folder = Path(folder)
    recover(folder)
    store = _OPEN.get(_identity(folder))
    if store and store.description != _read_description(folder):
        store.close()  # another process has rebuilt it
    if store is None or store.closed:
        store = _OPEN[_identity(folder)] = Store(folder)
    return store


class Store:
    """An open pair of LMDBs; made by `open_store`.

    Survives fork and pickling: the memory maps are opened anew in the other process.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.description = _read_description(folder)
        self.codec: str = self.description["codec"]
        self.photos = [Photo(**photo) for photo in self.description["photos"]]
        self.sides: list[str] = self.description.get("sides", list(SIDES))
        if "keys" in self.description:  # an LMDB of another tool
            self.keys = [key.encode() for key in self.description["keys"]]
            self.sizes = np.array(self.description["sizes"])
        else:
            self.keys = [key for photo in self.photos for key in photo_keys(photo)]
            counts = [photo.count for photo in self.photos]
            self.sizes = np.repeat([(photo.height, photo.width) for photo in self.photos], counts, axis=0)
        self._lock = threading.Lock()
        self._open()

    def __len__(self) -> int:
        return len(self.keys)

    def _open(self) -> None:
        self._pid = os.getpid()
        self._environments, self._transactions = [], []
        try:
            for side in self.sides:
                self._open_side(self.folder / side)
        except ValueError:
            self.close()
            raise

    def _open_side(self, place: Path) -> None:
        data = place / "data.mdb"
        size, expected = (
            data.stat().st_size if data.is_file() else 0,
            self.description["bytes"].get(place.name),
        )
        if size != expected:
            raise ValueError(f"{place}: expected {expected} bytes, got {size}. {_REBUILD}")
        try:
            environment = lmdb.open(
                str(place), readonly=True, lock=False, readahead=False, meminit=False, max_spare_txns=0
            )
        except lmdb.Error as error:
            raise ValueError(f"{place} cannot be opened ({error}). {_REBUILD}") from None
        self._environments.append(environment)
        transaction = environment.begin(buffers=True)
        self._transactions.append(transaction)
        build, foreign = bytes(transaction.get(BUILD_KEY, b"")).decode(), "keys" in self.description
        if not foreign and build != self.description["build_id"]:
            raise ValueError(f"{place} belongs to another build than its store.json. {_REBUILD}")
        entries = environment.stat()["entries"] - (build != "")
        if entries != len(self):
            raise ValueError(f"{place}: expected {len(self)} sub-images, got {entries}. {_REBUILD}")

    @property
    def closed(self) -> bool:
        """Whether `close` was called, by hand or because the store was rebuilt."""
        return not self._transactions

    def close(self) -> None:
        """Release the memory maps."""
        with self._lock:
            for transaction in self._transactions:
                transaction.abort()
            for environment in self._environments:
                environment.close()
            self._environments, self._transactions = [], []

    def read_patch(self, index: int, top: int, left: int, height: int, width: int) -> list[np.ndarray]:
        """Copies of an aligned HR and LR crop of sub-image `index`: uint8 (4h, 4w, 3) and (h, w, 3).

        Args:
            index: 0 … len(store) - 1.
            top, left, height, width: in LR pixels.
        """
        if os.getpid() != self._pid:
            self._open()
        patches = []
        with self._lock:  # so that `close` in one thread never unmaps what another one reads
            if self.closed:
                raise ValueError(f"{self.folder} was closed or rebuilt. Open it again with open_store.")
            for transaction, scale in zip(self._transactions, (SCALE, 1), strict=True):
                value = transaction.get(self.keys[index])
                if self.codec == "raw":
                    image = np.frombuffer(value, np.uint8).reshape(*self.sizes[index] * scale // SCALE, 3)
                else:
                    image = images.decode_png(value)
                rows = slice(top * scale, (top + height) * scale)
                patches.append(image[rows, left * scale : (left + width) * scale].copy())
        return patches

    def read(self, index: int) -> list[np.ndarray]:
        """HR and LR of one whole sub-image, uint8 (4h, 4w, 3) and (h, w, 3)."""
        height, width = (int(side) // SCALE for side in self.sizes[index])
        return self.read_patch(index, 0, 0, height, width)

    def __reduce__(self) -> tuple:
        return _unpickle, (self.folder.resolve(), self.description["build_id"])


def _unpickle(folder: Path, build_id: str) -> Store:
    store = open_store(folder)
    if store.description["build_id"] != build_id:
        raise ValueError(f"{folder} was rebuilt since this object was made. Open it again with open_store.")
    return store


def _read_description(folder: Path) -> dict:
    path = folder / "store.json"
    if not path.exists() and (listings := sorted(folder.glob("*.lmdb/meta_info.txt"))):
        return _describe_foreign(listings)
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing. Run notebooks/01_prepare_data.ipynb first.")
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        needed = ("version", "scale", "codec", "photos", "bytes", "build_id", "fingerprint")
        version, scale, *_ = [description[name] for name in needed]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}). {_REBUILD}") from None
    if (version, scale) != (VERSION, SCALE):
        raise ValueError(f"{path}: expected version {VERSION}, got {version}. {_REBUILD}")
    return description


def _describe_foreign(listings: list[Path]) -> dict:
    """A description of two LMDBs of PNGs by another tool of the field, from their meta_info.txt.

    A line is `0001_s001.png (480,480,3) 1`: name, shape, compression level; the key has no suffix.
    """
    sides = {}
    for path in listings:
        lines = path.read_text(encoding="utf-8").splitlines()
        parts = [re.fullmatch(r"(.+?)(?:\.\w+)? \((\d+),(\d+),3\) \d+", line) for line in lines]
        if None in parts or not parts:
            wrong = lines[parts.index(None)] if parts else "nothing"
            raise ValueError(f"{path}: expected lines like '0001_s001.png (480,480,3) 1', got {wrong!r}.")
        sides[path] = {part[1]: (int(part[2]), int(part[3])) for part in parts}
    if len(sides) != 2:
        raise ValueError(f"{listings[0].parent.parent}: expected two LMDBs, HR and LR, got {len(sides)}.")
    hr, lr = sorted(sides, key=lambda path: max(sides[path].values()), reverse=True)
    for key in sides[hr].keys() | sides[lr].keys():
        size, small = sides[hr].get(key), sides[lr].get(key)
        if size is None or small is None or size != (SCALE * small[0], SCALE * small[1]):
            raise ValueError(f"{hr} and {lr} do not match: {key} is {size} and {small}.")
    digest = hashlib.sha256(hr.read_bytes() + lr.read_bytes()).hexdigest()
    places = [path.parent for path in (hr, lr)]
    return {
        "codec": "png", "build_id": digest, "fingerprint": digest, "photos": [],
        "sides": [place.name for place in places], "keys": list(sides[hr]), "sizes": list(sides[hr].values()),
        "bytes": {place.name: (place / "data.mdb").stat().st_size for place in places},
    }  # fmt: skip
