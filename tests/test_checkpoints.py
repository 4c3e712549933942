import json
import os
import pickle
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from sr_utils.checkpoints import load_checkpoint, load_state, save_state, save_weights
from sr_utils.networks import CARN, EDSR, MSRResNet, TwoScale
from sr_utils.networks.edsr import DIV2K_MEAN

MODELS = [
    MSRResNet(3, features=8, init_gain=1.0),
    MSRResNet(2, features=8, light_tail=True),
    EDSR(2, features=8, res_scale=0.2),
    CARN(features=4),
    TwoScale(1, 1, 1, 8, 8),
]


def _equal(one: nn.Module, other: nn.Module) -> bool:
    ours, theirs = one.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_round_trip_keeps_weights_arguments_and_story(tmp_path: Path, model: nn.Module) -> None:
    story = {"step": 7, "val": {"Äö 写真": 28.99}, "none": None, "list": [1, 2.5], "ensemble": False}
    save_weights(tmp_path / "new" / "m.safetensors", model, story)
    loaded, metadata = load_checkpoint(tmp_path / "new" / "m.safetensors")
    assert type(loaded) is type(model) and _equal(loaded, model) and not loaded.training
    assert metadata == story | {"network": model.name, "arguments": model.arguments, "format": "sr_utils 1"}
    lr = torch.rand(1, 3, 5, 6)
    assert torch.equal(loaded(lr), model(lr))


@pytest.mark.parametrize(
    ("before", "minutes"),
    [
        (None, 1.5),
        ({"training_seconds": 30, "initial_weights": {"training_seconds": 60.0}}, 3),
        ("lost", 1.5),
    ],
)
def test_a_network_tells_the_minutes_of_all_its_segments(tmp_path: Path, before, minutes: float) -> None:
    story = {"training_seconds": 90, "initial_weights": before}
    save_weights(tmp_path / "m.safetensors", MODELS[0], story)
    assert load_checkpoint(tmp_path / "m.safetensors")[0].training_minutes == minutes
    save_weights(tmp_path / "m.safetensors", MODELS[0], {"training_seconds": None})
    assert load_checkpoint(tmp_path / "m.safetensors")[0].training_minutes == 0


def test_half_precision_is_half_the_size_and_nearly_the_same(tmp_path: Path) -> None:
    model = MSRResNet(2)
    for half in (False, True):
        save_weights(tmp_path / f"{half}.safetensors", model, {}, half=half)
    sizes = [(tmp_path / f"{half}.safetensors").stat().st_size for half in (True, False)]
    assert sizes[0] == pytest.approx(sizes[1] / 2, rel=0.01)
    loaded, _ = load_checkpoint(tmp_path / "True.safetensors")
    for ours, theirs in zip(loaded.parameters(), model.parameters(), strict=True):
        assert ours.dtype == torch.float32
        assert torch.equal(ours, theirs.detach().half().float())


@pytest.mark.parametrize("form", ["bare", "params", "params_ema", "both", "state_dict", "module."])
@pytest.mark.parametrize("model", [MSRResNet(3), EDSR(2)], ids=["msrresnet", "edsr"])
def test_foreign_pth_files(tmp_path: Path, capsys, model: nn.Module, form: str) -> None:
    tensors = dict(model.state_dict())
    if form == "module.":
        tensors = {f"module.{name}": value for name, value in tensors.items()}
    elif form == "both":  # the averaged weights are the ones to use
        tensors = {"params": {name: value * 0 for name, value in tensors.items()}, "params_ema": tensors}
    elif form != "bare":
        tensors = {form: tensors}
    torch.save(tensors, tmp_path / "net_g_1990000.pth")
    loaded, metadata = load_checkpoint(tmp_path / "net_g_1990000.pth")
    assert _equal(loaded, model) and not loaded.training
    told = {"edsr": {"res_scale": 1.0, "image_range": 255.0}, "msrresnet": {"bilinear_skip": True}}[
        model.name
    ]
    arguments = {"num_blocks": len(model.body)} | told
    assert metadata == {"network": model.name, "arguments": arguments, "assumed": told}
    assert ("params_ema, the averaged weights, are taken" in capsys.readouterr().out) == (form == "both")


@pytest.mark.parametrize(
    ("model", "given", "assumed", "told"),
    [
        (EDSR(2), {}, {"res_scale": 1.0, "image_range": 255.0}, "res_scale=1.0, image_range=255.0"),
        (EDSR(2, res_scale=0.2), {"res_scale": 0.2}, {"image_range": 255.0}, "image_range=255.0"),
        (EDSR(2, image_range=1), {"res_scale": 1, "image_range": 1}, {}, None),
        (MSRResNet(2), {}, {"bilinear_skip": True}, "bilinear_skip=True"),
        (MSRResNet(2, bilinear_skip=False), {"bilinear_skip": False}, {}, None),
    ],
)
def test_what_a_foreign_file_does_not_tell_is_given_or_told(
    tmp_path: Path, capsys, model: nn.Module, given: dict, assumed: dict, told: str | None
) -> None:
    path, lr = tmp_path / "net.pth", torch.rand(1, 3, 6, 5)
    torch.save({"params": model.state_dict()}, path)
    loaded, metadata = load_checkpoint(path, **given)
    assert metadata["assumed"] == assumed and metadata["arguments"].items() >= given.items()
    lines = capsys.readouterr().out.splitlines()
    assert not lines if told is None else len(lines) == 1 and told in lines[0] and "net.pth" in lines[0]
    with torch.no_grad():
        assert torch.equal(loaded(lr), model(lr))
        if given:
            assert not torch.allclose(load_checkpoint(path)[0](lr), model(lr), atol=1e-3)


def test_arguments_that_do_not_belong_to_a_file_are_refused(tmp_path: Path) -> None:
    torch.save(MSRResNet(1).state_dict(), tmp_path / "msr.pth")
    torch.save(EDSR(1).state_dict(), tmp_path / "edsr.pth")
    save_weights(tmp_path / "ours.safetensors", EDSR(1, features=4, res_scale=0.2), {})
    assert load_checkpoint(tmp_path / "ours.safetensors", res_scale=0.2)[0].arguments["res_scale"] == 0.2
    for name, given, told in (
        ("ours.safetensors", {"res_scale": 1.0}, r"res_scale=1\.0 was given, but the file says 0\.2"),
        ("msr.pth", {"res_scale": 0.2}, "msrresnet has no such thing"),
        ("edsr.pth", {"bilinear_skip": True}, "edsr has no such thing"),
        ("edsr.pth", {"image_range": 0.0}, r"image_range: expected a positive number, got 0\.0"),
        ("edsr.pth", {"res_scale": float("nan")}, "res_scale: expected a positive number"),
    ):
        with pytest.raises(ValueError, match=told):
            load_checkpoint(tmp_path / name, **given)


def test_a_damaged_story_is_told_whatever_else_is_given(tmp_path: Path) -> None:
    story = {"format": '"sr_utils 1"', "network": '"edsr"', "arguments": "[1]"}
    safetensors.torch.save_file(EDSR(1, features=4).state_dict(), tmp_path / "e.safetensors", story)
    for given in ({}, {"res_scale": 0.2}):
        with pytest.raises(ValueError, match=r"e\.safetensors: unknown network in the metadata"):
            load_checkpoint(tmp_path / "e.safetensors", **given)


@pytest.mark.parametrize(("mean", "fits"), [(DIV2K_MEAN, True), ((0, 0, 0), False), ((0.5,) * 4, False)])
def test_edsr_files_may_store_their_mean(tmp_path: Path, mean: tuple, fits: bool) -> None:
    model = EDSR(2)
    stored = {"mean": torch.tensor(mean).view(1, -1, 1, 1)}
    torch.save({"params": model.state_dict() | stored}, tmp_path / "e.pth")
    if fits:
        assert _equal(load_checkpoint(tmp_path / "e.pth")[0], model)
    else:
        with pytest.raises(ValueError, match=r"e\.pth: expected DIV2K's mean \(0\.4488"):
            load_checkpoint(tmp_path / "e.pth")


class _Malicious:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.trace),)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("writer", ["torch", "pickle"])
@pytest.mark.parametrize("reader", [load_checkpoint, load_state])
def test_code_in_a_file_is_refused_and_not_run(tmp_path: Path, writer: str, reader) -> None:
    trace, path = tmp_path / "it ran", tmp_path / "bad.pth"
    content = {"params": _Malicious(trace)}
    if writer == "torch":
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content))
    with pytest.raises(ValueError, match=r"bad\.pth"):
        reader(path)
    assert not trace.exists()
    torch.load(path, weights_only=False) if writer == "torch" else pickle.loads(path.read_bytes())
    assert trace.exists()  # the file would have run it


def _write_tensors(path: Path, tensors: dict[str, torch.Tensor], **metadata: object) -> None:
    """As `save_weights`, with any tensors."""
    story = {"format": "sr_utils 1", "network": "msrresnet", "arguments": {"num_blocks": 2}} | metadata
    told = {name: json.dumps(value) for name, value in story.items() if value is not None}
    safetensors.torch.save_file(tensors, path, told)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("missing", r"missing: conv_hr\.bias, conv_hr\.weight \(2\)"),
        ("unexpected", r"unexpected: extra\.weight \(1\)"),
        ("shape", r"wrong shape: conv_last\.bias \(4,\) instead of \(3,\) \(1\)"),
        ("nan", r"not finite: upconv2\.bias \(1\)"),
        ("inf", r"not finite: upconv2\.bias \(1\)"),
        ("truncated", "damaged|not a plain file"),
        ("empty", "damaged|not a plain file"),
        ("text", "damaged|not a plain file"),
    ],
)
def test_what_does_not_fit_is_listed(tmp_path: Path, suffix: str, damage: str, told: str) -> None:
    path, tensors = tmp_path / f"m{suffix}", dict(MSRResNet(2).state_dict())
    if damage == "missing":
        del tensors["conv_hr.weight"], tensors["conv_hr.bias"]
    elif damage == "unexpected":
        tensors["extra.weight"] = torch.zeros(2)
    elif damage == "shape":
        tensors["conv_last.bias"] = torch.zeros(4)
    elif damage in ("nan", "inf"):
        tensors["upconv2.bias"][7] = float(damage)
    if suffix == ".pth":
        torch.save(tensors, path)
    else:
        _write_tensors(path, tensors)
    if damage == "truncated":
        os.truncate(path, path.stat().st_size * 2 // 3)
    elif damage in ("empty", "text"):
        path.write_text("" if damage == "empty" else "these are no weights", encoding="utf-8")
    with pytest.raises(ValueError, match=told) as error:
        load_checkpoint(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("metadata", "told"),
    [
        ({"network": "srcnn"}, "unknown network.*srcnn"),
        ({"network": None}, "unknown network.*'network'"),
        ({"arguments": {"blocks": 2}}, "unknown network.*blocks"),
        ({"format": "sr_utils 9"}, "expected metadata of format 'sr_utils 1', got 'sr_utils 9'"),
        ({"format": None}, "got None"),
    ],
)
def test_unknown_metadata_is_told(tmp_path: Path, metadata: dict, told: str) -> None:
    path = tmp_path / "m.safetensors"
    _write_tensors(path, MSRResNet(2).state_dict(), **metadata)
    with pytest.raises(ValueError, match=told) as error:
        load_checkpoint(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (CARN(features=4).state_dict(), "unknown network.*entry.weight"),
        ({"weight": torch.zeros(3)}, "unknown network.*weight"),
        ({"body.first.conv1.weight": torch.zeros(3)}, "unknown network.*body.first"),
        ({"step": 3, "params_": {}}, r"expected a dictionary of tensors, got one of \['step', 'params_'\]"),
        ([torch.zeros(3)], "expected a dictionary of tensors, got list"),
        ({3: torch.zeros(3)}, r"m\.pth"),
        ({}, "unknown network"),
    ],
)
def test_other_pth_files_are_told(tmp_path: Path, content: object, told: str) -> None:
    torch.save(content, tmp_path / "m.pth")
    with pytest.raises(ValueError, match=told):
        load_checkpoint(tmp_path / "m.pth")


def test_missing_files_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no\.safetensors is missing.*03_train"):
        load_checkpoint(tmp_path / "no.safetensors")


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch) -> None:
    old, new = MSRResNet(1, features=4), MSRResNet(1, features=4)
    weights, state = tmp_path / "m.safetensors", tmp_path / "state.pt"
    save_weights(weights, old, {"step": 1})
    save_state(state, {"step": 1})

    def fail(*_: object) -> None:
        raise OSError("no space left")

    for module in (os, Path):
        monkeypatch.setattr(module, "replace", fail)
    with pytest.raises(OSError, match="no space"):
        save_weights(weights, new, {"step": 2})
    with pytest.raises(OSError, match="no space"):
        save_state(state, {"step": 2})
    loaded, metadata = load_checkpoint(weights)
    assert _equal(loaded, old) and metadata["step"] == 1 and load_state(state) == {"step": 1}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.safetensors", "state.pt"]


def test_state_round_trip_and_damage(tmp_path: Path) -> None:
    path, value = tmp_path / "state.pt", torch.randn(5)
    save_state(path, {"a": {"b": value}, "step": 3, "text": "ä", "none": None})
    state = load_state(path)
    assert torch.equal(state.pop("a")["b"], value) and state == {"step": 3, "text": "ä", "none": None}
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(ValueError, match=r"state\.pt: damaged training state"):
        load_state(path)
