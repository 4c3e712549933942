import pytest
import torch

from sr_utils import device
from sr_utils.device import choose_device


def _machine(monkeypatch, kind: str, capability: object) -> None:
    """A pretended machine: nothing is computed on it."""
    if kind == "cuda":
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Test GPU")
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    elif kind == "mps":
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    else:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capability)


@pytest.mark.parametrize(
    ("kind", "capability", "dtype", "layout", "told"),
    [
        ("cuda", (9, 0), torch.bfloat16, torch.channels_last, "cuda: Test GPU · bf16 (native bfloat16)"),
        ("cuda", (8, 0), torch.bfloat16, torch.channels_last, "bf16"),
        ("cuda", (7, 5), torch.float16, torch.channels_last, "fp16 (a GPU without native bfloat16)"),
        ("mps", None, torch.float32, torch.contiguous_format, "mps: Apple GPU · float32"),
        ("cpu", {"avx512_bf16": True}, torch.bfloat16, torch.channels_last, "bf16 (native bfloat16)"),
        ("cpu", {"amx_bf16": True}, torch.bfloat16, torch.channels_last, "bf16 (native bfloat16)"),
        ("cpu", {"avx2": True}, torch.float32, torch.channels_last, "float32 (no native bfloat16)"),
    ],
)
def test_auto_takes_what_the_machine_has(monkeypatch, kind, capability, dtype, layout, told) -> None:
    _machine(monkeypatch, kind, capability)
    chosen = choose_device()
    assert (chosen.device.type, chosen.dtype, chosen.memory_format) == (kind, dtype, layout)
    assert told in chosen.description and "\n" not in chosen.description


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_precision_as_asked(precision: str) -> None:
    chosen = choose_device(precision)
    assert chosen.dtype == device.DTYPES[precision]
    assert f"{precision} (as asked)" in chosen.description and chosen.description.startswith("cpu: CPU")
    with chosen.autocast():
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == chosen.dtype


def test_float32_on_a_gpu_is_float32(monkeypatch) -> None:
    _machine(monkeypatch, "cuda", (9, 0))
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    choose_device()
    assert torch.backends.cudnn.allow_tf32
    assert choose_device("float32").dtype == torch.float32 and not torch.backends.cudnn.allow_tf32


def test_a_gpu_that_this_torch_cannot_use_is_told(monkeypatch) -> None:
    monkeypatch.setattr(device.Path, "exists", lambda self: str(self) == "/proc/driver/nvidia/version")
    assert "an NVIDIA GPU is present, but this torch cannot use it" in choose_device().description
    monkeypatch.setattr(device.Path, "exists", lambda self: False)
    assert "NVIDIA" not in choose_device().description


@pytest.mark.parametrize(
    ("precision", "told"), [("fp16", "needs a GPU"), ("half", "got 'half'"), ("", "got ''")]
)
def test_impossible_precisions_are_told(precision: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        choose_device(precision)
