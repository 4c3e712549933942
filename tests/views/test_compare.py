"""What compare.py composes, without a browser (browser/test_compare_browser.py looks at pixels)."""

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image
from traitlets import TraitError

from sr_utils.images import decode_png
from sr_utils.metrics import psnr, ssim
from sr_utils.views.compare import compare, compare_html
from sr_utils.views.compare import widget as widget_module
from sr_utils.views.compare.plan import find_all_details, find_details, find_reach
from sr_utils.views.compare.widget import Comparison


def _noise(height: int = 32, width: int = 48, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def images() -> dict[str, dict[str, np.ndarray]]:
    hr = _noise()
    first = {"LR": hr[::4, ::4].copy(), "bicubic": hr // 2, "ours": hr - hr % 8, "HR": hr}
    return {"first": first, "second": {"bicubic": _noise(20, 24, 1), "ours": _noise(20, 24, 2)}}


def _page_data(text: str) -> list[dict]:
    return json.loads(
        re.search(r'renderPage\(document.querySelector\(".sr-compare"\), (.*)\);', text).group(1)
    )


def _ask(widget: Comparison, monkeypatch, **asked) -> tuple[dict, list[bytes]]:
    """What the widget answers to the script."""
    answers = []
    monkeypatch.setattr(widget, "send", lambda answer, buffers=(): answers.append((answer, buffers)))
    widget._answer(widget, {"image": widget.image, **asked}, [])
    widget._later.submit(lambda: None).result()
    (answer,) = answers
    return answer


def test_the_widget_begins_with_bicubic_and_the_last_method_that_is_not_the_truth(images):
    widget = compare(images)
    assert (widget.image, widget.left, widget.right) == ("first", "bicubic", "ours")
    entry = widget.entry
    assert (entry["image"], entry["height"], entry["width"], entry["border"]) == ("first", 32, 48, 4)
    assert widget.box == entry["details"][0] == (0, 0, 32, 32) or widget.box[2:] == (32, 32)
    pieces = {piece["method"]: piece for piece in entry["pieces"]}
    assert set(pieces) == {"bicubic", "ours", "HR"}
    assert all((decode_png(piece["data"]) == images["first"][name]).all() for name, piece in pieces.items())


def test_what_is_asked_for_is_sent_exactly(images, monkeypatch):
    widget = compare(images)
    answer, (whole, part) = _ask(widget, monkeypatch, pieces=[["LR", None], ["LR", [0, 16, 32, 32]]])
    assert [piece["box"] for piece in answer["pieces"]] == [[0, 0, 32, 48], [0, 16, 32, 32]]
    assert (decode_png(whole) == images["first"]["LR"]).all()
    assert (decode_png(part) == images["first"]["LR"][:, 4:]).all()
    answer, _ = _ask(widget, monkeypatch, side="LR")
    enlarged = images["first"]["LR"].repeat(4, 0).repeat(4, 1)
    assert answer["side"]["psnr"] == psnr(enlarged, images["first"]["HR"], border=4)
    assert answer["side"]["ssim"] == ssim(enlarged, images["first"]["HR"], border=4)
    answer, _ = _ask(widget, monkeypatch, details=["LR", "ours"])
    assert answer["pair"] == ["LR", "ours"] and answer["details"] == find_details(
        images["first"], "LR", "ours"
    )


def test_of_a_large_photo_only_what_is_seen_is_sent(monkeypatch):
    hr = _noise(1356, 2040)
    methods = {"HR": hr, "bicubic": hr // 2} | {f"net {number}": hr - number for number in range(6)}
    widget = compare({"large": methods})
    pieces = widget.entry["pieces"]
    assert {piece["method"] for piece in pieces} == {"HR", "bicubic", "net 5"}
    pixels = sum(np.prod(decode_png(piece["data"]).shape[:2]) for piece in pieces)
    assert pixels < 0.4 * hr.shape[0] * hr.shape[1]
    for piece in pieces:
        top, left, height, width = piece["box"]
        if piece["step"] == 1:
            shown = methods[piece["method"]][top : top + height, left : left + width]
            assert (decode_png(piece["data"]) == shown).all() and max(height, width) <= 256


def test_another_image_keeps_the_methods_that_it_has(images):
    widget = compare({"a": images["first"], **images})
    widget.left, widget.right = "ours", "HR"
    widget.image = "second"  # has neither HR nor LR
    assert (widget.left, widget.right) == ("ours", "ours")
    assert widget.entry["methods"] == ["bicubic", "ours"] and widget.entry["truth"] is None
    widget.image = "a"
    assert widget.right == "ours" and len(widget.entry["methods"]) == 4
    with pytest.raises(TraitError, match=r"left: expected one of \['LR', .*got 'net'"):
        widget.left = "net"


def test_an_equal_image_is_called_identical(images, monkeypatch):
    images["first"]["copy"] = images["first"]["HR"].copy()
    answer, _ = _ask(compare(images), monkeypatch, side="copy")
    assert answer["side"] == {"method": "copy", "psnr": "identical", "ssim": pytest.approx(1)}
    answer, _ = _ask(compare(images), monkeypatch, side="HR")
    assert answer["side"] == {"method": "HR", "psnr": "reference", "ssim": "reference"}


def test_the_details_are_where_the_errors_of_the_two_differ_most():
    hr = _noise(200, 300) // 2
    left, right = hr.copy(), hr.copy()
    left[72:136, 128:192] += 60  # where left alone errs
    left[0:64, 0:64] += 90  # where both err alike: nothing to tell
    right[0:64, 0:64] += 90
    right[136:200, 232:296] += 20  # where right alone errs, less
    methods = {"HR": hr, "left": left, "right": right}
    details = find_details(methods, "left", "right")
    assert len(details) == 5
    assert details[:2] == [(72, 128, 64, 64), (136, 232, 64, 64)]
    assert find_details({"left": left, "right": hr}, "left", "right")[0] == (0, 0, 64, 64)  # without a truth
    assert find_all_details(methods)["left"]["right"] == details


def test_the_map_ends_where_one_pixel_in_a_hundred_does():
    hr = np.full((60, 60, 3), 100, np.uint8)
    assert find_reach({"HR": hr, "a": hr + 30, "b": hr + 3}, "a", "b") == 32
    assert find_reach({"HR": hr, "a": hr + 3, "b": hr + 3}, "a", "b") == 8
    assert find_reach({"a": hr + 150, "b": hr}, "a", "b") == 128


@pytest.mark.parametrize(
    ("methods", "options", "message"),
    [
        ({}, {}, "x: expected at least two methods to compare, got []"),
        ({"bicubic": _noise()}, {}, "x: expected at least two methods"),
        ({"bicubic": _noise(), "net": _noise(32, 44)}, {}, "x, net: expected 32×48 pixels.*got 32×44"),
        ({"bicubic": _noise(), "HR": _noise(8, 12)}, {}, "x, HR: expected 32×48"),
        ({"bicubic": _noise(), "net": _noise() / 255}, {}, r"x, net: .* got float64 \(32, 48, 3\)"),
        ({"bicubic": _noise(), "net": _noise()[..., 0]}, {}, r"x, net: .* got uint8 \(32, 48\)"),
        ({"bicubic": _noise(), "net": "net.png"}, {}, "x, net: .* got str"),
        ({"a": _noise(), "b": _noise()}, {}, r"x: expected left to be one of \['a', 'b'\], got 'bicubic'"),
        ({"a": _noise(), "b": _noise()}, {"left": "a", "right": "c"}, "x: expected right .* got 'c'"),
        ({"bicubic": _noise(16, 16), "HR": _noise(16, 16)}, {}, "x: SSIM needs .* border 4, got 16×16"),
    ],
)
def test_wrong_input_is_named(methods, options, message):
    with pytest.raises(ValueError, match=message.replace("[]", r"\[\]")):
        compare({"x": methods}, **options)


def test_no_image_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at least one image"):
        compare({})
    with pytest.raises(ValueError, match="at least one image"):
        compare_html({}, tmp_path / "page.html")
    assert not list(tmp_path.iterdir())


def test_a_notebook_without_its_kernel_shows_a_still_and_says_what_to_do(images, monkeypatch):
    shown = []
    monkeypatch.setattr(widget_module, "display", lambda data, raw, metadata=None: shown.append(data))
    compare(images)._ipython_display_()
    assert "application/vnd.jupyter.widget-view+json" in shown[0]
    assert shown[0]["text/plain"] == "Comparison of first, second"
    assert min(decode_png(shown[1]["image/png"]).shape[:2]) > 100
    assert "Run this cell" in shown[2]["text/plain"] and "report/compare.html" in shown[2]["text/html"]


def test_the_page_holds_every_pixel_and_figure(images, tmp_path):
    page = compare_html(images, tmp_path / "deep" / "page.html")
    assert page == tmp_path / "deep" / "page.html" and list(page.parent.iterdir()) == [page]
    text = page.read_text(encoding="utf-8")
    assert "stored without loss" in text and not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)
    first, second = _page_data(text)
    assert list(first["sides"]) == ["LR", "bicubic", "ours", "HR"]
    assert (first["left"], first["right"], second["image"]) == ("bicubic", "ours", "second")
    for method, side in first["sides"].items():
        head, data = side["data"].split(",")
        assert head == "data:image/webp;base64" and not side["lossy"]
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
        assert (pixels == images["first"][method]).all()
    assert first["sides"]["bicubic"]["psnr"] == psnr(
        images["first"]["bicubic"], images["first"]["HR"], border=4
    )
    assert second["sides"]["bicubic"]["psnr"] is None
    assert first["details"]["bicubic"]["ours"] == [
        list(box) for box in find_details(images["first"], "bicubic", "ours")
    ]


def test_a_large_page_tells_which_methods_are_not_exact(images, tmp_path):
    exact = _page_data(compare_html(images, tmp_path / "exact.html").read_text(encoding="utf-8"))
    size = sum(len(side["data"]) for entry in exact for side in entry["sides"].values())
    page = compare_html(images, tmp_path / "page.html", limit=size - 500)  # too little for one method
    text = page.read_text(encoding="utf-8")
    entries = _page_data(text)
    lossy = {method for entry in entries for method, side in entry["sides"].items() if side["lossy"]}
    assert lossy and not lossy & {"HR", "ours"}  # the truth and the right side come first
    told = re.search(r"stored with loss \(WebP, quality 90\): (.*?)\.", text).group(1)
    assert set(told.split(", ")) == lossy
    assert entries[0]["sides"]["bicubic"]["psnr"] == exact[0]["sides"]["bicubic"]["psnr"]
    for method, image in images["first"].items():
        data = entries[0]["sides"][method]["data"].split(",")[1]
        same = (np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))) == image).all()
        assert same == (method not in lossy)
    text = compare_html(images, tmp_path / "page.html", limit=10).read_text(encoding="utf-8")
    assert "quality 90" in text and "without loss" not in text


def test_no_name_breaks_out_of_the_page(images, tmp_path):
    evil = "</script><script>alert('x')</script>"
    methods = {evil if method == "ours" else method: image for method, image in images["first"].items()}
    text = compare_html({evil: methods}, tmp_path / "page.html", title=f"{evil} & </title>").read_text(
        encoding="utf-8"
    )
    assert text.count("</script>") == 1 and text.count("</title>") == 1
    assert _page_data(text)[0]["image"] == evil
    assert "&lt;/script&gt;" in text
