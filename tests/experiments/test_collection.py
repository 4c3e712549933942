from pathlib import Path

from sr_utils.checkpoints import save_weights
from sr_utils.config import configure
from sr_utils.experiments.collection import load_runs, load_shipped
from sr_utils.networks import EDSR, MSRResNet


def test_shipped_networks_and_runs_are_found_by_their_names(tmp_path) -> None:
    first = {"config": {"total_steps": 3000}, "initial_weights": None}
    shipped = {"config": {"total_steps": 500}, "initial_weights": first}
    save_weights(tmp_path / "some_edsr.safetensors", EDSR(1, features=4), shipped, half=True)
    config = configure("demo")
    for run, profile in ((config.run_name, "demo"), ("run_a", "demo"), ("run_b", "full")):
        story = {"config": {"profile": profile}}
        save_weights(tmp_path / run / "best.safetensors", MSRResNet(1, features=4), story)
        save_weights(tmp_path / run / "last.safetensors", MSRResNet(2, features=4), {})
    save_weights(tmp_path / "without_story.safetensors", EDSR(1, features=4), {})
    assert list(load_shipped(tmp_path)) == ["EDSR · 3,500 steps", "EDSR · without_story"]
    runs = load_runs(tmp_path, beside=config)
    assert list(runs) == ["MSRResNet-1 · run_a"]
    assert runs["MSRResNet-1 · run_a"].arguments["num_blocks"] == 1


def test_six_files_are_six_networks(tmp_path: Path) -> None:
    """Equal networks of equal length, a file named as a method, and runs of one digest: no label twice."""
    config = configure("demo")
    story = {"config": {"total_steps": 2000, "profile": "demo"}, "initial_weights": None}
    for features, name in enumerate(("a", "b"), 2):
        save_weights(tmp_path / f"{name}.safetensors", EDSR(1, features=features), story)
        save_weights(
            tmp_path / f"{name}_demo_12345678" / "best.safetensors", EDSR(1, features=features), story
        )
    save_weights(tmp_path / "bicubic.safetensors", EDSR(1, features=4), {})
    save_weights(tmp_path / "this run.safetensors", EDSR(1, features=5), {})
    shipped = load_shipped(tmp_path, taken=["EDSR · this run"])
    assert list(shipped) == [
        "EDSR · 2,000 steps",
        "EDSR · 2,000 steps · b",
        "EDSR · bicubic",
        "EDSR · this run · this run",
    ]
    assert [model.arguments["features"] for model in shipped.values()] == [2, 3, 4, 5]
    runs = load_runs(tmp_path, beside=config, taken=["EDSR · this run", *shipped])
    assert list(runs) == ["EDSR · total steps 2000", "EDSR · total steps 2000 · b_demo_12345678"]
    (tmp_path / "total steps 2000.safetensors").write_bytes((tmp_path / "bicubic.safetensors").read_bytes())
    shipped = load_shipped(tmp_path)
    assert not shipped.keys() & load_runs(tmp_path, beside=config, taken=shipped).keys()


def test_a_damaged_neighbour_is_named_and_passed_over(tmp_path: Path, capsys) -> None:
    story = {"config": {"total_steps": 2000, "profile": "demo"}}
    for name in ("good", "run_good/best"):
        save_weights(tmp_path / f"{name}.safetensors", EDSR(1, features=4), story)
    whole = (tmp_path / "good.safetensors").read_bytes()
    for name, content in (("empty", b""), ("half", whole[: len(whole) // 2])):
        for path in (tmp_path / f"{name}.safetensors", tmp_path / f"run_{name}" / "best.safetensors"):
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
    assert list(load_shipped(tmp_path)) == ["EDSR · 2,000 steps"]
    assert list(load_runs(tmp_path, beside=configure("demo"))) == ["EDSR · total steps 2000"]
    told = capsys.readouterr().out
    for name in (
        "empty.safetensors",
        "half.safetensors",
        "run_empty/best.safetensors",
        "run_half/best.safetensors",
    ):
        assert f"{tmp_path / name}: damaged" in told
    assert told.count("passed over") == 4
