"""What fake tensors can tell of GPUs, and the checks for whoever has a real one: `pytest -m cuda`."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_runs import TINY
from torch._subclasses.fake_tensor import FakeTensorMode

from sr_utils import checkpoints, images
from sr_utils.device import choose_device
from sr_utils.networks import make_network
from sr_utils.training import augment
from sr_utils.training.recipe import LOSSES
from sr_utils.training.train import read_log, train

ALL = replace(
    TINY, rgb_permutation=1, blend=1, mixup=1, brightness_contrast=1, cutblur=1, unshuffle_stem=True
)


@pytest.mark.parametrize(
    "network", ["msrresnet", "edsr", "carn", "two_scale", "light_tail", "unshuffle_stem"]
)
@pytest.mark.parametrize("loss", LOSSES)
def test_no_tensor_of_a_step_is_left_on_the_cpu(network: str, loss: str, monkeypatch) -> None:
    """Forward, augmentation and loss on fake CUDA tensors; backward cannot be faked without a driver."""
    changes = {"light_tail": True} if network == "light_tail" else {"network": network}
    stem = network == "unshuffle_stem"
    config = ALL if stem else replace(ALL, cutblur=0, unshuffle_stem=False, **changes)
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    batch = [np.zeros((2, side, side, 3), np.uint8) for side in (16, 4)]
    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        with torch.device("cuda"):
            model = make_network(config.network, **config.network_arguments)
        hr, lr = (images.to_tensor(side, "cuda") for side in batch)
        hr, lr = augment.augment(hr, lr, config, 3)
        with torch.autocast("cuda", torch.bfloat16):
            sr = model(lr.contiguous(memory_format=torch.channels_last))
            last = getattr(model, "conv_last", None) or model.exit
            assert last(sr.new_zeros(1, last.in_channels, 2, 2)).dtype == torch.bfloat16
        value = LOSSES[loss](sr, hr)
        assert {tensor.device.type for tensor in (hr, lr, sr, value)} == {"cuda"}
        assert sr.shape == hr.shape == (2, 3, 16, 16) and lr.shape[1] == (48 if stem else 3)
        with pytest.raises(RuntimeError, match="device"):
            LOSSES[loss](sr, hr.cpu())  # the test would see a stray tensor


@pytest.fixture
def _gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no NVIDIA GPU that this torch can use")


@pytest.mark.cuda
@pytest.mark.usefixtures("_gpu")
def test_a_step_on_the_gpu_has_the_loss_of_the_cpu(project, monkeypatch) -> None:
    config = replace(TINY, total_steps=1, log_every=1)
    on_gpu = read_log(train(config, project, fresh=True))[0]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    on_cpu = read_log(train(config, project, fresh=True))[0]
    assert on_gpu["loss"] == pytest.approx(on_cpu["loss"], rel=1e-4)
    assert on_gpu["val_psnr_trained"] == pytest.approx(on_cpu["val_psnr_trained"], abs=0.01)


@pytest.mark.cuda
@pytest.mark.usefixtures("_gpu")
@pytest.mark.parametrize("precision", ["float32", "bf16", "fp16"])
@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_a_gpu_run_trains_and_resumes(project, precision: str, optimizer: str) -> None:
    config = replace(TINY, precision=precision, optimizer=optimizer, total_steps=30, save_every=10)

    def stop(record: dict) -> None:
        if record["step"] == 14:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, project, stop)
    seen: list[int] = []
    folder = train(config, project, lambda record: seen.append(record["step"]))
    assert seen[0] == 12  # after the save of step 10
    log = read_log(folder)
    assert log[-1]["step"] == 30 and log[-1]["skipped_steps"] <= 10
    first, last = (record["val_psnr_trained"] for record in (log[1], log[-1]))  # of steps 4 and 30
    assert last > first
    model, _ = checkpoints.load_checkpoint(folder / "last.safetensors")
    assert choose_device(precision).device.type == "cuda" and next(model.parameters()).device.type == "cpu"
