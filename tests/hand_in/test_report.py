"""The report's letters: the bundled fonts', else the installed ones', else said."""

import io
import json
import shutil
import sys
from pathlib import Path

import matplotlib
import pytest
from pypdf import PdfReader, PdfWriter

from sr_utils import images
from sr_utils.config import DEMO
from sr_utils.hand_in import report
from sr_utils.paths import Paths

TEMPLATE = '#set page(paper: "a4")\n#json(sys.inputs.folder + "/report.json").author'
FIGURES = [
    "augmentations",
    "architecture",
    "short_tails",
    "learning_curves",
    "zoom",
    "tradeoff",
    "ablations",
    "time_to_psnr",
]
BOXES = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "LastResortHE-Regular.ttf"  # has every letter
NAMES = {"Chinese": "王小明", "Japanese": "山田かな", "Korean": "홍길동", "Thai": "สมชาย"}


@pytest.fixture
def no_fonts(tmp_path, monkeypatch):
    """A machine without any font but those in the folder returned."""
    if not sys.platform.startswith("linux"):
        pytest.skip("only fontconfig's folders can be chosen")
    (tmp_path / "fonts.conf").write_text(
        f"<fontconfig><dir>{tmp_path / 'fonts'}</dir></fontconfig>", encoding="utf-8"
    )
    monkeypatch.setenv("FONTCONFIG_FILE", str(tmp_path / "fonts.conf"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    (tmp_path / "fonts").mkdir()
    return tmp_path / "fonts"


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_letters_that_no_bundled_font_has_are_found(name):
    text = json.dumps({"author": f"Ana Łukić Müller, Ωλγα, Иван: {name}"}, ensure_ascii=False)
    assert report.find_undrawable(text, installed=False) == list(name)
    assert report.find_undrawable(text.replace(name, "− × · → ↑ Σ"), installed=False) == []


@pytest.mark.parametrize("installed", [True, False])
def test_an_installed_font_is_taken_or_its_lack_is_told(tmp_path, no_fonts, capsys, installed):
    if not BOXES.exists():
        pytest.skip("this matplotlib has no font of last resort")
    if installed:
        shutil.copy(BOXES, no_fonts)
    images.write_atomic(tmp_path / "report" / "report.typ", TEMPLATE)
    numbers = {"author": "Wang 王小明", "figures": FIGURES}
    pdf = report.write_report(numbers, DEMO, Paths(tmp_path))
    told = capsys.readouterr().out
    assert ("No installed font has 王 小 明: boxes stand for them" in told) != installed
    fonts = {font["/BaseFont"] for font in PdfReader(pdf).pages[0]["/Resources"]["/Font"].values()}
    assert any("LastResort" in name for name in fonts) == installed
    assert any("Libertinus" in name for name in fonts)
    assert report.draw_pages(DEMO, Paths(tmp_path))[0][:4] == b"\x89PNG"


@pytest.mark.parametrize(("pages", "shown"), [(5, True), (6, False)])
def test_the_detail_that_becomes_sharp_is_shown_if_there_is_room(tmp_path, monkeypatch, pages, shown) -> None:
    def compile_pages(config, paths, kind: str) -> bytes:
        figures = json.loads((paths.results(config) / "report.json").read_text(encoding="utf-8"))["figures"]
        writer, buffer = PdfWriter(), io.BytesIO()
        for _ in range(pages if "learning" in figures else 5):
            writer.add_blank_page(595, 842)
        writer.write(buffer)
        return buffer.getvalue()

    monkeypatch.setattr(report, "_compile", compile_pages)
    report.write_report({"figures": [*FIGURES, "learning"]}, DEMO, Paths(tmp_path))
    kept = json.loads((Paths(tmp_path).results(DEMO) / "report.json").read_text(encoding="utf-8"))
    assert ("learning" in kept["figures"]) == shown
