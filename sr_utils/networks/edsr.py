"""EDSR baseline: 16 residual blocks and a long skip, on mean-shifted images; 1,517,571 trainable parameters.

Source: Lim et al., "Enhanced deep residual networks for single image super-resolution", CVPRW 2017; tensors
are named as in the weights that BasicSR publishes.
"""

import torch
import torch.nn.functional as F
from torch import nn

from sr_utils.networks.network import Network

DIV2K_MEAN = (0.4488, 0.4371, 0.4040)  # RGB mean of DIV2K's training images, in [0, 1]


class ScaledResidualBlock(nn.Module):
    """conv – ReLU – conv, scaled and added to the input."""

    def __init__(self, features: int, res_scale: float) -> None:
        super().__init__()
        self.res_scale = res_scale
        self.conv1 = nn.Conv2d(features, features, 3, padding=1)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.res_scale * self.conv2(F.relu(self.conv1(x), inplace=True))


class EDSR(Network):
    """The ×4 baseline.

    Args:
        num_blocks, features: residual blocks and their channels.
        res_scale: factor on every residual; 1 in the paper's baseline, 0.1 in its large network.
        image_range: inner range of pixel values; published weights expect 255.
    """

    name = "edsr"
    mean: torch.Tensor

    def __init__(
        self, num_blocks: int = 16, features: int = 64, res_scale: float = 1.0, image_range: float = 255.0
    ) -> None:
        super().__init__()
        self.arguments = {
            "num_blocks": num_blocks,
            "features": features,
            "res_scale": res_scale,
            "image_range": image_range,
        }
        self.label = "EDSR"
        self.receptive_field = 2 * num_blocks + 5
        self.image_range = image_range
        self.register_buffer("mean", torch.tensor(DIV2K_MEAN).view(1, 3, 1, 1), persistent=False)
        self.conv_first = nn.Conv2d(3, features, 3, padding=1)
        self.body = nn.Sequential(*[ScaledResidualBlock(features, res_scale) for _ in range(num_blocks)])
        self.conv_after_body = nn.Conv2d(features, features, 3, padding=1)
        upsample: list[nn.Module] = []
        for _ in range(2):
            upsample += [nn.Conv2d(features, 4 * features, 3, padding=1), nn.PixelShuffle(2)]
        self.upsample = nn.Sequential(*upsample)
        self.conv_last = nn.Conv2d(features, 3, 3, padding=1)

    def extract(self, lr: torch.Tensor) -> torch.Tensor:
        """The half at LR size: (N, 3, H, W) → features (N, 64, H, W)."""
        x = self.conv_first((lr - self.mean) * self.image_range)
        return x + self.conv_after_body(self.body(x))

    def reconstruct(self, x: torch.Tensor, lr: torch.Tensor) -> torch.Tensor:
        """The half that enlarges: features and their LR images → (N, 3, 4H, 4W)."""
        x = self.conv_last(self.upsample(x))
        return x.to(lr.dtype) / self.image_range + self.mean
