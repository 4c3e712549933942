"""The shelf: runs in a table, the one that is chosen, and what the difference of two is worth."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from sr_utils.checkpoints import save_weights
from sr_utils.config import DEMO, PROFILES, Config, configure
from sr_utils.experiments.chosen import choose, chosen, current
from sr_utils.experiments.paired import compare_runs, interval
from sr_utils.experiments.runs import as_table, find_run, label_runs, read_runs
from sr_utils.experiments.upkeep import delete, export, tell, write_note
from sr_utils.networks import MSRResNet
from sr_utils.paths import Paths


def make_run(
    paths: Paths,
    config: Config,
    *,
    psnr: dict[str, float] | None = None,
    step: int | None = None,
    events: tuple[tuple, ...] = (("start", 0),),
    name: str = "",
    weights: bool = True,
) -> Path:
    """A folder as a training leaves it, with a network of a few weights."""
    folder = paths.run(name or config)
    folder.mkdir(parents=True)
    step = config.total_steps if step is None else step
    psnr = psnr or {"a": 26.0, "b": 30.0}
    profile, changes = config.origin
    history = [
        {"event": event, "at": "2026-11-25T10:00:00+00:00", "step": at} | ({"why": why[0]} if why else {})
        for event, at, *why in events
    ]
    record = {
        "profile": profile,
        "changes": changes,
        "config": vars(config),
        "network": "msrresnet",
        "label": "MSRResNet-20",
        "parameters": 5,
        "machine": "a computer",
        "versions": {"torch": "2"},
        "val_fingerprint": "v" + "".join(psnr),
        "bicubic_psnr_rgb_border4": dict.fromkeys(psnr, 25.0),
        "best_psnr": sum(psnr.values()) / len(psnr),
        "history": history,
    }
    (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")
    log = json.dumps({"step": step, "loss": 0.1, "seconds": 120.0}) + "\n"
    (folder / "log.jsonl").write_text(log if step else "", encoding="utf-8")
    if weights:
        story = {"val_psnr_rgb_border4": psnr, "val_fingerprint": record["val_fingerprint"]}
        story |= {"config": vars(config), "step": step}
        for file in ("best", "last") if step == config.total_steps else ("best",):
            save_weights(folder / f"{file}.safetensors", MSRResNet(1, features=2), story)
    return folder


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    (tmp_path / "pyproject.toml").write_text('name = "sr-utils"', encoding="utf-8")
    return Paths(tmp_path)


RATE = configure("demo", learning_rate=1e-3)


def test_without_runs_there_is_an_empty_table(paths: Paths, capsys) -> None:
    assert read_runs(paths) == [] and as_table([]).empty
    (paths.root / "checkpoints").mkdir()
    (paths.root / "checkpoints" / "some.safetensors").write_bytes(b"")
    assert read_runs(paths) == [] and capsys.readouterr().out == ""


def test_the_table_tells_each_run_and_sorts_by_psnr(paths: Paths) -> None:
    make_run(paths, DEMO)
    make_run(paths, RATE, psnr={"a": 28.0, "b": 30.0}, step=120)
    why = ("fail", 40, "FloatingPointError: the gradient")
    make_run(paths, PROFILES["fast"], psnr={"a": 20.0, "b": 21.0}, step=40, events=(("start", 0), why))
    table = as_table(read_runs(paths))
    assert list(table.index) == ["demo_learning_rate-0.001", "demo", "fast"]
    assert table.loc["demo"].to_dict() == {
        "network": "MSRResNet-20",
        "what differs": "nothing",
        "steps": "400/400",
        "PSNR dB (RGB, border 4)": "28.00",
        "over bicubic": "+3.00",
        "minutes": "2.0",
        "steps/s": "3.33",
        "state": "complete",
        "started": "2026-11-25 10:00",
        "validation photos": "a + b",
    }
    assert list(table["state"][["demo_learning_rate-0.001", "fast"]]) == [
        "stopped at 120",
        "failed at 40: FloatingPointError: the gradient",
    ]
    assert table.loc["demo_learning_rate-0.001", "what differs"] == "learning rate 0.001"
    assert [run.name for run in read_runs(paths, profile="fast")] == ["fast"]
    assert list(label_runs(read_runs(paths, profile="demo"))) == [
        "learning rate 0.001",
        "learning rate 0.002",
    ]


def test_a_run_that_trains_now_is_told(paths: Paths) -> None:
    folder = make_run(paths, DEMO)
    with FileLock(folder / ".lock"):
        assert read_runs(paths)[0].state == "training now"
    assert read_runs(paths)[0].state == "complete"


def test_damaged_and_foreign_folders_are_named_and_passed_over(paths: Paths, capsys) -> None:
    make_run(paths, DEMO)
    place = paths.root / "checkpoints"
    for name, content in {
        "half": b'{"config": {"pro',
        "list": b"[]",
        "other": b'{"config": {"profile": "demo"}, "history": []}',
        "event": b'{"config": {"profile": "demo"}, "history": [3], "label": "x"}',
        "kinds": b'{"config": {"profile": "demo"}, "history": [], "label": "x", "best_psnr": "high"}',
    }.items():
        (place / name).mkdir()
        (place / name / "run.json").write_bytes(content)
    (place / "foreign").mkdir()
    (place / "foreign" / "model.pth").write_bytes(b"1")
    (place / "spoilt").mkdir()
    (place / "spoilt" / "best.safetensors").write_bytes(b"\xff" * 20)
    (place / ".ipynb_checkpoints").mkdir()
    assert [run.name for run in read_runs(paths)] == ["demo"]
    told = capsys.readouterr().out
    assert told.count("passed over") == 7 and ".ipynb" not in told
    assert all(str(place / name) in told for name in ("half", "list", "foreign", "spoilt", "event", "kinds"))


def test_a_run_of_the_first_versions_is_on_the_shelf(paths: Paths) -> None:
    folder = make_run(paths, RATE, name=RATE.digest_name)
    (folder / "run.json").unlink()
    [run] = read_runs(paths)
    assert (run.psnr, run.gain, run.state, run.changes) == (28.0, None, "complete", {"learning_rate": 1e-3})
    (folder / "log.jsonl").unlink()
    assert read_runs(paths)[0].step == 400 and "learning rate 0.001" in as_table(read_runs(paths)).to_string()
    assert chosen(RATE.digest_name, paths) == RATE and paths.run(RATE) == folder


def test_five_hundred_runs_are_listed_without_opening_weights(paths: Paths, monkeypatch) -> None:
    first = make_run(paths, DEMO)
    for seed in range(1, 500):
        folder = paths.run(replace(DEMO, seed=seed))
        folder.mkdir()
        for name in ("run.json", "log.jsonl"):
            os.link(first / name, folder / name)
    opened = []
    monkeypatch.setattr("sr_utils.training.record.read_story", opened.append)
    assert len(as_table(read_runs(paths))) == 500 and not opened


def test_a_name_may_be_shortened_while_it_is_the_only_one(paths: Paths) -> None:
    for config in (DEMO, RATE, replace(DEMO, seed=1), replace(DEMO, seed=12)):
        make_run(paths, config, weights=False)
    runs = read_runs(paths)
    for name, found in {
        "demo": "demo",
        "demo_l": RATE.run_name,
        "0.001": RATE.run_name,
        "seed-12": "demo_seed-12",
    }.items():
        assert find_run(runs, name).name == found
    for name in ("demo_", "seed-1", "nothing", ""):
        with pytest.raises(ValueError, match="Expected the name of one run"):
            find_run(runs, name)
    assert find_run(runs, "demo_seed-1").name == "demo_seed-1"


def test_the_chosen_run_is_gone_on_with(paths: Paths, capsys) -> None:
    file = paths.root / "data" / "current_run.json"
    assert chosen(None, paths) == DEMO and not file.exists()
    assert "No run was chosen yet" in capsys.readouterr().out
    with pytest.raises(ValueError, match="name a profile, demo, full"):
        current(paths)
    long = configure("demo", total_steps=800)
    choose(long, paths)  # notebook 01
    assert capsys.readouterr().out.startswith(
        "Run demo_total_steps-800: the profile demo with total steps 800."
    )
    assert chosen(None, paths) == current(paths) == long
    assert chosen(None, paths, {"seed": 1}) == replace(long, seed=1)  # notebook 03
    assert chosen(None, paths) == replace(long, seed=1)  # notebook 04
    assert chosen(None, paths, {"flip": False}) == replace(long, flip=False)  # 03 again: of what 01 says
    assert chosen({"profile": "demo", "seed": 5}, paths) == replace(DEMO, seed=5)
    assert chosen({"profile": "demo"}, paths, {"seed": 6}) == replace(DEMO, seed=6)
    assert chosen(None, paths) == replace(long, flip=False)  # what is passed is no choice
    make_run(paths, RATE)
    assert chosen("0.001", paths) == chosen(None, paths) == RATE
    assert chosen("fast", paths) == PROFILES["fast"]  # a profile, before its first run
    with pytest.raises(TypeError, match="Did you mean 'learning_rate'"):
        chosen(None, paths, {"learn_rate": 1})
    for bad in ("{", "[]", '{"base": ["demo", {}]}', '{"base": ["x", {}], "run": ["x", {}]}', "3"):
        file.write_text(bad, encoding="utf-8")
        with pytest.raises(ValueError, match=r"current_run\.json: no run that can be used"):
            chosen(None, paths)


def test_a_name_that_means_another_run_now_is_told(paths: Paths) -> None:
    make_run(paths, RATE, name="demo")
    for run in (None, "demo"):
        with pytest.raises(ValueError, match=r"demo_learning_rate-0\.001"):
            chosen(run, paths)


def test_the_interval_of_one_seed_is_that_of_its_photos() -> None:
    gain = np.random.default_rng(1).normal(0.1, 0.05, (1, 40))
    low, high = interval(gain)
    half = 1.96 * gain.std() / np.sqrt(40)
    assert (low, high) == pytest.approx((gain.mean() - half, gain.mean() + half), abs=4e-3)


def test_one_seed_decides_nothing_and_the_command_for_more_is_told(paths: Paths) -> None:
    make_run(paths, DEMO)
    make_run(paths, replace(RATE, flip=False, schedule="constant"), psnr={"a": 26.5, "b": 30.5})
    runs = read_runs(paths)
    found = compare_runs(find_run(runs, "demo"), find_run(runs, "demo_f"), runs)
    assert (found.mean, found.low, found.high) == pytest.approx((0.5, 0.5, 0.5))
    assert (found.verdict, found.weights, found.seeds) == ("not decidable", "last", (0,))
    assert list(found.table["difference"]) == [0.5, 0.5] and list(found.table.index) == ["a", "b"]
    assert "One seed cannot tell luck from gain" in found.told and "+0.500 dB (+0.500 to +0.500" in found.told
    assert "`sr-utils train demo --seed 1 2` and" in found.told
    assert "demo --no-flip --learning-rate 0.001 --schedule constant --seed 1 2`" in found.told
    with pytest.raises(ValueError, match="Expected two runs"):
        compare_runs(runs[0], runs[0], runs)


def test_several_seeds_decide(paths: Paths) -> None:
    for seed, shift in enumerate((0.0, 0.4, -0.2)):
        make_run(paths, replace(DEMO, seed=seed), psnr={"a": 26 + shift, "b": 30 + shift})
        make_run(paths, replace(RATE, seed=seed), psnr={"a": 26.1 + shift, "b": 30.2 + shift})
    make_run(paths, replace(RATE, seed=3), psnr={"a": 1.0, "b": 1.0})  # no partner
    make_run(paths, replace(RATE, seed=4), psnr={"a": 1.0, "b": 1.0}, step=7)
    runs = read_runs(paths)
    one, other = (find_run(runs, config.run_name) for config in (DEMO, RATE))
    found = compare_runs(one, other, runs)
    assert (found.seeds, found.verdict) == ((0, 1, 2), "helps") and found.mean == pytest.approx(0.15)
    assert found.low >= 0.1 - 1e-9 and found.high <= 0.2 + 1e-9
    assert found.told.startswith(
        "learning rate 0.001 is better: learning rate 0.001 minus learning rate 0.002"
    )
    assert compare_runs(other, one, runs).verdict == "hurts"
    two_seeds = compare_runs(one, find_run(runs, "demo_seed-1"), runs)
    assert two_seeds.seeds == (0,) and list(two_seeds.table.columns[:2]) == ["seed 0", "seed 1"]


def test_what_cannot_be_compared_is_told(paths: Paths) -> None:
    make_run(paths, DEMO)
    make_run(paths, RATE, psnr={"a": 26.0, "c": 30.0})
    make_run(paths, replace(DEMO, seed=1), step=3, weights=False)
    make_run(paths, replace(DEMO, seed=2), step=300)
    runs = read_runs(paths)
    demo, rate, fresh, short = (find_run(runs, name) for name in ("demo", RATE.run_name, "seed-1", "seed-2"))
    with pytest.raises(ValueError, match="different validation photos"):
        compare_runs(demo, rate, runs)
    with pytest.raises(ValueError, match="no weights yet: it is stopped at 3"):
        compare_runs(demo, fresh, runs)
    assert compare_runs(demo, short, runs).weights == "best"  # one of the two is not at its end


def test_a_run_is_noted_exported_and_deleted(paths: Paths, tmp_path: Path) -> None:
    make_run(paths, DEMO, events=(("start", 0), ("stop", 10), ("start", 10), ("complete", 400)))
    (paths.results("demo") / "figures").mkdir(parents=True)
    (paths.results("demo") / "figures" / "zoom.png").write_bytes(b"1")
    [run] = read_runs(paths)
    write_note(run, "looks soft\n")
    [run] = read_runs(paths)
    assert run.note == "looks soft" and as_table([run])["note"].to_list() == ["looks soft"]
    told = tell(run)
    assert "stop at step 10" in told and "a computer" in told and "note: looks soft" in told
    target = tmp_path / "for a colleague"
    export(run, paths, target)
    assert {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()} == {
        "best.safetensors",
        "last.safetensors",
        "log.jsonl",
        "run.json",
        "config.json",
        "note.txt",
        "figures/zoom.png",
    }
    with pytest.raises(ValueError, match="there already"):
        export(run, paths, target)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []
    with FileLock(run.folder / ".lock"), pytest.raises(ValueError, match="being trained now"):
        delete(run, paths)
    write_note(run, " ")
    assert read_runs(paths)[0].note == ""
    delete(run, paths)
    assert read_runs(paths) == [] and not paths.results("demo").exists()


def test_a_link_is_not_deleted(paths: Paths, tmp_path: Path) -> None:
    folder = make_run(paths, DEMO)
    elsewhere = tmp_path / "elsewhere"
    shutil.move(folder, elsewhere)
    folder.symlink_to(elsewhere)
    [run] = read_runs(paths)
    with pytest.raises(ValueError, match="is a link"):
        delete(run, paths)
    assert (elsewhere / "run.json").exists()
