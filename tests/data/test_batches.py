import itertools
import threading
from pathlib import Path

import numpy as np
import psutil
import pytest

from sr_utils.ahead import ahead
from sr_utils.data.batches import PatchSampler, random_generator
from sr_utils.data.build_store import build_store
from sr_utils.data.store import Store


def _sampler(store: Store, **changed: object) -> PatchSampler:
    return PatchSampler(store, **{"hr_patch_size": 16, "batch_size": 4, "seed": 7} | changed)


def _labelled_photo(height: int, width: int, label: int) -> np.ndarray:
    """Every LR pixel's 4×4 block says where it is: (label, row, column); the block itself is flat."""
    rows, columns = np.mgrid[: height // 4, : width // 4]
    lr = np.stack([np.full_like(rows, label), rows, columns], axis=-1).astype(np.uint8)
    return lr.repeat(4, axis=0).repeat(4, axis=1)


def _labelled_store(folder: Path) -> Store:
    """Three photos of other sizes, each one sub-image, whose pixels tell their place."""
    hrs = [_labelled_photo(*size, label) for label, size in enumerate([(48, 64), (24, 80), (16, 16)])]
    return build_store(
        [(f"p{n}", hr, hr[::4, ::4]) for n, hr in enumerate(hrs)], folder, sub_image=80, step=80
    )


def test_a_batch_is_a_pure_function_of_seed_and_step(small_store: Store) -> None:
    steps = [0, 1, 2, 5, 10**12]
    first = {step: _sampler(small_store).batch(step) for step in steps}
    sampler = _sampler(small_store)
    for step in reversed(steps):
        for ours, expected in zip(sampler.batch(step), first[step], strict=True):
            np.testing.assert_array_equal(ours, expected)
    digests = {lr.tobytes() for lr, _ in first.values()} | {
        _sampler(small_store, seed=8).batch(0)[0].tobytes()
    }
    assert len(digests) == len(steps) + 1


@pytest.mark.parametrize(("depth", "workers"), [(0, 1), (2, 1), (5, 3)])
def test_working_ahead_changes_nothing(small_store: Store, depth: int, workers: int) -> None:
    sampler = _sampler(small_store)
    got = list(ahead(sampler.batch, range(3, 9), depth=depth, workers=workers))
    assert [step for step, _ in got] == list(range(3, 9))
    for step, batch in got:
        for ours, expected in zip(batch, sampler.batch(step), strict=True):
            np.testing.assert_array_equal(ours, expected)


def test_working_ahead_is_bounded_and_tells_errors_in_their_turn() -> None:
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        if item == 3:
            raise ValueError("item 3")
        return 10 * item

    results = ahead(work, itertools.count(), depth=2)  # never ends by itself
    for item in range(3):
        assert next(results) == (item, 10 * item)
        assert max(begun) <= item + 2
    with pytest.raises(ValueError, match="item 3"):
        next(results)
    before = threading.active_count()
    list(ahead(str, range(5), workers=2))
    assert threading.active_count() == before


def test_errors_of_the_store_reach_the_caller(small_store: Store) -> None:
    batches = ahead(_sampler(small_store).batch, range(100))
    next(batches)
    small_store.close()
    with pytest.raises(ValueError, match="closed or rebuilt"):
        list(batches)


@pytest.mark.parametrize("codec", ["raw", "png"])
def test_hr_and_lr_show_the_same_place(tmp_path: Path, make_photo, box_average, codec: str) -> None:
    """LR is made by box averaging, which turns and mirrors with HR: so must every pair of patches."""
    rng = np.random.default_rng(0)
    pairs = []
    for name, (height, width) in {"a": (96, 64), "b": (40, 56)}.items():
        lr = rng.integers(8, 248, (height // 4, width // 4, 3))
        noise = rng.integers(-8, 8, (height // 4, 4, width // 4, 4, 3))
        noise[:, 2:] = -noise[:, :2]  # so that the mean of every block is a whole number
        hr = (lr[:, None, :, None] + noise).reshape(height, width, 3)
        pairs.append((name, hr.astype(np.uint8), lr.astype(np.uint8)))
    store = build_store(pairs, tmp_path / "store", codec=codec, sub_image=48, step=24)
    sampler = _sampler(store, batch_size=64)
    seen = set()
    for step in range(4):
        lr, hr = sampler.batch(step)
        assert (lr.shape, hr.shape, lr.dtype, hr.dtype) == (
            (64, 4, 4, 3),
            (64, 16, 16, 3),
            np.uint8,
            np.uint8,
        )
        np.testing.assert_array_equal(box_average(hr), lr)
        seen |= {patch.tobytes() for patch in lr}
    assert len(seen) > 200


@pytest.mark.parametrize(("flip", "rotate", "count"), [(True, True, 8), (True, False, 4), (False, True, 2)])
def test_orientations_are_equally_likely(tmp_path: Path, flip: bool, rotate: bool, count: int) -> None:
    hr = _labelled_photo(16, 16, 0)
    store = build_store([("a", hr, hr[::4, ::4])], tmp_path / "store")
    sampler = _sampler(store, batch_size=2000, flip=flip, rotate=rotate)
    lr, turned = sampler.batch(0)
    expected = {}
    for transposed, upside, mirrored in itertools.product((0, 1), repeat=3):
        image = hr.transpose(1, 0, 2) if transposed else hr
        expected[image[:: 1 - 2 * upside, :: 1 - 2 * mirrored].tobytes()] = (transposed, upside, mirrored)
    assert len(expected) == 8
    counts: dict[tuple, int] = {}
    for patch in turned:
        orientation = expected[patch.tobytes()]
        counts[orientation] = counts.get(orientation, 0) + 1
    assert len(counts) == count
    assert max(abs(n - 2000 / count) for n in counts.values()) < 4 * (2000 / count) ** 0.5
    np.testing.assert_array_equal(lr, turned[:, ::4, ::4])


def test_every_position_is_equally_likely(tmp_path: Path) -> None:
    sampler = _sampler(_labelled_store(tmp_path / "store"), batch_size=5000, flip=False, rotate=False)
    corners = np.concatenate([sampler.batch(step)[0][:, 0, 0] for step in range(4)])
    positions = {
        (label, row, column)
        for label, (rows, columns) in enumerate([(9, 13), (3, 17), (1, 1)])
        for row in range(rows)
        for column in range(columns)
    }
    found, counts = np.unique(corners, axis=0, return_counts=True)
    assert {tuple(map(int, corner)) for corner in found} == positions  # also the very last corner
    expected = len(corners) / len(positions)
    chi_square = ((counts - expected) ** 2 / expected).sum()
    freedom = len(positions) - 1
    assert abs(chi_square - freedom) < 4 * (2 * freedom) ** 0.5


def test_patches_that_do_not_fit_name_the_sub_image(small_store: Store) -> None:
    with pytest.raises(ValueError, match=r"28 pixels does not fit into sub-image c_s001 \(24×32\)"):
        _sampler(small_store, hr_patch_size=28)
    assert _sampler(small_store, hr_patch_size=24).batch(0)[1].shape == (4, 24, 24, 3)


def test_of_several_draws_the_patch_with_most_detail_is_taken(tmp_path: Path, make_photo) -> None:
    """One photo is flat, one is not: of k draws all must be flat for a flat patch."""
    detailed, flat = make_photo(64, 64), np.full((64, 64, 3), 9, np.uint8)
    photos = [("a", detailed, detailed[::4, ::4].copy()), ("b", flat, flat[::4, ::4].copy())]
    store = build_store(photos, tmp_path / "store", sub_image=64, step=64)
    for draws in (1, 2, 4):
        sampler = _sampler(store, batch_size=400, draws=draws)
        lr, hr = sampler.batch(0)
        is_flat = (lr == 9).all(axis=(1, 2, 3))
        assert is_flat.mean() == pytest.approx(0.5**draws, abs=0.08)
        np.testing.assert_array_equal(is_flat, (hr == 9).all(axis=(1, 2, 3)))
        np.testing.assert_array_equal(sampler.batch(0)[0], lr)


@pytest.mark.parametrize(
    "changed", [{"hr_patch_size": 18}, {"hr_patch_size": 0}, {"batch_size": 0}, {"draws": 0}, {"seed": -1}]
)
def test_bad_arguments_are_told(small_store: Store, changed: dict) -> None:
    with pytest.raises(ValueError, match=f"got .*{next(iter(changed.values()))}"):
        _sampler(small_store, **changed)


def test_random_numbers_depend_on_seed_step_and_stream() -> None:
    keys = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 2**40, 0)]
    draws = {key: random_generator(*key).integers(2**62, size=3).tolist() for key in keys}
    assert len({tuple(values) for values in draws.values()}) == len(keys)
    for key, values in draws.items():
        assert random_generator(*key).integers(2**62, size=3).tolist() == values
    # streams of one step must not be one sequence shifted by a few numbers
    long = {tuple(random_generator(0, 0, n).integers(2**62, size=500).tolist()) for n in range(6)}
    assert len(set(itertools.chain.from_iterable(long))) == 3000


def test_memory_stays_flat_over_10_000_batches(small_store: Store) -> None:
    sampler = PatchSampler(small_store, hr_patch_size=16, batch_size=4, seed=0)
    process, sizes = psutil.Process(), []
    for step, _ in ahead(sampler.batch, range(10_000)):
        if step in (1_000, 9_999):
            sizes.append(process.memory_info().rss)
    assert sizes[1] - sizes[0] < 4e6  # bytes; one leaked batch a step would be 30e6
