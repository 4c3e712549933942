"""The front door: every command's success, usage error, failure and Ctrl-C; its help, and how it starts."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock, Timeout

from sr_utils import checkpoints, images
from sr_utils.__main__ import main
from sr_utils.commands import COMMANDS, run_notebooks, runs, terminal
from sr_utils.commands.shared import BEST
from sr_utils.commands.sweep import spread
from sr_utils.config import PROFILES
from sr_utils.data import downloads
from sr_utils.enlarging import export
from sr_utils.enlarging.outputs import read_story
from sr_utils.experiments import study
from sr_utils.hand_in import rules
from sr_utils.networks import MSRResNet

ROOT = Path(__file__).parents[1]
TINY = [
    "--num-blocks=1",
    "--sub-image=32",
    "--sub-image-step=16",
    "--hr-patch-size=16",
    "--batch-size=2",
    "--total-steps=2",
    "--warmup-steps=0",
    "--precision=float32",
]


@pytest.fixture
def run(capsys):
    """run(*arguments): exit code, standard output, standard error of a command."""

    def call(*arguments: object) -> tuple[int, str, str]:
        code = main(list(map(str, arguments)))
        return (code, *capsys.readouterr())

    return call


@pytest.fixture
def project(tmp_path: Path, photo_folder, monkeypatch) -> Path:
    """The current folder: a project with small photos, Set5 of one photo, and weights that come with it."""
    (tmp_path / "pyproject.toml").write_text('name = "sr-utils"', encoding="utf-8")
    photo_folder("photos", {"a.png": (48, 64), "b.png": (40, 48)})
    photo_folder("train", {"a.png": (96, 128), "b.png": (100, 96)})
    photo_folder("val", {"v.png": (24, 32)})
    photo_folder("small", {"p.png": (6, 8), "q.png": (5, 5)})
    photo_folder("data/Set5/HR", {"bird.png": (32, 40)})
    photo_folder("data/Set5/LR_bicubic_x4", {"birdx4.png": (8, 10)})
    folders = {"train_hr": "train", "val_hr": "val", "test_lr": "small"}
    (tmp_path / "data" / "paths.json").write_text(json.dumps(folders), encoding="utf-8")
    checkpoints.save_weights(tmp_path / BEST, MSRResNet(1, features=8), {})
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_download(run, project: Path, monkeypatch) -> None:
    code, told, _ = run("download", "--list")
    assert code == 0 and "Set5: 1 MB" in told and "3,531 MB" in told and str(project / "data") in told
    monkeypatch.setattr(downloads, "prepare_mini_div2k", lambda paths: print(f"into {paths.root}"))
    code, told, _ = run("download", "DIV2K")
    assert code == 0 and f"into {project}" in told and "done: DIV2K" in told
    assert run("download", "Set5")[0] == 0  # it is there
    monkeypatch.setattr(downloads, "download_set5", lambda folder: False)
    (project / "data" / "Set5").rename(project / "elsewhere")
    code, _, error = run("download", "Set5")
    assert code == 1 and "Set5 was not downloaded" in error


def test_prepare_then_train(run, project: Path, monkeypatch) -> None:
    code, told, error = run("train", "demo", *TINY)
    assert code == 1 and error.count("\n") == 1 and "notebooks/01" in error  # no store yet
    code, told, _ = run("prepare", "demo", *TINY, "--total-steps=2e0")
    assert code == 0 and told.index("2 photos → ") < told.index("sub-images: ") < told.index("done: ")
    assert "about 0.00 GB; about 1 s" in told
    code, told, _ = run("train", "demo", *TINY, "--root", project)
    [folder] = project.glob("checkpoints/*/")
    assert code == 0 and f"done: {folder}" in told and (folder / "best.safetensors").exists()
    monkeypatch.setenv("RANK", "1")
    assert "done" not in run("train", "demo", *TINY)[1]  # one of torchrun's processes tells it


def _chosen(project: Path) -> dict:
    return json.loads((project / "data" / "current_run.json").read_text(encoding="utf-8"))["run"][1]


def test_what_a_command_is_given_is_gone_on_with(run, project: Path, monkeypatch) -> None:
    run("prepare", "demo", *TINY)
    assert _chosen(project)["num_blocks"] == 1 and "seed" not in _chosen(project)
    told = run("train", "demo", *TINY, "--seed=3")[1]
    assert told.startswith("Run demo_") and "seed 3" in told.splitlines()[0] and _chosen(project)["seed"] == 3
    code, again, _ = run("train")
    assert code == 0 and again.splitlines()[0] == told.splitlines()[0] and "This run is complete" in again
    given = []
    monkeypatch.setattr(run_notebooks, "run_notebooks", lambda *some, **more: given.append(some))
    assert run("notebooks")[0] == run("notebooks", "fast")[0] == 0  # the latter is no choice
    assert given[0][1]["seed"] == 3 and given[1][:2] == ("fast", {}) and _chosen(project)["seed"] == 3


def test_a_sweep_trains_one_after_another(run, project: Path, monkeypatch) -> None:
    run("prepare", "demo", *TINY)
    rates = ("--learning-rate", "5e-4", "1e-3", "1e-3")
    code, told, _ = run("train", "demo", *TINY, *rates, "--seed", "0", "1")
    assert code == 0 and len(list(project.glob("checkpoints/*/best.safetensors"))) == 4
    table = told.split("=== 6 of 6 ===")[1]
    assert table.count("complete  ") == 4 and "runs compare A B" in table
    assert "=== 6 of 6 ===" in told and _chosen(project)["seed"] == 1

    def stop(config, *_: object, **more: object) -> None:
        trained.append(config.learning_rate)
        if config.learning_rate == 0.9:
            raise FloatingPointError("not finite")
        if config.learning_rate == 0.5:
            raise KeyboardInterrupt

    trained: list[float] = []
    monkeypatch.setattr("sr_utils.training.train.train", stop)
    code, told, error = run("train", "demo", *TINY, "--learning-rate", "0.9", "0.8")
    assert (code, trained) == (1, [0.9, 0.8]) and "not finite" in told
    assert error == "1 of 2 failed: learning rate 0.9.\n"
    code, _, error = run("train", "demo", *TINY, "--learning-rate", "0.5", "0.7")
    assert (code, trained[2:], error) == (130, [0.5], "")  # Ctrl-C ends the list


def test_a_line_with_several_values_means_several_lines() -> None:
    line = ["train", "demo", "--seed", "1", "2", "--fresh", "--loss=l1", "mse"]
    told = [" ".join(words) for words in spread(line[:-1])]
    assert told == [f"train demo --seed {seed} --fresh --loss=l1" for seed in (1, 2)]
    for line in ([], ["enlarge", "--weights", "a", "b"], ["train"], ["train", "demo", "--seed"]):
        assert spread(line) == [line]


def test_runs_in_the_terminal(run, project: Path, monkeypatch) -> None:
    assert run("runs")[1] == "No runs yet. The first one: sr-utils prepare demo, then sr-utils train demo\n"
    (project / "checkpoints" / "foreign").mkdir()
    code, told, error = run("runs", "--json")
    assert json.loads(told) == [] and "foreign holds no run" in error
    (project / "checkpoints" / "foreign").rmdir()
    run("prepare", "demo", *TINY)
    short = [flag.replace("=", " ") for flag in TINY]
    run("train", "demo", *" ".join(short).split(), "--seed", "0", "1")
    code, told, _ = run("runs", "--profile", "demo")
    first, second = (line.split()[0] for line in told.splitlines()[-2:])
    assert code == 0 and "PSNR dB (RGB, border 4)" in told and told.count("complete") == 2
    rows = json.loads(run("runs", "--json")[1])
    assert {row["name"] for row in rows} == {first, second} and rows[0]["psnr"] >= rows[1]["psnr"]
    assert "No runs yet" in run("runs", "--profile", "full")[1]
    code, told, _ = run("runs", "compare", first, second)
    assert code == 0 and "the last weights of both" in told and "seed 1" in told and "Not decidable" in told
    assert run("runs", "note", first, "soft")[0] == 0 and "note: soft" in run("runs", "show", first)[1]
    assert "soft" in run("runs")[1] and first in run("runs", "choose", first)[1]
    assert run("runs", "export", first, "out/there")[0] == 0 and Path("out/there/best.safetensors").exists()
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    code, told, error = run("runs", "delete", first)
    assert code == 1 and "cannot be undone" in told and "Nothing was deleted" in error
    assert run("runs", "delete", first, "--yes")[0] == 0 and len(json.loads(run("runs", "--json")[1])) == 1
    with FileLock(project / "checkpoints" / second / ".lock"):
        lock = [0]
        monkeypatch.setattr(time, "sleep", lock.append)
        monkeypatch.setattr("sr_utils.training.run_files.FileLock", _opens_after(2))
        code, told, _ = run("runs", "watch", "--every", "7")
    assert code == 0 and told.count(second) == 2 and lock == [0, 7.0, 7.0]
    assert told.endswith("No run is being trained now.\n")


def test_runs_are_filtered_by_every_profile() -> None:
    assert get_args(runs.ProfileName) == tuple(PROFILES)


def test_a_narrow_terminal_gets_the_columns_that_fit(monkeypatch) -> None:
    columns = ["network", "what differs", "steps", "PSNR", "state", "started", "validation photos"]
    table = pd.DataFrame([["x" * 20] * len(columns)], columns=columns, index=["demo"])
    assert len(runs._fit(table).splitlines()[0]) > 140
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")
    told = runs._fit(table).splitlines()[0]
    assert len(told) <= 100 and told.split() == ["what", "differs", "steps", "PSNR", "state"]


def _opens_after(looks: int) -> type:
    class Opening:
        asked = 0

        def __init__(self, *_: object, **more: object) -> None: ...

        def acquire(self) -> None:
            Opening.asked += 1
            if Opening.asked <= looks:
                raise Timeout("")

        def release(self) -> None: ...

    return Opening


def test_enlarge_one_photo_and_a_folder(run, project: Path) -> None:
    code, told, error = run("enlarge", "small/p.png")
    assert (code, error) == (0, "") and told.splitlines()[-1] == (
        "done: 1 of 1 photos enlarged, 0 of them earlier: small/p_x4.png"
    )
    assert images.read_image(project / "small" / "p_x4.png").shape == (24, 32, 3)
    told = run("enlarge", "small", "small/p.png")[1]
    assert told.endswith("2 of 2 photos enlarged, 1 of them earlier: photo_x4.png beside each\n")
    assert _names("small") == ["p.png", "p_x4.png", "q.png", "q_x4.png"]  # no output is an input
    assert run("enlarge", "small", "--out", "new/out", "--self-ensemble")[0] == 0
    assert _names("new/out") == ["manifest.jsonl", "p.png", "q.png"]
    assert [read_story(Path(name))["ensemble"] for name in ("new/out/p.png", "small/p_x4.png")] == [
        True,
        False,
    ]


def _names(folder: str) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


def test_enlarge_goes_on_where_it_was_stopped(run, project: Path) -> None:
    run("enlarge", "small")
    whole = Path("small/p_x4.png").read_bytes()
    Path("small/p_x4.png").write_bytes(whole[:-3])
    assert "1 of them earlier" in run("enlarge", "small")[1]
    assert Path("small/p_x4.png").read_bytes() == whole
    images.write_image(project / "small" / "q.png", np.zeros((5, 5, 3), np.uint8))  # another photo by now
    assert "1 of them earlier" in run("enlarge", "small")[1]
    checkpoints.save_weights(project / "other.safetensors", MSRResNet(2, features=8), {})
    assert "0 of them earlier" in run("enlarge", "small", "--weights", "other.safetensors")[1]


def test_enlarge_never_replaces_what_it_did_not_make(run, project: Path) -> None:
    images.write_image(project / "small" / "p_x4.png", np.zeros((9, 9, 3), np.uint8))
    before = Path("small/p_x4.png").read_bytes()
    code, _, error = run("enlarge", "small/p.png", "small/q.png")
    assert code == 1 and "small/p_x4.png" in error and "not outputs of ours" in error
    assert Path("small/p_x4.png").read_bytes() == before and not Path("small/q_x4.png").exists()


def test_enlarge_tells_what_failed(run, project: Path) -> None:
    Path("small/r.png").write_text("no image", encoding="utf-8")
    code, told, error = run("enlarge", "small")
    assert code == 1 and "done: 2 of 3 photos enlarged" in told
    assert error.count("\n") == 1 and error.startswith("1 of 3 failed: ") and "r.png" in error


def test_enlarge_passes_on_what_foreign_weights_do_not_tell(run, project: Path, monkeypatch) -> None:
    given = []

    def load(path: Path, **more: float) -> tuple[MSRResNet, dict]:
        given.append(more)
        return MSRResNet(1, features=8), {}

    monkeypatch.setattr(checkpoints, "load_checkpoint", load)
    assert run("enlarge", "small/p.png")[0] == 0
    assert run("enlarge", "small/p.png", "--res-scale", "0.2", "--image-range", "1")[0] == 0
    assert given == [{"res_scale": None, "image_range": None}, {"res_scale": 0.2, "image_range": 1.0}]


def test_enlarge_outside_of_any_project(run, project: Path, tmp_path_factory, monkeypatch) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (project / "small" / "q.png").rename(elsewhere / "q.png")
    monkeypatch.chdir(elsewhere)
    assert (ROOT / BEST).is_file() and run("enlarge", "q.png")[0] == 0
    assert run("enlarge", "q.png", "--root", elsewhere)[0] == 1


def test_evaluate(run, project: Path) -> None:
    checkpoints.save_weights(project / "two.safetensors", MSRResNet(2, features=8), {})
    code, told, _ = run("evaluate", "two.safetensors", BEST, "--csv", "new/table.csv")
    table = pd.read_csv("new/table.csv", index_col="method")
    assert code == 0 and set(table.index) == {"bicubic", "two", Path(BEST).stem}
    assert table["PSNR dB (RGB, border 4)"].is_monotonic_decreasing and len(table.columns) == 4
    assert all(name in told for name in table.index)
    code, told, _ = run("evaluate", "two.safetensors", "--photos", "photos")
    assert code == 0 and "bicubic" in told
    blank = project / "photos" / "blank.png"
    images.write_image(blank, np.full((64, 64, 3), 255, np.uint8))
    code, judged, _ = run("evaluate", "two.safetensors", "--photos", "photos")
    assert code == 0 and "1 of 3 photos have no detail" in judged and "inf" not in judged
    blank.unlink()
    code, _, error = run("evaluate", "two.safetensors", "--photos", "photos", "small")
    assert code == 1 and "HR and LR do not match" in error
    (project / "copy").mkdir()
    checkpoints.save_weights(project / "copy" / "two.safetensors", MSRResNet(2, features=8), {})
    assert "copy/two.safetensors" in run("evaluate", "two.safetensors", "copy/two.safetensors")[1]


def test_compare(run, project: Path, photo_folder, make_photo) -> None:
    photo_folder("one", {"a.png": (48, 64), "b.png": (40, 48)})
    photo_folder("two", {"a.png": (48, 64), "b.png": (40, 48)})
    code, told, _ = run("compare", "photos", "first=one", "second=two", "--out", "page.html")
    page = Path("page.html").read_text(encoding="utf-8")
    assert code == 0 and "2 photos, first, second in page.html" in told
    assert all(f'"{name}"' in page for name in ("a", "b", "first", "second", "HR"))
    images.write_image(project / "odd" / "p.png", make_photo(43, 49))
    images.write_image(project / "made" / "p.png", make_photo(40, 48, 1))
    assert run("compare", "odd", "cut=made")[0] == 0 and Path("compare.html").exists()
    (project / "one" / "b.png").unlink()
    images.write_image(project / "two" / "a.png", make_photo(44, 64))
    code, _, error = run("compare", "photos", "first=one", "second=two", "--out", "no.html")
    assert code == 1 and "second, a: expected 48×64 pixels, got 44×64" in error
    assert "first, b: expected 40×48 pixels, got nothing" in error and not Path("no.html").exists()


def test_check(run, project: Path, monkeypatch) -> None:
    rows = [rules.Rule("one", True, "1 of 1", "")]
    monkeypatch.setattr(rules, "check", lambda path: rows)
    code, told, error = run("check", "hand-in")
    assert (code, error) == (0, "") and "pass  one: 1 of 1" in told and "all 1 rules pass" in told
    rows.append(rules.Rule("two", False, "2 of 3", "Do it."))
    code, told, error = run("check", "hand-in")
    assert code == 1 and "FAIL  two: 2 of 3" in told and error == "1 of 2 rules fail: two: Do it.\n"


def test_export(run, project: Path, monkeypatch) -> None:
    monkeypatch.setattr(export, "export_onnx", lambda model, path: path.write_bytes(b"1"))
    code, told, _ = run("export", BEST, "m.onnx")
    assert code == 0 and "done: m.onnx" in told


def test_study(run, project: Path, monkeypatch) -> None:
    given = []
    monkeypatch.setattr(study, "run_study", lambda paths, arms: given.append((paths.root, arms)))
    assert run("study")[0] == run("study", "MSE", "no EMA")[0] == 0
    assert given == [(project, ()), (project, ("MSE", "no EMA"))]


def test_notebooks(run, project: Path, monkeypatch) -> None:
    given = []
    monkeypatch.setattr(run_notebooks, "run_notebooks", lambda *some, **more: given.append((some, more)))
    assert run("notebooks", "fast", "--only", "01", "03", "--no-download", "--total-steps", "7")[0] == 0
    [((profile, changes, paths), more)] = given
    assert (profile, changes, paths.root) == ("fast", {"total_steps": 7}, project)
    assert more == {"only": ("01", "03"), "download": False}


def test_notebooks_run_ours_alone_and_name_what_is_missing(project: Path, run, monkeypatch) -> None:
    names = ("01_one", "02_two", "02_two-Copy1", "notes", "1_x")
    for name in names:
        (project / "notebooks").mkdir(exist_ok=True)
        (project / "notebooks" / f"{name}.ipynb").write_text("{}", encoding="utf-8")
    ran = []
    monkeypatch.setattr(run_notebooks, "_run", lambda path, *_: ran.append(path.stem))
    assert run("notebooks", "demo")[0] == 0 and ran == ["01_one", "02_two"]
    code, _, error = run("notebooks", "demo", "--only", "01", "05")
    assert code == 1 and "No notebook 05" in error and ran == ["01_one", "02_two"]


USAGE = {
    "download": (["download", "--lst"], "--list"),
    "prepare": (["prepare", "demo", "--sub-imge", "96"], "--sub-image"),
    "train": (["train", "demo", "--learnin-rate", "1e-3"], "--learning-rate"),
    "enlarge": (["enlarge", "a.png", "--outt", "x"], "--out"),
    "evaluate": (["evaluate", "a", "--photo", "x"], "--photos"),
    "compare": (["compare", "hr", "a=b", "--ouut", "x"], "--out"),
    "check": (["check", "x", "--rot", "y"], "--root"),
    "export": (["export", "a", "b.onnx", "--res-scal", "1"], "--res-scale"),
    "study": (["study", "--quite"], "--quiet"),
    "notebooks": (["notebooks", "demo", "--onyl", "01"], "--only"),
    "no command": ([], "{download, prepare, train,"),
    "wrong command": (["trian", "demo"], "train"),
    "fields of no profile": (["train", "--seed", "1"], "chosen, demo, full, fast, open"),
    "runs": (["runs", "shw"], "table, compare, show"),
    "runs of no profile": (["runs", "--profile", "dmeo"], "demo"),
    "one run to compare": (["runs", "compare", "a"], "whose gain is told"),
    "a sweep with a value out of range": (
        ["train", "demo", "--batch-size", "2", "0"],
        "batch_size: expected",
    ),
    "wrong profile": (["train", "dmeo"], "demo, full, fast, open"),
    "wrong choice": (["train", "demo", "--loss", "l3"], "charbonnier"),
    "wrong number": (["train", "demo", "--learning-rate", "high"], "--learning-rate"),
    "no whole number": (["train", "demo", "--batch-size", "1.5"], "expected a whole number, got '1.5'"),
    "no table": (["evaluate", "a", "--csv", "a.pth"], "ends in .csv"),
    "out of range": (["train", "demo", "--batch-size", "0"], "batch_size: expected at least 1, got 0"),
    "excluding": (["train", "demo", "--cutblur", "0.5"], "unshuffle_stem"),
    "no photo": (["enlarge"], "at least one photo"),
    "no weights": (["evaluate"], "at least one checkpoint"),
    "three folders": (["evaluate", "a", "--photos", "a", "b", "c"], "one or two folders"),
    "no tool": (["compare", "hr"], "NAME=DIR"),
    "no name": (["compare", "hr", "folder"], "NAME=DIR"),
    "two of a name": (["compare", "hr", "a=b", "a=c"], "different names"),
    "the truth's name": (["compare", "hr", "HR=b"], "none of them HR"),
    "no page": (["compare", "hr", "a=b", "--out", "x.png"], "ends in .html"),
    "no ONNX": (["export", "a", "b"], "ends in .onnx"),
    "no hand-in": (["check"], "FOLDER_OR_ZIP"),
    "no value": (["enlarge", "a", "--weights"], "--weights"),
    "unknown arm": (["study", "CutMix"], "RGB permutation and Blend"),
}


@pytest.mark.parametrize("case", USAGE)
def test_a_command_line_that_cannot_be_meant_is_told_in_one_line(run, project: Path, case: str) -> None:
    arguments, told = USAGE[case]
    code, output, error = run(*arguments)
    assert (code, output) == (2, "") and error.count("\n") == 1 and told in error, error
    assert not set(error) & set("│╭╰─")


FAILURES = {
    "download": ["download", "--root", "nowhere"],
    "prepare": ["prepare", "full", "--sub-image=64", "--hr-patch-size=64"],
    "train": ["train", "fast"],
    "nothing chosen": ["train"],
    "runs": ["runs", "show", "demo"],
    "enlarge": ["enlarge", "small/p.png", "nothing.png"],
    "evaluate": ["evaluate", "nothing.pth"],
    "compare": ["compare", "photos", "a=nowhere"],
    "check": ["check", "small"],
    "export": ["export", "nothing.pth", "m.onnx"],
    "study": ["study", "--root", "nowhere"],
    "notebooks": ["notebooks", "demo"],
    "no project": ["compare", "photos", "a=photos", "--root", "nowhere"],
}


@pytest.mark.parametrize("case", FAILURES)
def test_a_failure_is_one_line_and_no_traceback(run, project: Path, case: str) -> None:
    code, _, error = run(*FAILURES[case])
    assert code == 1 and error.count("\n") == 1 and len(error) > 20, error


@pytest.mark.parametrize("command", get_args(COMMANDS))
def test_ctrl_c_is_130_without_a_word(run, monkeypatch, command) -> None:
    def interrupted(self) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "run", interrupted)
    arguments = {"Enlarge": ["a"], "Evaluate": ["a"], "Compare": ["a", "b=c"], "Check": ["a"]}
    arguments |= {"Export": ["a", "b.onnx"]} | {key: ["demo"] for key in ("Prepare", "Train", "Notebooks")}
    name = command.__name__
    assert run(name.lower(), *arguments.get(name, [])) == (130, "", "")


SLOW = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever the shell left
from sr_utils import __main__
from sr_utils.enlarging import infer
infer.super_resolve = lambda *some: (print("begun", flush=True), time.sleep(60))
sys.exit(__main__.main(sys.argv[1:]))
"""


@pytest.mark.skipif(os.name == "nt", reason="SIGINT")
def test_ctrl_c_in_the_middle_of_a_photo(project: Path) -> None:
    command = [sys.executable, "-c", SLOW, "enlarge", "small/p.png"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    assert any("begun" in line for line in iter(child.stdout.readline, ""))  # ends too if the child does
    child.send_signal(signal.SIGINT)
    _, error = child.communicate(timeout=60)
    assert (child.returncode, error) == (130, "") and not list(Path("small").glob("*_x4*"))


STARTS = """
import sys
from sr_utils.__main__ import main
code = main(sys.argv[1:])
heavy = {"torch", "torchvision", "cv2", "pandas", "skimage", "sklearn", "matplotlib", "numpy", "IPython"}
print(code, sorted(heavy & set(sys.modules)), file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("arguments", "code"), [(["--help"], 0), (["train", "full", "--help"], 0), (["enlarge", "--outt"], 2)]
)
def test_help_and_usage_errors_import_nothing_heavy(arguments: list[str], code: int) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", STARTS, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, encoding="utf-8")
    assert done.stderr.splitlines()[-1] == f"{code} []", done.stderr


def test_the_console_script_is_the_module() -> None:
    told = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'sr-utils = "sr_utils.__main__:main"' in told
    command = [sys.executable, "-m", "sr_utils", "check"]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", cwd=ROOT)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "FOLDER_OR_ZIP" in done.stderr


@pytest.mark.parametrize("profile", PROFILES)
def test_help_tells_every_field_with_its_docstring_and_the_profiles_own_default(run, profile: str) -> None:
    code, told, _ = run("train", profile, "--help")
    told = " ".join(told.replace("│", " ").split())
    assert code == 0 and "Optimiser updates of the whole run." in told
    assert f"(default: {PROFILES[profile].total_steps})" in told and "{l1,mse,charbonnier}" in told
    assert f"(default: {PROFILES[profile].learning_rate})" in told and "--fresh" in told
    assert "--profile" not in told and "--name" not in told


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_redirected_console_without_our_characters(encoding: str) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding}
    for arguments, code, told in ((["full", "--help"], 0, "Beta("), (["full", "--fres"], 2, "mean --fresh?")):
        command = [sys.executable, "-m", "sr_utils", "train", *arguments]
        done = subprocess.run(command, capture_output=True, env=environment)
        assert done.returncode == code and told in (done.stdout + done.stderr).decode(encoding)
        assert done.stderr.count(b"\n") == code // 2 and b"---" not in done.stderr


def test_an_error_in_colour_is_told_without() -> None:
    """As tyro writes it where standard output is a terminal."""
    box = """\x1b[31m╭─ Unrecognized options ─╮\x1b[0m
\x1b[31m│\x1b[0m \x1b[1mUnrecognized options: --fres\x1b[0m \x1b[31m│
│\x1b[0m ────────── │
│ Perhaps you meant:         │
│     --fresh                │
│ ────────── │
│ See help                   │
╰──╯
"""
    assert terminal.one_line(box) == "Unrecognized options: --fres. Did you mean --fresh? See help"


def test_an_environment_that_lacks_a_package_is_told(run, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "sr_utils.commands", None)
    code, _, error = run("--help")
    assert code == 1 and error.count("\n") == 1 and "sr_utils.commands" in error


def test_quiet_says_nothing(run, project: Path) -> None:
    assert run("enlarge", "small", "--quiet") == (0, "", "")
    code, told, error = run("enlarge", "small", "missing.png", "--quiet")
    assert (code, told) == (1, "") and "missing.png" in error


def test_a_bar_is_plain_lines_where_no_terminal_watches(monkeypatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(terminal, "BAR_SECONDS", 10)
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    stream = io.StringIO()
    with terminal.Lines(stream) as lines:
        print("begin", file=lines)
        for seconds in range(0, 25, 4):
            clock[0] = seconds
            lines.write(f"\r{seconds} s")
        lines.write("\r   \rStopped.\n")
        lines.write("\r24 s, last\n")
        print("\n=== next ===", file=lines)
        lines.write("no end")
    assert stream.getvalue().splitlines() == [
        "begin",
        "8 s",
        "20 s",
        "Stopped.",
        "24 s, last",
        "",
        "=== next ===",
        "no end",
    ]
