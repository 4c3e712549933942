import hashlib
import json
import multiprocessing
import os
import pickle
import random
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import lmdb
import numpy as np
import pytest

from sr_utils import images
from sr_utils.config import FULL, configure
from sr_utils.data.build_store import build_split, build_store, plan_split
from sr_utils.data.pair import Pair
from sr_utils.data.store import Store, open_store
from sr_utils.data.swap import swapped_in
from sr_utils.data.windows import needed_bytes, plan_windows, window_starts
from sr_utils.paths import Paths

SIDES = ("HR_sub.lmdb", "LRx4_sub.lmdb")
KILLS = 30 if os.environ.get("SR_SOAK") else 3  # `make soak`


def _windows(photo: np.ndarray, size: int, step: int) -> list[np.ndarray]:
    """The sub-images of a photo, cut plainly."""
    height, width = (min(side, size) for side in photo.shape[:2])
    return [
        photo[top : top + height, left : left + width]
        for top in window_starts(photo.shape[0], height, step)
        for left in window_starts(photo.shape[1], width, step)
    ]


def _digest(store: Store) -> str:
    """Of all pixels; reading every sub-image proves that they are there."""
    parts = [part.tobytes() for index in range(len(store)) for part in store.read(index)]
    return hashlib.sha256(b"".join(parts)).hexdigest()


@pytest.mark.parametrize(
    ("side", "size", "step", "starts"),
    [
        (480, 480, 240, [0]),
        (481, 480, 240, [0, 1]),
        (720, 480, 240, [0, 240]),
        (1356, 480, 240, [0, 240, 480, 720, 876]),
        (100, 32, 40, [0, 40, 68]),
    ],
)
def test_window_starts(side: int, size: int, step: int, starts: list[int]) -> None:
    assert window_starts(side, size, step) == starts


@pytest.mark.parametrize(("size", "step"), [(480, 240), (480, 352), (32, 16), (64, 64)])
def test_windows_cover_every_pixel_and_the_last_ends_at_the_border(size: int, step: int) -> None:
    for side in range(size, size + 3 * step + 5, 4):
        covered = np.zeros(side, bool)
        for start in window_starts(side, size, step):
            covered[start : start + size] = True
        assert covered.all() and start + size == side


def test_a_2040_photo_gives_40_windows(tmp_path: Path, make_photo) -> None:
    photo = make_photo(1356, 2040)
    store = build_store([("0001", photo, None)], tmp_path / "store")
    assert len(store) == 40
    assert store.sizes.tolist() == [[480, 480]] * 40
    assert store.keys[0] == b"0001_s001" and store.keys[-1] == b"0001_s040"
    hr, lr = store.read(39)  # moved in at bottom and right
    np.testing.assert_array_equal(hr, photo[876:, 1560:])
    assert lr.shape == (120, 120, 3)
    # 40 windows of 691,200 bytes outgrow the first map; the file holds them and little more
    assert 40 * 480 * 480 * 3 < (tmp_path / "store" / SIDES[0] / "data.mdb").stat().st_size < 29_000_000


@pytest.mark.parametrize("codec", ["raw", "png"])
@pytest.mark.parametrize("workers", [1, 4])
def test_round_trip_is_byte_equal(
    tmp_path: Path, monkeypatch, photo_folder, make_photo, codec: str, workers: int
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: workers)
    folder = photo_folder("HR", {"a.png": (50, 71), "b.png": (32, 32), "c.png": (20, 60)})
    pairs = [(name, folder / f"{name}.png", None) for name in "abc"] + [
        ("d", make_photo(40, 44, 5), make_photo(10, 11, 6))
    ]
    store = build_store(pairs, tmp_path / "store", codec=codec, sub_image=32, step=16)
    expected = []
    for name, hr, lr in pairs:
        hr = images.read_image(hr) if isinstance(hr, Path) else hr
        hr = hr[: hr.shape[0] // 4 * 4, : hr.shape[1] // 4 * 4]
        lr = images.resize_bicubic(hr, 0.25) if lr is None else lr
        for n, pair in enumerate(zip(_windows(hr, 32, 16), _windows(lr, 8, 4), strict=True), 1):
            expected.append((f"{name}_s{n:03d}".encode(), *pair))
    assert store.keys == [key for key, _, _ in expected]
    for index, (_, hr, lr) in enumerate(expected):
        for stored, truth in zip(store.read(index), (hr, lr), strict=True):
            np.testing.assert_array_equal(stored, truth)
        hr_patch, lr_patch = store.read_patch(index, 1, 2, 3, 4)
        np.testing.assert_array_equal(hr_patch, hr[4:16, 8:24])
        np.testing.assert_array_equal(lr_patch, lr[1:4, 2:6])
        hr_patch[:] = 0  # a copy of its own
    assert not (tmp_path / "store.building").exists() and not (tmp_path / "store.old").exists()


def test_png_stores_are_the_fields_format(tmp_path: Path, make_photo) -> None:
    store = build_store([("a", make_photo(32, 48), None)], tmp_path / "s", codec="png", sub_image=32, step=16)
    for side, size in zip(SIDES, (32, 8), strict=True):
        lines = (tmp_path / "s" / side / "meta_info.txt").read_text(encoding="utf-8").splitlines()
        assert lines == [f"a_s00{n}.png ({size},{size},3) 1" for n in (1, 2)]
    store.close()
    with lmdb.open(str(tmp_path / "s" / SIDES[0]), readonly=True, lock=False) as environment:
        value = environment.begin().get(b"a_s002")
    assert value[:4] == b"\x89PNG"
    np.testing.assert_array_equal(images.decode_png(value), make_photo(32, 48)[:, 16:])


def test_map_grows_beyond_its_first_size(tmp_path: Path, monkeypatch, make_photo) -> None:
    real = lmdb.open
    sizes = []

    def small_map(path: str, map_size: int = 0, **options: object) -> lmdb.Environment:
        sizes.append(map_size)
        return real(path, map_size=2**15 if map_size else 2**30, **options)

    monkeypatch.setattr(lmdb, "open", small_map)
    photo = make_photo(128, 128)
    store = build_store([("a", photo, None)], tmp_path / "store", sub_image=64, step=32)
    assert sizes[0] > 0 and len(store) == 9
    np.testing.assert_array_equal(store.read(8)[0], photo[64:, 64:])
    assert (tmp_path / "store" / SIDES[0] / "data.mdb").stat().st_size > 2**16


def test_same_store_twice_is_one_object(small_store: Store, tmp_path: Path, monkeypatch) -> None:
    assert open_store(small_store.folder) is small_store
    monkeypatch.chdir(tmp_path)
    assert open_store("store") is small_store
    digest = _digest(small_store)
    small_store.close()
    with pytest.raises(ValueError, match="closed or rebuilt"):
        small_store.read(0)
    assert _digest(open_store("store")) == digest


def _tell_digest(store: Store, queue: multiprocessing.Queue) -> None:
    queue.put(_digest(store))


@pytest.mark.parametrize("method", sorted({"fork", "spawn"} & set(multiprocessing.get_all_start_methods())))
def test_other_processes_read_it_too(small_store: Store, method: str) -> None:
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    process = context.Process(target=_tell_digest, args=(small_store, queue))
    process.start()
    try:
        assert queue.get(timeout=60) == _digest(small_store)
    finally:
        process.join(60)
    assert process.exitcode == 0
    assert len(small_store.read(0)) == 2  # and the child's end closed nothing here


def test_pickling_within_a_process_and_after_a_rebuild(small_store: Store, make_photo) -> None:
    pickled = pickle.dumps(small_store)
    assert pickle.loads(pickled) is small_store
    build_store([("new", make_photo(32, 32, 9), None)], small_store.folder)
    with pytest.raises(ValueError, match="was rebuilt"):
        pickle.loads(pickled)


def test_up_to_date_stores_are_left_alone_and_changes_rebuild(tmp_path: Path, photo_folder) -> None:
    folder = photo_folder("HR", {"a.png": (32, 48), "b.png": (36, 32)})
    pairs = [(name, folder / f"{name}.png", None) for name in "ab"]
    options = {"sub_image": 32, "step": 16}

    def build(pairs: list = pairs, **changed: object) -> tuple[str, str]:
        description = build_store(pairs, tmp_path / "store", **options | changed).description
        return description["build_id"], description["fingerprint"]

    first = build()
    assert build() == first
    written_again = images.read_image(folder / "a.png")[::-1]
    images.write_image(folder / "a.png", written_again)
    second = build()
    assert second[0] != first[0] and second[1] != first[1]
    np.testing.assert_array_equal(open_store(tmp_path / "store").read(0)[0], written_again[:32, :32])
    seen = {first[0], second[0]}
    for changed in (
        {"step": 32},
        {"codec": "png"},
        {"sub_image": 16},
        {"pairs": pairs[:1]},
        {"smallest": 20},
    ):
        build_id, _ = build(**changed)
        assert build_id not in seen, changed
        seen.add(build_id)


def test_same_photos_have_the_same_fingerprint(tmp_path: Path, make_photo) -> None:
    made = [
        build_store([("a", make_photo(32, 48), None)], tmp_path / name, sub_image=32, step=16).description
        for name in ("one", "two")
    ]
    assert made[0]["fingerprint"] == made[1]["fingerprint"] and made[0]["build_id"] != made[1]["build_id"]


def test_rebuild_while_open(small_store: Store, make_photo) -> None:
    new = build_store([("new", make_photo(32, 32, 9), None)], small_store.folder)
    with pytest.raises(ValueError, match=r"was closed or rebuilt\. Open it again"):
        small_store.read(0)
    np.testing.assert_array_equal(new.read(0)[0], make_photo(32, 32, 9))
    assert open_store(small_store.folder) is new


def _build_noise(begun, folder: Path, seed: int) -> None:
    """A build of about half a second, in another process."""
    rng = np.random.default_rng(seed)
    pairs = [(f"p{n}", rng.integers(256, size=(240, 320, 3), dtype=np.uint8), None) for n in range(12)]
    begun.set()
    build_store(pairs, folder, codec="png", sub_image=96, step=48)


def _hold_build(begun, folder: Path) -> None:
    """A build that never ends, in another process."""
    with swapped_in(folder):  # which has told its process by now
        begun.set()
        time.sleep(1000)


def test_rebuild_by_another_process_is_noticed(small_store: Store, start_process) -> None:
    before = _digest(small_store)
    builder = start_process(_build_noise, small_store.folder, 1)
    builder.join(60)
    assert builder.exitcode == 0
    assert _digest(small_store) == before  # what is mapped stays readable
    opened = open_store(small_store.folder)
    assert opened is not small_store and len(opened.photos) == 12


def test_killed_builders_leave_the_old_store_the_new_one_or_none(tmp_path: Path, start_process) -> None:
    folder, rng, good = tmp_path / "store", random.Random(0), {}

    def run(seed: int, seconds: float | None) -> float:
        builder, began = start_process(_build_noise, folder, seed), time.monotonic()
        builder.join(seconds)
        builder.kill()
        builder.join()
        if seconds is None:
            assert builder.exitcode == 0
        try:
            store = open_store(folder)
        except FileNotFoundError:
            assert not good and seconds  # only before the first complete build
        else:
            assert len(store.photos) == 12
            digest = _digest(store)  # everything is there, and a known build is as it was
            assert good.setdefault(store.description["build_id"], digest) == digest
        return time.monotonic() - began

    run(0, 0.1)  # nothing to fall back on
    duration = run(0, None)
    for seed in range(1, KILLS + 1):
        run(seed, rng.uniform(0, duration))
    run(KILLS + 1, None)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".store.lock", "store"]


def test_an_interrupted_swap_is_finished(small_store: Store) -> None:
    digest, folder = _digest(small_store), small_store.folder
    small_store.close()
    folder.rename(folder.with_name("store.old"))  # killed between the two renames
    assert _digest(open_store(folder)) == digest
    assert not folder.with_name("store.old").exists()


def test_a_failed_build_keeps_the_old_store(small_store: Store, make_photo, photo_folder) -> None:
    digest = _digest(small_store)
    bad = photo_folder("bad", {"b.png": (32, 32)}) / "b.png"
    bad.write_bytes(bad.read_bytes()[:300])
    with pytest.raises(ValueError, match=r"b\.png"):
        build_store([("a", make_photo(32, 32), None), ("b", bad, None)], small_store.folder)
    assert _digest(small_store) == digest == _digest(open_store(small_store.folder))
    assert not small_store.folder.with_name("store.building").exists()


def test_a_living_builder_is_respected_and_a_killed_one_is_not(
    tmp_path: Path, make_photo, start_process
) -> None:
    folder, pairs = tmp_path / "store", [("a", make_photo(32, 32), None)]
    builder = start_process(_hold_build, folder)
    folder.with_name("store.old").mkdir()
    with pytest.raises(OSError, match=f"being built by process {builder.pid}"):
        build_store(pairs, folder)
    with pytest.raises(FileNotFoundError):
        open_store(folder)  # what the living builder has beside is not touched
    assert folder.with_name("store.building").exists() and folder.with_name("store.old").exists()
    builder.kill()
    builder.join()
    assert len(build_store(pairs, folder)) == 1


def test_of_builders_that_start_together_one_builds(tmp_path: Path, make_photo) -> None:
    pairs, outcomes = [(f"p{number}", make_photo(64, 64), None) for number in range(20)], []

    def build() -> None:
        together.wait()
        try:
            outcomes.append(len(build_store(pairs, tmp_path / "store", sub_image=32, step=4)))
        except OSError as error:
            outcomes.append(str(error))

    together = threading.Barrier(4)
    builders = [threading.Thread(target=build) for _ in range(4)]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join()
    whole = len(open_store(tmp_path / "store"))
    assert whole in outcomes and len(outcomes) == 4
    assert all(outcome == whole or "being built" in outcome for outcome in outcomes)


def _edit(path: Path, **changed: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changed), encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("truncated HR", r"HR_sub\.lmdb: expected \d+ bytes"),
        ("truncated LR", r"LRx4_sub\.lmdb: expected \d+ bytes"),
        ("same size, other content", r"HR_sub\.lmdb"),
        ("same size, lost pages", r"HR_sub\.lmdb cannot be read"),
        ("version", "expected version 2, got 1"),
        ("other LR", "LRx4_sub.lmdb belongs to another build"),
        ("count", r"HR_sub\.lmdb: expected \d+ sub-images, got \d+"),
        ("half json", "store.json is damaged"),
        ("empty json", "store.json is damaged"),
        ("list", "store.json is damaged"),
        ("no photos", r"store\.json is damaged.*photos"),
        ("no bytes", r"store\.json is damaged.*bytes"),
    ],
)
def test_damaged_stores_are_refused_and_built_anew(
    small_store: Store, tmp_path: Path, make_photo, damage: str, told: str
) -> None:
    folder = small_store.folder
    description, data = folder / "store.json", {side: folder / side / "data.mdb" for side in SIDES}
    sizes = {"a": (48, 64), "b": (32, 40), "c": (24, 32)}
    pairs = [(name, make_photo(*size, seed), None) for seed, (name, size) in enumerate(sizes.items())]
    good = _digest(small_store)
    small_store.close()
    if damage.startswith("truncated"):
        path = data[SIDES[damage.endswith("LR")]]
        os.truncate(path, path.stat().st_size // 2)
    elif damage.startswith("same size"):
        whole, kept = data[SIDES[0]].read_bytes(), 2 * 4096 if "pages" in damage else 0
        data[SIDES[0]].write_bytes(whole[:kept] + bytes(len(whole) - kept))
    elif damage == "version":
        _edit(description, version=1)
    elif damage == "other LR":
        other = build_store(pairs, tmp_path / "other", sub_image=32, step=16)
        shutil.copy(other.folder / SIDES[1] / "data.mdb", data[SIDES[1]])
    elif damage == "count":
        photos = json.loads(description.read_text(encoding="utf-8"))["photos"]
        photos[0]["windows"]["one_more"] = [0, 0]
        _edit(description, photos=photos)
    elif damage == "half json":
        os.truncate(description, description.stat().st_size // 2)
    elif damage in ("empty json", "list"):
        description.write_text("[]" if damage == "list" else "", encoding="utf-8")
    else:
        content = json.loads(description.read_text(encoding="utf-8"))
        del content[damage.split()[1]]
        description.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ValueError, match=told) as error:
        open_store(folder)
    assert "01_prepare_data" in str(error.value)  # the error, and what it holds, is alive as in a notebook
    assert _digest(build_store(pairs, folder, sub_image=32, step=16)) == good


def test_no_store_says_which_notebook_makes_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"store\.json is missing.*01_prepare_data"):
        open_store(tmp_path / "nothing")


def test_small_photos_are_named_or_counted(tmp_path: Path, make_photo) -> None:
    pairs = [
        ("big", make_photo(64, 64), None),
        ("low", make_photo(40, 80), None),
        ("dot", make_photo(3, 9), None),
    ]
    with pytest.raises(ValueError, match=r"2 of 3 photos .*low \(40×80\), dot \(3×9\)"):
        build_store(pairs, tmp_path / "store", smallest=48)
    with pytest.raises(ValueError, match=r"1 of 3 photos .*dot"):
        build_store(pairs, tmp_path / "store")
    assert not (tmp_path / "store").exists()
    store = build_store(pairs, tmp_path / "store", smallest=48, skip_small=True)
    assert [photo.name for photo in store.photos] == ["big"] and store.description["skipped"] == 2
    with pytest.raises(ValueError, match="3 of 3"):
        build_store(pairs, tmp_path / "other", smallest=100, skip_small=True)


@pytest.mark.parametrize(
    "options", [{"codec": "jpg"}, {"sub_image": 33}, {"step": 2}, {"step": 0}, {"sub_image": 0}]
)
def test_bad_options_are_told(tmp_path: Path, make_photo, options: dict) -> None:
    with pytest.raises(ValueError, match=str(next(iter(options.values())))):
        build_store([("a", make_photo(32, 32), None)], tmp_path / "store", **options)


def test_too_little_space_is_told_before_anything_is_written(tmp_path: Path, monkeypatch, make_photo) -> None:
    pairs = [("a", make_photo(128, 128), None)]
    needed = 128 * 128 * 3 * (1 + 1 / 16)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=needed))
    with pytest.raises(OSError, match=r"needs 0\.00 GB.*sub_image_step"):
        build_store(pairs, tmp_path / "store")
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=needed * 1.15 + 2**20))
    assert len(build_store(pairs, tmp_path / "store")) == 1


def test_a_store_takes_no_more_than_was_told(tmp_path: Path, make_photo) -> None:
    """LMDB begins each value on a page of its own: an LR value of 32×32 takes 4,096 bytes, not 3,072."""
    pairs = [Pair(str(seed), make_photo(512, 512, seed), None) for seed in range(2)]
    told = needed_bytes(plan_windows(pairs, 128, 32, 128, skip_small=False), "raw")
    store = build_store(pairs, tmp_path / "store", sub_image=128, step=32)
    assert 0.8 * told < sum(store.description["bytes"].values()) <= told


def test_names_of_any_script_become_ascii_keys(tmp_path: Path, make_photo) -> None:
    names = ["plain", "Strand-Äö", "写真", "with space (1)"]
    pairs = [(name, make_photo(32, 32, seed), None) for seed, name in enumerate(names)]
    store = build_store(pairs, tmp_path / "Ordner-ü", codec="png")
    assert [photo.name for photo in store.photos] == names
    assert store.keys == [b"plain_s001", b"photo00001_s001", b"photo00002_s001", b"photo00003_s001"]
    for seed in range(4):
        np.testing.assert_array_equal(store.read(seed)[0], make_photo(32, 32, seed))
    with pytest.raises(ValueError, match="Two photos are named plain"):
        build_store([*pairs, pairs[0]], tmp_path / "twice")


def test_pairs_that_do_not_match_are_refused(tmp_path: Path, make_photo) -> None:
    with pytest.raises(ValueError, match=r"expected LR \(8, 8\).*got \(8, 9\) for a"):
        build_store([("a", make_photo(32, 32), make_photo(8, 9))], tmp_path / "store")
    assert [path.name for path in tmp_path.iterdir()] == [".store.lock"]


@pytest.fixture
def foreign(tmp_path):
    """Two LMDBs as the field's own scripts write them: PNG values, meta_info.txt, no store.json."""
    rng = np.random.default_rng(0)
    photos = {f"{n:04d}_s001": rng.integers(0, 256, (48, 40, 3), dtype=np.uint8) for n in range(3)}
    for folder, scale in (("DIV2K_train_HR_sub.lmdb", 1), ("DIV2K_train_LR_bicubic_X4_sub.lmdb", 4)):
        environment = lmdb.open(str(tmp_path / folder), map_size=2**24)
        with environment.begin(write=True) as transaction:
            for key, photo in photos.items():
                bgr = np.ascontiguousarray(photo[::scale, ::scale, ::-1])
                transaction.put(key.encode(), cv2.imencode(".png", bgr)[1].tobytes())
        environment.close()
        shape = (48 // scale, 40 // scale)
        lines = [f"{key}.png ({shape[0]},{shape[1]},3) 1\n" for key in photos]
        (tmp_path / folder / "meta_info.txt").write_text("".join(lines), encoding="utf-8")
    return tmp_path, photos


def test_no_folder_of_other_files_is_replaced(foreign, photo_folder, make_photo) -> None:
    photos = photo_folder("photos", {"a.png": (48, 40)})
    for folder in (photos, foreign[0] / "DIV2K_train_HR_sub.lmdb", foreign[0]):
        before = sorted(folder.rglob("*"))
        with pytest.raises(ValueError, match="holds other files, which a store would replace"):
            build_store([("a", make_photo(48, 40), None)], folder)
        assert sorted(folder.rglob("*")) == before


def test_a_foreign_sub_image_that_is_missing_or_damaged_is_named(foreign) -> None:
    for value in (None, b"no PNG"):
        with (
            lmdb.open(str(foreign[0] / "DIV2K_train_HR_sub.lmdb"), map_size=2**24) as environment,
            environment.begin(write=True) as transaction,
        ):
            transaction.delete(b"0001_s001")
            transaction.put(b"0001_s001" if value else b"0001_s001.png", value or b"")
            transaction.delete(b"0001_s001.png") if value else None
        with pytest.raises(ValueError, match="sub-image 0001_s001 is missing or damaged"):
            open_store(foreign[0]).read(1)


def test_lmdbs_of_other_tools_are_read(foreign):
    folder, photos = foreign
    store = open_store(folder)
    assert len(store) == 3 and store.sizes.tolist() == [[48, 40]] * 3
    for index, photo in enumerate(photos.values()):
        hr, lr = store.read(index)
        assert (hr == photo).all() and (lr == photo[::4, ::4]).all()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda text: text.replace("48,40", "48,44"), "do not match"),
        (lambda text: text.splitlines(True)[0], "do not match"),
        (lambda text: "nonsense\n", "expected lines like"),
    ],
)
def test_lmdbs_of_other_tools_that_do_not_match_are_refused(foreign, change, told):
    listing = foreign[0] / "DIV2K_train_HR_sub.lmdb" / "meta_info.txt"
    listing.write_text(change(listing.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(ValueError, match=told):
        open_store(foreign[0])


def test_no_photos_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected at least one photo, got none"):
        build_store([], tmp_path / "store")


def test_a_profile_of_ones_own_has_a_store(tmp_path: Path, photo_folder) -> None:
    config = replace(FULL, profile="mine", hr_patch_size=32, sub_image=64, challenge=False)
    store = build_split(config, Paths(tmp_path, train_hr=photo_folder("photos", {"a.png": (64, 80)})))
    assert store.folder == tmp_path / "data" / "mine" / "train" and len(store) == 2


@pytest.mark.parametrize("codec", ["raw", "png"])
def test_a_store_takes_no_more_than_was_planned(tmp_path: Path, photo_folder, codec: str) -> None:
    photos = photo_folder("photos", {"a.png": (132, 200), "b.png": (96, 100)})
    config, paths = configure("demo", sub_image=96, sub_image_step=32, codec=codec), Paths(tmp_path, photos)
    count, size = plan_split(config, paths)
    store = build_split(config, paths)
    assert count == len(store.photos) == 2 and sum(store.description["bytes"].values()) <= size
