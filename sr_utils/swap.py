"""A folder that is there whole or not at all: built beside its place in `<folder>.building`, then swapped in.

The swap is: old → `<folder>.old`, new → `<folder>`, `.old` deleted. `recover` finishes a killed one.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

CLAIM = "builder"  # file in the building folder that says which process works there


@contextmanager
def swapped_in(folder: Path) -> Iterator[Path]:
    """The building folder, to be filled; it takes the place of `folder` if the block ends without an error.

    What a killed builder left is removed first. Raises OSError while another builder is at work.
    """
    building, old = _beside(folder)
    if pid := _living_builder(building):
        raise OSError(f"{folder} is being built by process {pid}. Wait for it, or end it.")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    (building / CLAIM).write_text(f"{os.getpid()} {psutil.Process().create_time()!r}")
    try:
        yield building
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            folder.rename(old)
        building.rename(folder)
        (folder / CLAIM).unlink()
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def recover(folder: Path) -> None:
    """Finish a swap that was killed: the old folder is put back, or removed where the new one is in place."""
    building, old = _beside(folder)
    if old.exists() and not _living_builder(building):
        if folder.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            with suppress(FileNotFoundError):  # another process has just done it
                old.rename(folder)


def _beside(folder: Path) -> tuple[Path, Path]:
    return folder.with_name(f"{folder.name}.building"), folder.with_name(f"{folder.name}.old")


def _living_builder(building: Path) -> int | None:
    try:
        pid, created = (building / CLAIM).read_text().split()
        return int(pid) if psutil.Process(int(pid)).create_time() == float(created) else None
    except (OSError, ValueError, psutil.Error):
        return None
