"""The stand-alone page, opened from a file without network: pixels, keys, fingers, saved picture."""

import io
import urllib.parse

import numpy as np
import pytest
from compare_view import IMAGES, TALL, WIDE, View, assert_all_ways
from PIL import Image

from sr_utils.metrics import psnr, ssim
from sr_utils.views.compare import compare_html

expect = pytest.importorskip("playwright.sync_api").expect
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    return compare_html(IMAGES, folder / "compare.html", right="ours", title="Before & after </script>")


@pytest.fixture
def open_page(chromium, file):
    """`open_page(**options of the browser's context)`: a view; ends with a check that nothing went wrong."""
    problems, contexts = [], []

    def note(request):
        if urllib.parse.urlsplit(request.url).scheme not in ("file", "data", "blob"):
            problems.append(request.url)

    def open_view(**options):
        context = chromium.new_context(**{"viewport": {"width": 1200, "height": 900}} | options)
        contexts.append(context)
        page = context.new_page()
        page.on("request", note)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        context.set_offline(True)
        page.goto(file.as_uri())
        return View(page)

    yield open_view
    for context in contexts:
        context.close()
    assert problems == []


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 480)])
def test_every_way_of_looking_shows_the_pixels_of_the_arrays(open_page, scheme, width):
    view = open_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    assert view.chosen("image") == WIDE
    assert_all_ways(view, WIDE)
    view.choose("image", TALL)
    view.choose("left-method", "HR")
    view.press("s")
    view.assert_shows(TALL, "HR", "ours")
    assert view.page.evaluate("() => document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("ratio", [1.25, 1.5, 2.625])
def test_on_screens_of_any_pixel_ratio_image_pixels_are_of_one_size(open_page, ratio):
    view = open_page(device_scale_factor=ratio)
    stage = view.stage.locator("canvas").evaluate("c => [c.width, c.height, c.clientWidth, c.clientHeight]")
    assert stage[0] / ratio == pytest.approx(stage[2], abs=1)
    scale = view.stage.evaluate("stage => stage.seen.scale") * ratio
    assert scale == pytest.approx(round(scale)) and scale >= 2
    pixels = np.asarray(Image.open(io.BytesIO(saved(view))).convert("RGB")).astype(int)
    top, left, *_ = view.box
    edge = round(42 * ratio)
    expected = IMAGES[WIDE]["bicubic"][top + 1 : top + 9, left + 1 : left + 41]
    shown = expected.repeat(round(scale), axis=0).repeat(round(scale), axis=1)
    # somewhere near the corner of the panel lie just these pixels
    offsets = range(2 * round(scale) + 2)
    found = (
        pixels[edge + y : edge + y + len(shown), x : x + shown.shape[1]] for y in offsets for x in offsets
    )
    assert any((part == shown).all() for part in found)


def saved(view):
    with view.page.expect_download() as download:
        view.act("Save picture")
    assert download.value.suggested_filename.endswith(".png")
    return download.value.path().read_bytes()


def test_the_saved_picture_is_what_is_seen_with_its_labels(open_page):
    view = open_page()
    for key in ("s", "b", "3", "d"):
        view.press(key)
        screen = view.screen()
        picture = np.asarray(Image.open(io.BytesIO(saved(view))).convert("RGB")).astype(int)
        seen = picture[8:-36, 8:-8]  # without round corners and the ring of what has the keyboard
        assert picture.shape[1] == screen.shape[1]
        assert (abs(seen - screen[8 : len(seen) + 8, 8:-8]).max(axis=2) > 2).mean() < 0.005
        assert (picture[-28:].max(axis=2) > 200).sum() > 100  # image, box and convention


def test_copy_view_gives_the_box(open_page):
    view = open_page(permissions=["clipboard-read", "clipboard-write"])
    view.press("n", "c")
    assert view.page.evaluate("() => navigator.clipboard.readText()") == str(view.box)
    assert str(view.box) in view.status.inner_text()


def test_figures_of_the_box_agree_with_metrics(open_page):
    view = open_page()
    view.press("6", "n")
    top, left, height, width = view.box
    expect(view.scores.locator("tr", has_text="ours").locator("td").last).not_to_be_empty()
    rows = {
        row.locator("th").inner_text(): row.locator("td").all_inner_texts()
        for row in view.scores.locator("tr").all()[1:]
    }
    inside, hr = np.s_[top : top + height, left : left + width], IMAGES[WIDE]["HR"]
    for method in ("bicubic", "third", "fourth", "ours"):
        sr = IMAGES[WIDE][method]
        whole = f"{psnr(sr, hr, border=4):.2f} dB", f"{ssim(sr, hr, border=4):.4f}"
        here = (
            f"{psnr(sr[inside], hr[inside], border=0):.2f} dB",
            f"{ssim(sr[inside], hr[inside], border=0):.4f}",
        )
        assert rows[method] == [whole[0], here[0], whole[1], here[1]]
    assert rows["HR"][0] == "reference"


def test_one_finger_moves_the_line_and_two_zoom_and_move(open_page):
    view = open_page(has_touch=True)
    view.press("0")
    touch(view, [[(0.3, 0.5)], [(0.6, 0.5)], [(0.8, 0.5)]])
    assert abs(view.split - 80) <= 3
    whole = view.box
    touch(view, [[(0.45, 0.5), (0.55, 0.5)], [(0.4, 0.5), (0.6, 0.5)], [(0.25, 0.5), (0.75, 0.5)]])
    zoomed = view.box
    assert zoomed[2] < 0.5 * whole[2] and abs(view.split - 80) <= 3
    touch(view, [[(0.4, 0.4), (0.6, 0.4)], [(0.4, 0.5), (0.6, 0.5)], [(0.4, 0.7), (0.6, 0.7)]])
    moved = view.box
    assert moved[0] < zoomed[0] and moved[2] == pytest.approx(zoomed[2], abs=1)
    view.assert_shows(WIDE, "bicubic", "ours", least=1)


def touch(view, steps):
    """Fingers through places, each a share of the stage."""
    session = view.page.context.new_cdp_session(view.page)
    for number, fingers in enumerate(steps):
        points = [dict(zip("xy", view.point(*place), strict=True)) for place in fingers]
        kind = "touchStart" if number == 0 else "touchMove"
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_the_keyboard_alone_reaches_everything_and_all_has_a_name(open_page):
    view = open_page()
    unnamed = view.root.evaluate(
        """root => [...root.querySelectorAll("button, select, input, canvas, [tabindex]")]
        .filter(e => !(e.getAttribute("aria-label") || e.textContent.trim() || e.labels?.length))
        .map(e => e.outerHTML)"""
    )
    assert unnamed == []
    view.page.locator("body").press("Tab")
    reached = []
    for _ in range(20):
        reached.append(
            view.page.evaluate("() => document.activeElement.dataset.act ?? document.activeElement.className")
        )
        view.page.keyboard.press("Tab")
    assert {"split", "blink", "grid", "difference", "next", "copy", "save", "sr-compare-stage"} <= set(
        reached
    )
    view.press("+", "+")
    before = view.box
    view.press("Shift+ArrowRight", "Shift+ArrowDown")
    assert view.box[1] > before[1] and view.box[0] > before[0]
    ring = "e => getComputedStyle(e).outlineStyle"
    assert view.stage.evaluate(ring) == "solid"
