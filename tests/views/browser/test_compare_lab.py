"""The widget in JupyterLab as a reader uses it: the screen's pixels are held against the arrays passed."""

import shutil

import nbformat
import numpy as np
import pytest
from compare_view import BLOCK, IMAGES, TALL, WIDE, View, assert_all_ways

from sr_utils.metrics import psnr, ssim
from sr_utils.views.compare.plan import find_details

pytestmark = pytest.mark.browser
SOURCE = """
import numpy as np
from sr_utils.views.compare import compare
from sr_utils.views.figures import draw_zoom
images = {name: dict(np.load(file)) for name, file in FILES.items()}
"""
FIGURE = """
figure = draw_zoom(images[view.image], title=view.image, box=view.box)
np.savez(FOLDER + "/figure.npz", box=view.box, **{axes.get_title().split("\\n")[0]: axes.images[0].get_array()
                                               for axes in figure.axes[1:]})
figure
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("notebook")


@pytest.fixture(scope="module")
def page(open_notebook, folder):
    """Two comparisons in one notebook; the tests below use the first in turn, and leave the second alone."""
    files = {name: str(folder / f"{number}.npz") for number, name in enumerate(IMAGES)}
    for name, file in files.items():
        np.savez(file, **IMAGES[name])
    sources = [
        f"FILES, FOLDER = {files!r}, {str(folder)!r}{SOURCE}",
        "view = compare(images, right='ours')\nview",
    ]
    sources += ["compare(images, left='HR', right='ours')", FIGURE]
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in sources],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    nbformat.write(notebook, folder / "compare.ipynb")
    return open_notebook(folder / "compare.ipynb")


def run_cell(page, number):
    return page.evaluate(
        """async (number) => {
        const notebook = jupyterapp.shell.currentWidget.content;
        notebook.activeCellIndex = number;
        return await jupyterapp.commands.execute("notebook:run-cell");
    }""",
        number,
    )


def test_it_opens_at_the_most_telling_detail_and_walks_on(page):
    view = View(page)
    details = find_details(IMAGES[WIDE], "bicubic", "ours")
    assert len(details) == 5
    for number, (top, left, height, width) in enumerate([*details, details[0]]):
        box = view.box
        assert box[0] <= top and box[1] <= left and top + height <= box[0] + box[2], (number, box)
        assert left + width <= box[1] + box[3] and box[2] < IMAGES[WIDE]["HR"].shape[0]
        assert f"{number % 5 + 1} of 5" in view.status.inner_text()
        view.assert_shows(WIDE, "bicubic", "ours")
        view.press("n")


def test_every_way_of_looking_shows_the_pixels_of_the_arrays(page):
    view = View(page)
    view.begin(WIDE)
    assert_all_ways(view, WIDE)


def test_the_line_follows_drag_click_and_keys_and_no_other_view(page):
    view, other = View(page), View(page, 1)
    view.begin(WIDE)
    for target in (0.3, 0.9, 0.7):
        view.drag((view.split / 100, 0.5), (target, 0.4))
        assert abs(view.split - 100 * target) <= 1
        view.assert_shows(WIDE, "bicubic", "ours")
    page.keyboard.press("ArrowRight")  # the line that was dragged has the keyboard, not JupyterLab's cell
    assert 70 <= view.split <= 72
    page.mouse.click(*view.point(0.25, 0.5))
    assert abs(view.split - 25) <= 1
    view.press("Home", "ArrowRight", "ArrowUp", "PageUp", "PageUp", "ArrowLeft", "ArrowDown", "PageDown")
    assert view.split == 10
    view.press("Home", *["PageUp"] * 5)
    assert other.split == 50
    other.assert_shows(WIDE, "HR", "ours")


def test_jupyterlab_takes_no_key_from_what_has_been_clicked_or_focused(page):
    view = View(page)
    view.begin(WIDE)
    view.press("+", "0", "0")  # JupyterLab would restart the kernel at "0 0"
    assert view.box == (0, 0, 192, 256)
    assert page.locator(".jp-Dialog").count() == 0
    view.root.get_by_role("button", name="Next detail").focus()
    page.keyboard.press("Enter")  # would edit the cell
    assert view.box[2] < 192
    view.root.locator(".sr-compare-image select").focus()
    page.keyboard.press("ArrowDown")
    page.wait_for_function("() => document.querySelector('.sr-compare-stage').ariaLabel.startsWith('tall')")
    view.assert_shows(TALL, "bicubic", "ours")
    assert view.handle.get_attribute("role") == "slider" and "bicubic" in view.handle.get_attribute(
        "aria-label"
    )


def test_zoom_and_position_are_one_for_all_methods_and_end_with_the_image(page):
    view = View(page)
    view.begin(WIDE)
    view.press("0")
    page.mouse.dblclick(*view.point(0.45, 0.6))
    zoomed = view.box
    assert zoomed[2] < 100 and zoomed[3] < 160
    view.choose("left-method", "LR")  # an LR image lies below the others pixel for pixel
    view.choose("right-method", "HR")
    view.press("Home", *["PageUp"] * 5)
    view.assert_shows(WIDE, "LR", "HR")
    view.drag((0.2, 0.4), (0.3, 0.3))  # zoomed in, the picture follows the pointer
    moved = view.box
    assert moved[1] < zoomed[1] and moved[0] > zoomed[0] and moved[2:] == pytest.approx(zoomed[2:], abs=1)
    view.press("4")
    view.assert_shows(WIDE, *[panel["method"] for panel in view.panels()], least=1)
    page.keyboard.down("Control")
    page.mouse.move(*view.point(0.5, 0.5))
    page.mouse.wheel(0, -200)
    page.keyboard.up("Control")
    assert view.box[2] < moved[2]
    small = view.root.locator(".sr-compare-navigator")
    size = small.bounding_box()
    small.click(position={"x": 0.75 * size["width"], "y": 0.5 * size["height"]})
    top, left, height, width = view.box
    assert abs(left + width / 2 - 192) < 2 and abs(top + height / 2 - 96) < 2
    view.press("s", "Shift+ArrowRight")
    assert view.box[1] > 0


def test_the_scores_of_image_and_box_agree_with_those_of_the_arrays(page):
    view = View(page)
    view.begin(WIDE)
    top, left, height, width = view.box
    page.wait_for_timeout(500)
    text, hr = view.scores.inner_text(), IMAGES[WIDE]["HR"]
    inside = np.s_[top : top + height, left : left + width]
    for method in ("bicubic", "ours"):
        sr = IMAGES[WIDE][method]
        for image, truth, border in ((sr, hr, 4), (sr[inside], hr[inside], 0)):
            assert f"{psnr(image, truth, border=border):.2f} dB" in text
            assert f"{ssim(image, truth, border=border):.4f}" in text
    assert "whole image, border 4" in text and "no border" in text and "RGB" in text
    assert "right − left" in text


def test_the_view_becomes_the_figure(page, folder):
    view = View(page)
    view.begin(WIDE)
    view.press("n")
    view.drag((0.3, 0.4), (0.35, 0.5))
    view.act("Copy view")
    box = view.box
    assert str(box) in view.status.inner_text()
    assert run_cell(page, 3)
    figure = np.load(folder / "figure.npz")
    assert tuple(figure["box"]) == box
    top, left, height, width = box
    for method in IMAGES[WIDE]:
        shown = IMAGES[WIDE][method] if method != "LR" else IMAGES[WIDE]["LR"].repeat(4, 0).repeat(4, 1)
        np.testing.assert_array_equal(figure[method], shown[top : top + height, left : left + width])
    edges = view.stage.evaluate("stage => [stage.seen.x * stage.seen.scale, stage.panels[0].width / 2]")
    assert abs((edges[0] - edges[1]) / view.stage.evaluate("stage => stage.seen.scale") - left) <= 0.5


def test_running_the_cell_again_leaves_one_live_view_and_no_still(page):
    assert run_cell(page, 1)
    cell = page.locator(".jp-CodeCell").nth(1)
    cell.locator(".sr-compare-stage").wait_for(state="attached")
    assert cell.locator(".sr-compare-view").count() == 1
    assert "Error" not in cell.locator(".jp-OutputArea").inner_text()
    view = View(page)
    view.assert_shows(WIDE, "bicubic", "ours")
    view.choose("image", TALL)
    page.wait_for_function("() => document.querySelector('.sr-compare-stage').ariaLabel.startsWith('tall')")
    view.assert_shows(TALL, "bicubic", "ours")
    assert not cell.locator(".sr-compare-hint").is_visible()  # the sentence for a notebook without its kernel
    assert not cell.locator(".jp-RenderedImage").is_visible()


def test_no_script_error_came_up(page):
    assert page.problems == []
    assert BLOCK == 8


def test_a_notebook_reopened_without_its_kernel_shows_a_still_and_what_to_do(
    open_notebook, lab, page, tmp_path
):
    page.evaluate("() => jupyterapp.commands.execute('docmanager:save')")
    page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    reopened = open_notebook(shutil.copy(lab[1] / "compare.ipynb", tmp_path / "reopened.ipynb"), run=False)
    hint = reopened.locator(".jp-OutputArea").get_by_text("Run this cell").first
    hint.scroll_into_view_if_needed()
    assert hint.is_visible()
    assert "report/compare.html" in hint.inner_text()
    assert reopened.locator(".jp-CodeCell").nth(1).locator(".jp-RenderedImage img").is_visible()
