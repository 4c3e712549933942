"""A profile's store must be that of its photos of now."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import lmdb
import pytest

from sr_utils import images
from sr_utils.config import PROFILES
from sr_utils.data.build_store import build_split, build_store
from sr_utils.data.splits import open_split
from sr_utils.data.store import SIDES
from sr_utils.hand_in.report import collect
from sr_utils.paths import Paths
from sr_utils.training.train import train

SMALL = replace(PROFILES["demo"], sub_image=32, sub_image_step=16, hr_patch_size=16, challenge=False)


@pytest.fixture
def built(tmp_path: Path, photo_folder, monkeypatch) -> Paths:
    """A project whose store was cut from two photos of its own."""
    monkeypatch.setattr(
        "sr_utils.data.build_store.PROFILES", {"demo": SMALL}
    )  # its patch is the least HR side
    paths = Paths(tmp_path, train_hr=photo_folder("photos", {"a.png": (40, 48), "b.png": (36, 32)}))
    build_split(SMALL, paths)
    return paths


def _edit_description(paths: Paths, change) -> None:
    path = paths.store("demo") / "store.json"
    description = json.loads(path.read_text(encoding="utf-8"))
    change(description)
    path.write_text(json.dumps(description), encoding="utf-8")


def test_other_photos_than_those_of_the_store_are_told(built: Paths, photo_folder) -> None:
    assert len(open_split(SMALL, built)) == 6
    others = replace(
        built,
        train_hr=photo_folder("others", {"c.png": (40, 48)}),
        val_hr=photo_folder("val", {"v.png": (24, 32)}),
    )
    told = r"from 2 \(a, b, …\), and now there are 1 \(c, …\)\. Run notebooks/01_prepare_data"
    for opens in (open_split, train, collect):
        with pytest.raises(ValueError, match=told):
            opens(SMALL, others)
    assert not others.run(SMALL.run_name).exists()
    build_split(SMALL, others)
    assert [photo.name for photo in open_split(SMALL, others).photos] == ["c"]


def test_embedded_photos_and_then_a_paths_json(tmp_path: Path, photo_folder) -> None:
    """The photos of the demo, then a user's own."""
    config = replace(PROFILES["demo"], sub_image=96, sub_image_step=192)
    (tmp_path / "pyproject.toml").write_text('name = "sr-utils"', encoding="utf-8")
    build_split(config, Paths(tmp_path))
    assert open_split(config, Paths.find(tmp_path)).photos[0].name == "chelsea"
    folder = photo_folder("mine", {"a.png": (96, 96)})
    (tmp_path / "data" / "paths.json").write_text(json.dumps({"train_hr": str(folder)}), encoding="utf-8")
    with pytest.raises(ValueError, match=r"cut from other photos.*chelsea.*01_prepare_data.*paths\.json"):
        open_split(config, Paths.find(tmp_path))


@pytest.mark.parametrize("change", ["exchanged", "removed", "added"])
def test_every_change_of_the_photos_is_seen(built: Paths, make_photo, change: str) -> None:
    if change == "removed":
        (built.train_hr / "b.png").unlink()
    else:
        name = "b.png" if change == "exchanged" else "c.png"
        images.write_image(built.train_hr / name, make_photo(36, 32, 9))
    with pytest.raises(ValueError, match="cut from other photos"):
        open_split(SMALL, built)


def test_a_copied_project_has_the_same_photos(built: Paths, tmp_path: Path) -> None:
    """Elsewhere, and with the time of the copy, as `scp` leaves them."""
    for path in sorted((tmp_path / "photos").iterdir()):
        target = tmp_path / "copy" / "photos" / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    shutil.copytree(tmp_path / "data", tmp_path / "copy" / "data")
    there = Paths(tmp_path / "copy", train_hr=tmp_path / "copy" / "photos")
    assert len(open_split(SMALL, there)) == 6
    _edit_description(there, lambda description: description.pop("contents"))  # a store of before
    with pytest.raises(ValueError, match="cut from other photos"):
        open_split(SMALL, there)
    _edit_description(built, lambda description: description.pop("contents"))
    assert len(open_split(SMALL, built)) == 6


def test_a_store_is_enough_where_its_photos_are_gone(built: Paths, capsys) -> None:
    shutil.rmtree(built.train_hr)
    assert len(open_split(SMALL, built)) == 6
    assert "The store of 2 photos is taken as it is" in capsys.readouterr().out


def test_lmdbs_of_other_tools_tell_nothing_of_photos(built: Paths, make_photo) -> None:
    place = built.store("demo")
    made = build_store([("a", make_photo(32, 32), None)], place.with_name("png"), codec="png", sub_image=32)
    made.close()
    shutil.rmtree(place)
    for side in SIDES:
        shutil.copytree(made.folder / side, place / side)
        with lmdb.open(str(place / side), lock=False) as environment, environment.begin(write=True) as change:
            change.delete(b"__build__")
    assert len(open_split(SMALL, built)) == 1
