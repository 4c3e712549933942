"""What compare.py composes, without a browser (browser/test_compare_browser.py looks at pixels)."""

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from sr_utils.images import decode_png
from sr_utils.metrics import psnr, ssim
from sr_utils.views import compare as module
from sr_utils.views.compare import compare, compare_html


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


def test_the_widget_begins_with_bicubic_and_the_last_method_that_is_not_the_truth(images):
    widget = compare(images)
    pair = widget.view.pair
    assert (widget.image.value, widget.left_method.value, widget.right_method.value) == (
        "first",
        "bicubic",
        "ours",
    )
    assert (pair["image"], pair["height"], pair["width"], pair["note"]) == ("first", 32, 48, "RGB, border 4")
    assert (decode_png(pair["right"]["data"]) == images["first"]["ours"]).all()
    assert pair["left"]["psnr"] == psnr(images["first"]["bicubic"], images["first"]["HR"], border=4)
    assert pair["left"]["ssim"] == ssim(images["first"]["bicubic"], images["first"]["HR"], border=4)


def test_only_the_pair_shown_is_sent_and_every_choice_sends_once(images):
    widget = compare(images)
    sent = []
    widget.view.observe(lambda change: sent.append(change["new"]), "pair")
    widget.left_method.value = "LR"
    enlarged = images["first"]["LR"].repeat(4, 0).repeat(4, 1)
    assert sent[-1]["left"]["psnr"] == psnr(enlarged, images["first"]["HR"], border=4)
    assert decode_png(sent[-1]["left"]["data"]).shape == (8, 12, 3)
    widget.right_method.value = "HR"
    assert (sent[-1]["right"]["psnr"], sent[-1]["right"]["ssim"]) == ("reference", "reference")
    assert len(sent) == 2 and set(sent[-1]) >= {"left", "right"} and "methods" not in sent[-1]


def test_another_image_keeps_the_methods_that_it_has(images):
    widget = compare({"a": images["first"], **images})
    widget.left_method.value, widget.right_method.value = "ours", "HR"
    widget.image.value = "second"  # has neither HR nor LR
    assert (widget.left_method.value, widget.right_method.value) == ("ours", "ours")
    assert widget.left_method.options == ("bicubic", "ours")
    assert widget.view.pair["left"]["psnr"] is None
    widget.image.value = "a"
    assert widget.right_method.value == "ours" and len(widget.right_method.options) == 4


def test_an_equal_image_is_called_identical(images):
    images["first"]["copy"] = images["first"]["HR"].copy()
    assert compare(images).view.pair["right"] | {"data": b""} == {
        "method": "copy",
        "psnr": "identical",
        "ssim": pytest.approx(1),
        "data": b"",
    }


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


def test_a_notebook_without_its_kernel_says_what_to_do(images, monkeypatch):
    shown = []
    monkeypatch.setattr(module, "display", lambda data, raw: shown.append(data))
    compare(images)._ipython_display_()
    assert "application/vnd.jupyter.widget-view+json" in shown[0]
    assert shown[0]["text/plain"] == "Comparison of first, second"
    assert "Run this cell" in shown[1]["text/plain"] and "report/compare.html" in shown[1]["text/html"]


def test_the_page_holds_every_pixel_and_figure(images, tmp_path):
    page = compare_html(images, tmp_path / "deep" / "page.html")
    assert page == tmp_path / "deep" / "page.html" and list(page.parent.iterdir()) == [page]
    text = page.read_text(encoding="utf-8")
    assert "stored without loss" in text and not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)
    first, second = _page_data(text)
    assert [side["method"] for side in first["methods"]] == ["LR", "bicubic", "ours", "HR"]
    assert (first["left"], first["right"], second["image"]) == ("bicubic", "ours", "second")
    for side in first["methods"]:
        head, data = side["data"].split(",")
        assert head == "data:image/webp;base64"
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
        assert (pixels == images["first"][side["method"]]).all()
    assert first["methods"][1]["psnr"] == compare(images).view.pair["left"]["psnr"]
    assert second["methods"][0]["psnr"] is None


def test_a_large_page_says_that_its_images_are_not_exact(images, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LOSSLESS_LIMIT", 10_000)
    text = compare_html(images, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "quality 90" in text and "without loss" not in text
    assert _page_data(text)[0]["methods"][1]["psnr"] == compare(images).view.pair["left"]["psnr"]


def test_no_name_breaks_out_of_the_page(images, tmp_path):
    evil = "</script><script>alert('x')</script>"
    methods = {evil if method == "ours" else method: image for method, image in images["first"].items()}
    text = compare_html({evil: methods}, tmp_path / "page.html", title=f"{evil} & </title>").read_text(
        encoding="utf-8"
    )
    assert text.count("</script>") == 1 and text.count("</title>") == 1
    assert _page_data(text)[0]["image"] == evil
    assert "&lt;/script&gt;" in text
