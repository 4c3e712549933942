"""The files of a hand-in: a folder or a zip from anywhere, read without leaving it."""

import hashlib
import json
import os
import re
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from sr_utils.hand_in.rule import Rule, listed

MANIFEST, RECORDS = "manifest.json", "manifest.jsonl"
REPORT, CHECKPOINT = "report.pdf", "checkpoint.safetensors"
_PLACES = re.compile(
    r"manifest\.jsonl?|report\.pdf|checkpoint\.safetensors|sample_LR\.\w+|images/[^/.][^/]*|source/.+"
)
# What systems and programs leave in a folder that is only looked at.
_LEFT_BEHIND = {".DS_Store", "Thumbs.db", "desktop.ini", "__MACOSX", "__pycache__", ".ipynb_checkpoints"}
MAX_BYTES, MAX_FILES = 4 * 10**9, 20_000  # of a zip when it is unpacked; 80 images of 2K are 0.4 GB


class HandIn(NamedTuple):
    """A hand-in whose manifest could be read."""

    folder: Path
    files: list[str]
    """Names of its plain files, below `folder`, with forward slashes."""
    manifest: dict[str, Any]


@contextmanager
def opened(path: Path) -> Iterator[Path]:
    """The folder of a hand-in; that of a zip is unpacked to a temporary place and deleted afterwards.

    Raises:
        ValueError: no such folder, or a zip that is damaged, encrypted, too large or leads out of it.
    """
    if path.is_dir():
        yield path.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="sr-utils-", ignore_cleanup_errors=True) as place:
        try:
            with zipfile.ZipFile(path) as archive:
                folder = _unpack(archive, Path(place))
        except Exception as error:  # each way of packing has errors of its own
            raise ValueError(
                f"{path}: no hand-in that can be read ({error}). Run notebook 07 again."
            ) from None
        yield folder


def _unpack(archive: zipfile.ZipFile, place: Path) -> Path:
    entries = [
        entry for entry in archive.infolist() if not entry.is_dir() and not _is_left_behind(entry.filename)
    ]
    names = [entry.filename for entry in entries]
    size = sum(entry.file_size for entry in entries)  # no more is ever unpacked, whatever the data says
    if size > MAX_BYTES or len(entries) > MAX_FILES:
        raise ValueError(f"unpacked it would be {len(entries)} files of {size / 1e9:.1f} GB")
    if any(entry.flag_bits & 1 for entry in entries):
        raise ValueError("it is encrypted; pack it without a password")
    if len(set(names)) < len(names):
        raise ValueError("two of its files have one name")
    for entry in entries:
        parts = PurePosixPath(entry.filename).parts
        if ".." in parts or parts[0] == "/" or re.search(r"[\\:]", entry.filename):
            raise ValueError(f"the name {entry.filename!r} leads out of its folder")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise ValueError(f"{entry.filename} is a link; put the file itself there")
    archive.extractall(place, names)
    tops = {PurePosixPath(name).parts[0] for name in names}
    return place if MANIFEST in names or len(tops) != 1 else place / tops.pop()


def _is_left_behind(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return any(part in _LEFT_BEHIND or part.startswith("._") for part in parts)


def list_files(folder: Path) -> tuple[list[str], list[str]]:
    """Names of all plain files below a folder, and of what is neither file nor folder (links, pipes).

    Links are not followed; what systems leave behind (`.DS_Store`, `__pycache__`) is passed over.
    """
    files: list[str] = []
    others: list[str] = []
    for place, folders, names in os.walk(folder):
        for path in sorted(Path(place) / name for name in (*folders, *names)):
            name, mode = path.relative_to(folder).as_posix(), path.lstat().st_mode
            if not stat.S_ISDIR(mode) and not _is_left_behind(name):
                (files if stat.S_ISREG(mode) else others).append(name)
    return sorted(files), sorted(others)


def sha256(path: Path) -> str:
    """SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_hand_in(folder: Path, files: list[str]) -> HandIn:
    """The hand-in with its manifest; ValueError where that is missing, or not as `build` writes it."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        names = [manifest["profile"], manifest["sample"], *manifest["files"], *manifest["files"].values()]
        for name, entry in manifest["inputs"].items():
            height, width = entry["size"]
            names += [name, entry["sha256"]]
            if min(int(height), int(width)) < 1 or [height, width] != [int(height), int(width)]:
                raise ValueError(f"size of {name}: {entry['size']}")
        if not all(isinstance(name, str) for name in names):
            raise TypeError("a name or a hash is no text")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"{folder}: no hand-in, or damaged ({error!r}). Run notebook 07 again.") from None
    return HandIn(folder, files, manifest)


def check_files(hand_in: HandIn) -> list[Rule]:
    """Nothing lies in the folder but the parts of a hand-in."""
    others = files_of_others(hand_in.files)
    todo = "Move it elsewhere, and check again."
    return [Rule("nothing but a hand-in in the folder", not others, listed(others, "all known"), todo)]


def files_of_others(files: list[str]) -> list[str]:
    """Names that no part of a hand-in has."""
    return [name for name in files if not _PLACES.fullmatch(name)]
