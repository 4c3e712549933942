"""What a user may throw at the data side: each kind gets a clear error and leaves nothing behind."""

import os
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from sr_utils import images
from sr_utils.data import build_store as lmdb_store
from sr_utils.data.build_store import build_store
from sr_utils.data.pair import find_pairs
from sr_utils.data.store import open_store

AS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
PATCH = 32


def photo(height=64, width=80, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def save(path, mode, **options):
    Image.fromarray(photo()).convert(mode).save(path, **options)


def truncate(path):
    os.truncate(path, path.stat().st_size // 2)


def two_frames(path, kind):
    Image.fromarray(photo()).save(path, kind, save_all=True, append_images=[Image.fromarray(photo(seed=1))])


# What is done to a folder HR/{a,b}.png with LR/{a,b}x4.png → what the error must say.
REFUSED = {
    "truncated PNG": (lambda f: truncate(f / "HR/a.png"), r"a\.png: (truncated|unreadable)"),
    "truncated LR": (lambda f: truncate(f / "LR/ax4.png"), r"ax4\.png: (truncated|unreadable)"),
    "zero bytes": (lambda f: (f / "HR/a.png").write_bytes(b""), r"a\.png: not a PNG, JPEG"),
    "text named .png": (lambda f: (f / "HR/a.png").write_bytes(b"hello"), r"a\.png: not a PNG, JPEG"),
    "BMP named .png": (lambda f: save(f / "HR/a.png", "RGB", format="BMP"), r"a\.png: not a PNG, JPEG"),
    "LR one pixel off": (
        lambda f: images.write_image(f / "LR/ax4.png", photo(15, 20)),
        r"expected LR \(16, 20\)",
    ),
    "missing LR": (lambda f: (f / "LR/ax4.png").unlink(), r"no partner in .*LR.* ax4"),
    "extra LR": (lambda f: images.write_image(f / "LR/cx4.png", photo(16, 20)), r"no partner in .*HR.* cx4"),
    "duplicate stems": (lambda f: save(f / "HR/a.jpg", "RGB"), r"2 images are named a"),
    "photo of 3 pixels": (lambda f: images.write_image(f / "HR/a.png", photo(3, 3)), r"for a\."),
    "smaller than the patch": (lambda f: pair_of(f, "a", 28, 80), r"training patch.*a \(28×80\)"),
    "CMYK": (lambda f: save(f / "HR/a.png", "CMYK", format="JPEG"), r"a\.png: expected RGB, got .*CMYK"),
    "16-bit": (
        lambda f: cv2.imwrite(str(f / "HR/a.png"), photo().astype(np.uint16) * 257),
        r"a\.png: expected 8 bits per channel, got 16",
    ),
    "float TIFF": (lambda f: save(f / "HR/a.png", "F", format="TIFF"), r"a\.png: expected 8 bits .* got 32"),
    "animated WebP": (lambda f: two_frames(f / "HR/a.png", "WEBP"), r"a\.png: expected one image, got 2"),
    "TIFF of two pages": (lambda f: two_frames(f / "HR/a.png", "TIFF"), r"a\.png: expected one image, got 2"),
    "GIF named .png": (lambda f: save(f / "HR/a.png", "P", format="GIF"), r"a\.png: not a PNG, JPEG"),
    "folder named like an image": (lambda f: (f / "HR/c.png").mkdir(), r"c\.png: expected an image file"),
    "symlink loop": (lambda f: (f / "HR/c.png").symlink_to("c.png"), r"c\.png: expected an image file"),
    "broken link": (lambda f: (f / "HR/c.png").symlink_to("nowhere.png"), r"c\.png: expected an image file"),
    "empty folder": (lambda f: [p.unlink() for p in (f / "HR").iterdir()], r"HR holds no image"),
    "no folder": (lambda f: shutil.rmtree(f / "HR"), r"HR is not a folder"),
    "a file in place of the folder": (
        lambda f: [shutil.rmtree(f / "HR"), (f / "HR").write_bytes(b"")],
        r"HR is not a folder",
    ),
    "no permission": (lambda f: (f / "HR/a.png").chmod(0), r"Permission denied.*a\.png"),
}

ACCEPTED = {
    "JPEG named .png": lambda f: save(f / "HR/a.png", "RGB", format="JPEG"),
    "grey": lambda f: save(f / "HR/a.png", "L"),
    "RGBA": lambda f: save(f / "HR/a.png", "RGBA"),
    "palette": lambda f: save(f / "HR/a.png", "P"),
    "panorama": lambda f: pair_of(f, "a", 200, 30_000),
    "odd sides": lambda f: images.write_image(f / "HR/a.png", photo(67, 83)),
    "hidden and foreign files": lambda f: [
        (f / "HR" / name).write_bytes(b"x") for name in (".DS_Store", "Thumbs.db", "._a.png", "notes.txt")
    ],
    "upper case and Unicode": lambda f: [
        (f / "HR/a.png").rename(f / "HR/Ä ÖÜ.PNG"),
        (f / "LR/ax4.png").rename(f / "LR/Ä ÖÜx4.PNG"),
    ],
}


def pair_of(folder, name, height, width):
    images.write_image(folder / f"HR/{name}.png", photo(height, width))
    images.write_image(folder / f"LR/{name}x4.png", photo(height // 4, width // 4))


def build(folder):
    return build_store(find_pairs(folder / "HR", folder / "LR"), folder / "store", smallest=PATCH)


@pytest.fixture
def folder(tmp_path):
    for name in "ab":
        pair_of(tmp_path, name, 64, 80)
    return tmp_path


@pytest.mark.parametrize("kind", REFUSED)
def test_bad_photos_are_refused_by_name_and_leave_the_old_store(folder, kind):
    if kind == "no permission" and AS_ROOT:
        pytest.skip("root may read everything")
    before = build(folder).description["build_id"]
    spoil, told = REFUSED[kind]
    spoil(folder)
    with pytest.raises((ValueError, OSError), match=told):
        build(folder)
    assert {path.name for path in folder.iterdir()} - {"HR"} == {"LR", "store", ".store.lock"}
    store = open_store(folder / "store")
    assert store.description["build_id"] == before and store.read(0)[0].shape == (64, 80, 3)


@pytest.mark.parametrize("kind", ACCEPTED)
def test_unusual_photos_are_read(folder, kind):
    ACCEPTED[kind](folder)
    store = build(folder)
    assert {photo.name for photo in store.photos} == {"a", "b"} or kind.startswith("upper")
    assert all(hr.shape[0] == 4 * lr.shape[0] for hr, lr in map(store.read, range(len(store))))


@pytest.mark.skipif(not AS_ROOT or not Path("/proc/mounts").exists(), reason="mounting needs root on Linux")
@pytest.mark.parametrize("checked", [True, False], ids=["told before", "found while writing"])
def test_a_full_disk_loses_nothing(tmp_path, monkeypatch, checked):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", disk], capture_output=True
    ).returncode:
        pytest.skip("no tmpfs can be mounted here")
    try:
        small = build_store([("a", photo(), None)], disk / "store").description["build_id"]
        if not checked:
            monkeypatch.setattr(lmdb_store, "_require_space", lambda *_: None)
        with pytest.raises(OSError, match="needs .* are free" if checked else "could not be written"):
            build_store([("b", photo(1200, 1200), None)], disk / "store")
        assert {path.name for path in disk.iterdir()} == {"store", ".store.lock"}
        assert open_store(disk / "store").description["build_id"] == small
        open_store(disk / "store").close()
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.mark.skipif(not AS_ROOT or not Path("/proc/mounts").exists(), reason="mounting needs root on Linux")
def test_a_read_only_folder_is_told(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("no tmpfs can be mounted here")
    try:
        with pytest.raises(OSError, match=r"Read-only.*\.store\.lock"):
            build_store([("a", photo(), None)], disk / "store")
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)
