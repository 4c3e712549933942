import math
import os
import random
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_runs import TINY, StopError, assert_equal, assert_equal_runs, story_of

from sr_utils import checkpoints, images, metrics
from sr_utils.config import FULL, PROFILES, Config
from sr_utils.data import sources
from sr_utils.data.build_store import build_store
from sr_utils.data.pair import find_pairs, read_pair
from sr_utils.device import Device
from sr_utils.enlarging.infer import super_resolve
from sr_utils.paths import Paths
from sr_utils.training import train as training
from sr_utils.training.recipe import learning_rate_at
from sr_utils.training.run import Run
from sr_utils.training.state import PATIENCE
from sr_utils.training.train import read_log, train


@pytest.mark.parametrize(
    ("config", "step", "expected"),
    [
        (FULL, 0, 2e-4),
        (FULL, 125_000, (2e-4 + 1e-7) / 2),
        (FULL, 249_999, 1e-7),
        (FULL, 250_000, 2e-4),
        (FULL, 375_000, (2e-4 + 1e-7) / 2),
        (FULL, 1_999_999, 1e-7),
        (replace(FULL, schedule="constant"), 777, 2e-4),
        (PROFILES["demo"], 0, 2e-3 / 20),
        (PROFILES["demo"], 9, 2e-3 / 2),
        (PROFILES["demo"], 19, 2e-3),
        (PROFILES["demo"], 20, 2e-3),
        (PROFILES["demo"], 210, (2e-3 + 1e-7) / 2),
        (PROFILES["demo"], 400, 1e-7),
        (replace(PROFILES["demo"], total_steps=10), 0, 2e-3),  # a warm-up of one step, not of 20
        (replace(PROFILES["demo"], total_steps=10), 10, 1e-7),
    ],
)
def test_learning_rate(config: Config, step: int, expected: float) -> None:
    assert learning_rate_at(config, step) == pytest.approx(expected, rel=1e-4, abs=1e-12)


def test_learning_rate_without_warmup_starts_at_the_top() -> None:
    config = replace(PROFILES["demo"], warmup_steps=0)
    rates = [learning_rate_at(config, step) for step in range(config.total_steps)]
    assert rates[0] == config.learning_rate and rates == sorted(rates, reverse=True)


@pytest.mark.parametrize(
    ("loss", "expected"), [("l1", 0.5), ("mse", 0.25), ("charbonnier", math.sqrt(0.25 + 1e-6))]
)
def test_losses(loss: str, expected: float) -> None:
    sr = torch.full((2, 3, 4, 4), 0.75, requires_grad=True)
    value = training.LOSSES[loss](sr, torch.full_like(sr, 0.25))
    assert value.item() == pytest.approx(expected)
    exact = training.LOSSES[loss](sr, sr.detach())
    exact.backward()
    assert torch.isfinite(sr.grad).all() and exact.item() < 1.1e-3


def test_overfits_one_tiny_pair(tmp_path: Path, photo_folder, make_photo) -> None:
    """A network that learns one photo by heart beats bicubic on it by far."""
    hr = make_photo(32, 32, 3)
    paths = Paths(tmp_path / "project", val_hr=photo_folder("val", {"unused.png": (16, 16)}))
    images.write_image(paths.val_hr / "unused.png", hr)  # the very pair that is trained on
    build_store([("a", hr, None)], paths.store("demo"), sub_image=32, step=32)
    config = replace(
        TINY,
        sub_image_step=32,
        num_blocks=2,
        hr_patch_size=32,
        flip=False,
        rotate=False,
        challenge=False,
        rgb_permutation=0,
        blend=0,
        mixup=0,
        batch_size=1,
        total_steps=150,
        warmup_steps=10,
        validate_every=150,
        save_every=150,
        log_every=25,
    )
    log = read_log(train(config, paths))
    bicubic = images.resize_bicubic(images.resize_bicubic(hr, 0.25), 4)
    assert log[-1]["val_psnr_trained"] > metrics.psnr(bicubic, hr, border=4) + 3
    assert log[-1]["loss"] < log[0]["loss"] / 2


def test_a_run_writes_its_story_and_repeats_bit_for_bit(project: Paths, trained) -> None:
    told: list[dict] = []
    folder = train(TINY, project, told.append)
    assert folder == project.root / "checkpoints" / TINY.run_name
    assert told == read_log(folder)
    assert [record["step"] for record in told] == [2, 4, 6, 8, 10, 12]
    assert ["val_psnr_ema" in record for record in told] == [False, True, False, True, False, True]
    for record in told:
        assert record["learning_rate"] == learning_rate_at(TINY, record["step"] - 1)
        assert 0 < record["loss"] < 1 and record["skipped_steps"] == 0
    assert_equal_runs(folder, trained(TINY))
    left = {path.name for path in folder.iterdir()} - {".lock"}
    assert left == {
        "best.safetensors",
        "last.safetensors",
        "log.jsonl",
        "run.json",
        "state.pt",
        "state.previous.pt",
    }


def test_logged_psnr_is_that_of_the_saved_weights(project: Paths) -> None:
    folder = train(TINY, project)
    values = [
        (record[f"val_psnr_{kind}"], record["step"], kind)
        for record in read_log(folder)
        for kind in ("trained", "ema")
        if f"val_psnr_{kind}" in record
    ]
    assert len(values) == 6 and len({value for value, _, _ in values}) > 3
    model, story = checkpoints.load_checkpoint(folder / "best.safetensors")
    per_image = {}
    for pair in find_pairs(project.val_hr, None):
        hr, lr = read_pair(pair)
        per_image[pair.name] = metrics.psnr(super_resolve(model, lr, precision="float32"), hr, border=4)
    assert story["val_psnr_rgb_border4"] == per_image
    best = max(values, key=lambda value: value[0])
    assert (np.mean(list(per_image.values())), story["step"], story["weights"]) == best
    assert Config(**story["config"]) == TINY
    assert (story["initial_weights"], story["ensemble"]) == (None, False)
    _, last = checkpoints.load_checkpoint(folder / "last.safetensors")
    assert last["step"] == TINY.total_steps


def test_ema_is_the_average_and_leaves_the_trained_weights_alone(project: Paths) -> None:
    config = replace(TINY, total_steps=3, save_every=1, log_every=1)
    folder, states = project.run(config.run_name), []

    def remember(record: dict) -> None:
        states.append(checkpoints.load_state(folder / "state.pt"))

    train(config, project, remember)
    assert [state["step"] for state in states] == [1, 2, 3]
    average = states[0]["model"]
    for state in states[1:]:
        average = {name: 0.8 * value + 0.2 * state["model"][name] for name, value in average.items()}
    for name, value in average.items():
        torch.testing.assert_close(states[-1]["ema"][name], value, rtol=1e-5, atol=1e-7)
    without = checkpoints.load_state(train(replace(config, ema_decay=0), project) / "state.pt")
    assert_equal(dict(without["model"]), dict(states[-1]["model"]), "model")


@pytest.mark.parametrize(("stop", "first"), [(2, 2), (4, 4), (6, 8), (8, 8), (10, 10)])
def test_resuming_after_an_error_equals_the_uninterrupted_run(
    project: Paths, trained, stop: int, first: int
) -> None:
    def fail(record: dict) -> None:
        if record["step"] == stop:
            raise StopError

    with pytest.raises(StopError):
        train(TINY, project, fail)
    seen: list[int] = []
    folder = train(TINY, project, lambda record: seen.append(record["step"]))
    assert seen[0] == first  # after the last save, at step 3, 6 or 9
    assert_equal_runs(folder, trained(TINY))


def test_a_second_ctrl_c_does_not_wait_for_the_end_of_a_step(project: Paths) -> None:
    def interrupt_twice(record: dict) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        raise TimeoutError

    with pytest.raises(TimeoutError):
        train(TINY, project, interrupt_twice)


def test_what_a_killed_run_was_writing_is_cleared_away(project: Paths) -> None:
    half = project.run(TINY.run_name) / ".state.pt.123"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"half")
    train(TINY, project)
    assert not half.exists()


@pytest.mark.parametrize("stop", [2, 4, 10])
def test_ctrl_c_saves_after_the_step_and_resuming_is_exact(
    project: Paths, trained, stop: int, capsys
) -> None:
    before = signal.getsignal(signal.SIGINT)

    def interrupt(record: dict) -> None:
        if record["step"] == stop:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(TINY, project, interrupt)
    assert signal.getsignal(signal.SIGINT) is before
    assert f"Stopped and saved after step {stop}" in capsys.readouterr().out
    assert checkpoints.load_state(project.run(TINY.run_name) / "state.pt")["step"] == stop
    assert_equal_runs(train(TINY, project), trained(TINY))


KILLS = 20 if os.environ.get("SR_SOAK") else 3  # `make soak`
LONGER = replace(TINY, total_steps=20 * KILLS, save_every=7, validate_every=10, log_every=3)


def _train_longer(begun, paths: Paths) -> None:
    begun.set()
    train(LONGER, paths)


def test_killed_runs_resume_bit_for_bit(project: Paths, trained, start_process) -> None:
    rng = random.Random(1)
    began = time.monotonic()
    whole = trained(LONGER)
    duration = time.monotonic() - began
    folder = project.run(LONGER.run_name)
    steps = []
    for _ in range(KILLS):
        process = start_process(_train_longer, project)
        time.sleep(rng.uniform(0, 3 * duration / KILLS))
        process.kill()
        process.join()
        if (folder / "state.pt").exists():
            steps.append(checkpoints.load_state(folder / "state.pt")["step"])
    assert steps == sorted(steps)
    assert_equal_runs(train(LONGER, project), whole)


def test_half_a_log_line_of_a_killed_run_is_passed_over(project: Paths, trained) -> None:
    def fail(record: dict) -> None:
        if record["step"] == 8:
            raise StopError

    with pytest.raises(StopError):
        train(TINY, project, fail)
    log = project.run(TINY.run_name) / "log.jsonl"
    log.write_text(log.read_text(encoding="utf-8") + '{"step": 9, "lo', encoding="utf-8")
    assert [record["step"] for record in read_log(log.parent)] == [2, 4, 6, 8]
    assert_equal_runs(train(TINY, project), trained(TINY))


def test_a_blank_validation_photo_does_not_decide(project: Paths, trained, photo_folder) -> None:
    whole = trained(TINY)
    images.write_image(project.val_hr / "page.png", np.full((40, 40, 3), 255, np.uint8))
    folder = train(TINY, project)
    _, story = checkpoints.load_checkpoint(folder / "best.safetensors")
    assert list(story["val_psnr_rgb_border4"]) == ["v", "w"]
    assert_equal_runs(folder, whole)


def _spoil(monkeypatch, bad_steps: set[int]) -> None:
    """Make the loss of these steps infinite, and so every gradient not finite."""
    real, step = training.LOSSES["l1"], iter(range(10**6))

    def loss(sr: torch.Tensor, hr: torch.Tensor) -> torch.Tensor:
        return real(sr, hr) * (math.inf if next(step) in bad_steps else 1)

    monkeypatch.setitem(training.LOSSES, "l1", loss)


def test_non_finite_steps_are_skipped_and_counted(project: Paths, monkeypatch) -> None:
    config = replace(TINY, gradient_clip=0.0, total_steps=8, log_every=1, save_every=1)
    states: list[dict] = []
    _spoil(monkeypatch, {3, 4, 6})
    folder = project.run(config.run_name)

    def remember(record: dict) -> None:
        states.append(dict(checkpoints.load_state(folder / "state.pt")["model"]))

    train(config, project, remember)
    records = read_log(folder)
    assert [record["skipped_steps"] for record in records] == [0, 0, 0, 1, 2, 2, 3, 3]
    assert all(math.isfinite(record["loss"]) for record in records)
    last = checkpoints.load_state(folder / "state.pt")
    same = [all(torch.equal(states[n][key], states[n - 1][key]) for key in states[n]) for n in range(1, 8)]
    assert same == [step in (3, 4, 6) for step in range(1, 8)]
    assert all(torch.isfinite(value).all() for value in (*last["model"].values(), *last["ema"].values()))


def test_gradients_too_large_for_their_norm_leave_the_weights_finite(project: Paths) -> None:
    """Each is finite, but not the sum of their squares; clipping to infinity would give inf / inf."""
    state = Run(replace(TINY, gradient_clip=0.0), project).state
    state.optimize(1e30 * state.model(torch.rand(1, 3, 4, 4)).sum())
    assert state.failures.tolist() == [1, 1]
    assert all(torch.isfinite(value).all() for value in state.model.state_dict().values())


def test_fp16_begins_with_its_scale_after_a_precision_without(project: Paths, monkeypatch) -> None:
    """A run begun on a CPU has a scale of 1, with which fp16 would lose most gradients."""
    train(replace(TINY, total_steps=12, save_every=12), project)
    fp16 = Device(torch.device("cpu"), torch.float16, torch.channels_last, "fp16")
    monkeypatch.setattr("sr_utils.training.run.choose_device", lambda _: fp16)
    run = Run(replace(TINY, total_steps=12, save_every=12), project)
    run.begin(fresh=False)
    assert (run.state.step, run.state.scaler.get_scale()) == (12, 2**16)


def test_a_state_of_the_first_versions_goes_on(project: Paths, trained) -> None:
    """Its averaged weights were a wrapper's."""

    def fail(record: dict) -> None:
        if record["step"] == 4:
            raise StopError

    with pytest.raises(StopError):
        train(TINY, project, fail)
    folder = project.run(TINY.run_name)
    state = checkpoints.load_state(folder / "state.pt")
    state["ema"] = {f"module.{name}": value for name, value in state["ema"].items()}
    state["ema"]["n_averaged"] = torch.tensor(4)
    checkpoints.save_state(folder / "state.pt", state)
    assert_equal_runs(train(TINY, project), trained(TINY))


def test_a_gradient_that_stays_non_finite_stops_the_run(project: Paths, monkeypatch) -> None:
    config = replace(TINY, total_steps=40, log_every=1, save_every=4)
    _spoil(monkeypatch, set(range(5, 100)))
    with pytest.raises(
        FloatingPointError, match=rf"{PATIENCE} steps in a row \(step {5 + PATIENCE}\).*learning"
    ):
        train(config, project)
    state = checkpoints.load_state(project.run(config.run_name) / "state.pt")
    assert all(torch.isfinite(value).all() for value in state["model"].values())


def test_validations_are_told_with_their_network(project: Paths, trained) -> None:
    """Looking at it, as notebook 03 does, changes no bit of the run."""
    pair = sources.find_split(TINY, project, "val")[0]
    _, lr = read_pair(pair)
    seen = []

    def look(model: torch.nn.Module, record: dict) -> None:
        seen.append((record["step"], super_resolve(model, lr, precision="float32").shape))

    folder = train(TINY, project, on_validation=look)
    assert seen == [(4, (24, 32, 3)), (8, (24, 32, 3)), (12, (24, 32, 3))]
    assert_equal_runs(folder, trained(TINY))


def test_muon_resumes_bit_for_bit(project: Paths, trained) -> None:
    config = replace(TINY, optimizer="muon")

    def fail(record: dict) -> None:
        if record["step"] == 8:
            raise StopError

    with pytest.raises(StopError):
        train(config, project, fail)
    assert_equal_runs(train(config, project), trained(config))


def test_initial_weights_are_taken_over_and_told(project: Paths) -> None:
    first = train(replace(TINY, total_steps=4), project)
    name = str((first / "last.safetensors").relative_to(project.root))
    config = replace(TINY, total_steps=1, learning_rate=1e-9, challenge=False, initial_weights=name)
    second = train(config, project)
    (before, story), (after, told) = (
        checkpoints.load_checkpoint(folder / "last.safetensors") for folder in (first, second)
    )
    for name, value in before.state_dict().items():
        torch.testing.assert_close(after.state_dict()[name], value, rtol=0, atol=1e-8)
    assert told["initial_weights"] == story and told["initial_weights"]["step"] == 4
    with pytest.raises(ValueError, match=r"holds msrresnet .*'num_blocks': 1.*trains msrresnet .*blocks': 2"):
        train(replace(config, num_blocks=2), project)


@pytest.mark.parametrize("blocks", [21, 40])
def test_networks_over_the_limit_need_challenge_off(project: Paths, blocks: int) -> None:
    with pytest.raises(ValueError, match=r"parameters; the challenge allows fewer than 1,821,085"):
        train(replace(TINY, num_blocks=blocks), project)
    assert not project.run(replace(TINY, num_blocks=blocks).run_name).exists()
    if blocks == 21:
        train(replace(TINY, num_blocks=blocks, challenge=False, total_steps=1), project)


def test_other_data_is_refused_on_resume(project: Paths, make_photo) -> None:
    folder = train(replace(TINY, total_steps=2), project)
    state = (folder / "state.pt").read_bytes()
    build_store([("other", make_photo(48, 48, 9), None)], project.store("demo"), sub_image=32, step=16)
    with pytest.raises(ValueError, match=r"trained on other photos.*fresh=True"):
        train(replace(TINY, total_steps=2), project)
    assert (folder / "state.pt").read_bytes() == state
    train(replace(TINY, total_steps=2), project, fresh=True)
    assert (folder / "state.pt").read_bytes() != state


def test_a_complete_run_returns_at_once_and_fresh_trains_again(project: Paths, capsys) -> None:
    folder = train(TINY, project)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    capsys.readouterr()
    told: list[dict] = []
    assert train(TINY, project, told.append) == folder
    assert told == [] and {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert "This run is complete" in capsys.readouterr().out
    train(TINY, project, told.append, fresh=True)
    assert [record["step"] for record in told] == [2, 4, 6, 8, 10, 12]


def test_a_damaged_state_is_told(project: Paths) -> None:
    folder = train(replace(TINY, total_steps=2), project)
    os.truncate(folder / "state.pt", 1000)
    with pytest.raises(ValueError, match=r"state\.pt: damaged training state"):
        train(replace(TINY, total_steps=2), project)


def test_a_store_of_another_recipe_is_told(project: Paths) -> None:
    with pytest.raises(
        ValueError, match=r"sub_image_step: expected 32, but the store has 16.*[Nn]otebook 01"
    ):
        train(replace(TINY, sub_image_step=32), project)
    with pytest.raises(ValueError, match="reduced_copies: expected True, but the store has False"):
        train(replace(TINY, reduced_copies=True), project)


def test_a_missing_store_names_its_notebook(tmp_path: Path, photo_folder) -> None:
    paths = Paths(tmp_path, val_hr=photo_folder("val", {"v.png": (24, 32)}))
    with pytest.raises(FileNotFoundError, match="01_prepare_data"):
        train(TINY, paths)
    assert not paths.run(TINY.run_name).exists()


@pytest.mark.parametrize(
    "changed",
    [
        {"network": "edsr"},
        {"network": "carn"},
        {"network": "two_scale"},
        {"light_tail": True},
        {"loss": "mse"},
        {"optimizer": "muon", "precision": "bf16"},
        {"loss": "charbonnier", "precision": "bf16"},
        {"cutblur": 0.6, "unshuffle_stem": True},
    ],
)
def test_other_choices_train_too(project: Paths, changed: dict) -> None:
    config = replace(TINY, total_steps=3, validation_images=1, brightness_contrast=0.5, **changed)
    folder = train(config, project)
    model, story = checkpoints.load_checkpoint(folder / "last.safetensors")
    assert (model.name, story["network"]) == (config.network, config.network)
    assert list(story["val_psnr_rgb_border4"]) == ["v"]
    initial, _ = checkpoints.start_network(config, project)
    for (name, value), before in zip(model.state_dict().items(), initial.state_dict().values(), strict=True):
        assert not torch.equal(value, before), name


def test_the_seed_decides_and_the_global_generator_is_left_alone(project: Paths) -> None:
    torch.manual_seed(123)
    expected = torch.rand(3)
    torch.manual_seed(123)
    first = train(replace(TINY, total_steps=2), project)
    assert torch.equal(torch.rand(3), expected)
    other = train(replace(TINY, total_steps=2, seed=1), project)
    assert first != other and story_of(first) != story_of(other)
