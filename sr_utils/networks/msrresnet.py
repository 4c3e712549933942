"""MSRResNet: SRResNet without batch norm, plus the bilinear ×4 input; 16 blocks is the challenge's baseline.

Source: Ledig et al., "Photo-realistic single image super-resolution", CVPR 2017; variant and
tensor names as in Wang et al., ESRGAN, 2018. Batch norm is left out as in Lim et al., EDSR, 2017: it
normalises away the range of an image, which the network has to reproduce, and costs memory.

Half of its arithmetic is enlarging. The light tail, which is ours, takes an eighth of that: its last
convolution, at twice the LR size, gives 2×2 HR pixels at once.
"""

import torch
import torch.nn.functional as F
from torch import nn

from sr_utils.networks.network import Network


class ResidualBlock(nn.Module):
    """conv – ReLU – conv, added to the input."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(features, features, 3, padding=1)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv2(F.relu(self.conv1(x), inplace=True))


class UnshuffleStem(nn.Conv2d):
    """First layer that sees every pixel of an HR-sized image: 16 of them per LR pixel, as channels."""

    def __init__(self, channels: int, features: int, size: int, padding: int) -> None:
        super().__init__(16 * channels, features, size, padding=padding)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x if x.shape[1] == self.in_channels else x.repeat_interleave(16, dim=1))


class MSRResNet(Network):
    """1,517,571 parameters with 16 blocks, 1,812,995 with 20.

    Args:
        num_blocks: residual blocks.
        features: channels of every inner layer.
        init_gain: factor on Kaiming's standard deviation in the layers outside the blocks (blocks and last
            layer have 0.1). The reference has 0.1 there too; 1 lets gradients through from the start.
        unshuffle_stem: first layer for CutBlur's HR-sized images, pixel-unshuffled to (N, 48, H, W); an LR
            batch (N, 3, H, W) stands for its nearest-neighbour enlargement. 1,838,915 parameters with 20
            blocks, over the challenge's limit; 1,765,059 with 19.
        bilinear_skip: add the bilinear ×4 image at the end.
        light_tail: no layer at HR size; 1,633,548 parameters with 20 blocks.
    """

    name = "msrresnet"

    def __init__(
        self,
        num_blocks: int = 20,
        features: int = 64,
        init_gain: float = 0.1,
        unshuffle_stem: bool = False,
        bilinear_skip: bool = True,
        light_tail: bool = False,
    ) -> None:
        super().__init__()
        self.arguments = {
            "num_blocks": num_blocks,
            "features": features,
            "unshuffle_stem": unshuffle_stem,
            "bilinear_skip": bilinear_skip,
            "light_tail": light_tail,
        }
        self.bilinear_skip, self.light_tail = bilinear_skip, light_tail
        self.label = f"MSRResNet-{num_blocks}" + (" with a light tail" if light_tail else "")
        self.receptive_field = 2 * num_blocks + 4
        self.conv_first = (UnshuffleStem if unshuffle_stem else nn.Conv2d)(3, features, 3, padding=1)
        self.body = nn.Sequential(*[ResidualBlock(features) for _ in range(num_blocks)])
        self.upconv1 = nn.Conv2d(features, 4 * features, 3, padding=1)
        if not light_tail:
            self.upconv2 = nn.Conv2d(features, 4 * features, 3, padding=1)
            self.conv_hr = nn.Conv2d(features, features, 3, padding=1)
        self.conv_last = nn.Conv2d(features, 12 if light_tail else 3, 3, padding=1)
        inner = {self.conv_last, *self.body.modules()}  # blocks start near the identity
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
                module.weight.data *= 0.1 if module in inner else init_gain
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def extract(self, lr: torch.Tensor) -> torch.Tensor:
        """The half at LR size: (N, 3, H, W) → features (N, 64, H, W)."""
        return self.body(_leaky(self.conv_first(lr)))

    def reconstruct(self, x: torch.Tensor, lr: torch.Tensor) -> torch.Tensor:
        """The half that enlarges: features and their LR images → (N, 3, 4H, 4W)."""
        x = _leaky(F.pixel_shuffle(self.upconv1(x), 2))  # (N, 64, 2H, 2W)
        if self.light_tail:
            x = F.pixel_shuffle(self.conv_last(x), 2)  # (N, 3, 4H, 4W)
        else:
            x = _leaky(F.pixel_shuffle(self.upconv2(x), 2))  # (N, 64, 4H, 4W)
            x = self.conv_last(_leaky(self.conv_hr(x)))
        if not self.bilinear_skip:
            return x.to(lr.dtype)
        if lr.shape[1] > 3:  # unshuffled: the mean of 4×4 HR pixels is the LR pixel
            lr = lr.unflatten(1, (3, -1)).mean(2)
        base = F.interpolate(lr, scale_factor=4, mode="bilinear", align_corners=False)
        return base + x.to(base.dtype)  # the sum in float32, whatever the convolutions ran in


def _leaky(x: torch.Tensor) -> torch.Tensor:
    return F.leaky_relu(x, 0.1, inplace=True)
