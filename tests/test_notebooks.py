"""Every notebook, executed in a temporary project with few steps; then every cell a second time."""

import ast
import json
import re
import shutil
import zipfile
from pathlib import Path

import nbformat
import pytest
from children import NOTEBOOK_CHANGES as CHANGES
from children import NOTEBOOK_STEPS as STEPS
from nbclient import NotebookClient
from pypdf import PdfReader

from sr_utils.config import configure
from sr_utils.hand_in import submission
from sr_utils.hand_in.report import collect
from sr_utils.paths import Paths

REPOSITORY = Path(__file__).parent.parent
RUN = {"profile": "demo", "total_steps": STEPS} | CHANGES
NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.timeout(400)
def test_the_run_ends_with_a_table_and_every_product(executed_project):
    root, told = executed_project
    table = told[told.index("Validation photos, PSNR dB (RGB, border 4)") :]
    assert re.search(r"astronaut +25\.34 +\d\d\.\d\d", table) and re.search(r"coffee +25\.80", table)
    assert f"training: {STEPS} steps" in table
    assert "training:" in told and "sub-images:" in told  # the progress bars are plain text
    assert (root / "report" / "compare.html").stat().st_size < 3e6
    assert not (root / "data" / "current_run.json").exists()  # the user's choice is the user's
    for suffix in ("ipynb", "html"):
        assert len(list((root / "report" / "executed").glob(f"*.{suffix}"))) == len(NOTEBOOKS)


@pytest.mark.timeout(400)
def test_executed_pages_need_no_network(executed_project):
    for page in [
        *(executed_project[0] / "report" / "executed").glob("*.html"),
        executed_project[0] / "report" / "compare.html",
    ]:
        text = page.read_text(encoding="utf-8")
        assert not re.findall(r"(?:src|href)\s*=\s*[\"']?(?:https?:)?//[^\"'> ]+", text), page.name
        assert "data:image/" in text, page.name
        assert "unpkg.com" not in text  # whence nbconvert would load widgets
        assert not re.search(r"<img[^>]*src=\"(?!data:)", text), page.name  # a page is passed on alone
        assert not re.search(r"%formula\d+%", text)


@pytest.mark.timeout(400)
def test_executed_notebooks_have_no_error_and_no_warning(executed_project):
    for path in (executed_project[0] / "report" / "executed").glob("*.ipynb"):
        for cell in code_cells(nbformat.read(path, 4)):
            for output in cell.outputs:
                assert output.output_type != "error", (path.name, output)
                assert output.get("name") != "stderr", (path.name, output.text)


@pytest.mark.timeout(400)
def test_report_is_a4_within_five_pages_and_tells_the_parameters(executed_project):
    pages = PdfReader(executed_project[0] / "report" / "report.pdf").pages
    assert 1 <= len(pages) <= 5
    assert {tuple(round(float(side)) for side in page.mediabox[2:]) for page in pages} == {(595, 842)}
    text = " ".join(page.extract_text() for page in pages)
    assert "1,812,995" in text and "Rehearsal" in text


@pytest.mark.timeout(400)
def test_missing_input_of_the_report_names_its_notebook(executed_project, tmp_path):
    root = tmp_path / "copy"
    shutil.copytree(executed_project[0], root)
    config = configure("demo", total_steps=STEPS, **CHANGES)
    for name, notebook in (
        ("test.json", "04_infer_test_set"),
        ("validation.json", "05_compare_models"),
        ("claims.json", "06_ablations"),
        ("times.json", "06_ablations"),
    ):
        path = Paths(root).results(config.run_name) / name
        content = path.read_bytes()
        path.unlink()
        with pytest.raises(FileNotFoundError, match=notebook):
            collect(config, Paths(root))
        path.write_bytes(content)
    assert collect(config, Paths(root))["parameters"] == 1_812_995


@pytest.mark.timeout(400)
def test_hand_in_passes_every_rule_and_is_packed(executed_project):
    folder = executed_project[0] / "report" / "submission"
    rows = submission.check(folder)
    assert [row.rule for row in rows if not row.passed] == [] and len(rows) == 21
    names = zipfile.ZipFile(folder.with_suffix(".zip")).namelist()
    assert {"submission/report.pdf", "submission/checkpoint.safetensors"} <= set(names)
    assert "submission/source/sr_utils/training/train.py" in names and "submission/images/retina.png" in names


@pytest.mark.timeout(400)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_can_be_run_again(executed_project, path):
    notebook = nbformat.read(path, 4)
    values = f"\nROOT = {str(executed_project[0])!r}\nDOWNLOAD_SET5 = False"
    first = f"\nSTEPS = {STEPS}\nCHANGES = {CHANGES}\nREMEMBER = False"
    values += first if path.stem.startswith("01") else f"\nRUN = {RUN}"
    doubled = []
    for cell in code_cells(notebook):
        if "parameters" in cell.metadata.get("tags", []):
            cell.source += values
        doubled += [cell, nbformat.v4.new_code_cell(cell.source)]
    notebook.cells = doubled
    NotebookClient(notebook, timeout=200, kernel_name="python3").execute(cwd=str(path.parent))


@pytest.mark.timeout(400)
@pytest.mark.parametrize("only_best", [False, True])
def test_notebook_03_shows_a_run_of_elsewhere(executed_project, tmp_path, only_best):
    """One that trains there (`TRAIN = False`), or whose best weights alone were brought home."""
    root, config = tmp_path / "copy", configure("demo", total_steps=STEPS, **CHANGES)
    shutil.copytree(executed_project[0], root)
    run = Paths(root).run(config.run_name)
    lines = (run / "log.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (run / "log.jsonl").write_text("".join(lines[:-1]), encoding="utf-8")  # not yet at its end
    for path in run.iterdir():
        if path.name.startswith((".lock", "state")) or (only_best and path.name != "best.safetensors"):
            path.unlink()
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    notebook = nbformat.read(REPOSITORY / "notebooks" / "03_train.ipynb", 4)
    cell = next(c for c in code_cells(notebook) if "parameters" in c.metadata.get("tags", []))
    cell.source += f"\nRUN = {RUN}\nROOT = {str(root)!r}\nTRAIN = {only_best}"
    NotebookClient(notebook, timeout=200, kernel_name="python3").execute(cwd=str(root))
    assert {path.name: path.read_bytes() for path in run.iterdir() if path.name != ".lock"} == before
    assert collect(config, Paths(root))["training_minutes"] > 0


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_style(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    cells = [(cell, "".join(cell["source"])) for cell in notebook["cells"]]
    head = cells[0][1]
    assert head.startswith(f"# {path.stem[:2]} · ")
    assert all(f"**{word}**" in head for word in ("You will see", "Needs", "Makes", "Takes"))
    code = [(cell, source) for cell, source in cells if cell["cell_type"] == "code"]
    assert code[1][0]["metadata"].get("tags") == ["parameters"] and "\nROOT = None" in code[1][1]
    for cell, source in code:
        assert not cell["outputs"] and cell["execution_count"] is None
        assert source.count("\n") < 20 and not re.search(r"^\s*[!%]", source, re.M), source
        for node in ast.walk(ast.parse(source)):
            assert not isinstance(node, ast.ClassDef)
            imports = isinstance(node, (ast.Import, ast.ImportFrom))
            assert not imports or cell is code[0][0], f"import outside of the first code cell: {source}"
    for _, source in cells:
        for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", source):
            assert (path.parent / link).exists(), link
