"""Muon: the step of every inner convolution is its momentum with all singular values set to about one.

Adam scales each weight by itself. But a convolution acts as a matrix, and few of its directions get most of
the gradient; levelling them trains these networks in a fraction of the steps.

Source: Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024; the factor that gives
`learning_rate` Adam's meaning: Liu et al., "Muon is scalable for LLM training", 2025, arXiv:2502.16982.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

Number = float | torch.Tensor


def orthogonalize(matrices: torch.Tensor, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Float32 (K, rows, columns) → the same singular vectors, singular values between about 0.7 and 1.2.

    Source: the quintic Newton–Schulz iteration with the coefficients of Jordan et al.
    """
    wide = matrices if matrices.shape[1] <= matrices.shape[2] else matrices.mT
    x = (wide / (wide.norm(dim=(1, 2), keepdim=True) + 1e-7)).to(dtype)  # small gradients survive fp16
    for _ in range(5):
        square = x @ x.mT
        factor = torch.baddbmm(square, square, square, beta=-4.775, alpha=2.0315)
        x = torch.baddbmm(x, factor, x, beta=3.4445)
    return (x if wide is matrices else x.mT).float()


class Muon(torch.optim.Optimizer):
    """Muon for the inner convolutions, Adam for biases and convolutions from or to three channels (an image).

    Args:
        parameters: of a network.
        lr: learning rate of both.
        momentum: decay of Muon's momentum (Nesterov's).
        weight_decay: share of the inner convolutions, times lr, that a step takes off. Without it a unit
            whose ReLU is never active gets no gradient, and stays so for the rest of the run.
        dtype: arithmetic of the orthogonalisation.
    """

    _step_supports_amp_scaling = True  # a non-finite step is skipped on the device; GradScaler need not wait

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        *,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        parameters = list(parameters)
        inner = [value for value in parameters if value.ndim == 4 and min(value.shape[:2]) > 3]
        kept = {id(value) for value in inner}
        others = [value for value in parameters if id(value) not in kept]
        super().__init__([{"params": inner}, {"params": others}], {"lr": lr})
        self.adam = torch.optim.Adam(others, lr=lr, betas=(0.9, 0.99), fused=True)
        self._momentum, self._weight_decay, self._dtype = momentum, weight_decay, dtype
        for value in inner:
            self.state[value]["momentum"] = torch.zeros_like(value)

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]  # no closure
        """One update; where GradScaler has set `found_inf`, nothing changes."""
        inner, others = self.param_groups
        found_inf = getattr(self, "found_inf", None)
        self.adam.grad_scale, self.adam.found_inf = None, found_inf  # type: ignore[attr-defined]  # as GradScaler
        self.adam.param_groups[0]["lr"] = others["lr"]
        self.adam.step()
        shapes: dict[torch.Size, list[torch.Tensor]] = {}
        for value in inner["params"]:
            if value.grad is not None:  # a weight without one stays, as with Adam
                shapes.setdefault(value.shape, []).append(value)
        for same in shapes.values():
            self._update(same, inner["lr"], found_inf)

    def _update(self, same: list[torch.Tensor], rate: Number, found_inf: torch.Tensor | None) -> None:
        """All convolutions of one shape, in the same few matrix products."""
        gradients = [value.grad for value in same if value.grad is not None]
        momenta = [self.state[value]["momentum"] for value in same]
        decay: Number = self._momentum
        if found_inf is not None:
            finite = found_inf == 0
            gradients = [torch.where(finite, gradient, 0) for gradient in gradients]
            decay, rate = torch.where(finite, decay, 1.0), torch.where(finite, rate, 0.0)
        torch._foreach_mul_(momenta, decay)
        torch._foreach_add_(momenta, gradients)
        ahead = torch._foreach_add(gradients, torch._foreach_mul(momenta, self._momentum))
        matrices = torch.stack([_rows(value) for value in ahead])  # (K, out, 9 · in)
        size = 0.2 * max(matrices.shape[1:]) ** 0.5
        changes = orthogonalize(matrices, self._dtype) * (size * rate)
        outputs, inputs, height, width = same[0].shape
        torch._foreach_mul_(same, 1 - self._weight_decay * rate)
        torch._foreach_sub_(same, list(changes.view(-1, outputs, height, width, inputs).movedim(4, 2)))

    def state_dict(self) -> dict[str, Any]:
        """Both parts, as tensors and numbers."""
        return {"muon": super().state_dict(), "adam": self.adam.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The reverse of `state_dict`."""
        super().load_state_dict(state_dict["muon"])
        self.adam.load_state_dict(state_dict["adam"])


def _rows(kernel: torch.Tensor) -> torch.Tensor:
    """(out, in, height, width) → (out, height · width · in), the order in which channels-last kernels lie."""
    return kernel.permute(0, 2, 3, 1).reshape(len(kernel), -1)
