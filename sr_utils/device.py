"""The only place that chooses a device: which one, in which precision and memory format, and why."""

import ctypes
import platform
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Device:
    """A device with the arithmetic that suits it."""

    device: torch.device
    dtype: torch.dtype
    """Arithmetic of the convolutions; parameters, losses and the final sum stay float32."""
    memory_format: torch.memory_format
    """Channels-last, in which convolutions are fast on CPUs and NVIDIA GPUs."""
    description: str
    """One line for the log: what was chosen and why."""

    def autocast(self) -> AbstractContextManager:
        """Context in which convolutions run in `dtype`."""
        return torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype != torch.float32)


def choose_device(precision: str = "auto") -> Device:
    """The best device of this machine: cuda, else mps, else cpu.

    Args:
        precision: "auto" takes bf16 where the device computes it natively, fp16 on older NVIDIA GPUs and
            float32 elsewhere; "float32", "bf16" and "fp16" are taken as they are.

    Raises:
        ValueError: unknown precision, or fp16 away from a GPU.
    """
    if precision != "auto" and precision not in DTYPES:
        raise ValueError(f"precision: expected auto, {', '.join(DTYPES)}, got {precision!r}.")
    if torch.cuda.is_available():
        kind, name = "cuda", torch.cuda.get_device_name()
        native = "bf16" if torch.cuda.get_device_capability() >= (8, 0) else "fp16"
        why = "native bfloat16" if native == "bf16" else "a GPU without native bfloat16"
    elif torch.backends.mps.is_available():
        kind, name, native, why = "mps", "Apple GPU", "float32", "the safe choice there"
    else:
        kind, name = "cpu", f"CPU, {torch.get_num_threads()} threads"
        _keep_freed_memory()
        capabilities = torch.cpu.get_capabilities()
        has_bf16 = capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16")
        native, why = ("bf16", "native bfloat16") if has_bf16 else ("float32", "no native bfloat16")
        if Path("/proc/driver/nvidia/version").exists():
            name += (
                " (an NVIDIA GPU is present, but this torch cannot use it: reinstall torch for CUDA,"
                " see README, 'Which machine')"
            )
    chosen, why = (native, why) if precision == "auto" else (precision, "as asked")
    if chosen == "fp16" and kind == "cpu":
        raise ValueError("precision fp16 needs a GPU; use 'auto', 'bf16' or 'float32' on a CPU.")
    if (kind, chosen) == ("cuda", "float32"):
        torch.backends.cudnn.allow_tf32 = False  # PyTorch's default would round the products to ten bits
    memory_format = torch.contiguous_format if kind == "mps" else torch.channels_last
    layout = "contiguous" if kind == "mps" else "channels-last"
    return Device(
        torch.device(kind), DTYPES[chosen], memory_format, f"{kind}: {name} · {chosen} ({why}) · {layout}"
    )


def copy_to(values: np.ndarray, device: torch.device | str, dtype: torch.dtype | None = None) -> torch.Tensor:
    """A tensor of these values on a device. On CUDA the steps in its queue are not waited for.

    On other devices that would be unsafe: the array may be gone before it is copied.
    """
    device = torch.device(device)
    return torch.as_tensor(values, dtype=dtype).to(device, non_blocking=device.type == "cuda")


def _keep_freed_memory() -> None:
    """Stop glibc from handing large blocks back to the system, only to fetch them again at every step.

    A step of batch 16 and patch 128 had 80,000 page faults, an eighth of its time; afterwards it has none.
    Source: mallopt(3), M_MMAP_THRESHOLD and M_TRIM_THRESHOLD.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(-3, 2**30)
        libc.mallopt(-1, 2**31 - 1)
