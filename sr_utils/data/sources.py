"""Which photos a profile has: embedded demo photos, a user's folders, or verified downloads."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from sr_utils import images
from sr_utils.ahead import ahead
from sr_utils.config import SCALE, Config
from sr_utils.console import say
from sr_utils.data.downloads import download_set5
from sr_utils.data.pair import Pair, find_pairs, read_centres, read_pair
from sr_utils.headers import read_header
from sr_utils.metrics import has_detail
from sr_utils.paths import Paths

# The demo's fixed split of photos that come inside Python packages (scikit-image, scikit-learn, matplotlib).
DEMO_PHOTOS = {
    "train": (
        "chelsea.png",
        "rocket.jpg",
        "motorcycle_left.png",
        "hubble_deep_field.jpg",
        "china.jpg",
        "flower.jpg",
    ),
    "val": ("astronaut.png", "coffee.png"),
    "test": ("camera.png", "grace_hopper.jpg", "gravel.png", "ihc.png", "retina.jpg"),
}

REDUCED_TO = (0.8, 0.6)  # of the sides: the copies of `Config.reduced_copies`


def find_split(config: Config, paths: Paths, split: Literal["train", "val"]) -> list[Pair]:
    """The photos of a split: the folders in `paths`, else the profile's own; then any reduced copies.

    Of validation photos, only those by which a network can be judged: see `with_detail`.
    """
    pairs = _find_photos(config, paths, split)
    if split == "val":
        return with_detail(pairs[: config.validation_images or None], "validation photos")
    copies = [
        Pair(f"{pair.name}_{10 * share:02.0f}", pair.hr, None, share)
        for share in (REDUCED_TO if config.reduced_copies else ())
        for pair in pairs
    ]
    return pairs + copies


def with_detail(pairs: Sequence[Pair], what: str) -> list[Pair]:
    """The photos that enter a mean PSNR; those without detail are named and left out.

    ValueError: none is left, or one cannot be read.
    """
    workers = os.cpu_count() or 1
    judged = ahead(lambda pair: has_detail(*read_pair(pair)), pairs, depth=workers, workers=workers)
    blank = [pair.name for pair, detail in judged if not detail]
    told = f"{len(blank)} of {len(pairs)} {what} have no detail (blank, or enlarged by bicubic)"
    names = f"{', '.join(blank[:5])}{', …' * (len(blank) > 5)}"
    if blank and len(blank) == len(pairs):
        raise ValueError(f"{told}, so that no network can be judged by them: {names}. Choose others.")
    if blank:
        say(f"{told} and are left out of every mean: {names}")
    return [pair for pair in pairs if pair.name not in blank]


def _find_photos(config: Config, paths: Paths, split: str) -> list[Pair]:
    hr, lr = getattr(paths, f"{split}_hr"), getattr(paths, f"{split}_lr")
    if hr:
        return find_pairs(hr, lr)
    if config.profile == "demo":
        return [Pair(Path(name).stem, _package_photo(name), None) for name in DEMO_PHOTOS[split]]
    if config.profile == "open":
        return _open_photos(paths, split)
    folder = paths.root / "data" / "mini-DIV2K"
    if not folder.exists():
        raise FileNotFoundError(
            f"{folder} is missing. Put mini-DIV2K there (see data/README.md), name your folders in Paths, "
            "or download the stand-in from DIV2K: sr-utils download"
        )
    return find_pairs(folder / f"{split}_HR", folder / f"{split}_LR")


def _open_photos(paths: Paths, split: str) -> list[Pair]:
    """All photos below data/train (or SR_DATA's); every eighth of `photos` is kept for validation."""
    folder = _shared_data(paths) / "train"
    held_aside = images.list_images(folder / "photos")[::8]
    if split == "val":
        return read_centres(held_aside)
    found = [
        path for part in sorted(filter(Path.is_dir, folder.iterdir())) for path in images.list_images(part)
    ]
    return [Pair(f"{path.parent.name}_{path.stem}", path, None) for path in found if path not in held_aside]


def _shared_data(paths: Paths) -> Path:
    return Path(os.environ.get("SR_DATA") or paths.root / "data")


def find_test_images(config: Config, paths: Paths) -> list[Path]:
    """The LR images to enlarge; the demo's are made from embedded photos on the first call."""
    own = {"demo": paths.root / "data" / "demo" / "test_LR", "open": _shared_data(paths) / "DIV2K_test_LR"}
    folder = paths.test_lr or own.get(config.profile, paths.root / "data" / "mini-DIV2K" / "test_LR")
    if config.profile == "demo" and not paths.test_lr:
        for name in DEMO_PHOTOS["test"]:
            path = folder / f"{Path(name).stem}.png"
            if not path.exists():
                images.write_image(path, read_pair(Pair(name, _package_photo(name), None))[1])
    found = images.list_images(folder)
    for path in found:
        read_header(path)
    return found


def find_benchmark(config: Config, paths: Paths, *, download: bool = True) -> tuple[str, list[Pair]]:
    """Name and pairs of the photos to compare networks on: Set5, butterfly first, else the validation photos.

    Set5 comes from $SR_DATA/Set5, else data/Set5, else a verified download of 1 MB to there.
    """
    own, shared = paths.root / "data" / "Set5", _shared_data(paths) / "Set5"
    folder = shared if (shared / "HR").is_dir() else own
    if not (folder / "HR").is_dir() and not (download and download_set5(own)):
        return "validation photos", find_split(config, paths, "val")
    pairs = with_detail(find_pairs(folder / "HR", folder / f"LR_bicubic_x{SCALE}"), "photos of Set5")
    return "Set5", sorted(pairs, key=lambda pair: (pair.name != "butterfly", pair.name))


def _package_photo(name: str) -> Path:
    import matplotlib  # imported here: heavy, and needed by the demo alone
    import skimage
    import sklearn.datasets

    folders = (
        Path(skimage.__file__).parent / "data",
        Path(sklearn.datasets.__file__).parent / "images",
        Path(matplotlib.get_data_path()) / "sample_data",
    )
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(
        f"The demo photo {name} is missing. "
        "Reinstall: pip install --force-reinstall scikit-image scikit-learn matplotlib"
    )
