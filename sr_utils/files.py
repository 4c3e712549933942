"""Files that are there whole or not at all, also after a crash of the machine.

A rename alone does not say so: after a power failure the new name may stand for an empty file. So the content
is flushed to the disk before it, and the folder, which holds the names, after it.
"""

import os
import threading
from contextlib import nullcontext, suppress
from pathlib import Path


def write_atomic(path: Path | str, data: bytes | str, *, keep: Path | None = None) -> None:
    """Write a whole file or nothing: beside its place, flushed, then renamed.

    Args:
        path: the file; its folder is made.
        data: its content; text as UTF-8.
        keep: the name that the file there so far gets, instead of being replaced.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Another thread may write it too; and the longest names leave no room (255 bytes, 4 a character at most).
    beside = path.with_name(f".{path.name[:50]}.{threading.get_native_id()}")
    try:
        beside.write_bytes(data.encode("utf-8") if isinstance(data, str) else data)
        put_in_place(beside, path, keep=keep)
    finally:
        beside.unlink(missing_ok=True)


def put_in_place(beside: Path, path: Path, *, keep: Path | None = None) -> None:
    """Rename a finished file or folder to its place, where it stays after a power failure too."""
    for inside in (*beside.rglob("*"), beside):
        flush(inside)
    if keep and path.exists():
        path.replace(keep)
    beside.replace(path)
    flush(path.parent)


def flush(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk; OSError if they cannot get there."""
    windows = os.name == "nt"
    if windows and (path.is_dir() or not os.access(path, os.W_OK)):
        return  # it opens no folder, and flushes only what may be written
    handle = os.open(path, os.O_RDWR if windows else os.O_RDONLY)
    try:
        with suppress(OSError) if path.is_dir() else nullcontext():  # some network drives flush no folder
            os.fsync(handle)
    finally:
        os.close(handle)
