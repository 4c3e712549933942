import json
import re
from dataclasses import FrozenInstanceError, fields, replace
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pytest

from sr_utils import config, names
from sr_utils.config import DEMO, FULL, PROFILES, Config, configure
from sr_utils.paths import CODE, Paths


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("hr_patch_size", 126),
        ("hr_patch_size", 0),
        ("hr_patch_size", 484),
        ("sub_image", 482),
        ("sub_image_step", 0),
        ("sub_image_step", 230),
        ("rgb_permutation", 1.5),
        ("blend", -0.1),
        ("blend_alpha", 2),
        ("mixup", -1),
        ("cutblur", 1.01),
        ("brightness_contrast", 7),
        ("mixup_alpha", 0),
        ("batch_size", 0),
        ("num_blocks", 0),
        ("total_steps", 0),
        ("restart_period", 0),
        ("validate_every", 0),
        ("log_every", 0),
        ("save_every", -5),
        ("gradient_clip", -1),
        ("min_learning_rate", -1e-7),
        ("warmup_steps", -1),
        ("validation_images", -1),
        ("seed", -1),
        ("learning_rate", 0),
        ("ema_decay", 1.0),
        ("codec", "jpg"),
        ("network", "srcnn"),
        ("loss", "l3"),
        ("schedule", "cosine"),
        ("precision", "half"),
        ("batch_size", 16.5),
        ("batch_size", "16"),
        ("batch_size", True),
        ("total_steps", 1e400),
        ("challenge", "no"),
        ("challenge", 2),
        ("learning_rate", "1e-3"),
        ("learning_rate", float("inf")),
        ("learning_rate", False),
        ("blend", None),
        ("initial_weights", 3),
        ("codec", ("raw",)),
    ],
)
@pytest.mark.parametrize("profile", PROFILES)
def test_bad_values_are_named_with_what_was_got(profile: str, field: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"{field}: expected .*got .*{re.escape(str(value))}"):
        replace(PROFILES[profile], **{field: value})


def _other(field: str, value: object) -> object:
    """Another valid value."""
    choices = get_args(get_type_hints(Config)[field])
    if choices:
        return next(choice for choice in choices if choice != value)
    if isinstance(value, bool):
        return not value
    return value + "x" if isinstance(value, str) else value / 2 if isinstance(value, float) else value + 4


def test_run_name_changes_with_every_field() -> None:
    base = replace(
        FULL, ema_decay=0.5, weight_decay=0.5, gradient_clip=1.0, brightness_contrast=0.5, challenge=False
    )
    found = {base.run_name, replace(base, unshuffle_stem=True, cutblur=0.5).run_name}
    for field in fields(Config):
        found.add(replace(base, **{field.name: _other(field.name, getattr(base, field.name))}).run_name)
    assert len(found) == len(fields(Config)) - 1 + 2  # cutblur is tried with its stem
    assert replace(base).run_name == base.run_name
    assert (
        replace(base, gradient_clip=2, blend=0).run_name
        == replace(base, gradient_clip=2.0, blend=0.0).run_name
    )


def _random_config(rng: np.random.Generator) -> Config:
    """A profile with a few fields changed, each to one of few values: some configs come twice."""
    values = {
        "learning_rate": [1e-3, 0.0010000000000000002, 1, 2e-5],
        "seed": [0, 1, 10, 1e1],
        "flip": [False, 1],
        "hr_patch_size": [96, 96.0, 192],
        "total_steps": [1000, 1e3, 100],
        "loss": ["l1", "mse"],
        "schedule": ["constant", "one_cycle"],
        "mixup": [0, 1, 1.0, 0.1],
        "challenge": [False],
        "initial_weights": ["", "a/b", "a-b", "A/b", "checkpoints/ä:?.pth", "x_0123abcd", "c" * 300],
        "test_images": [5, 80],
    }
    chosen = rng.choice(list(values), size=rng.integers(0, 8), replace=False)
    changes = {name: values[name][rng.integers(len(values[name]))] for name in chosen}
    if changes.get("initial_weights"):
        changes["challenge"] = False
    return replace(PROFILES[rng.choice(list(PROFILES))], **changes)


def test_equal_configs_have_equal_names_and_different_ones_never() -> None:
    rng = np.random.default_rng(0)
    drawn = [_random_config(rng) for _ in range(3000)]
    assert 300 < len(set(drawn)) < 2900  # both happen
    for kind in ("run_name", "digest_name"):
        found = {one: getattr(one, kind) for one in drawn}
        assert len({name.lower() for name in found.values()}) == len(found), kind
    for one in drawn:  # on every disk
        assert re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,78}[a-z0-9]", one.run_name), one.run_name


def test_run_names_tell_what_differs() -> None:
    assert {name: config.run_name for name, config in PROFILES.items()} == {name: name for name in PROFILES}
    assert configure("demo", learning_rate=1e-3).run_name == "demo_learning_rate-0.001"
    assert configure("full", {"seed": 1, "hr_patch_size": 192}).run_name == "full_hr_patch_size-192_seed-1"
    assert configure("fast", flip=0, gradient_clip=2).run_name == "fast_flip-off_gradient_clip-2"
    with pytest.raises(
        ValueError, match=r"light_tail: .*got 'edsr'\. Set light_tail=False, too \(--no-light-tail\)"
    ):
        configure("fast", network="edsr")
    started = configure("open", initial_weights="checkpoints/A.pth").run_name
    assert re.fullmatch(r"open_initial_weights-checkpoints-a\.pth_[0-9a-f]{8}", started)
    long = configure(
        "demo",
        {
            name: 7
            for name in (
                "total_steps",
                "save_every",
                "log_every",
                "num_blocks",
                "validate_every",
                "warmup_steps",
            )
        },
    ).run_name
    assert len(long) == 80 and long.startswith("demo_num_blocks-7_warmup_steps-7_total_steps-7_")


def test_words_tell_runs_apart() -> None:
    def told(*configs: Config) -> list[str]:
        return names.tell_apart([vars(config) for config in configs], config.PROFILE_VALUES)

    rate, seed = configure("demo", learning_rate=1e-3), configure("demo", seed=1)
    assert told(DEMO, rate) == ["learning rate 0.002", "learning rate 0.001"]
    assert told(DEMO, rate, seed) == ["demo", "learning rate 0.001", "seed 1"]
    assert told(rate) == ["learning rate 0.001"] and told(DEMO) == ["demo"] and told() == []
    assert told(FULL, PROFILES["fast"], configure("fast", flip=False)) == ["full", "fast", "fast, flip off"]
    assert told(rate, replace(rate, seed=1, flip=False)) == ["flip on, seed 0", "flip off, seed 1"]


def test_a_run_keeps_its_first_folder_until_there_is_one_of_its_name(tmp_path: Path) -> None:
    before = replace(DEMO, weight_decay=0.0, patch_draws=1)  # its two fields came later, and rename nothing
    assert before.digest_name == "msrresnet20_demo_53f2cf52"
    paths, once = Paths(tmp_path), DEMO.digest_name
    assert paths.run(DEMO) == tmp_path / "checkpoints" / "demo"
    paths.run(once).mkdir(parents=True)
    assert paths.run(DEMO).name == paths.results(DEMO).name == once
    paths.run("demo").mkdir()
    assert paths.run(DEMO).name == paths.results(DEMO).name == "demo"


def test_the_reference_recipe() -> None:
    assert (FULL.num_blocks, FULL.total_steps, FULL.learning_rate) == (20, 2_000_000, 2e-4)
    assert (FULL.schedule, FULL.restart_period, FULL.min_learning_rate) == ("cosine_restarts", 250_000, 1e-7)
    assert (FULL.hr_patch_size, FULL.batch_size, FULL.loss, FULL.ema_decay) == (128, 16, "l1", 0)
    assert (FULL.sub_image, FULL.sub_image_step, config.PARAMETER_LIMIT) == (480, 240, 1_821_085)
    with pytest.raises(FrozenInstanceError):
        FULL.seed = 1


def test_network_arguments() -> None:
    assert DEMO.network_arguments == {
        "num_blocks": 20,
        "init_gain": 1.0,
        "unshuffle_stem": False,
        "bilinear_skip": True,
        "light_tail": False,
    }
    assert replace(FULL, network="edsr", num_blocks=16).network_arguments == {"num_blocks": 16}
    assert replace(FULL, network="carn").network_arguments == {}
    assert replace(FULL, network="two_scale").network_arguments == {}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"cutblur": 0.5}, "set unshuffle_stem=True"),
        ({"unshuffle_stem": True, "network": "edsr"}, "expected network msrresnet, got 'edsr'"),
        ({"light_tail": True, "network": "two_scale"}, "light_tail: expected network msrresnet"),
        ({"initial_weights": "checkpoints/some.safetensors"}, "the challenge forbids them"),
    ],
)
def test_choices_that_exclude_each_other(changed: dict, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        replace(FULL, **changed)


def test_configure_changes_what_is_given() -> None:
    assert configure("demo") is not None and configure("demo") == DEMO
    assert configure("full", total_steps=7, seed=None) == replace(FULL, total_steps=7)
    assert configure("full", {"total_steps": 7}, total_steps=None) == replace(FULL, total_steps=7)
    assert configure("full", {"total_steps": 7.0}, total_steps=7) == replace(FULL, total_steps=7)
    with pytest.raises(ValueError, match="total_steps: given twice, as 500 and, in CHANGES, as 400"):
        configure("full", {"total_steps": 400}, total_steps=500)
    with pytest.raises(ValueError, match="expected demo or full or fast or open, got 'slow'"):
        configure("slow")
    with pytest.raises(TypeError, match=r"'learn_rate'\. Did you mean 'learning_rate'"):
        configure("demo", learn_rate=1)
    with pytest.raises(TypeError, match="'profile'"):
        configure("demo", {"profile": "full"})


def test_a_value_of_another_type_is_taken_where_it_means_the_same() -> None:
    """Equal configs are of one run, whatever was typed: 1e3 steps, a batch of 16.0, NumPy's numbers."""
    given = {"total_steps": 1e3, "batch_size": np.float64(8), "blend": 0, "flip": 1, "seed": np.int32(3)}
    config = configure("full", given)
    assert config == configure("full", total_steps=1000, batch_size=8, blend=0.0, flip=True, seed=3)
    assert [type(getattr(config, name)) for name in given] == [int, int, float, bool, int]
    assert config.digest_name == "msrresnet20_full_5e8be21a"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project" / "notebooks" / "deep").mkdir(parents=True)
    (tmp_path / "project" / "pyproject.toml").write_text('[project]\nname = "sr-utils"\n', encoding="utf-8")
    # a foreign project in between is passed over
    (tmp_path / "project" / "notebooks" / "pyproject.toml").write_text(
        '[project]\nname = "other"\n', encoding="utf-8"
    )
    return tmp_path / "project"


@pytest.mark.parametrize("start", [".", "notebooks", "notebooks/deep"])
def test_project_is_found_from_below(project: Path, monkeypatch, start: str) -> None:
    monkeypatch.chdir(project / start)
    assert Paths.find().root == project


def test_project_that_is_not_found_is_told(project: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"No project found in .*ROOT"):
        Paths.find()
    assert Paths.find(str(project)).root == project
    with pytest.raises(FileNotFoundError, match=r"elsewhere is no project.*--root"):
        Paths.find(tmp_path / "elsewhere")


def test_a_root_may_begin_at_home_or_here(project: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert Paths.find("~/project").root == project
    monkeypatch.chdir(tmp_path)
    assert Paths.find("project").root == project
    with pytest.raises(FileNotFoundError, match="projct is no project"):
        Paths.find("~/projct")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["project"]


def test_a_copied_project_that_runs_other_code_says_so(project: Path, monkeypatch, capsys) -> None:
    Paths.find(project)
    assert capsys.readouterr().out == ""  # a project without code of its own
    (project / "sr_utils").mkdir()
    Paths.find(project)
    told = capsys.readouterr().out
    assert str(project) in told and str(CODE) in told and f"pip install -e {project}" in told
    Paths.find(CODE.parent)
    assert capsys.readouterr().out == ""


def test_saved_folders_and_their_mistakes(project: Path) -> None:
    (project / "data").mkdir()
    saved = project / "data" / "paths.json"
    saved.write_text(json.dumps({"train_hr": "/photos/hr", "train_lr": "/photos/lr"}), encoding="utf-8")
    paths = Paths.find(project, train_hr="/other", test_lr="/test")
    assert (paths.train_hr, paths.train_lr) == (Path("/other"), Path("/photos/lr"))
    assert (paths.val_hr, paths.test_lr) == (None, Path("/test"))
    for bad in ('{"train": "x"}', "[1]", '{"train_hr": ', '{"train_lr": "/photos/lr"}'):
        saved.write_text(bad, encoding="utf-8")
        with pytest.raises(ValueError, match=r"paths\.json: expected"):
            Paths.find(project)


def test_products_lie_below_the_root() -> None:
    paths = Paths("/p", train_hr="/a")
    assert paths.store("demo") == Path("/p/data/demo/train") and paths.train_hr == Path("/a")
    assert paths.store("full", "val") == Path("/p/data/full/val")
    assert paths.run("r") == Path("/p/checkpoints/r") and paths.results("r") == Path("/p/report/results/r")
    for split in ("train", "val"):
        with pytest.raises(ValueError, match=f"{split}_lr is set without {split}_hr"):
            Paths(Path("/p"), **{f"{split}_lr": Path("/a")})
