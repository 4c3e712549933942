"""A run is never lost or mixed up: whatever is missing, damaged, exchanged or started twice."""

import os
import signal
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_runs import TINY, StopError, assert_equal_runs

from sr_utils import checkpoints, images
from sr_utils.data.pair import find_pairs
from sr_utils.hand_in.checkpoint_rules import check_validation
from sr_utils.paths import Paths
from sr_utils.training.record import read_record
from sr_utils.training.run_files import read_state
from sr_utils.training.train import read_log, train
from sr_utils.training.validation import bicubic_psnr, mean_psnr, validation_of, validation_psnr


def _stop_at(step: int) -> Callable[[dict], None]:
    def stop(record: dict) -> None:
        if record["step"] == step:
            raise StopError

    return stop


def _stopped(paths: Paths, step: int) -> Path:
    with pytest.raises(StopError):
        train(TINY, paths, _stop_at(step))
    return paths.run(TINY.run_name)


def _content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _remove_states(folder: Path) -> None:
    for path in folder.glob("state*"):
        path.unlink()


@pytest.mark.parametrize("left", ["log, best and last", "best and last", "log and best", "best"])
def test_a_complete_run_without_its_state_is_left_as_it_is(project: Paths, left: str, capsys) -> None:
    """Its state was deleted for space, or only some of it was brought home from a rented machine."""
    config = replace(TINY, total_steps=4)  # the best step is the last
    folder = train(config, project)
    _remove_states(folder)
    for name in ("log.jsonl", "last.safetensors"):
        if name.split(".")[0] not in left:
            (folder / name).unlink()
    before = _content(folder)
    assert train(config, project) == folder
    assert _content(folder) == before
    assert "complete; fresh=True (--fresh) trains it again" in capsys.readouterr().out


def test_weights_of_an_unfinished_run_without_its_state_are_not_trained_over(project: Paths, capsys) -> None:
    folder = _stopped(project, 8)
    _remove_states(folder)
    before = _content(folder)
    told = r"holds weights \(step 8 of 12\), but no training state.*--fresh.*another seed or length"
    with pytest.raises(ValueError, match=told):
        train(TINY, project)
    assert train(TINY, project, take_weights=True) == folder  # as notebook 03 shows them
    assert "has no state" in capsys.readouterr().out
    assert _content(folder) == before


def test_a_fresh_start_moves_what_is_there_aside(project: Paths, trained, capsys) -> None:
    folder = _stopped(project, 8)
    first = _content(folder)
    train(TINY, project, fresh=True)
    told = capsys.readouterr().out
    assert f"moved to {folder / 'replaced-1'}" in told and told.count("moved to") == 1
    assert _content(folder / "replaced-1") == {name: first[name] for name in first if name != ".lock"}
    second = _content(folder / ".")["best.safetensors"]
    assert_equal_runs(folder, trained(TINY))
    _remove_states(folder)
    train(TINY, project, fresh=True)
    assert (folder / "replaced-2" / "best.safetensors").read_bytes() == second
    capsys.readouterr()
    train(replace(TINY, seed=5), project, fresh=True)
    assert "moved" not in capsys.readouterr().out  # nothing was there


def test_a_log_alone_is_not_overwritten(project: Paths, trained) -> None:
    folder = train(TINY, project)
    log = (folder / "log.jsonl").read_bytes()
    for path in (*folder.glob("state*"), *folder.glob("*.safetensors")):
        path.unlink()
    train(TINY, project)
    assert (folder / "replaced-1" / "log.jsonl").read_bytes() == log
    assert_equal_runs(folder, trained(TINY))


def test_there_are_no_weights_without_a_state(project: Paths, trained) -> None:
    """A run that is killed after its first validation, long before its first save, goes on."""
    config = replace(TINY, save_every=100)
    with pytest.raises(StopError):
        train(config, project, _stop_at(6))
    seen: list[int] = []
    folder = train(config, project, lambda record: seen.append(record["step"]))
    assert seen[0] == 6  # saved before the validation of step 4
    assert_equal_runs(folder, trained(config))


def test_a_complete_run_without_its_best_weights_makes_them_again(project: Paths) -> None:
    folder = train(TINY, project)
    last, log = checkpoints.load_checkpoint(folder / "last.safetensors")[0], read_log(folder)
    for damage in ("missing", "damaged"):
        if damage == "missing":
            (folder / "best.safetensors").unlink()
        else:
            (folder / "best.safetensors").write_bytes(b"no")
        train(TINY, project)
        _, story = checkpoints.load_checkpoint(folder / "best.safetensors")
        assert story["step"] == 12 and read_log(folder) == log
    assert (folder / "replaced-1" / "best.safetensors").read_bytes() == b"no"
    last_too, _ = checkpoints.load_checkpoint(folder / "last.safetensors")
    assert checkpoints.weights_digest(last_too) == checkpoints.weights_digest(last)


@pytest.mark.parametrize("fresh", [False, True])
def test_a_run_that_trains_is_not_started_twice(project: Paths, trained, fresh: bool) -> None:
    refused = []

    def start_again(record: dict) -> None:
        before = _content(project.run(TINY.run_name))
        with pytest.raises(OSError, match=r"is being trained by another process\. Wait for it, or stop it"):
            train(TINY, project, fresh=fresh)
        refused.append(_content(project.run(TINY.run_name)) == before)

    folder = train(TINY, project, start_again)
    assert refused == [True] * 6
    assert_equal_runs(folder, trained(TINY))
    assert train(TINY, project) == folder  # the lock has ended with the run


def _train_for_ever(begun, paths: Paths) -> None:
    train(replace(TINY, total_steps=10**6), paths, lambda record: begun.set())


def test_the_lock_ends_with_a_killed_process(project: Paths, start_process) -> None:
    config = replace(TINY, total_steps=10**6)
    other = start_process(_train_for_ever, project)
    with pytest.raises(OSError, match="is being trained by another process"):
        train(config, project)
    other.kill()
    other.join()
    with pytest.raises(StopError):
        train(config, project, lambda record: (_ for _ in ()).throw(StopError))


@pytest.fixture
def easier(project: Paths, make_photo) -> Paths:
    """The same project with smooth validation photos, which have a far higher PSNR, under the same names."""
    folder = project.root.parent / "easy"
    for name, size in (("v.png", (24, 32)), ("w.png", (26, 20))):
        images.write_image(folder / name, make_photo(*size) // 8 + 100)
    return replace(project, val_hr=folder)


def _scores(paths: Paths, name: str = "best") -> dict[str, float]:
    path = paths.run(TINY.run_name) / f"{name}.safetensors"
    return checkpoints.load_checkpoint(path)[1]["val_psnr_rgb_border4"]


def test_the_best_counts_on_the_validation_photos_of_now(project: Paths, easier: Paths, capsys) -> None:
    folder = _stopped(easier, 8)
    high = mean_psnr(_scores(easier))
    capsys.readouterr()
    seen: list[dict] = []
    train(TINY, project, seen.append)
    told = capsys.readouterr().out
    assert told.count("measured on other validation photos (v, w, …)") == 1
    later = [record[key] for record in seen for key in ("val_psnr_trained", "val_psnr_ema") if key in record]
    model, story = checkpoints.load_checkpoint(folder / "best.safetensors")
    assert max(later) <= mean_psnr(_scores(project)) < high - 3
    assert story["step"] in (4, 8, 12)
    again = validation_psnr(model, find_pairs(project.val_hr, None), precision="float32")
    assert _scores(project) == again


def test_a_later_step_is_kept_that_would_not_beat_the_old_photos(project: Paths, easier: Paths) -> None:
    """Without its file, so that nothing but the new photos is a mark."""
    folder = _stopped(easier, 8)
    (folder / "best.safetensors").unlink()
    train(TINY, project)
    assert checkpoints.load_checkpoint(folder / "best.safetensors")[1]["step"] in (8, 12)


@pytest.mark.parametrize("state", [True, False])
def test_a_complete_run_is_measured_again_on_exchanged_photos(
    project: Paths, easier: Paths, state: bool, capsys
) -> None:
    """So notebook 03 has no KeyError, and notebook 07's rule can be met."""
    folder = train(TINY, project)
    others = replace(easier, val_hr=easier.val_hr.rename(easier.val_hr.with_name("renamed")))
    (others.val_hr / "w.png").rename(others.val_hr / "x.png")
    pairs = find_pairs(others.val_hr, None)
    model, story = checkpoints.load_checkpoint(folder / "best.safetensors")
    shown = validation_of(folder / "best.safetensors", pairs, precision="float32")
    assert list(shown) == ["v", "x"] and _scores(project).keys() == {"v", "w"}  # only looked at
    if not state:
        _remove_states(folder)
    capsys.readouterr()
    train(TINY, others)
    assert capsys.readouterr().out.count("measured on other validation photos (v, w, …)") == 1
    assert _scores(others) == shown and _scores(others, "last").keys() == {"v", "x"}
    model_too, story_too = checkpoints.load_checkpoint(folder / "best.safetensors")
    assert checkpoints.weights_digest(model_too) == checkpoints.weights_digest(model)
    assert story_too["step"] == story["step"]
    assert all(rule.passed for rule in check_validation(model_too, story_too, pairs))
    record = read_record(folder)
    assert record["best_psnr"] == mean_psnr(shown)
    assert record["bicubic_psnr_rgb_border4"] == bicubic_psnr(pairs)
    before = _content(folder)
    train(TINY, others)
    assert _content(folder) == before and "other validation" not in capsys.readouterr().out


def test_weights_of_an_older_run_are_trusted_by_their_names(project: Paths, capsys) -> None:
    folder = train(TINY, project)
    model, story = checkpoints.load_checkpoint(folder / "best.safetensors")
    story.pop("val_fingerprint")
    checkpoints.save_weights(folder / "best.safetensors", model, story)
    train(TINY, project)
    assert "other validation" not in capsys.readouterr().out
    fewer = replace(project, val_hr=project.val_hr)
    (fewer.val_hr / "w.png").unlink()
    train(TINY, fewer)
    assert "other validation" in capsys.readouterr().out and _scores(fewer).keys() == {"v"}


@pytest.mark.parametrize("damage", ["empty", "half", "one bit", "missing"])
def test_a_damaged_state_falls_back_on_the_one_before(project: Paths, trained, damage: str, capsys) -> None:
    folder = _stopped(project, 8)  # states of steps 6 and 3
    state = folder / "state.pt"
    if damage == "missing":  # stopped between the two renames
        state.unlink()
    elif damage == "one bit":
        content = bytearray(state.read_bytes())
        largest = max(zipfile.ZipFile(state).infolist(), key=lambda part: part.file_size)
        content[largest.header_offset + 1000] ^= 1  # of a tensor
        state.write_bytes(content)
    else:
        os.truncate(state, 0 if damage == "empty" else state.stat().st_size // 2)
    seen: list[int] = []
    train(TINY, project, lambda record: seen.append(record["step"]))
    told = capsys.readouterr().out
    assert seen[0] == 4 and "goes on from the state before it, of step 3" in told
    assert ("is missing" if damage == "missing" else "damaged training state") in told
    assert (folder / "state.damaged.pt").exists() == (damage != "missing")
    assert_equal_runs(folder, trained(TINY))


def test_two_damaged_states_are_told_with_a_way_out(project: Paths) -> None:
    folder = _stopped(project, 8)
    for name in ("state.pt", "state.previous.pt"):
        os.truncate(folder / name, 0)
    before = _content(folder)
    with pytest.raises(ValueError, match=r"state\.pt: damaged.*state\.previous\.pt: damaged.*--fresh.*moves"):
        train(TINY, project)
    assert _content(folder) == before
    train(TINY, project, fresh=True)
    assert (folder / "replaced-1" / "best.safetensors").exists()


def test_a_state_is_kept_beside_the_newest_at_any_time(project: Paths) -> None:
    folder, pairs = project.run(TINY.run_name), set()

    def look(record: dict) -> None:
        if record["step"] >= 6:
            pairs.add(
                tuple(
                    checkpoints.load_state(folder / f"state{part}.pt")["step"] for part in ("", ".previous")
                )
            )

    train(TINY, project, look)
    assert pairs == {(6, 3), (9, 6), (12, 9)} and read_state(folder)[0]["step"] == 12


@pytest.mark.parametrize("line", [b'{"step": 4, "lo\n', b"\x00\x00\x00\n", b"[1]\n", b"\xff\xfe\n", b"{}\n"])
def test_a_damaged_line_inside_the_log_is_named(project: Paths, line: bytes) -> None:
    folder = _stopped(project, 8)
    log = folder / "log.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join([lines[0], line, *lines[1:]]))
    for read in (lambda: read_log(folder), lambda: train(TINY, project)):
        with pytest.raises(ValueError, match=r"log\.jsonl, line 2: damaged .*Delete that line"):
            read()
    log.write_bytes(b"".join(lines))
    assert len(read_log(folder)) == 4


@pytest.fixture
def handled() -> Callable[[int, object], None]:
    """handled(kind, handler): set a signal's handler; what was there is put back after the test."""
    before = {kind: signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)}
    yield signal.signal
    for kind, handler in before.items():
        signal.signal(kind, handler)


needs_hangup = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no SIGHUP")


@needs_hangup
def test_a_closed_terminal_saves_first(project: Paths, trained, handled) -> None:
    """Terminal and shell both send SIGHUP; here before step 5 ends, and between saves."""
    ended = []
    handled(signal.SIGHUP, lambda *_: ended.append("at once"))

    def hang_up(record: dict) -> None:
        if record["step"] == 4:
            os.kill(os.getpid(), signal.SIGHUP)
            os.kill(os.getpid(), signal.SIGHUP)

    with pytest.raises(KeyboardInterrupt):
        train(TINY, project, hang_up)
    assert not ended and read_state(project.run(TINY.run_name))[0]["step"] == 4
    assert_equal_runs(train(TINY, project), trained(TINY))


@needs_hangup
def test_nohup_stays_in_force(project: Paths, handled) -> None:
    handled(signal.SIGHUP, signal.SIG_IGN)
    train(TINY, project, lambda record: os.kill(os.getpid(), signal.SIGHUP))
    assert read_log(project.run(TINY.run_name))[-1]["step"] == 12


@needs_hangup
def test_ctrl_c_counts_where_a_shell_left_it_ignored(project: Paths, handled) -> None:
    """As for a background job of a script; the second one does not wait for the end of a step either."""
    handled(signal.SIGINT, signal.SIG_IGN)

    def interrupt_twice(record: dict) -> None:
        if record["step"] == 4:
            os.kill(os.getpid(), signal.SIGINT)
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(TINY, project, interrupt_twice)
    assert read_state(project.run(TINY.run_name))[0]["step"] == 4
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN


class _Broken:
    encoding = "utf-8"

    def write(self, *text: str) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    flush = write


def test_output_that_ended_loses_no_step(project: Paths, monkeypatch) -> None:
    """`… | tee log`, where Ctrl-C ends tee first; a closed terminal is another OSError."""

    def break_and_interrupt(record: dict) -> None:
        if record["step"] == 4:
            monkeypatch.setattr(sys, "stdout", _Broken())
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(TINY, project, break_and_interrupt)
    assert read_state(project.run(TINY.run_name))[0]["step"] == 4


@pytest.mark.parametrize("save_every", [8, 100])
def test_a_validation_photo_that_cannot_be_read_loses_no_saved_step(
    project: Paths, trained, save_every: int
) -> None:
    """The save that is due at the same step comes first, and the record that is owed is made up for."""
    config = replace(TINY, save_every=save_every, validate_every=8)
    photo = project.val_hr / "v.png"
    whole = photo.read_bytes()

    def spoil(record: dict) -> None:
        if record["step"] == 6:
            photo.write_bytes(whole[:200])

    with pytest.raises(ValueError, match=r"v\.png"):
        train(config, project, spoil)
    folder = project.run(config.run_name)
    assert read_state(folder)[0]["step"] == 8 and read_log(folder)[-1]["step"] == 6
    with pytest.raises(ValueError, match=r"v\.png"):  # before any work
        train(config, project)
    photo.write_bytes(whole)
    told: list[dict] = []
    train(config, project, told.append)
    assert [record["step"] for record in told] == [8, 10, 12] and "val_psnr_ema" in told[0]
    assert_equal_runs(folder, trained(config))
