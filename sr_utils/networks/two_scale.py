"""TwoScale: residual blocks, of which the widest work at half the LR size, where they cost a quarter.

MSRResNet spends half of its arithmetic on enlarging. Here the last convolution, at twice the LR size, gives
the 2×2 HR pixels around each of its pixels at once (Shi et al., "Real-time single image and video
super-resolution", CVPR 2016), and the blocks in the middle see twice as far, as in a U-Net (Ronneberger et
al., 2015) whose scales are added.

The blocks have LeakyReLU: ReLU's units may stop for good, see `training.muon`.
"""

import torch
import torch.nn.functional as F
from torch import nn

from sr_utils.networks.network import Network, pad_to_grid


def conv(inputs: int, outputs: int, size: int, gain: float) -> nn.Conv2d:
    """A convolution that keeps the size; its weights begin with `gain` times Kaiming's standard deviation."""
    convolution = nn.Conv2d(inputs, outputs, size, padding=size // 2)
    nn.init.kaiming_normal_(convolution.weight)
    convolution.weight.data *= gain
    nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]  # there is a bias
    return convolution


class LeakyBlock(nn.Module):
    """conv – LeakyReLU – conv, added to the input."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1 = conv(features, features, 3, 0.1)
        self.conv2 = conv(features, features, 3, 0.1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv2(F.leaky_relu(self.conv1(x), 0.1, inplace=True))


class HalfSize(nn.Module):
    """Blocks at half the size, added to the input: (N, C, H, W) with even H and W."""

    def __init__(self, features: int, wide: int, num_blocks: int) -> None:
        super().__init__()
        self.down = conv(4 * features, wide, 1, 1.0)
        self.body = nn.Sequential(*[LeakyBlock(wide) for _ in range(num_blocks)])
        self.up = conv(wide, 4 * features, 1, 0.1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        half = self.body(self.down(F.pixel_unshuffle(x, 2)))  # (N, wide, H/2, W/2)
        return x + F.pixel_shuffle(self.up(half), 2)


class TwoScale(Network):
    """1,698,700 parameters.

    Args:
        before, half, after: residual blocks before the middle, in it at half the size, and after it.
        features: channels at LR size.
        wide: channels at half the size.
    """

    name = "two_scale"
    label = "TwoScale"
    grid = 2

    def __init__(
        self, before: int = 4, half: int = 3, after: int = 4, features: int = 64, wide: int = 128
    ) -> None:
        super().__init__()
        self.arguments = {"before": before, "half": half, "after": after, "features": features, "wide": wide}
        self.receptive_field = 2 * (before + 2 * half + after) + 5
        self.conv_first = conv(3, features, 3, 1.0)
        self.body = nn.Sequential(
            *[LeakyBlock(features) for _ in range(before)],
            HalfSize(features, wide, half),
            *[LeakyBlock(features) for _ in range(after)],
        )
        self.conv_up = conv(features, 4 * features, 3, 1.0)
        self.conv_last = conv(features, 3 * 2 * 2, 3, 0.1)

    def extract(self, lr: torch.Tensor) -> torch.Tensor:
        """The half at LR size: (N, 3, H, W) → features (N, 64, H, W)."""
        x = self.conv_first(pad_to_grid(lr, self.grid))
        return self.body(F.leaky_relu(x, 0.1, inplace=True))[..., : lr.shape[2], : lr.shape[3]]

    def reconstruct(self, x: torch.Tensor, lr: torch.Tensor) -> torch.Tensor:
        """The half that enlarges: features and their LR images → (N, 3, 4H, 4W)."""
        x = F.leaky_relu(F.pixel_shuffle(self.conv_up(x), 2), 0.1, inplace=True)  # (N, 64, 2H, 2W)
        sr = F.pixel_shuffle(self.conv_last(x), 2)
        base = F.interpolate(lr, scale_factor=4, mode="bilinear", align_corners=False)
        return base + sr.to(base.dtype)  # the sum in float32, whatever the convolutions ran in
