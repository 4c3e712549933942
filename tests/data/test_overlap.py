"""No photo is in training and validation both, whatever its file is called."""

import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest

from sr_utils import images
from sr_utils.config import DEMO
from sr_utils.data import build_store as lmdb_store
from sr_utils.data import store as sub_images
from sr_utils.data.overlap import require_apart
from sr_utils.data.pair import Pair
from sr_utils.paths import Paths
from sr_utils.training.train import train

CONFIG = replace(DEMO, num_blocks=1, sub_image=64, sub_image_step=32, hr_patch_size=16, total_steps=1)
ALONE = {"raw": CONFIG, "png": replace(CONFIG, codec="png")}


@pytest.fixture
def paths(tmp_path, photo_folder):
    """Three photos to learn from, larger than a sub-image, and two others."""
    train_hr = photo_folder("train", {"a.png": (100, 130), "b.png": (97, 120), "c.png": (100, 130)})
    val_hr = photo_folder("val", {"d.png": (100, 131), "e.png": (112, 112)})
    images.write_image(val_hr / "d.png", images.read_image(train_hr / "a.png")[::-1].copy())
    return Paths(tmp_path, train_hr=train_hr, val_hr=val_hr)


def save_as_tiff(paths):
    photo = images.read_image(paths.train_hr / "b.png")
    cv2.imwrite(str(paths.val_hr / "z.tif"), photo[..., ::-1])


SHARED = {
    "a copy": (lambda p: shutil.copy(p.train_hr / "b.png", p.val_hr / "b.png"), r"1 of 3 .* too: b\. Take"),
    "a renamed copy": (
        lambda p: shutil.copy(p.train_hr / "c.png", p.val_hr / "z.png"),
        r"z \(in training: c\)",
    ),
    "saved in another format": (save_as_tiff, r"z \(in training: b\)"),
    "a link": (lambda p: (p.val_hr / "z.png").symlink_to(p.train_hr / "a.png"), r"z \(in training: a\)"),
}


@pytest.mark.parametrize("codec", ALONE)
@pytest.mark.parametrize("kind", SHARED)
def test_a_photo_in_both_is_refused_by_name(paths, kind, codec):
    lmdb_store.build_split(ALONE[codec], paths)
    copy, told = SHARED[kind]
    copy(paths)
    with pytest.raises(ValueError, match=told):
        lmdb_store.build_split(ALONE[codec], paths)
    with pytest.raises(ValueError, match=told):  # the photos may be exchanged after the store was built
        train(ALONE[codec], paths)
    assert not paths.run(ALONE[codec].run_name).exists()
    lmdb_store.build_split(replace(ALONE[codec], challenge=False), paths)


def test_one_folder_for_both_is_refused(paths):
    with pytest.raises(ValueError, match="3 of 3 validation photos are in the training set too: a, b, c"):
        lmdb_store.build_split(CONFIG, replace(paths, val_hr=paths.train_hr))


def test_photos_that_share_a_corner_are_two(tmp_path):
    """As the white margins of two pages do."""
    one = np.full((128, 128, 3), 255, np.uint8)
    other = one.copy()
    one[100:], other[100:] = 10, 20
    store = lmdb_store.build_store([("one", one, None)], tmp_path / "store", sub_image=64, step=32)
    require_apart(store, [Pair("other", other, None)])
    with pytest.raises(ValueError, match="other"):
        require_apart(store, [Pair("other", one, None)])


def test_a_store_of_another_tool_has_nothing_to_compare(tmp_path, monkeypatch):
    photo = np.zeros((64, 64, 3), np.uint8)
    store = lmdb_store.build_store([("a", photo, None)], tmp_path / "store", codec="png", sub_image=64)
    store.close()
    (tmp_path / "store" / "store.json").unlink()
    require_apart(sub_images.open_store(tmp_path / "store"), [Pair("a", photo, None)])
