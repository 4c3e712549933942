"""Batch number `step` of a run, as a pure function of (seed, step); no hidden random state, no workers.

So a resumed run sees the batches that the uninterrupted one would have seen, and two experiments with one
seed can be compared pair by pair.
"""

import cv2
import numpy as np

from sr_utils.config import SCALE
from sr_utils.data.store import Store

Batch = tuple[np.ndarray, np.ndarray]


def random_generator(seed: int, step: int, stream: int = 0) -> np.random.Generator:
    """Random numbers that depend on these three numbers alone.

    Source: the counter-based Philox; Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011.
    """
    return np.random.Generator(np.random.Philox(key=[seed, step], counter=[0, 0, 0, stream]))


class PatchSampler:
    """Draws aligned HR/LR patches, turned and mirrored, from a store.

    Every patch position of every sub-image is equally likely, so small photos are not oversampled.

    Args:
        store: an open store.
        hr_patch_size: side of the HR patches in pixels, a multiple of 4.
        batch_size: pairs per batch.
        seed: not negative.
        flip: mirror horizontally and vertically, each with probability 0.5.
        rotate: transpose with probability 0.5; with the flips these are the 90° rotations.
        draws: of so many patches the one with the most detail is taken, for each pair of a batch.

    Raises:
        ValueError: the patch is no multiple of 4, or larger than a sub-image (which is named).
    """

    def __init__(
        self,
        store: Store,
        *,
        hr_patch_size: int,
        batch_size: int,
        seed: int,
        flip: bool = True,
        rotate: bool = True,
        draws: int = 1,
    ) -> None:
        if hr_patch_size < SCALE or hr_patch_size % SCALE or min(batch_size, draws) < 1 or seed < 0:
            raise ValueError(
                "PatchSampler: expected hr_patch_size a positive multiple of 4, batch_size and draws ≥ 1 and "
                f"seed ≥ 0, got {hr_patch_size}, {batch_size}, {draws} and {seed}."
            )
        self._store, self._seed, self._batch_size, self._draws = store, seed, batch_size, draws
        self._flip, self._rotate = flip, rotate
        self._side = hr_patch_size // SCALE
        # (sub-images, 2): rows and columns of patch corners
        positions = store.sizes // SCALE - self._side + 1
        if (positions < 1).any():
            index = int(np.argmin(positions.min(axis=1)))
            height, width = store.sizes[index]
            raise ValueError(
                f"A patch of {hr_patch_size} pixels does not fit into sub-image {store.keys[index].decode()} "
                f"({height}×{width}). Build the store with smallest={hr_patch_size}, or use smaller patches."
            )
        self._columns = positions[:, 1]
        self._ends = positions.prod(axis=1).cumsum()

    def batch(self, step: int) -> Batch:
        """Batch number `step`: LR uint8 (N, p/4, p/4, 3) and HR uint8 (N, p, p, 3) for a patch size p."""
        rng = random_generator(self._seed, step)
        # one number says sub-image and corner
        places = rng.integers(self._ends[-1], size=(self._draws, self._batch_size))
        indices = np.searchsorted(self._ends, places, side="right")
        corners = places - np.where(indices > 0, self._ends[indices - 1], 0)
        tops, lefts = np.divmod(corners, self._columns[indices])
        vertical, horizontal = rng.random((2, self._batch_size)) < 0.5 * self._flip
        transposed = rng.random(self._batch_size) < 0.5 * self._rotate
        lr, hr = (
            np.empty((self._batch_size, side, side, 3), np.uint8) for side in (self._side, SCALE * self._side)
        )
        for n in range(self._batch_size):
            patches = self._choose(indices[:, n], tops[:, n], lefts[:, n])
            for target, patch in zip((hr[n], lr[n]), patches, strict=True):
                if transposed[n]:
                    patch = cv2.transpose(patch)
                if vertical[n] or horizontal[n]:
                    # OpenCV's codes: 0 upside down, 1 left-right, -1 both
                    patch = cv2.flip(patch, -1 if vertical[n] and horizontal[n] else int(horizontal[n]))
                target[:] = patch
        return lr, hr

    def _choose(self, indices: np.ndarray, tops: np.ndarray, lefts: np.ndarray) -> list[np.ndarray]:
        """Of the HR and LR patches at these places those with the most detail."""
        found = [
            self._store.read_patch(index, top, left, self._side, self._side)
            for index, top, left in zip(indices, tops, lefts, strict=True)
        ]
        return max(found, key=_detail) if len(found) > 1 else found[0]


def _detail(patches: list[np.ndarray]) -> float:
    """Mean absolute Laplacian of LR: what a smooth patch, of which little is learned, lacks.

    Source: the choice of patches by what they teach: Wang et al., "SamplingAug", BMVC 2021.
    """
    return np.abs(cv2.Laplacian(patches[1], cv2.CV_16S)).mean()
