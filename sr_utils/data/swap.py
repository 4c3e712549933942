"""A folder that is there whole or not at all: built beside its place in `<folder>.building`, then swapped in.

The swap is: old → `<folder>.old`, new → `<folder>`, `.old` deleted. `recover` finishes a killed one. A lock
on `.<folder>.lock` keeps builders apart: it ends with its process, however that ends; the empty file stays.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from sr_utils.files import put_in_place

CLAIM = "builder"  # file in the building folder that says which process works there


@contextmanager
def swapped_in(folder: Path) -> Iterator[Path]:
    """The building folder, to be filled; it takes the place of `folder` if the block ends without an error.

    What a killed builder left is removed first. Raises OSError while another builder is at work.
    """
    building, old = _beside(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = _lock(folder)
    try:
        lock.acquire()
    except Timeout:
        raise OSError(f"{folder} is being built by {_builder(building)}. Wait for it, or end it.") from None
    try:
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir()
        (building / CLAIM).write_text(str(os.getpid()), encoding="utf-8")
        yield building
        (building / CLAIM).unlink()
        shutil.rmtree(old, ignore_errors=True)
        put_in_place(building, folder, keep=old)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(building, ignore_errors=True)
        lock.release()


def recover(folder: Path) -> None:
    """Finish a swap that was killed: the old folder is put back, or removed where the new one is in place."""
    _, old = _beside(folder)
    if old.exists():
        with suppress(OSError), _lock(folder):  # its builder lives (Timeout), or the disk is read-only
            if folder.exists():
                shutil.rmtree(old, ignore_errors=True)
            elif old.exists():  # no other process has just done it
                old.rename(folder)


def _beside(folder: Path) -> tuple[Path, Path]:
    return folder.with_name(f"{folder.name}.building"), folder.with_name(f"{folder.name}.old")


def _builder(building: Path) -> str:
    try:
        return f"process {int((building / CLAIM).read_text(encoding='utf-8'))}"
    except (OSError, ValueError):  # it has only just begun, or is about to end
        return "another process"


def _lock(folder: Path) -> FileLock:
    return FileLock(folder.with_name(f".{folder.name}.lock"), timeout=0)
