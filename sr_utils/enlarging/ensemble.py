"""Eight answers of one network, averaged."""

from contextlib import nullcontext

import torch
from torch import nn

from sr_utils.config import SCALE
from sr_utils.enlarging.tiles import iterate_strips
from sr_utils.networks.network import Network, pad_to_grid


class SelfEnsemble(nn.Module):
    """Mean of a network's outputs for the eight turned and mirrored inputs; the challenge forbids it.

    Source: Lim et al., "Enhanced deep residual networks for single image super-resolution", CVPRW 2017.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network, self.receptive_field, self.grid = network, network.receptive_field, network.grid

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        height, width = lr.shape[2:]
        lr = pad_to_grid(lr, self.grid)  # turned tiles begin on the grid, too
        outputs = []
        for turns in range(4):
            turned = lr.rot90(turns, (2, 3))
            outputs.append(self._enlarge(turned).rot90(-turns, (2, 3)))
            outputs.append(self._enlarge(turned.flip(3)).flip(3).rot90(-turns, (2, 3)))
        return sum(outputs, torch.zeros(()))[..., : SCALE * height, : SCALE * width] / 8

    def _enlarge(self, lr: torch.Tensor) -> torch.Tensor:
        strips = iterate_strips(self.network, lr, (0, 0, *lr.shape[2:]), nullcontext)
        return torch.cat([sr for _, sr in strips], dim=2)
