"""Where photos come from: embedded demo photos, a user's folders, verified downloads; as validated pairs."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from sr_utils import images
from sr_utils.ahead import ahead
from sr_utils.config import SCALE, Config
from sr_utils.console import say
from sr_utils.data.downloads import download_set5
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


class Pair(NamedTuple):
    """One photo in both sizes."""

    name: str
    hr: Path | np.ndarray  # file, or uint8 (H, W, 3)
    lr: Path | np.ndarray | None  # of a quarter of the sides; None: `images.resize_bicubic` makes it
    reduced_to: float = 1.0  # of the sides, when it is read: below 1, with no LR


def find_pairs(hr_folder: Path | str, lr_folder: Path | str | None) -> list[Pair]:
    """Pair the photos of two folders: 0001.png with 0001.png or 0001x4.png, checked by their headers.

    Without an LR folder every photo stands alone and its LR image is made later.
    FileNotFoundError or ValueError name a folder or image that is missing, unreadable or of the wrong size.
    """
    hr_files = {path.stem: path for path in images.list_images(hr_folder)}
    if lr_folder is None:
        for path in hr_files.values():
            images.read_header(path)
        return [Pair(name, path, None) for name, path in hr_files.items()]
    lr_files = {path.stem: path for path in images.list_images(lr_folder)}
    suffix = "" if hr_files.keys() & lr_files.keys() else f"x{SCALE}"
    expected = {name + suffix for name in hr_files}
    for missing, where in ((expected - lr_files.keys(), lr_folder), (lr_files.keys() - expected, hr_folder)):
        if missing:
            raise ValueError(
                f"HR and LR do not match: {len(missing)} images have no partner in {where}, "
                f"the first: {', '.join(sorted(missing)[:5])}. Expected 0001.png with 0001.png or 0001x4.png."
            )
    pairs = [Pair(name, path, lr_files[name + suffix]) for name, path in hr_files.items()]
    for pair in pairs:
        require_match(pair.name, images.read_header(pair.hr)[:2], images.read_header(pair.lr)[:2])
    return pairs


def hr_size(pair: Pair) -> tuple[int, int]:
    """Height and width of HR, before it is cut to LR × 4, without decoding it."""
    size = pair.hr.shape[:2] if isinstance(pair.hr, np.ndarray) else images.read_header(pair.hr)[:2]
    height, width = (round(side * pair.reduced_to) for side in size)
    return height, width


def require_match(name: str, hr_size: Sequence[int], lr_size: Sequence[int]) -> None:
    """ValueError if an LR size (height, width) is not a quarter of HR; up to 3 pixels are cut from HR."""
    expected = tuple(side // SCALE for side in hr_size)
    if expected != tuple(lr_size):
        raise ValueError(
            f"HR and LR do not match: expected LR {expected} for HR {tuple(hr_size)} at scale {SCALE}, "
            f"got {tuple(lr_size)} for {name}."
        )


def read_pair(pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    """Decode a pair: uint8 HR (4H, 4W, 3), cut at bottom and right to LR × 4, and LR (H, W, 3)."""
    hr, lr = (images.read_image(side) if isinstance(side, (str, Path)) else side for side in pair[1:3])
    for side in (hr, lr):
        if side is not None and (side.dtype != np.uint8 or side.shape[2:] != (3,)):
            raise ValueError(f"{pair.name}: expected uint8 (H, W, 3) images, got {side.dtype} {side.shape}.")
    hr = images.reduce(hr, pair.reduced_to) if pair.reduced_to < 1 else hr
    height, width = (side // SCALE * SCALE for side in hr.shape[:2])
    if not height or not width:
        raise ValueError(f"{pair.name}: {hr.shape[0]}×{hr.shape[1]} is smaller than one LR pixel (4×4).")
    if lr is None:
        lr = images.resize_bicubic(hr[:height, :width], 1 / SCALE)
    require_match(pair.name, hr.shape[:2], lr.shape[:2])
    return hr[:height, :width], lr


def find_split(config: Config, paths: Paths, split: Literal["train", "val"]) -> list[Pair]:
    """The photos of a split: the folders in `paths`, else the profile's own; then any reduced copies.

    Of validation photos, only those by which a network can be judged: see `with_detail`.
    """
    pairs = _find_photos(config, paths, split)
    if split == "val":
        return with_detail(pairs[: config.validation_images or None], "validation photos")
    copies = [
        Pair(f"{pair.name}_{share:g}".replace(".", ""), pair.hr, None, share)
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


def read_centres(files: Sequence[Path], side: int = 640) -> list[Pair]:
    """The middle of each photo, at most `side` HR pixels high and wide; its LR image is made from it."""
    pairs = []
    for path in files:
        photo = images.read_image(path)
        top, left = (max(0, size - side) // 2 for size in photo.shape[:2])
        pairs.append(Pair(path.stem, photo[top : top + side, left : left + side], None))
    return pairs


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
        images.read_header(path)
    return found


def conversion_note(pairs: Sequence[Pair]) -> str:
    """How many files are not plain sRGB, for example "converted to RGB: 2 grey, 1 palette", or "".

    Colours of a foreign profile (Display P3, Adobe RGB) are counted too; their numbers are read as they are.
    """
    originals = [pair for pair in pairs if pair.reduced_to == 1]
    files = [side for pair in originals for side in (pair.hr, pair.lr) if isinstance(side, Path)]
    headers = [images.read_header(path) for path in files]
    told = []
    for text, kinds in (
        ("converted to RGB", Counter(header.note for header in headers if header.note)),
        ("taken as sRGB, though they are not", Counter(header.colors for header in headers if header.colors)),
    ):
        listed = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        told += [f"{text}: {listed}"] if listed else []
    return "; ".join(told)


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
