"""The shipped networks, and the command that makes them."""

import importlib.util
import shutil
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors
import torch

from sr_utils import checkpoints, images
from sr_utils.data.pair import find_pairs, read_pair
from sr_utils.enlarging.infer import super_resolve
from sr_utils.metrics import psnr
from sr_utils.paths import Paths

CHECKPOINTS = Path(__file__).parents[1] / "checkpoints"
SHIPPED = sorted(CHECKPOINTS.glob("*.safetensors"))


def _load_script():
    spec = importlib.util.spec_from_file_location("make_weights", CHECKPOINTS / "make_weights.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def make_weights(tmp_path: Path, monkeypatch, photo_folder):
    """The module, with one tiny recipe, in a project of its own with photos and benchmarks."""
    module = _load_script()
    tiny = replace(
        module.EQUAL,
        num_blocks=1,
        sub_image=32,
        sub_image_step=16,
        hr_patch_size=16,
        batch_size=2,
        total_steps=6,
        warmup_steps=2,
        log_every=2,
        validate_every=3,
        save_every=6,
    )
    again = replace(tiny, learning_rate=1e-4, reduced_copies=True)
    monkeypatch.setattr(module, "RECIPES", {"tiny": (tiny, again)})
    photo_folder("train/photos", {f"{n:02}.png": (132, 140) for n in range(10)})
    photo_folder("train/more", {"a.png": (133, 140), "small.png": (12, 40)})
    for name in ("Set5", "Set14"):
        for hr in photo_folder(f"{name}/HR", {"butterfly.png": (32, 24), "x.png": (28, 20)}).iterdir():
            lr = images.resize_bicubic(images.read_image(hr), 0.25)
            images.write_image(tmp_path / name / "LR_bicubic_x4" / f"{hr.stem}x4.png", lr)
    monkeypatch.setenv("SR_DATA", str(tmp_path))
    home = tmp_path / "project" / "checkpoints"
    home.mkdir(parents=True)
    (home / "README.md").write_text("before\n<!-- results -->\nold\n<!-- end -->\nafter\n", encoding="utf-8")
    monkeypatch.setattr(module, "HERE", home)
    return module


def test_a_network_is_made_measured_and_replaced_only_by_a_better_one(
    make_weights, tmp_path: Path, monkeypatch, capsys
) -> None:
    paths = Paths(tmp_path / "project")
    make_weights.make("tiny", paths)
    shipped = tmp_path / "project" / "checkpoints" / "tiny.safetensors"
    content = shipped.read_bytes()
    _, story = checkpoints.load_checkpoint(shipped)
    assert abs(story["half_precision_costs_db"]) < 0.01 and len(story["val_psnr_rgb_border4"]) == 2
    assert story["initial_weights"]["step"] in (3, 6) and story["initial_weights"]["initial_weights"] is None
    assert "wrote tiny.safetensors" in capsys.readouterr().out
    make_weights.make("tiny", paths)  # equal: not better by 0.03 dB
    assert shipped.read_bytes() == content and "wrote" not in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"has had all 2 segments of RECIPES\. Add one"):
        make_weights.make("tiny", paths, further=True)
    third = replace(make_weights.RECIPES["tiny"][0], learning_rate=1e-2)
    fourth = replace(third, learning_rate=1e-5)
    monkeypatch.setattr(make_weights, "RECIPES", {"tiny": (*make_weights.RECIPES["tiny"], third, fourth)})
    monkeypatch.setattr(make_weights, "BETTER", -99)
    make_weights.make("tiny", paths, further=True)
    _, longer = checkpoints.load_checkpoint(shipped)
    assert longer["config"]["learning_rate"] == 1e-5
    assert longer["initial_weights"]["initial_weights"] == story
    make_weights.measure(paths)
    card = (shipped.parent / "README.md").read_text(encoding="utf-8")
    assert card.startswith("before\n<!-- results -->\n| photos | method | PSNR dB (RGB, border 4)")
    assert card.endswith("|\n<!-- end -->\nafter\n") and "old" not in card
    assert card.count("| bicubic |") == card.count("| tiny |") == 2
    assert (shipped.parent / "results.csv").read_text(encoding="utf-8").count("\n") == 5


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [(FileNotFoundError("Set5 is missing."), 1, "Set5 is missing.\n"), (KeyboardInterrupt(), 130, "")],
)
def test_a_failure_of_the_command_is_one_line(make_weights, monkeypatch, capsys, error, code, told) -> None:
    def fail(_paths) -> None:
        raise error

    monkeypatch.setattr(make_weights, "measure", fail)
    monkeypatch.setattr(sys, "argv", ["make_weights.py"])
    with pytest.raises(SystemExit) as ended:
        make_weights.main()
    assert ended.value.code == code and capsys.readouterr().err == told


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_files_are_light_and_tell_their_story(path: Path) -> None:
    assert path.stat().st_size <= 4e6
    with safetensors.safe_open(path, "pt") as file:
        assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.float16}  # noqa: SIM118
    _, story = checkpoints.load_checkpoint(path)
    assert story["config"]["profile"] == "open" and story["config"]["challenge"] is False  # 07 refuses it
    assert abs(story["half_precision_costs_db"]) < 0.001
    assert story["training_seconds"] > 300 and len(story["data_fingerprint"]) == 64
    assert path.stem in (CHECKPOINTS / "README.md").read_text(encoding="utf-8")
    for segment in reversed(_load_script().RECIPES[path.stem]):
        told = story["config"] | {"initial_weights": ""}
        assert told.items() <= asdict(segment).items()
        story = story["initial_weights"]
    assert story is None


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_bf16_costs_less_than_five_thousandths_of_a_decibel(path: Path, sr_data) -> None:
    """On the mean of Set5; a photo is rounded up or down by up to a hundredth."""
    model, _ = checkpoints.load_checkpoint(path)
    costs = {}
    for pair in find_pairs(sr_data / "Set5" / "HR", sr_data / "Set5" / "LR_bicubic_x4"):
        hr, lr = read_pair(pair)
        exact, rough = (
            psnr(super_resolve(model, lr, precision=precision), hr, border=4, channel="y")
            for precision in ("float32", "bf16")
        )
        costs[pair.name] = exact - rough
    assert abs(np.mean(list(costs.values()))) < 0.005 and max(map(abs, costs.values())) < 0.01, costs


def test_the_cards_table_is_that_of_the_shipped_files(
    make_weights, tmp_path: Path, monkeypatch, sr_data
) -> None:
    """Set5 and Set14, measured again."""
    monkeypatch.setenv("SR_DATA", str(sr_data))
    for path in [*SHIPPED, CHECKPOINTS / "README.md"]:
        shutil.copy(path, tmp_path / "project" / "checkpoints")
    make_weights.measure(Paths(tmp_path / "project"))
    again, told = (
        pd.read_csv(folder / "results.csv", index_col=["photos", "method"])
        for folder in (tmp_path / "project" / "checkpoints", CHECKPOINTS)
    )
    assert np.abs(again - told).to_numpy().max() < 0.005  # other processors round otherwise
    for (photos, method), row in told.iterrows():
        assert f"| {photos} | {method} | {row.iloc[0]:.3f} |" in (CHECKPOINTS / "README.md").read_text(
            encoding="utf-8"
        )
