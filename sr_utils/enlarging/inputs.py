"""What is read of an input before its turn: its pixels, or why there is nothing to do."""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sr_utils import images
from sr_utils.config import SCALE
from sr_utils.enlarging.outputs import is_whole, read_story
from sr_utils.headers import read_header, require_readable


class Input(NamedTuple):
    """What an output is made of."""

    digest: str
    lr: np.ndarray | str | None  # its pixels, or what is wrong with it; None: its output is there
    color_chunks: bytes = b""
    lost_colors: str = ""  # which its output cannot carry


def read_input(
    pair: tuple[Path, Path], *, story: dict[str, Any], known: dict[str, dict[str, Any]] | None
) -> Input:
    """Read an image file for its output, unless that is finished.

    Args:
        pair: the file, and its output's path.
        story: what a finished output tells of itself, beside the input's hash.
        known: the folder's records by the files' names; None: an output's own text tells its story.
    """
    file, target = pair
    try:
        data = file.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        wanted = story | {"input_sha256": digest}
        if target.is_file():  # raises where the name is too long
            if known is None:
                finished = read_story(target) == wanted and is_whole(target)
            else:
                made = known.get(file.stem, {})
                finished = (wanted | {"bytes": target.stat().st_size}).items() <= made.items()
            if finished:
                return Input(digest, None)
        header = read_header(file, data)
        require_readable(target, SCALE * header.height, SCALE * header.width)
        chunks = images.read_color_chunks(data)
        lost = "" if chunks else header.colors
        return Input(digest, images.read_image(file), chunks, lost)
    except (ValueError, OSError) as error:
        return Input("", str(error))
