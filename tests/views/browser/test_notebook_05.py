"""Notebook 05 in JupyterLab: the slider shows the very pixels of bicubic and network."""

import shutil
from pathlib import Path

import nbformat
import numpy as np
import pytest
from children import NOTEBOOK_CHANGES, NOTEBOOK_STEPS
from compare_view import View

from sr_utils import images
from sr_utils.checkpoints import load_checkpoint
from sr_utils.config import configure
from sr_utils.data import sources
from sr_utils.data.pair import read_pair
from sr_utils.enlarging.infer import super_resolve
from sr_utils.paths import Paths
from sr_utils.views.figures import THIS_RUN

pytestmark = pytest.mark.browser
ROOT = Path(__file__).parents[3]
NOTEBOOK = ROOT / "notebooks" / "05_compare_models.ipynb"


@pytest.mark.timeout(500)
def test_the_slider_of_notebook_05_shows_bicubic_and_network(open_notebook, lab, executed_project, tmp_path):
    root, _ = executed_project
    notebook = nbformat.read(NOTEBOOK, 4)
    parameters = next(cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    run = {"profile": "demo", "total_steps": NOTEBOOK_STEPS} | NOTEBOOK_CHANGES
    parameters.source += f"\nRUN = {run}\nROOT = {str(root)!r}"
    parameters.source += "\nDOWNLOAD_SET5 = False"
    nbformat.write(notebook, tmp_path / NOTEBOOK.name)
    shutil.copytree(ROOT / "report" / "figures", lab[1].parent / "report" / "figures")
    page = open_notebook(tmp_path / NOTEBOOK.name)
    picture = page.locator(".jp-RenderedMarkdown img").first
    assert picture.evaluate("async image => { await image.decode(); return image.naturalWidth }") > 300
    view = View(page)
    config, paths = configure("demo", total_steps=NOTEBOOK_STEPS, **NOTEBOOK_CHANGES), Paths(root)
    first = ("validation photos: astronaut", "Set5: butterfly")  # the latter with Set5 below SR_DATA
    assert view.chosen("image") in first

    model, _ = load_checkpoint(paths.run(config.run_name) / "best.safetensors")
    ours = model.label + THIS_RUN
    pair = next(pair for pair in sources.find_split(config, paths, "val") if pair.name == "coffee")
    _, lr = read_pair(pair)
    expected = {"bicubic": images.resize_bicubic(lr, 4), ours: super_resolve(model, lr)}

    view.begin("validation photos: coffee", right=ours)
    for key, shown, other in (("End", "bicubic", ours), ("Home", ours, "bicubic")):
        view.press(key)
        screen, (panel,) = view.screen(), view.panels()
        seen = view.stage.evaluate("stage => stage.seen")
        down, across = np.mgrid[panel["y"] + 6 : screen.shape[0] - 6 : 3, 6 : screen.shape[1] - 6 : 3]
        top = round(panel["y"] + panel["height"] / 2 - seen["y"] * seen["scale"])
        left = round(panel["width"] / 2 - seen["x"] * seen["scale"])
        rows, columns = (down + 0.5 - top) / seen["scale"], (across + 0.5 - left) / seen["scale"]
        middle = (abs(rows % 1 - 0.5) < 0.2) & (abs(columns % 1 - 0.5) < 0.2)
        down, across, rows, columns = (places[middle] for places in (down, across, rows, columns))
        found = screen[down, across]
        differences = {
            method: np.abs(found - image[rows.astype(int), columns.astype(int)]).mean()
            for method, image in expected.items()
        }
        assert differences[shown] < 0.5 * differences[other], (key, differences)
    assert page.problems == []


@pytest.mark.timeout(500)
def test_the_executed_page_holds_the_slider_without_kernel_and_network(chromium, executed_project):
    page = chromium.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((executed_project[0] / "report" / "executed" / NOTEBOOK.name).with_suffix(".html").as_uri())
    page.locator("iframe.sr-compare-live").scroll_into_view_if_needed()
    stage = page.frame_locator("iframe[title=slider]").locator(".sr-compare-stage[aria-busy=false]")
    assert stage.locator("canvas").evaluate("canvas => canvas.width") > 100
    assert all(url.startswith(("file:", "data:")) for url in asked), asked
    page.close()
