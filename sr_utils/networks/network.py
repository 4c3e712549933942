"""What every network here has, so that files, tables and tiles can deal with all of them alike."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import nn


class Network(nn.Module, ABC):
    """A ×4 network in two halves: one at LR size, and one that enlarges and needs 2 LR pixels around alone.

    So the second half, which takes the memory, can run in strips; see `enlarging.tiles`.
    """

    name: ClassVar[str]
    """In `NETWORKS`, configs and files of weights."""
    label: str
    """In figures and tables."""
    arguments: dict[str, int | float]
    """With which `make_network` makes its like: what a file of weights tells beside the tensors."""
    receptive_field: int
    """LR pixels to each side that an output pixel depends on, or more."""
    training_minutes: float = 0.0
    """Told by the file of weights it came from, with all segments before; 0: not told."""
    grid: int = 1
    """LR pixels: a tile must begin at a multiple of it, where a cell of the whole image begins."""

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        return self.reconstruct(self.extract(lr), lr)

    @abstractmethod
    def extract(self, lr: torch.Tensor) -> torch.Tensor:
        """The half at LR size: (N, 3, H, W) → features (N, C, H, W)."""

    @abstractmethod
    def reconstruct(self, x: torch.Tensor, lr: torch.Tensor) -> torch.Tensor:
        """The half that enlarges: features and their LR images → (N, 3, 4H, 4W)."""


def pad_to_grid(lr: torch.Tensor, grid: int) -> torch.Tensor:
    """(N, 3, H, W) with its last row and column repeated until H and W are multiples of `grid`."""
    height, width = lr.shape[2:]
    return F.pad(lr, (0, -width % grid, 0, -height % grid), mode="replicate")
