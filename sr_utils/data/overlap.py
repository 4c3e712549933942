"""No photo may be in training and validation both: a PSNR on what was learned by heart tells nothing."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from xxhash import xxh3_64_intdigest

from sr_utils import images
from sr_utils.data.pair import Pair
from sr_utils.data.store import Photo, Store


def require_apart(store: Store, val_pairs: Sequence[Pair]) -> None:
    """ValueError if the pixels of a validation photo are in a store, whatever its file is named there.

    A store that another tool made has no checksums to compare with.
    """
    shared = [
        f"{pair.name} (in training: {twin})" if pair.name != twin else twin
        for pair in val_pairs
        if (twin := _find_twin(pair, store.photos, store.description["codec"]))
    ]
    if shared:
        raise ValueError(
            f"{len(shared)} of {len(val_pairs)} validation photos are in the training set too: "
            f"{', '.join(shared[:5])}. Take them out of train_hr or val_hr (data/paths.json) "
            "and run notebook 01 again."
        )


def _find_twin(pair: Pair, photos: Sequence[Photo], codec: str) -> str | None:
    """Name of the training photo whose sub-images are all crops of this photo, at the same places."""
    hr = pair.hr if isinstance(pair.hr, np.ndarray) else images.read_image(pair.hr)
    encode = np.ndarray.tobytes if codec == "raw" else images.encode_png

    @cache  # the first sub-image already differs from that of nearly every photo
    def checksum(top: int, left: int, height: int, width: int) -> int:
        return xxh3_64_intdigest(encode(hr[top : top + height, left : left + width]))

    def is_twin(photo: Photo) -> bool:
        known = zip(photo.windows.values(), photo.checksums[0], strict=True)
        return all(
            corner is not None and checksum(*corner, photo.height, photo.width) == value
            for corner, value in known
        )

    return next((photo.name for photo in photos if photo.checksums and is_twin(photo)), None)
