"""An executed notebook as it is read on the web: the comparison, or its still where no script runs."""

import base64

import nbformat
import pytest
from compare_view import IMAGES, WIDE, View

from sr_utils.commands.run_notebooks import to_html
from sr_utils.views.compare import compare, compare_html
from sr_utils.views.compare import widget as compare_widget

pytestmark = pytest.mark.browser


@pytest.fixture
def executed(tmp_path, monkeypatch):
    """The HTML of a notebook with one comparison, beside report/compare.html."""
    outputs = []

    def note(data, metadata=None, raw=True):
        image = {"image/png": base64.b64encode(data["image/png"]).decode()} if "image/png" in data else {}
        outputs.append(nbformat.v4.new_output("display_data", data | image))

    monkeypatch.setattr(compare_widget, "display", note)
    compare(IMAGES, right="ours")._ipython_display_()
    folder = tmp_path / "report" / "executed"
    folder.mkdir(parents=True)
    before = nbformat.v4.new_markdown_cell("Before\n\n" * 60)  # the comparison lies off the screen at first
    after = nbformat.v4.new_markdown_cell("After")
    cells = [before, nbformat.v4.new_code_cell("compare(images)", outputs=outputs), after]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "one.ipynb")
    (folder / "one.html").write_text(to_html(folder / "one.ipynb"), encoding="utf-8")
    compare_html(IMAGES, folder.parent / "compare.html", right="ours")
    return folder / "one.html"


def test_the_executed_page_holds_the_comparison_and_prints_its_still(chromium, executed):
    page = chromium.new_page(viewport={"width": 1200, "height": 900})
    page.goto(executed.as_uri())
    frame, still = page.locator("iframe.sr-compare-live"), page.locator(".jp-RenderedImage img")
    frame.wait_for()
    below, above = still.bounding_box(), frame.bounding_box()
    assert below["y"] >= above["y"] and below["x"] >= above["x"]  # covered where the frame is painted, and
    assert below["y"] + below["height"] <= above["y"] + above["height"]  # no hole where it is not yet
    frame.scroll_into_view_if_needed()
    inside = page.frame_locator("iframe.sr-compare-live")
    view = View(page, scope=inside)
    view.assert_shows(WIDE, "bicubic", "ours")
    page.wait_for_timeout(300)
    height = inside.locator("html").evaluate("page => [page.scrollHeight, innerHeight]")
    assert abs(height[0] - height[1]) <= 1  # all of it is seen, without a second scroll bar
    page.emulate_media(media="print")
    assert still.is_visible() and not frame.is_visible()
    gap = page.get_by_text("After").bounding_box()["y"] - (
        still.bounding_box()["y"] + still.bounding_box()["height"]
    )
    assert gap < 120  # no hole
    page.close()


def test_without_a_script_the_executed_page_shows_the_still(chromium, executed):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(executed.as_uri())
    still = page.locator(".jp-RenderedImage img")
    assert still.is_visible() and still.bounding_box()["width"] > 300
    assert not page.locator("iframe").is_visible()
    context.close()
