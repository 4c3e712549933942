"""Figures of images: their pixels are those that were passed."""

import itertools

import numpy as np
import pandas as pd
import pytest

from sr_utils.views.charts import draw_ablations
from sr_utils.views.figures import draw_split, draw_zoom, most_different_box


def test_a_split_shows_the_left_of_one_and_the_right_of_the_other() -> None:
    first, second = (np.full((6, 11, 3), level, np.uint8) for level in (10, 200))
    figure = draw_split({"bicubic": first, "network": second})
    (axes,) = figure.axes
    shown = axes.images[0].get_array()
    assert (shown[:, :5] == 10).all() and (shown[:, 5:] == 200).all() and shown.shape == (6, 11, 3)
    assert [text.get_text() for text in axes.texts] == ["bicubic", "network"]
    assert axes.images[0].get_interpolation() == "nearest"


def test_a_zoom_shows_the_same_detail_of_every_method(make_photo) -> None:
    hr = make_photo(96, 128)
    bicubic = hr.copy()
    bicubic[16:80, 40:104] ^= 8  # 64×64, where the two differ most
    assert most_different_box(bicubic, hr) == (16, 40, 64, 64)
    methods = {"HR": hr, "bicubic": bicubic, "a": hr, "b": bicubic, "c": hr, "d": hr}
    whole, *zooms = draw_zoom(methods, title="photo").axes
    np.testing.assert_array_equal(whole.images[0].get_array(), hr)
    for axes, (method, image) in zip(zooms, methods.items(), strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), image[16:80, 40:104])
        assert axes.get_title().startswith(f"{method}\n")
    assert zooms[0].get_title() == "HR\ntruth" and zooms[1].get_title().endswith(" dB")


def test_a_zoom_shows_the_box_it_is_given_of_every_method(make_photo) -> None:
    hr = make_photo(96, 128)
    lr = hr[::4, ::4].copy()
    whole, *zooms = draw_zoom({"HR": hr, "LR": lr, "net": hr // 2}, title="photo", box=(10, 21, 30, 50)).axes
    (frame,) = whole.patches
    assert (*frame.get_xy(), frame.get_width(), frame.get_height()) == (21, 10, 50, 30)
    inside = np.s_[10:40, 21:71]
    for axes, image in zip(zooms, (hr, lr.repeat(4, 0).repeat(4, 1), hr // 2), strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), image[inside])
    for box in ((-1, 0, 8, 8), (90, 0, 8, 8), (0, 125, 8, 8), (0, 0, 0, 8)):
        with pytest.raises(ValueError, match=r"box: expected .* inside 96×128 pixels, got \("):
            draw_zoom({"HR": hr}, box=box)


def test_ablations_are_sorted_and_told_with_mark_and_figure() -> None:
    verdicts = ["helps", "hurts", "not decidable"]
    columns = {"gain in dB": [0.5, -0.2, 0.01], "from": [0.4, -0.3, -0.1], "to": [0.6, -0.1, 0.2]}
    gains = pd.DataFrame(columns | {"at this budget": verdicts}, index=["A", "B", "C"])
    (axes,) = draw_ablations(gains).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["B", "C", "A"]
    assert [text.get_text() for text in axes.texts] == ["−0.200", "+0.010", "+0.500"]
    lines = [line.get_xydata() for line in axes.lines]
    for row, (_, found) in enumerate(gains.sort_values("gain in dB").iterrows()):
        interval, point = lines[2 * row], lines[2 * row + 1]
        assert interval[:, 0] == pytest.approx([found["from"], found["to"]])
        assert point[0] == pytest.approx([found["gain in dB"], row])


def test_names_over_the_details_do_not_meet() -> None:
    photo = np.random.default_rng(0).integers(256, size=(96, 96, 3), dtype=np.uint8)
    runs = (
        "MSRResNet-20 with a light tail · 36,900 steps",
        "MSRResNet-20 · hr patch size 192, seed 1, learning rate 0.001",
    )
    methods = ["HR", "bicubic", *(f"{run}{n}" for n in range(3) for run in runs), "CARN · 2,000 steps", "LR"]
    figure = draw_zoom(dict.fromkeys(methods, photo), title="photo", box=(0, 0, 30, 30))
    figure.draw_without_rendering()
    boxes = [axes.title.get_window_extent() for axes in figure.axes]
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
    details = [axes.get_window_extent() for axes in figure.axes]
    assert not any(title.overlaps(detail) for title in boxes for detail in details)
