"""What a run tells of itself, from its start on: run.json."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from tiny_runs import TINY, StopError

from sr_utils import checkpoints, images
from sr_utils.data import sources
from sr_utils.data.pair import read_pair
from sr_utils.metrics import psnr
from sr_utils.paths import Paths
from sr_utils.training.distributed import join
from sr_utils.training.record import config_of, read_record, require_same
from sr_utils.training.run_files import LOCK, alone, is_training, read_last
from sr_utils.training.train import read_log, train
from sr_utils.training.validation import bicubic_psnr, mean_psnr


def _events(folder: Path) -> list[tuple[str, int]]:
    return [(event["event"], event["step"]) for event in read_record(folder)["history"]]


def test_a_run_tells_what_it_is_when_it_starts_and_how_it_ended(project: Paths) -> None:
    folder, seen = project.run(TINY), []

    def look(record: dict) -> None:
        seen.append((_events(folder), is_training(folder)))
        if record["step"] == 6:
            raise StopError("no more")

    with pytest.raises(StopError):
        train(TINY, project, look)
    assert seen[0] == ([("start", 0)], True) and not is_training(folder)
    assert read_record(folder)["history"][-1]["why"] == "StopError: no more"

    def interrupt(record: dict) -> None:
        if record["step"] == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(TINY, project, interrupt)
    train(TINY, project)
    told = [("start", 0), ("fail", 6), ("start", 6), ("stop", 10), ("start", 9), ("complete", 12)]
    assert _events(folder) == told
    before = (folder / "run.json").read_bytes()
    train(TINY, project)
    assert (folder / "run.json").read_bytes() == before  # a complete run is left as it is
    record = read_record(folder)
    assert record["config"] == vars(TINY) and record["changes"] == TINY.origin[1]
    assert (record["profile"], record["parameters"], record["label"]) == ("demo", 409_731, "MSRResNet-1")
    assert record["machine"] and {"python", "torch", "numpy"} <= record["versions"].keys()
    validated = [
        max(r["val_psnr_ema"], r["val_psnr_trained"]) for r in read_log(folder) if "val_psnr_ema" in r
    ]
    assert record["best_psnr"] == max(validated) and list(record["bicubic_psnr_rgb_border4"]) == ["v", "w"]


def test_a_fresh_start_has_a_record_of_its_own(project: Paths) -> None:
    folder = train(TINY, project)
    train(TINY, project, fresh=True)
    assert len(_events(folder)) == len(_events(folder / "replaced-1")) == 2


def test_a_folder_that_holds_another_run_is_not_trained_over(project: Paths) -> None:
    """As where a profile got another learning rate since: the name means another run than it did."""
    folder = project.run(TINY)
    train(replace(TINY, learning_rate=0.5, total_steps=2), project).rename(folder)
    told = r": learning rate 0\.5, total steps 2; .* means learning rate 0\.002, total steps 12 now.* Rename"
    with pytest.raises(ValueError, match=told):
        train(TINY, project)
    folder.rename(folder.with_name("mine"))
    assert train(TINY, project) == folder
    require_same(folder, TINY)


def test_a_record_of_an_older_or_newer_version_is_of_the_same_run(project: Paths) -> None:
    folder = train(replace(TINY, total_steps=2), project)
    record = read_record(folder)
    del record["config"]["mixup"]
    record["config"]["new_field"] = 3
    (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")
    require_same(folder, replace(TINY, total_steps=2))
    with pytest.raises(ValueError, match="newer version, with new_field"):
        config_of(record)
    del record["config"]["new_field"]
    assert config_of(record) == replace(TINY, total_steps=2, mixup=0.2)


def test_weights_alone_tell_their_run(project: Paths) -> None:
    folder = train(TINY, project)
    (folder / "run.json").unlink()
    record = read_record(folder)
    assert record["config"] == vars(TINY) and record["history"] == []
    with pytest.raises(FileNotFoundError, match="holds no run"):
        read_record(folder.parent)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"config": 1, "history": []}', b'{"config', b"\xff"])
def test_a_damaged_record_is_named_and_does_not_stop_the_run(project: Paths, content: bytes) -> None:
    folder = project.run(TINY)
    folder.mkdir(parents=True)
    (folder / "run.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"run\.json: damaged"):
        read_record(folder)
    train(TINY, project)
    assert _events(folder) == [("start", 0), ("complete", 12)]


def test_asking_whether_a_run_trains_disturbs_none(tmp_path: Path) -> None:
    assert not is_training(tmp_path) and not (tmp_path / LOCK).exists()
    with alone(tmp_path, join(), torch.device("cpu")):
        assert is_training(tmp_path) and is_training(tmp_path)
    assert not is_training(tmp_path)


def test_the_last_record_is_read_from_the_end_alone(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    assert read_last(tmp_path) == {}
    log.write_text("x" * 9000 + '\n{"step": 1}\n{"step": 2}\n{"st', encoding="utf-8")
    assert read_last(tmp_path) == {"step": 2}
    log.write_text("[1]\n", encoding="utf-8")
    assert read_last(tmp_path) == {}


def test_bicubic_is_measured_as_everywhere(project: Paths) -> None:
    pairs = sources.find_split(TINY, project, "val")
    expected = []
    for pair in pairs:
        hr, lr = read_pair(pair)
        expected.append(psnr(images.resize_bicubic(lr, 4), hr, border=4))
    assert mean_psnr(bicubic_psnr(pairs)) == pytest.approx(sum(expected) / 2)


def test_measuring_bicubic_counts_as_no_training(project: Paths, monkeypatch) -> None:
    clock = [0.0]

    def look() -> float:
        clock[0] += 0.001
        return clock[0]

    def slow(pairs: object) -> dict[str, float]:
        clock[0] += 100
        return dict.fromkeys("vw", 20.0)

    monkeypatch.setattr("sr_utils.training.run.time", SimpleNamespace(perf_counter=look))
    monkeypatch.setattr("sr_utils.training.record.bicubic_psnr", slow)
    folder = train(TINY, project)
    assert clock[0] > 100 > 1 > read_log(folder)[-1]["seconds"]


def test_a_run_whose_weights_tell_no_fingerprint_goes_on(project: Paths) -> None:
    """As runs of the first versions, which had no record either."""
    folder = train(TINY, project)
    (folder / "run.json").unlink()
    for name in ("best", "last"):
        model, story = checkpoints.load_checkpoint(folder / f"{name}.safetensors")
        del story["val_fingerprint"]
        checkpoints.save_weights(folder / f"{name}.safetensors", model, story)
    train(TINY, project)
    assert list(read_record(folder)["bicubic_psnr_rgb_border4"]) == ["v", "w"]


def test_a_complete_run_with_a_damaged_record_is_left_as_it_is(project: Paths) -> None:
    folder = train(TINY, project)
    (folder / "run.json").write_text("{", encoding="utf-8")
    assert train(TINY, project) == folder
    assert (folder / "run.json").read_text(encoding="utf-8") == "{"
