"""Networks that were tried and not taken; `bench_networks.py` trains them at equal time.

All but the last are a first convolution, a body at LR size, a last convolution with pixel shuffle ×4, and the
bilinear image; bodies differ. Rows of `networks.csv` name them.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from sr_utils.networks import MSRResNet, Network
from sr_utils.networks.two_scale import conv

Activation = Callable[[torch.Tensor], torch.Tensor]


def leaky(x: torch.Tensor) -> torch.Tensor:
    """LeakyReLU as in MSRResNet's outer layers."""
    return F.leaky_relu(x, 0.1, inplace=True)


class Block(nn.Module):
    """conv – activation – conv, added to the input."""

    def __init__(self, width: int, activation: Activation = F.relu) -> None:
        super().__init__()
        self.conv1, self.conv2, self.activation = (
            conv(width, width, 3, 0.1),
            conv(width, width, 3, 0.1),
            activation,
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv2(self.activation(self.conv1(x)))


class Gate(nn.Module):
    """The product of two convolutions, one through a sigmoid, and a third one; added to the input."""

    def __init__(self, width: int, _: Activation = F.relu) -> None:
        super().__init__()
        self.conv1, self.conv2 = conv(width, 2 * width, 3, 0.5), conv(width, width, 3, 0.1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        value, gate = self.conv1(x).chunk(2, 1)
        return x + self.conv2(value * torch.sigmoid(gate))


class Half(nn.Module):
    """`inner` at half the size; with `factor` its result multiplies the input, too."""

    def __init__(self, width: int, wide: int, inner: nn.Module, *, factor: bool = False) -> None:
        super().__init__()
        self.down, self.inner, self.factor = conv(4 * width, wide, 1, 1.0), inner, factor
        self.up = conv(wide, (8 if factor else 4) * width, 1, 0.1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.pixel_shuffle(self.up(self.inner(self.down(F.pixel_unshuffle(x, 2)))), 2)
        if self.factor:
            gate, y = y.chunk(2, 1)
            x = x * (2 * torch.sigmoid(gate))
        return x + y


class DoubleSizeTail(nn.Module):
    """The last layers with 64 channels at twice the LR size between them, as MSRResNet has."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.up, self.last = conv(width, 256, 3, 1.0), conv(64, 12, 3, 0.1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.pixel_shuffle(self.last(leaky(F.pixel_shuffle(self.up(x), 2))), 2)


class Candidate(Network):
    """A body between first and last convolution; LR images with sides that its scales divide.

    Args:
        body: the units, one after another.
        local_mean: side of the window whose mean is taken off the input; 0: none.
        tail: features → the ×4 image.
    """

    name = label = "candidate"
    receptive_field = 200

    def __init__(
        self, body: list[nn.Module], width: int = 64, *, local_mean: int = 0, tail: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.arguments = {}
        self.first, self.body, self.local_mean = conv(3, width, 3, 1.0), nn.Sequential(*body), local_mean
        self.tail = tail or nn.Sequential(conv(width, 48, 3, 0.1), nn.PixelShuffle(4))

    def extract(self, lr: torch.Tensor) -> torch.Tensor:
        """First convolution and body."""
        side = self.local_mean
        mean = F.avg_pool2d(lr, side, 1, side // 2, count_include_pad=False) if side else 0
        return self.body(leaky(self.first(lr - mean)))

    def reconstruct(self, x: torch.Tensor, lr: torch.Tensor) -> torch.Tensor:
        """Tail and bilinear image."""
        base = F.interpolate(lr, scale_factor=4, mode="bilinear", align_corners=False)
        return base + self.tail(x).float()


def blocks(
    number: int, width: int = 64, activation: Activation = F.relu, kind: type[nn.Module] = Block
) -> list[nn.Module]:
    """Some units of one kind."""
    return [kind(width, activation) for _ in range(number)]


def middle(
    number: int,
    wide: int = 128,
    activation: Activation = F.relu,
    kind: type[nn.Module] = Block,
    **changed: bool,
) -> Half:
    """Units at half the size of 64 channels."""
    return Half(64, wide, nn.Sequential(*blocks(number, wide, activation, kind)), **changed)


def two(
    before: int = 5,
    half: int = 3,
    after: int = 5,
    activation: Activation = F.relu,
    kind: type[nn.Module] = Block,
    **changed: bool | int | nn.Module,
) -> Candidate:
    """Two scales: 64 channels at LR size, 128 at half of it."""
    outer = [blocks(number, 64, activation, kind) for number in (before, after)]
    return Candidate([*outer[0], middle(half, 128, activation, kind), *outer[1]], **changed)  # type: ignore[arg-type]


def three(outer: int, inner: int, quarter: int, last: int, activation: Activation = F.relu) -> Candidate:
    """Three scales: 64 channels, 96 at half, 128 at a quarter of the LR size."""
    deep = Half(96, 128, nn.Sequential(*blocks(quarter, 128, activation)))
    half = nn.Sequential(*blocks(inner, 96, activation), deep, *blocks(inner, 96, activation))
    return Candidate([*blocks(outer, 64, activation), Half(64, 96, half), *blocks(last, 64, activation)])


def without_biases(model: Candidate) -> Candidate:
    """Sums of products alone: with the local mean off, contrast and brightness pass through."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.bias = None
    return model


class Float32Stream(MSRResNet):
    """A light tail; what blocks add to stays in float32, while their convolutions are in bfloat16."""

    def extract(self, lr: torch.Tensor) -> torch.Tensor:
        return self.body(leaky(self.conv_first(lr)).float())


TRIED: dict[str, Callable[[], Network]] = {
    "two-5-3-5": two,
    "two-5-3-5-leaky": lambda: two(activation=leaky),
    "two-5-3-5-leaky-mean-off": lambda: two(activation=leaky, local_mean=9),
    "two-5-3-5-leaky-mean-off-no-biases": lambda: without_biases(two(activation=leaky, local_mean=9)),
    "two-5-3-5-leaky-factor": lambda: Candidate(
        [*blocks(5, 64, leaky), middle(3, 128, leaky, factor=True), *blocks(5, 64, leaky)]
    ),
    "two-2-2-3-gates": lambda: two(2, 2, 3, kind=Gate),
    "two-7-2-7": lambda: two(7, 2, 7),
    "two-1-5-1": lambda: two(1, 5, 1),
    "two-4-3-4-double-tail": lambda: two(4, 3, 4, tail=DoubleSizeTail(64)),
    "two-8-1-8-double-tail-leaky": lambda: two(8, 1, 8, leaky, tail=DoubleSizeTail(64)),
    "three-3-1-2-1-3": lambda: three(3, 1, 2, 3),
    "three-1-2-2-2-2": lambda: three(1, 2, 2, 2),
    "light-float32-stream": lambda: Float32Stream(init_gain=1.0, light_tail=True),
}
