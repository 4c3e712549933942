"""Where photos are cut into sub-images, planned from their headers alone."""

from collections.abc import Sequence
from itertools import product
from mmap import PAGESIZE
from typing import NamedTuple

from sr_utils.config import SCALE
from sr_utils.data.pair import Pair, hr_size

VALUE_HEAD = 16  # bytes that LMDB puts before a value, which begins on a page of its own


class Planned(NamedTuple):
    """A photo and its windows."""

    pair: Pair
    height: int  # of its HR windows: min(side, sub_image)
    width: int
    windows: dict[str, tuple[int, int]]  # ASCII key (`0001_s001`, …) → top left in HR pixels


def window_starts(side: int, size: int, step: int) -> list[int]:
    """Where windows of `size` begin along a side; the last one is moved in so that it ends at the border."""
    starts = list(range(0, side - size + 1, step))
    return starts if starts[-1] == side - size else [*starts, side - size]


def plan_windows(
    pairs: Sequence[Pair], sub_image: int, step: int, smallest: int, skip_small: bool
) -> list[Planned]:
    """Each usable pair with its windows; the arguments are those of `build_store`.

    ValueError: a photo is too small and not to be skipped, two have one name, or none is left.
    """
    planned: list[Planned] = []
    small: list[str] = []
    prefixes: set[str] = set()
    for index, pair in enumerate(pairs):
        size = hr_size(pair)
        if min(size) < max(smallest, SCALE):
            small.append(f"{pair.name} ({size[0]}×{size[1]})")
            continue
        height, width = (side // SCALE * SCALE for side in size)
        window = min(height, sub_image), min(width, sub_image)
        corners = product(window_starts(height, window[0], step), window_starts(width, window[1], step))
        plain = pair.name.isascii() and not set(pair.name) & set("\n()")
        prefix = pair.name if plain else f"photo{index:05d}"
        if prefix in prefixes:
            raise ValueError(f"Two photos are named {prefix}. Rename one of them.")
        prefixes.add(prefix)
        windows = {f"{prefix}_s{number:03d}": corner for number, corner in enumerate(corners, 1)}
        planned.append(Planned(pair, *window, windows))
    if (small and not skip_small) or not planned:
        raise ValueError(
            f"{len(small)} of {len(pairs)} photos are smaller than the training patch ({smallest} pixels): "
            f"{', '.join(small[:5])}. Remove them, or leave them out by skip_small=True "
            "(in a config: challenge=False)."
        )
    return planned


def needed_bytes(planned: Sequence[Planned], codec: str) -> int:
    """What a store of these sub-images takes on the disk: of raw values at most, of PNG about."""
    pixels = [(photo.height * photo.width, len(photo.windows)) for photo in planned]
    values = [(3 * size // share, count) for size, count in pixels for share in (1, SCALE**2)]
    if codec == "png":  # of photos without grain at most
        return int(0.7 * sum(size * count for size, count in values)) + 2**20
    pages = sum(-(-(size + VALUE_HEAD) // PAGESIZE) * count for size, count in values)
    return int(1.02 * PAGESIZE * pages) + 2**20
