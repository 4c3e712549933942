"""The comparison as a reader uses it: pixels of screenshots are held against the arrays that were passed."""

import io
import shutil
import statistics
import urllib.parse

import nbformat
import numpy as np
import pytest
from PIL import Image

from sr_utils.views.compare import compare_html

pytestmark = pytest.mark.browser

BLOCK = 8  # pixels of a block of one colour: a pixel of a screenshot tells image, method and place
POINTS = [
    (x, y) for x in (0.06, 0.2, 0.42, 0.62, 0.83, 0.95) for y in (0.28, 0.55, 0.9)
]  # parts of width, height


def _blocks(seed, height, width):
    colours = np.random.default_rng(seed).integers(0, 256, (height // BLOCK, width // BLOCK, 3), np.uint8)
    return colours.repeat(BLOCK, axis=0).repeat(BLOCK, axis=1)


def make_images():
    """Two images of two sizes, each with an LR image, HR and two methods, all of other colours."""
    sizes = {"wide <b>&": (96, 128), "tall": (160, 96)}
    images = {}
    for number, (name, (height, width)) in enumerate(sizes.items()):
        methods = {
            m: _blocks(10 * number + i, height, width) for i, m in enumerate(("bicubic", "HR", "ours"))
        }
        images[name] = methods | {"LR": _blocks(10 * number + 3, height // 4, width // 4)}
        images[name] = {m: images[name][m] for m in ("LR", "bicubic", "HR", "ours")}
    return images


IMAGES = make_images()
WIDE, TALL = IMAGES
SOURCE = """
import numpy as np
from sr_utils.views.compare import compare
images = {name: dict(np.load(file)) for name, file in FILES.items()}
"""


@pytest.fixture(scope="module")
def page(open_notebook, tmp_path_factory):
    """Two comparisons in one notebook; the tests below use the first in turn, and leave the second alone."""
    folder = tmp_path_factory.mktemp("notebook")
    files = {name: str(folder / f"{number}.npz") for number, name in enumerate(IMAGES)}
    for name, file in files.items():
        np.savez(file, **IMAGES[name])
    sources = [f"FILES = {files!r}{SOURCE}", "compare(images)", "compare(images, left='HR')"]
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in sources],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    nbformat.write(notebook, folder / "compare.ipynb")
    return open_notebook(folder / "compare.ipynb")


class View:
    """One comparison on a page, found by its public class names."""

    def __init__(self, page, number=0):
        self.page, root = page, page.locator(".sr-compare").nth(number)
        self.handle = root.locator(".sr-compare-handle")
        self.handle.wait_for(state="attached")
        self.left = root.locator(".sr-compare-left")
        self.scores = root.locator(".sr-compare-scores")
        self.root = root
        root.locator(".sr-compare-left img").wait_for(state="attached")
        root.scroll_into_view_if_needed()

    @property
    def split(self):
        return int(self.handle.get_attribute("aria-valuenow"))

    def choose(self, what, value):
        self.root.locator(f".sr-compare-{what} select").select_option(value)

    def chosen(self, what):
        return self.root.locator(f".sr-compare-{what} select").evaluate("e => e.selectedOptions[0].label")

    def press(self, *keys):
        self.handle.focus()
        for key in keys:
            self.page.keyboard.press(key)

    def point(self, x, y):
        box = self.left.bounding_box()
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    def drag(self, start, end, steps=6):
        self.page.mouse.move(*self.point(*start))
        self.page.mouse.down()
        self.page.mouse.move(*self.point(*end), steps=steps)
        self.page.mouse.up()

    def screen(self):
        """The picture as it is on the screen, (H, W, 3)."""
        return np.asarray(Image.open(io.BytesIO(self.left.screenshot())).convert("RGB"))

    def wait_for(self, image, left, right):
        for side, method in (("left", left), ("right", right)):
            half = self.root.locator(f".sr-compare-{side}")
            half.get_by_alt_text(f"{image}, {method}", exact=True).wait_for(state="attached")

    def assert_shows(self, image, left, right, window=(0, 0, 1, 1)):
        """The screen has two methods of an image beside the split; window: x, y, width, height."""
        self.wait_for(image, left, right)
        screen, split = self.screen().astype(int), self.split / 100
        height, width = screen.shape[:2]
        checked = 0
        for x, y in POINTS:
            pixels = IMAGES[image][left if x < split else right].astype(int)
            row = int((window[1] + y * window[3]) * pixels.shape[0])
            column = int((window[0] + x * window[2]) * pixels.shape[1])
            around = pixels[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
            flat = np.ptp(around, axis=(0, 1)).max() == 0
            if flat and abs(x - split) * width > 20:  # not at an edge of blocks, nor below the handle
                shown = screen[int(y * height), int(x * width)]
                assert abs(shown - pixels[row, column]).max() <= 2, (
                    f"at {x}, {y}: {shown}, not {pixels[row, column]}"
                )
                checked += 1
        assert checked >= 4


def test_a_dragged_split_changes_the_picture_at_once_and_no_other_view(page):
    view, other = View(page), View(page, 1)
    view.assert_shows(WIDE, "bicubic", "ours")
    for target in (0.3, 0.9, 0.7):
        view.root.scroll_into_view_if_needed()
        view.drag((view.split / 100, 0.5), (target, 0.4))
        assert abs(view.split - 100 * target) <= 1
        view.assert_shows(WIDE, "bicubic", "ours")
    page.keyboard.press("ArrowRight")  # the line that was dragged has the keyboard, not JupyterLab's cell
    assert 70 <= view.split <= 72
    assert other.split == 50
    other.assert_shows(WIDE, "HR", "ours")


def test_a_click_beside_the_line_brings_it_there(page):
    view = View(page)
    page.mouse.click(*view.point(0.25, 0.5))
    assert abs(view.split - 25) <= 1
    view.assert_shows(WIDE, "bicubic", "ours")


def test_the_keyboard_moves_the_split_and_zooms(page):
    view = View(page)
    view.press("Home")
    assert view.split == 0
    view.press("ArrowRight", "ArrowUp", "PageUp", "PageUp", "ArrowLeft", "ArrowDown", "PageDown")
    assert view.split == 10
    view.press("End")
    assert view.split == 100
    view.assert_shows(WIDE, "bicubic", "ours")
    view.press("Home", *["PageUp"] * 5)
    view.press("+", "0", "0")  # JupyterLab would restart the kernel at "0 0"
    assert page.locator(".jp-Dialog").count() == 0
    view.assert_shows(WIDE, "bicubic", "ours")
    assert view.handle.get_attribute("role") == "slider"
    assert "bicubic" in view.handle.get_attribute("aria-label")
    ring = "e => getComputedStyle(e).outlineStyle + getComputedStyle(e, '::after').outlineStyle"
    assert "solid" in view.handle.evaluate(ring)


def test_jupyterlab_takes_no_key_from_what_has_been_clicked_or_focused(page):
    view = View(page)
    page.mouse.click(*view.point(0.4, 0.5))
    page.keyboard.press("ArrowRight")  # would go to the next cell
    assert view.split == 41
    view.root.get_by_role("button", name="Zoom in").focus()
    page.keyboard.press("Enter")  # would edit the cell
    assert "sr-compare-zoomed" in view.root.locator(".sr-compare-stage").get_attribute("class")
    view.root.locator(".sr-compare-image select").focus()
    page.keyboard.press("ArrowDown")
    view.assert_shows(TALL, "bicubic", "ours")
    page.keyboard.press("ArrowUp")
    view.assert_shows(WIDE, "bicubic", "ours")


def test_zoom_and_position_are_one_for_all_methods_and_end_with_the_image(page):
    view = View(page)
    view.press("Home", *["PageUp"] * 5)
    page.mouse.dblclick(*view.point(0.25, 0.75))  # the point below the pointer stays where it is
    shown = view.left.locator("img").bounding_box()
    factor = shown["width"] / view.left.bounding_box()["width"]
    assert factor >= 2
    view.press("Home", *["PageUp"] * 5)
    window = (0.25 * (1 - 1 / factor), 0.75 * (1 - 1 / factor), 1 / factor, 1 / factor)
    view.assert_shows(WIDE, "bicubic", "ours", window)
    view.choose("left-method", "LR")  # an LR image lies below the others pixel for pixel
    view.choose("right-method", "HR")
    view.assert_shows(WIDE, "LR", "HR", window)
    view.drag((0.2, 0.4), (0.3, 0.2))  # zoomed in, the picture follows the pointer
    moved = (window[0] - 0.1 / factor, window[1] + 0.2 / factor, *window[2:])
    view.assert_shows(WIDE, "LR", "HR", moved)
    view.choose("image", TALL)
    view.assert_shows(TALL, "LR", "HR")
    page.keyboard.down("Control")
    page.mouse.move(*view.point(0.5, 0.5))
    page.mouse.wheel(0, -200)
    page.keyboard.up("Control")
    page.wait_for_timeout(100)
    assert view.left.locator("img").bounding_box()["width"] > 1.5 * view.left.bounding_box()["width"]
    view.press("0")
    view.assert_shows(TALL, "LR", "HR")
    View(page, 1).assert_shows(WIDE, "HR", "ours")


def test_the_scores_name_their_convention_and_belong_to_the_pair(page):
    from sr_utils.metrics import psnr

    view = View(page)
    view.choose("image", WIDE)
    view.choose("left-method", "bicubic")
    view.wait_for(WIDE, "bicubic", "HR")
    text = view.scores.inner_text()
    value = psnr(IMAGES[WIDE]["bicubic"], IMAGES[WIDE]["HR"], border=4)
    assert f"{value:.2f} dB" in text and "PSNR" in text and "RGB, border 4" in text
    assert "reference" in text


def test_running_the_cell_again_leaves_one_live_view(page):
    page.evaluate(
        """async () => {
        const notebook = jupyterapp.shell.currentWidget.content;
        notebook.activeCellIndex = 1;
        await jupyterapp.commands.execute("notebook:run-cell");
    }"""
    )
    cell = page.locator(".jp-CodeCell").nth(1)
    assert cell.locator(".sr-compare").count() == 1
    assert "Error" not in cell.locator(".jp-OutputArea").inner_text()
    view = View(page)
    view.assert_shows(WIDE, "bicubic", "ours")
    view.choose("image", TALL)
    view.assert_shows(TALL, "bicubic", "ours")
    assert not cell.locator(".sr-compare-hint").is_visible()  # the sentence for a notebook without its kernel


def test_the_split_follows_within_few_frames(page):
    """No limit: the figure depends on the machine, and a reader of the log sees it."""
    view = View(page)
    view.handle.evaluate(
        """(handle) => {
        window.frames_ms = [];
        handle.closest(".sr-compare").addEventListener("pointermove", (event) => {
          // the second frame begins when the first, which has the new split, has been painted
          const painted = () => frames_ms.push(performance.now() - event.timeStamp);
          requestAnimationFrame(() => requestAnimationFrame(painted));
        });
    }"""
    )
    for number in range(20):
        view.drag((view.split / 100, 0.5), (0.3 if number % 2 else 0.7, 0.5), steps=3)
    page.wait_for_function("() => window.frames_ms.length >= 20")
    times = page.evaluate("() => window.frames_ms")
    print(f"pointer move to painted frame: median {statistics.median(times):.1f} ms of {len(times)} moves")


def test_no_script_error_came_up(page):
    assert page.problems == []


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 480)])
def test_the_html_twin_works_from_a_file_without_network(chromium, tmp_path, scheme, width):
    path = compare_html(IMAGES, tmp_path / "compare.html", title="Before & after </script>")
    context = chromium.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, has_touch=True
    )
    page = context.new_page()
    problems = []
    page.on("request", lambda request: problems.append(request.url) if _leaves(request.url) else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    context.set_offline(True)
    page.goto(path.as_uri())
    view = View(page)
    assert view.chosen("image") == WIDE
    view.assert_shows(WIDE, "bicubic", "ours")
    view.drag((0.5, 0.5), (0.3, 0.5))
    assert abs(view.split - 30) <= 1
    view.assert_shows(WIDE, "bicubic", "ours")
    view.choose("left-method", "HR")
    view.assert_shows(WIDE, "HR", "ours")
    view.choose("image", TALL)
    view.assert_shows(TALL, "HR", "ours")
    _swipe(page, view.point(0.3, 0.5), view.point(0.8, 0.5))
    assert abs(view.split - 80) <= 3
    view.assert_shows(TALL, "HR", "ours")
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    assert problems == []
    context.close()


def _leaves(url):
    return urllib.parse.urlsplit(url).scheme not in ("file", "data", "blob")


def _swipe(page, start, end):
    session = page.context.new_cdp_session(page)
    for kind, (x, y) in (("touchStart", start), ("touchMove", end), ("touchEnd", end)):
        points = [] if kind == "touchEnd" else [{"x": x, "y": y}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


def test_a_notebook_reopened_without_its_kernel_says_what_to_do(open_notebook, lab, page, tmp_path):
    page.evaluate("() => jupyterapp.commands.execute('docmanager:save')")
    page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    reopened = open_notebook(shutil.copy(lab[1] / "compare.ipynb", tmp_path / "reopened.ipynb"), run=False)
    hint = reopened.locator(".jp-OutputArea").get_by_text("Run this cell").first
    hint.scroll_into_view_if_needed()
    assert hint.is_visible()
    assert "report/compare.html" in hint.inner_text()
