import numpy as np
import pytest
from PIL import Image

from sr_utils import images
from sr_utils.data.pair import Pair, conversion_note, find_pairs, read_centres, read_pair


@pytest.mark.parametrize("suffix", ["", "x4"])
def test_pairs_by_name_in_both_namings(photo_folder, suffix: str) -> None:
    hr = photo_folder("HR", {"0002.png": (16, 20), "0001.png": (12, 24)})
    lr = photo_folder("LR", {f"0001{suffix}.png": (3, 6), f"0002{suffix}.png": (4, 5)})
    pairs = find_pairs(hr, lr)
    assert pairs == [
        Pair("0001", hr / "0001.png", lr / f"0001{suffix}.png"),
        Pair("0002", hr / "0002.png", lr / f"0002{suffix}.png"),
    ]
    decoded = read_pair(pairs[0])
    np.testing.assert_array_equal(decoded[0], images.read_image(hr / "0001.png"))
    np.testing.assert_array_equal(decoded[1], images.read_image(lr / f"0001{suffix}.png"))


def test_photos_without_an_lr_folder_are_reduced(photo_folder) -> None:
    (pair,) = find_pairs(photo_folder("HR", {"a.png": (16, 20)}), None)
    hr, lr = read_pair(pair)
    np.testing.assert_array_equal(lr, images.resize_bicubic(hr, 0.25))


SIZES = {"0001": (16, 20), "0002": (16, 20)}


@pytest.mark.parametrize(
    ("hr", "lr", "told"),
    [
        (SIZES, {"0001x4": (4, 5)}, r"1 images have no partner in .*LR.*0002x4"),
        (SIZES, {"0001": (4, 5), "0002": (4, 5), "0003": (4, 5)}, r"1 images have no partner in .*HR.*0003"),
        (SIZES, {"0001": (4, 5), "0002x4": (4, 5)}, "0002"),
        (SIZES, {"0001": (4, 5), "0002": (4, 6)}, r"expected LR \(4, 5\).*got \(4, 6\) for 0002"),
        (SIZES, {"0001x4": (5, 4), "0002x4": (4, 5)}, r"got \(5, 4\) for 0001"),
        ({"0001": (19, 23)}, {"0001": (5, 5)}, r"expected LR \(4, 5\) for HR \(19, 23\)"),
    ],
)
def test_what_does_not_match_is_named(photo_folder, hr: dict, lr: dict, told: str) -> None:
    folders = [
        photo_folder(name, {f"{stem}.png": size for stem, size in side.items()})
        for name, side in (("HR", hr), ("LR", lr))
    ]
    with pytest.raises(ValueError, match=told):
        find_pairs(*folders)


def test_odd_sides_are_cut_at_bottom_and_right(photo_folder, make_photo) -> None:
    hr = photo_folder("HR", {"odd.png": (18, 23)})
    lr = photo_folder("LR", {"odd.png": (4, 5)})
    whole = images.read_image(hr / "odd.png")
    for folder in (lr, None):
        cut, small = read_pair(find_pairs(hr, folder)[0])
        np.testing.assert_array_equal(cut, whole[:16, :20])
        assert small.shape == (4, 5, 3)
    with pytest.raises(ValueError, match="tiny: 3×9"):
        read_pair(Pair("tiny", make_photo(3, 9), None))
    with pytest.raises(ValueError, match="for arrays"):
        read_pair(Pair("arrays", make_photo(16, 20), make_photo(4, 4)))


def test_unreadable_photos_are_found_before_they_are_decoded(photo_folder) -> None:
    folder = photo_folder("photos", {"a.png": (8, 8)})
    (folder / "bad.png").write_text("x", encoding="utf-8")
    with pytest.raises(ValueError, match=r"bad\.png"):
        find_pairs(folder, None)


def test_conversion_note_counts_kinds(photo_folder) -> None:
    folder = photo_folder("photos", {"a.png": (8, 8)})
    assert conversion_note(find_pairs(folder, None)) == ""
    for name, mode in (("b", "L"), ("c", "L"), ("d", "P")):
        Image.new(mode, (8, 8)).save(folder / f"{name}.png")
    assert conversion_note(find_pairs(folder, None)) == "converted to RGB: 2 grey, 1 palette"


def test_the_centres_of_large_and_small_photos(tmp_path) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (30, 41, 3), np.uint8)
    images.write_image(tmp_path / "a.png", photo)
    (pair,) = read_centres([tmp_path / "a.png"], side=20)
    assert pair.name == "a" and pair.lr is None
    np.testing.assert_array_equal(pair.hr, photo[5:25, 10:30])
    np.testing.assert_array_equal(read_centres([tmp_path / "a.png"])[0].hr, photo)
