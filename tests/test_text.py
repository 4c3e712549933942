"""Text in any locale: files name their encoding, and a console that lacks a character ends nothing."""

import ast
import io
import json
import re
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_color import Nearest

from sr_utils import images
from sr_utils.checkpoints import load_checkpoint
from sr_utils.config import PROFILES
from sr_utils.console import say, tolerate_any_console
from sr_utils.data.build_store import build_store
from sr_utils.enlarging.infer import super_resolve_folder
from sr_utils.networks import EDSR
from sr_utils.paths import Paths
from sr_utils.training.train import train

REPOSITORY = Path(__file__).parents[1]
SCRIPTS = [
    path
    for pattern in ("sr_utils/**/*.py", "tests/**/*.py", "notebooks/*.*", "bench/*.py", "*/make_*.py")
    for path in sorted(REPOSITORY.glob(pattern))
]
NOT_TEXT = ("Image", "lmdb", "os", "zipfile", "webbrowser")  # whose open() has no encoding


def _sources(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        yield text
    else:
        yield from ("".join(c["source"]) for c in json.loads(text)["cells"] if c["cell_type"] == "code")


def _lacks_encoding(call: ast.Call) -> bool:
    """Of read_text, write_text, and open in text mode; ruff's PLW1514 sees them of a plain Path alone."""
    function, owner = call.func, ""
    if isinstance(function, ast.Attribute):
        function, owner = function.attr, ast.unparse(function.value)
    elif isinstance(function, ast.Name):
        function = function.id
    if any(keyword.arg == "encoding" for keyword in call.keywords):
        return False
    modes = [node.value for node in call.args if isinstance(node, ast.Constant)]
    binary = any(re.fullmatch(r"[rwax]\+?b\+?", str(mode)) for mode in modes)
    return function in ("read_text", "write_text") or (
        function == "open" and owner not in NOT_TEXT and not binary
    )


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_every_text_file_is_read_and_written_with_an_encoding(path: Path) -> None:
    calls = [
        node for text in _sources(path) for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)
    ]
    assert [ast.unparse(call) for call in calls if _lacks_encoding(call)] == []


ENCODINGS = pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp932", "gbk"])


def _console(encoding: str) -> io.TextIOWrapper:
    """Standard output that fails on what its encoding lacks, as that of a redirected script on Windows."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    with pytest.raises(UnicodeEncodeError):
        stream.write("→ × · ▏ 写真 ไทย Ä")
    return stream


def _told(stream: io.TextIOWrapper) -> str:
    stream.flush()
    return stream.buffer.getvalue().decode(stream.encoding)


@ENCODINGS
def test_building_training_and_enlarging_print_to_any_console(encoding, tmp_path, photo_folder, make_photo):
    paths = Paths(tmp_path / "写真 ไทย", val_hr=photo_folder("Ä 写真 ไทย", {"v ไทย.png": (24, 32)}))
    (paths.val_hr / "→ ไทย.heic").write_bytes(b"x")
    torch.save(EDSR(1).state_dict(), tmp_path / "ไทย.pth")
    config = replace(
        PROFILES["demo"],
        num_blocks=1,
        sub_image=32,
        sub_image_step=16,
        hr_patch_size=16,
        batch_size=1,
        total_steps=2,
        log_every=1,
        precision="float32",
    )
    with redirect_stdout(_console(encoding)) as console:
        build_store([("a", make_photo(32, 32), None)], paths.store("demo"), sub_image=32, step=16)
        train(config, paths)
        load_checkpoint(tmp_path / "ไทย.pth")
        super_resolve_folder(Nearest(), images.list_images(paths.val_hr), tmp_path / "out")
    told = _told(console)
    assert "parameters" in told and "training: 100%" in told and "enlarging: 100%" in told
    assert " ???.heic) are passed over" in told and "???.pth does not tell all" in told


@ENCODINGS
def test_a_line_loses_only_what_the_console_lacks(encoding) -> None:
    with redirect_stdout(_console(encoding)) as console:
        say("Ä → 4×")
        tolerate_any_console()
        print("ไทย")
    kept = "Ä → 4×".encode(encoding, "replace").decode(encoding)
    assert _told(console) == f"{kept}\n???\n" and "4" in kept


def test_say_prints_where_standard_output_is_no_file(monkeypatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    tolerate_any_console()
    say("→ ไทย")
    assert sys.stdout.getvalue() == "→ ไทย\n"
