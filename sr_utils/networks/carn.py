"""CARN: residual blocks whose outputs cascade, within a block and between blocks; 1,111,875 parameters at ×4.

Source: Ahn, Kang & Sohn, "Fast, accurate, and lightweight super-resolution with cascading residual network",
ECCV 2018 (its 1,592 k counts an upsampler for three scales).
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import nn

from sr_utils.networks.edsr import DIV2K_MEAN
from sr_utils.networks.network import Network


class Residual(nn.Module):
    """conv – ReLU – conv, added to the input, ReLU."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(features, features, 3, padding=1)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(x + self.conv2(F.relu(self.conv1(x), inplace=True)))


class Cascade(nn.Module):
    """Three units; after each, a 1×1 convolution fuses all outputs so far.

    Args:
        features: channels.
        units: what cascades: residual blocks (local) or cascades (global).
    """

    def __init__(self, features: int, units: Iterable[nn.Module]) -> None:
        super().__init__()
        self.units = nn.ModuleList(units)
        counts = range(2, len(self.units) + 2)  # the input, and every unit so far
        self.fusions = nn.ModuleList(nn.Conv2d(count * features, features, 1) for count in counts)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        collected = x
        for unit, fusion in zip(self.units, self.fusions, strict=True):
            collected = torch.cat([collected, unit(x)], dim=1)  # (N, 64 · (2, 3, 4), H, W)
            x = F.relu(fusion(collected), inplace=True)
        return x


class CARN(Network):
    """The ×4 network: a global cascade of three local cascades of three residual blocks."""

    name = "carn"
    mean: torch.Tensor

    def __init__(self, features: int = 64) -> None:
        super().__init__()
        self.arguments = {"features": features}
        self.label = "CARN"
        self.receptive_field = 22
        self.register_buffer("mean", torch.tensor(DIV2K_MEAN).view(1, 3, 1, 1), persistent=False)
        self.entry = nn.Conv2d(3, features, 3, padding=1)
        blocks = (Cascade(features, (Residual(features) for _ in range(3))) for _ in range(3))
        self.body = Cascade(features, blocks)
        self.upconv1 = nn.Conv2d(features, 4 * features, 3, padding=1)
        self.upconv2 = nn.Conv2d(features, 4 * features, 3, padding=1)
        self.exit = nn.Conv2d(features, 3, 3, padding=1)

    def extract(self, lr: torch.Tensor) -> torch.Tensor:
        """The half at LR size: (N, 3, H, W) → features (N, 64, H, W)."""
        return self.body(self.entry(lr - self.mean))

    def reconstruct(self, x: torch.Tensor, lr: torch.Tensor) -> torch.Tensor:
        """The half that enlarges: features and their LR images → (N, 3, 4H, 4W)."""
        x = F.pixel_shuffle(F.relu(self.upconv1(x)), 2)  # (N, 64, 2H, 2W)
        x = F.pixel_shuffle(F.relu(self.upconv2(x)), 2)  # (N, 64, 4H, 4W)
        return self.exit(x).to(lr.dtype) + self.mean  # (N, 3, 4H, 4W)
