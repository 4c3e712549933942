import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from skimage.metrics import structural_similarity

from sr_utils import images, metrics
from sr_utils.data.pair import find_pairs, read_pair


def _noisy(image: np.ndarray, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 8, image.shape)
    return np.clip(np.round(image + noise), 0, 255).astype(np.uint8)


def test_difference_of_one_everywhere_is_48_13_db(make_photo) -> None:
    photo = make_photo(20, 24)
    assert metrics.psnr(photo + 1, photo, border=4) == pytest.approx(48.1308, abs=5e-5)
    grey = photo[..., :1].repeat(3, axis=2)
    flat = np.full_like(grey, 100)
    assert metrics.psnr(flat, flat, border=0) == math.inf
    # luma of grey g is 16 + g · 219/255, so a step of 1 in g is at most one step of Y
    assert metrics.psnr(grey + 1, grey, border=0, channel="y") >= 48.13


def test_only_the_border_is_cut(make_photo) -> None:
    photo = make_photo(24, 28)
    spoilt = photo.copy()
    spoilt[:4], spoilt[-4:], spoilt[:, :4], spoilt[:, -4:] = 0, 0, 0, 0
    assert metrics.psnr(spoilt, photo, border=4) == math.inf
    assert metrics.psnr(spoilt, photo, border=3) < 30
    assert metrics.ssim(spoilt, photo, border=4) == pytest.approx(1)


@pytest.mark.parametrize(
    ("color", "expected"),
    [((0, 0, 0), 16), ((255, 255, 255), 235), ((255, 0, 0), 81), ((0, 255, 0), 145), ((0, 0, 255), 41)],
)
def test_luma_is_bt601(color: tuple[int, int, int], expected: int) -> None:
    assert metrics.luma(np.full((1, 1, 3), color, np.uint8)).tolist() == [[[expected]]]


@pytest.mark.parametrize("border", [0, 4])
@pytest.mark.parametrize("channel", ["rgb", "y"])
def test_ssim_is_scikit_images(make_photo, border: int, channel: str) -> None:
    hr = make_photo(40, 52)
    sr = _noisy(hr)
    cut = np.s_[border : 40 - border, border : 52 - border]
    ours, truth = (metrics.luma(x[cut]) if channel == "y" else x[cut] for x in (sr, hr))
    expected = structural_similarity(
        ours,
        truth,
        data_range=255,
        channel_axis=2,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert 0.2 < expected < 0.98
    assert metrics.ssim(sr, hr, border=border, channel=channel) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("name", "y", "rgb"), [("Set5", 28.416, 26.692), ("Set14", 26.084, 24.462)])
def test_bicubic_reaches_the_published_psnr(sr_data: Path, name: str, y: float, rgb: float) -> None:
    pairs = find_pairs(sr_data / name / "HR", sr_data / name / "LR_bicubic_x4")
    decoded = {pair.name: read_pair(pair) for pair in pairs}
    bicubic = {photo: images.resize_bicubic(lr, 4) for photo, (_, lr) in decoded.items()}
    for channel, expected in (("y", y), ("rgb", rgb)):
        values = [metrics.psnr(bicubic[p], hr, border=4, channel=channel) for p, (hr, _) in decoded.items()]
        assert np.mean(values) == pytest.approx(expected, abs=0.002)


GOOD = np.zeros((24, 24, 3), np.uint8)


@pytest.mark.parametrize(
    ("sr", "options", "told"),
    [
        (GOOD[:-1], {}, r"\(23, 24, 3\) and \(24, 24, 3\)"),
        (GOOD.astype(np.float32), {}, "float32"),
        (GOOD, {"border": 12}, "border of 12"),
        (GOOD, {"border": -1}, "border of -1"),
        (GOOD, {"channel": "rgba"}, "rgba"),
    ],
)
@pytest.mark.parametrize("metric", [metrics.psnr, metrics.ssim])
def test_refusals_say_what_they_got(metric, sr: np.ndarray, options: dict, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        metric(sr, GOOD, **{"border": 4} | options)


def test_small_and_grey_images_are_refused() -> None:
    with pytest.raises(ValueError, match="11×11"):
        metrics.ssim(GOOD, GOOD, border=7)
    with pytest.raises(ValueError, match="same shape"):
        metrics.psnr(GOOD[..., 0], GOOD[..., 0], border=4)


def test_evaluate_tells_every_image_and_summarize_the_mean_per_image(make_photo) -> None:
    hr = {"small": make_photo(24, 28), "large": make_photo(40, 44, 1)}
    methods = {"b": {k: _noisy(v) for k, v in hr.items()}, "a": {k: v + 1 for k, v in hr.items()}}
    table = metrics.evaluate(hr, methods)
    assert list(table.index) == [("b", "small"), ("b", "large"), ("a", "small"), ("a", "large")]
    assert "PSNR dB (RGB, border 4)" in table and "SSIM (Y, border 4)" in table
    for (method, name), row in table.iterrows():
        for channel in ("rgb", "y"):
            value = metrics.psnr(methods[method][name], hr[name], border=4, channel=channel)
            assert row[metrics.column("PSNR", channel)] == value
            value = metrics.ssim(methods[method][name], hr[name], border=4, channel=channel)
            assert row[metrics.column("SSIM", channel)] == value
    means = metrics.summarize(table)
    assert list(means.index) == ["b", "a"]
    pd.testing.assert_series_equal(means.loc["b"], table.loc["b"].mean(), check_names=False)
    assert means.loc["a", "PSNR dB (RGB, border 4)"] == pytest.approx(48.1308, abs=5e-5)


@pytest.mark.parametrize("outputs", [{}, {"photo": GOOD[:20]}])
def test_evaluate_names_what_does_not_fit(outputs: dict) -> None:
    with pytest.raises(ValueError, match="ours, photo"):
        metrics.evaluate({"photo": GOOD}, {"ours": outputs})


def _with_dot(image: np.ndarray, row: int, column: int) -> np.ndarray:
    image = image.copy()
    image[row : row + 4, column : column + 4 : 2] = 0
    return image


WHITE = np.full((200, 240, 3), 255, np.uint8)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda photo: photo, True),
        (lambda photo: WHITE, False),
        (lambda photo: WHITE // 3, False),
        (lambda photo: _with_dot(WHITE, 100, 120), True),  # in the middle, where it is looked for first
        (lambda photo: _with_dot(WHITE, 8, 232), True),
        (lambda photo: _with_dot(WHITE, 0, 0)[:, :, :1].repeat(3, 2), True),
        (lambda photo: photo[:8, :40], True),  # too small to be measured, which says so itself
        (lambda photo: images.resize_bicubic(photo[:48, :60], 4), False),
    ],
)
def test_a_photo_that_bicubic_restores_exactly_has_no_detail(make_photo, make, expected: bool) -> None:
    hr = make(make_photo(200, 240))
    enlarged = hr.shape == (192, 240, 3)
    lr = make_photo(200, 240)[:48, :60] if enlarged else images.resize_bicubic(hr, 0.25)
    assert metrics.has_detail(hr, lr) is expected
    if min(hr.shape[:2]) > 8:
        db = metrics.psnr(images.resize_bicubic(lr, 4), hr, border=4, channel="y")
        assert math.isfinite(db) is expected
