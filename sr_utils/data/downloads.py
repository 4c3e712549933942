"""Verified downloads: DIV2K as a stand-in for mini-DIV2K (`sr-utils download`), and Set5."""

import shutil
import sys
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import pooch
from tqdm import tqdm

from sr_utils.console import say
from sr_utils.files import put_in_place, write_atomic
from sr_utils.paths import Paths

DIV2K_URL = "https://data.vision.ee.ethz.ch/cvl/DIV2K/"
SET5_REGISTRY = Path(__file__).with_name("registry.txt")  # file, checksum, pinned address


class Archive(NamedTuple):
    """A zip of DIV2K, and what of it goes where: folder below data/mini-DIV2K → (pattern, numbers)."""

    name: str
    size: int  # bytes
    sha256: str
    folders: dict[str, tuple[str, range]]

    def places(self, target: Path) -> dict[Path, str]:
        """Where each photo goes → its name in the zip."""
        return {
            target / folder / Path(pattern).name.format(number): pattern.format(number)
            for folder, (pattern, numbers) in self.folders.items()
            for number in numbers
        }


# Source of the checksums: tensorflow/datasets. The mini set is not public; these numbers stand in for it.
DIV2K = (
    Archive(
        "DIV2K_valid_LR_bicubic_X4.zip",
        31505881,
        "a50a5d1c4b88de4e8d300d8fb2b904c52fe93b2b298a4899697760d7cbb6d553",
        {"val_LR": ("DIV2K_valid_LR_bicubic/X4/{:04d}x4.png", range(801, 881))},
    ),
    Archive(
        "DIV2K_train_LR_bicubic_X4.zip",
        246914039,
        "f006b837f4eb52b82909aa01478e6d6d199eefce932179491d0c9dbb706dde3a",
        {
            "train_LR": ("DIV2K_train_LR_bicubic/X4/{:04d}x4.png", range(1, 501)),
            "test_LR": ("DIV2K_train_LR_bicubic/X4/{:04d}x4.png", range(501, 581)),
        },
    ),
    Archive(
        "DIV2K_valid_HR.zip",
        448993893,
        "20dd31fd84d777bc1cf5d6b7654a3f569c0aec74458ae094122ad1d0489900fc",
        {"val_HR": ("DIV2K_valid_HR/{:04d}.png", range(801, 881))},
    ),
    Archive(
        "DIV2K_train_HR.zip",
        3530603713,
        "9d0b9c463f6e35b6c62cc6a930ee2224f670b34c1df841a57670f9acf0f6c335",
        {"train_HR": ("DIV2K_train_HR/{:04d}.png", range(1, 501))},
    ),
)


def list_downloads(paths: Paths) -> str:
    """What `sr-utils download` fetches, from where, how large, and where it goes; one line each."""
    data, sources = paths.root / "data", SET5_REGISTRY.read_text(encoding="utf-8").split()[2::3]
    lines = [f"Set5: 1 MB, {len(sources)} files like {sources[0]} → {data / 'Set5'}"]
    for one in DIV2K:
        where = f"{data / 'mini-DIV2K'}: {', '.join(one.folders)}"
        lines.append(f"DIV2K: {one.size / 1e6:,.0f} MB, {DIV2K_URL}{one.name} → {where}")
    return "\n".join(lines)


def prepare_mini_div2k(paths: Paths, *, url: str = DIV2K_URL, archives: Iterable[Archive] = DIV2K) -> Path:
    """Download DIV2K's zips to data/downloads and unpack the stand-in split to data/mini-DIV2K.

    What is there already is kept: a zip downloaded by hand (after its checksum) and unpacked photos.
    OSError for no space or a failed download, ValueError for a zip that differs; both say what to do.
    """
    target = paths.root / "data" / "mini-DIV2K"
    for archive in archives:
        missing = {place: name for place, name in archive.places(target).items() if not place.exists()}
        if missing:
            _unpack(_fetch(archive, paths.root / "data" / "downloads", url), missing)
    return target


def _fetch(archive: Archive, folder: Path, url: str) -> Path:
    path, address = folder / archive.name, url + archive.name
    by_hand = f"By hand, going on where it stopped: curl -L -C - -o '{path}' {address}  Then run this again."
    if path.exists():
        if pooch.file_hash(path) == archive.sha256:
            return path
        raise ValueError(
            f"{path}: expected {archive.size} bytes with a sha256 of {archive.sha256[:9]}…, but the "
            f"{path.stat().st_size} bytes there differ. If it is incomplete: {by_hand} Otherwise delete it."
        )
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    needed = 2 * archive.size  # the zip, and the photos out of it
    if free < needed:
        raise OSError(f"{folder} needs {needed / 1e9:.2f} GB, but {free / 1e9:.2f} GB are free. Make space.")
    pooch.get_logger().setLevel("WARNING")
    bar = tqdm(total=archive.size, unit="B", unit_scale=True, desc=archive.name, file=sys.stdout)
    downloader = pooch.HTTPDownloader(progressbar=bar, timeout=30)
    try:
        pooch.retrieve(address, archive.sha256, fname=archive.name, path=folder, downloader=downloader)
    except (OSError, ValueError) as error:
        raise OSError(f"{address} was not downloaded: {error}. {by_hand}") from None
    return path


def _unpack(path: Path, wanted: Mapping[Path, str]) -> None:
    with zipfile.ZipFile(path) as content:  # its own names never become paths
        for place, name in tqdm(wanted.items(), f"unpacking {path.name}", unit="photo", file=sys.stdout):
            write_atomic(place, content.read(name))


def download_set5(folder: Path) -> bool:
    """Download Set5 (1 MB) into a folder; False where that fails, what came stays beside for the next try."""
    beside = folder.with_name("Set5.part")
    pooch.get_logger().setLevel("WARNING")
    fetcher = pooch.create(beside, base_url="")
    fetcher.load_registry(SET5_REGISTRY)
    try:
        for name in fetcher.registry:
            fetcher.fetch(name, downloader=pooch.HTTPDownloader(timeout=5))
        put_in_place(beside, folder)
    except (OSError, ValueError) as error:  # no network, or a file that is not the one we know
        say(f"Set5 was not downloaded ({type(error).__name__}); the validation photos take its place.")
        return False
    return True
