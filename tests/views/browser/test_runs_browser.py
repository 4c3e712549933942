"""In JupyterLab: one cell of notebook 01 is changed, 03 and 05 go on with that run, the table has it."""

from pathlib import Path

import nbformat
import pytest

from sr_utils.config import configure
from sr_utils.paths import Paths

pytestmark = pytest.mark.browser
NOTEBOOKS = Path(__file__).parents[3] / "notebooks"
CHANGES = {"learning_rate": 1e-3, "num_blocks": 2, "total_steps": 8, "validate_every": 4, "log_every": 4}
EDIT = """([old, now]) => {
    const cells = jupyterapp.shell.currentWidget.content.widgets.map(cell => cell.model.sharedModel)
    const cell = cells.find(cell => cell.getSource().includes(old))
    cell.setSource(cell.getSource().replace(old, now))
}"""


@pytest.mark.timeout(500)
def test_one_edit_is_enough_for_a_run_and_its_row(open_notebook, lab, tmp_path):
    project = lab[1].parent
    (project / "pyproject.toml").write_text('name = "sr-utils"\n', encoding="utf-8")
    page = open_notebook(NOTEBOOKS / "01_prepare_data.ipynb", run=False)
    page.evaluate(EDIT, ["CHANGES = {}", f"CHANGES = {CHANGES}"])
    assert page.evaluate("() => jupyterapp.commands.execute('notebook:run-all-cells')")
    page.get_by_text("Run demo_").first.wait_for()

    page = open_notebook(NOTEBOOKS / "03_train.ipynb")
    told = page.get_by_text("Run demo_").first.text_content()
    assert "learning rate 0.001" in told and "Another: RUN = its name" in told
    figures = page.locator(".jp-OutputArea-output img")
    assert figures.count() >= 7  # with the curves, the detail and its strip
    folder = Paths(project).run(configure("demo", CHANGES))
    assert (folder / "best.safetensors").exists() and (
        Paths(project).results(folder.name) / "learning"
    ).is_dir()
    assert page.problems == []

    notebook = nbformat.read(NOTEBOOKS / "05_compare_models.ipynb", 4)
    cell = next(cell for cell in notebook.cells if "DOWNLOAD_SET5 = True" in cell.source)
    cell.source = cell.source.replace("DOWNLOAD_SET5 = True", "DOWNLOAD_SET5 = False")
    nbformat.write(notebook, tmp_path / "05_compare_models.ipynb")
    page = open_notebook(tmp_path / "05_compare_models.ipynb")
    row = page.locator("tr", has_text=folder.name).first.text_content()
    assert "8/8" in row and "complete" in row
    assert page.get_by_text("One run so far").count()
    assert page.problems == []
