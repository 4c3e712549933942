from pathlib import Path

import numpy as np
import pooch
import pytest
from PIL import Image

from sr_utils import images
from sr_utils.config import PROFILES, configure
from sr_utils.data import sources
from sr_utils.data.pair import find_pairs, hr_size, read_pair
from sr_utils.data.sources import find_split
from sr_utils.images import list_images
from sr_utils.paths import Paths

DEMO = PROFILES["demo"]
FULL = PROFILES["full"]


def test_list_images_passes_over_what_is_no_photo(photo_folder) -> None:
    names = ["Strand-Äö.png", "IMG_1.PNG", "写真.png", "with space (1).png"]
    folder = photo_folder("photos", {name: (8, 8) for name in names})
    for name in (".hidden.png", "._IMG_1.PNG", "Thumbs.db", "notes.txt", "noext"):
        (folder / name).write_bytes(b"x")
    (folder / "sub folder").mkdir()
    assert sorted(path.name for path in list_images(folder)) == sorted(names)
    assert {pair.name for pair in find_pairs(folder, None)} == {Path(name).stem for name in names}


def test_list_images_takes_every_suffix_in_order(tmp_path: Path, make_photo) -> None:
    suffixes = [".tiff", ".TIF", ".webp", ".JPEG", ".jpg", ".png"]
    for number, suffix in enumerate(suffixes):
        Image.fromarray(make_photo(8, 8)).save(tmp_path / f"{9 - number}{suffix}")
    assert [path.suffix for path in list_images(tmp_path)] == suffixes[::-1]


def test_list_images_refuses_by_name(photo_folder, tmp_path: Path) -> None:
    folder = photo_folder("photos", {"a.png": (8, 8)})
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder"):
        list_images(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="empty holds no image"):
        list_images(tmp_path / "empty")
    (folder / "b.png").mkdir()
    with pytest.raises(ValueError, match=r"b\.png.*folder"):
        list_images(folder)
    (folder / "b.png").rmdir()
    (folder / "loop.png").symlink_to(folder / "loop.png")
    with pytest.raises(ValueError, match=r"loop\.png.*broken link"):
        list_images(folder)
    (folder / "loop.png").unlink()
    (folder / "a.JPG").write_bytes((folder / "a.png").read_bytes())
    with pytest.raises(ValueError, match="2 images are named a"):
        list_images(folder)


def test_demo_split_is_disjoint_complete_and_large_enough() -> None:
    train, val, test = (sources.DEMO_PHOTOS[split] for split in ("train", "val", "test"))
    assert (len(train), len(val), len(test)) == (6, 2, DEMO.test_images)
    stems = [Path(name).stem for name in (*train, *val, *test)]
    assert len(set(stems)) == len(stems)
    assert "motorcycle_right" not in stems  # the other eye's view of a training photo
    paths = Paths(Path("unused"))
    for split in ("train", "val"):
        pairs = sources.find_split(DEMO, paths, split)
        assert [pair.name for pair in pairs] == [Path(name).stem for name in sources.DEMO_PHOTOS[split]]
        for pair in pairs:
            assert min(images.read_header(pair.hr)[:2]) >= DEMO.hr_patch_size, pair.name


def test_demo_photos_that_are_missing_are_named(monkeypatch) -> None:
    monkeypatch.setitem(sources.DEMO_PHOTOS, "train", ("no_such_photo.png",))
    with pytest.raises(FileNotFoundError, match=r"no_such_photo\.png.*Reinstall"):
        sources.find_split(DEMO, Paths(Path("unused")), "train")


def test_own_folders_come_before_the_profile(photo_folder, tmp_path: Path) -> None:
    own = photo_folder("own", {"mine.png": (8, 8)})
    for config in (DEMO, FULL):
        for split in ("train", "val"):
            pairs = sources.find_split(config, Paths(tmp_path, **{f"{split}_hr": own}), split)
            assert [pair.name for pair in pairs] == ["mine"]
        assert sources.find_test_images(config, Paths(tmp_path, test_lr=own)) == [own / "mine.png"]


def test_reduced_copies_join_the_training_photos_alone(photo_folder, tmp_path: Path) -> None:
    folder = photo_folder("mine", {"a.png": (60, 83), "b.c.png": (40, 40)})
    paths = Paths(tmp_path, train_hr=folder, val_hr=folder)
    config = configure("full", reduced_copies=True)
    copies = find_split(config, paths, "train")[2:]
    assert [pair.name for pair in copies] == ["a_08", "b.c_08", "a_06", "b.c_06"]
    assert [hr_size(pair) for pair in copies] == [(48, 66), (32, 32), (36, 50), (24, 24)]
    for pair in copies:
        hr, lr = read_pair(pair)
        assert hr.shape[:2] == tuple(side // 4 * 4 for side in hr_size(pair))
        assert np.array_equal(lr, images.resize_bicubic(hr, 0.25))
    flat = np.full((40, 40, 3), 77, np.uint8)
    assert (images.reduce(flat, 0.6) == 77).all()  # brightness stays
    assert [pair.name for pair in find_split(config, paths, "val")] == ["a", "b.c"]
    first = configure("full", reduced_copies=True, validation_images=1)  # the same ones for every notebook
    assert [pair.name for pair in find_split(first, paths, "val")] == ["a"]
    assert len(find_split(first, paths, "train")) == 6


def test_blank_validation_photos_are_named_and_left_out(photo_folder, tmp_path: Path, capsys) -> None:
    folder = photo_folder("val", {"a.png": (40, 48), "b.png": (40, 48)})
    white = np.full((40, 48, 3), 255, np.uint8)
    images.write_image(folder / "page.png", white)
    paths = Paths(tmp_path, train_hr=folder, val_hr=folder)
    assert [pair.name for pair in find_split(FULL, paths, "val")] == ["a", "b"]
    told = capsys.readouterr().out
    assert told.count("\n") == 1 and "1 of 3 validation photos have no detail" in told and ": page" in told
    assert [pair.name for pair in find_split(FULL, paths, "train")] == ["a", "b", "page"]
    for name in "ab":
        images.write_image(folder / f"{name}.png", white)
    with pytest.raises(ValueError, match=r"3 of 3 validation photos have no detail .*: a, b, page\. Choose"):
        find_split(FULL, paths, "val")


def test_full_profile_reads_mini_div2k(photo_folder, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="mini-DIV2K is missing"):
        sources.find_split(FULL, Paths(tmp_path), "train")
    for split in ("train", "val"):
        photo_folder(f"data/mini-DIV2K/{split}_HR", {f"{split}.png": (8, 12)})
        photo_folder(f"data/mini-DIV2K/{split}_LR", {f"{split}x4.png": (2, 3)})
        (pair,) = sources.find_split(FULL, Paths(tmp_path), split)
        assert (pair.name, pair.lr.name) == (split, f"{split}x4.png")
    photo_folder("data/mini-DIV2K/test_LR", {"0901.png": (2, 3)})
    assert [path.name for path in sources.find_test_images(FULL, Paths(tmp_path))] == ["0901.png"]


@pytest.mark.parametrize("by_variable", [False, True])
def test_open_profile_keeps_every_eighth_photo_aside(
    photo_folder, tmp_path: Path, monkeypatch, by_variable: bool
) -> None:
    config, paths = PROFILES["open"], Paths(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"train.photos is not a folder"):
        sources.find_split(config, paths, "val")
    where = "elsewhere" if by_variable else "data"
    if by_variable:
        monkeypatch.setenv("SR_DATA", str(tmp_path / where))
    photos = photo_folder(f"{where}/train/photos", {f"{n:02}.png": (660, 12) for n in range(10)})
    photo_folder(f"{where}/train/more", {"00.png": (8, 8)})
    val = sources.find_split(config, paths, "val")
    assert [pair.name for pair in val] == ["00", "08"]
    np.testing.assert_array_equal(val[0].hr, images.read_image(photos / "00.png")[10:650])  # its centre
    train = [pair.name for pair in sources.find_split(config, paths, "train")]
    assert train == ["more_00", *(f"photos_{n:02}" for n in range(10) if n not in (0, 8))]
    test = photo_folder(f"{where}/DIV2K_test_LR", {"0901.png": (3, 4)})
    assert sources.find_test_images(config, paths) == [test / "0901.png"]


def test_demo_test_images_are_a_quarter_and_made_once(tmp_path: Path) -> None:
    found = sources.find_test_images(DEMO, Paths(tmp_path))
    assert [path.stem for path in found] == sorted(Path(n).stem for n in sources.DEMO_PHOTOS["test"])
    for path in found:
        (name,) = (n for n in sources.DEMO_PHOTOS["test"] if Path(n).stem == path.stem)
        height, width = images.read_header(sources._package_photo(name))[:2]
        assert images.read_header(path)[:2] == (height // 4, width // 4)
    times = [path.stat().st_mtime_ns for path in found]
    assert [path.stat().st_mtime_ns for path in sources.find_test_images(DEMO, Paths(tmp_path))] == times


def test_bad_test_image_is_named(photo_folder, tmp_path: Path) -> None:
    folder = photo_folder("LR", {"0901.png": (4, 4)})
    (folder / "0902.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"0902\.png"):
        sources.find_test_images(FULL, Paths(tmp_path, test_lr=folder))


def _set5(photo_folder, place: str, size: int) -> None:
    names = ("baby", "butterfly")
    photo_folder(f"{place}/HR", {f"{name}.png": (4 * size, 8 * size) for name in names})
    photo_folder(f"{place}/LR_bicubic_x4", {f"{name}x4.png": (size, 2 * size) for name in names})


@pytest.fixture
def no_network(monkeypatch) -> list[str]:
    """Every download fails as without a network; the files that were asked for."""
    asked = []

    def fetch(self: pooch.Pooch, name: str, **_: object) -> None:
        asked.append(name)
        raise OSError("no network")

    monkeypatch.setattr(pooch.Pooch, "fetch", fetch)
    return asked


def test_benchmark_comes_from_sr_data_then_the_project_then_the_fallback(
    photo_folder, tmp_path: Path, monkeypatch, no_network: list[str], capsys
) -> None:
    paths = Paths(tmp_path / "project")
    name, pairs = sources.find_benchmark(DEMO, paths, download=False)
    assert (name, [pair.name for pair in pairs]) == ("validation photos", ["astronaut", "coffee"])
    assert no_network == []

    name, pairs = sources.find_benchmark(DEMO, paths)
    assert (name, len(pairs), len(no_network)) == ("validation photos", 2, 1)
    assert "Set5 was not downloaded (OSError)" in capsys.readouterr().out
    assert not (paths.root / "data" / "Set5").exists()

    _set5(photo_folder, "project/data/Set5", 2)
    name, pairs = sources.find_benchmark(DEMO, paths)
    assert (name, [pair.name for pair in pairs]) == ("Set5", ["butterfly", "baby"])
    assert pairs[0].hr.is_relative_to(paths.root) and len(no_network) == 1

    monkeypatch.setenv("SR_DATA", str(tmp_path / "elsewhere"))
    assert sources.find_benchmark(DEMO, paths)[1][0].hr.is_relative_to(paths.root)  # it holds no Set5
    _set5(photo_folder, "elsewhere/Set5", 3)
    assert sources.find_benchmark(DEMO, paths)[1][0].hr.is_relative_to(tmp_path / "elsewhere")


@pytest.mark.parametrize("failing", [1, 5, 10])
def test_interrupted_download_leaves_no_set5_and_a_good_one_is_complete(
    tmp_path: Path, monkeypatch, make_photo, failing: int
) -> None:
    calls, broken = [], [True]

    def fetch(self: pooch.Pooch, name: str, **_: object) -> None:
        calls.append(name)
        if broken[0] and len(calls) == failing:
            raise ValueError("sha256 differs")
        size = (8, 12) if name.startswith("HR") else (2, 3)
        images.write_image(Path(self.abspath) / name, make_photo(*size))

    monkeypatch.setattr(pooch.Pooch, "fetch", fetch)
    paths = Paths(tmp_path)
    assert sources.find_benchmark(DEMO, paths)[0] == "validation photos"
    assert not (tmp_path / "data" / "Set5").exists()
    broken[0] = False
    calls.clear()
    name, pairs = sources.find_benchmark(DEMO, paths)
    assert name == "Set5"
    assert [pair.name for pair in pairs] == ["butterfly", "baby", "bird", "head", "woman"]
    assert len(calls) == len(set(calls)) == 10
    calls.clear()
    sources.find_benchmark(DEMO, paths)
    assert calls == []  # the second time it is there


def test_other_kinds_of_images_are_named_as_passed_over(photo_folder, capsys) -> None:
    folder = photo_folder("mixed", {"a.png": (8, 8)})
    for name in ("b.jfif", "c.JPE"):
        Image.new("RGB", (8, 8)).save(folder / name, "JPEG")
    for name in ("d.heic", "e.BMP", "f.gif", "g.avif", "h.CR2", "i.psd", "notes.txt", ".j.heic"):
        (folder / name).write_bytes(b"x")
    assert [path.name for path in list_images(folder)] == ["a.png", "b.jfif", "c.JPE"]
    told = capsys.readouterr().out
    assert "6 images of other kinds (d.heic, e.BMP, f.gif, g.avif, h.CR2, …) are passed over" in told
    assert told.count("\n") == 1 and "notes" not in told
    for name in ("a.png", "b.jfif", "c.JPE"):
        (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=r"holds no image but 6 images of other kinds \(d\.heic"):
        list_images(folder)
