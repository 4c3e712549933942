"""How outputs of ours are known, so that a file that we did not make is never replaced.

A PNG of ours says so itself: a text chunk at its beginning tells from which input and weights it comes. A
folder's `manifest.jsonl` tells more of each.

Source: PNG specification, third edition, tEXt and CRC.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from sr_utils import color, images
from sr_utils.files import write_atomic

MANIFEST = "manifest.jsonl"
KEYWORD = b"sr_utils\0"
LIMIT = 4096  # bytes of a story; ours take some 250
END = b"IEND\xaeB`\x82"


def sign(png: bytes, story: dict[str, Any]) -> bytes:
    """A PNG file's content with a story (ASCII JSON) as its first text chunk."""
    return color.insert_chunks(png, color.pack_chunk(b"tEXt", KEYWORD + json.dumps(story).encode("ascii")))


def read_story(path: Path) -> dict[str, Any] | None:
    """What `sign` wrote into a file, cut short or not; None for any other file."""
    with path.open("rb") as file:
        head = file.read(color.HEAD + 8 + len(KEYWORD) + LIMIT)[color.HEAD :]
    length, kind = int.from_bytes(head[:4]), head[4 : 8 + len(KEYWORD)]
    if kind != b"tEXt" + KEYWORD:
        return None
    try:
        return dict(json.loads(head[8 + len(KEYWORD) : 8 + length]))
    except (ValueError, TypeError):
        return None


def is_whole(path: Path) -> bool:
    """Whether a PNG ends as one."""
    with path.open("rb") as file:
        file.seek(-min(len(END), path.stat().st_size), 2)
        return file.read() == END


def write_output(
    target: Path, out: Path | None, record: dict[str, Any], image: np.ndarray, color_chunks: bytes
) -> None:
    """Write a signed PNG, and its record into the manifest of the folder `out`, if any."""
    story = {name: record[name] for name in ("weights", "ensemble", "input_sha256")}
    png = sign(images.encode_png(image, color_chunks), story)
    write_atomic(target, png)
    if not out:
        return
    record |= {"sr": image.shape[:2], "bytes": len(png), "sha256": hashlib.sha256(png).hexdigest()}
    with (out / MANIFEST).open("a", encoding="utf-8") as file:
        file.write(f"\n{json.dumps(record)}\n")  # a killed run may have left half a line


def read_manifest(folder: Path) -> dict[str, dict[str, Any]]:
    """The last record of each image that `super_resolve_folder` wrote into a folder, by name."""
    path = folder / MANIFEST
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    records = {}
    for line in text.splitlines():
        with suppress(ValueError, TypeError, KeyError):  # empty, half a line, or not ours
            record = json.loads(line)
            records[record["image"]] = record
    return records


def require_safe(
    files: Sequence[Path], targets: Sequence[Path], out: Path | None, known: dict[str, dict[str, Any]]
) -> None:
    """ValueError if anything would be replaced that is not an output of ours."""
    if out and any(out.resolve() == file.parent.resolve() for file in files):
        raise ValueError(f"{out} holds the inputs; choose another folder, so that none is overwritten.")
    if len(set(targets)) < len(files):
        raise ValueError("Two inputs have the same name without their suffix; rename one of them.")
    inputs = {_identity(file) for file in files if file.exists()}
    taken = [target for target in targets if Path(target).exists() and _identity(target) in inputs]
    if taken:
        raise ValueError(f"{taken[0]} is itself an input, by a link; choose another folder.")
    foreign = [
        target
        for target, file in zip(targets, files, strict=True)
        if os.path.lexists(target) and not _is_ours(target, known.get(file.stem, {}))
    ]
    manifest = out / MANIFEST if out else None
    if manifest and manifest.exists() and not known:
        begun = manifest.read_text(encoding="utf-8", errors="replace").lstrip()
        foreign += [] if not begun or begun.startswith('{"weights"') else [manifest]
    if foreign:
        names = ", ".join(map(str, foreign[:3]))
        raise ValueError(
            f"Files that are not outputs of ours are in the way ({len(foreign)}): {names}. "
            "Move them, or choose another folder."
        )


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _is_ours(target: Path, record: dict[str, Any]) -> bool:
    if target.is_symlink() or not target.is_file():
        return False
    if read_story(target) is not None:
        return True
    return hashlib.sha256(target.read_bytes()).hexdigest() == record.get("sha256")  # not signed yet, once
