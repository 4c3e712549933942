"""The networks as pictures: boxes along the data flow, arcs for what skips ahead."""

from collections.abc import Mapping
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from sr_utils.views.figures import INK, PAGE_WIDTH, color, new_figure

BLUE, SAND = "#D9E6F2", "#F7E3C3"
FILLS = dict.fromkeys(("conv", "block", "cascade", "R", "4", "3"), BLUE) | dict.fromkeys(
    ("1×1", "↓2", "↑2"), SAND
)
STRIDE = 1.35  # from box to box, in widths of a box
MSRRESNET = "LR conv block|1 … block|20 conv|↑2 conv|↑2 conv conv SR"
LIGHT_TAIL = "LR conv block|1 … block|20 conv|↑2 conv|↑2 SR"
TWO_SCALE = "LR conv 4|blocks ↓2 3|blocks ↑2 4|blocks conv|↑2 conv|↑2 SR"
CARN = "LR conv cascade 1×1 cascade 1×1 cascade 1×1 conv|↑2 conv|↑2 conv SR"
TITLE_HEIGHT = 1.5  # above the middle of its boxes


def draw_architectures() -> Figure:
    """MSRResNet and CARN: whole networks, and what their boxes hold."""
    figure, (whole, block, carn, cascade) = _draw_chains(
        {
            "MSRResNet-20: residual blocks, added to the bilinear ×4 image": MSRRESNET,
            "one block, without batch norm": "in conv ReLU conv + out",
            "CARN: every 1×1 convolution sees the entry and all cascades before it (global)": CARN,
            "one cascade (local); R: conv – ReLU – conv, plus its input, ReLU": "in R 1×1 R 1×1 R 1×1 out",
        }
    )
    _draw_skip(whole, 0, 9, color("bicubic"))
    _draw_skip(block, 0, 4, color("MSRResNet-20"))
    _draw_cascade(carn, entry=1)
    _draw_cascade(cascade, entry=0)
    return figure


def draw_short_tails() -> Figure:
    """Our two networks: MSRResNet with a light tail, and TwoScale."""
    figure, (light, two_scale) = _draw_chains(
        {
            "MSRResNet-20 with a light tail: the same blocks, a short way to the ×4 image": LIGHT_TAIL,
            "TwoScale: wide blocks at half the size in the middle": TWO_SCALE,
        }
    )
    _draw_skip(light, 0, 7, color("bicubic"))
    _draw_skip(two_scale, 0, 9, color("bicubic"))
    _draw_skip(two_scale, 2, 6, color("TwoScale"))
    return figure


def _draw_chains(chains: Mapping[str, str]) -> tuple[Figure, list[Axes]]:
    """Chains of boxes by title, one below another."""
    depth = 1.4 if any("↓2" in chain for chain in chains.values()) else 1.1
    height = (TITLE_HEIGHT + 0.3 + depth) / 3.3  # inches
    figure, grid = new_figure(PAGE_WIDTH, height * len(chains), len(chains), 1)
    for axes, (title, chain) in zip(grid[:, 0], chains.items(), strict=True):
        axes.text(-0.5, TITLE_HEIGHT, title, fontsize=8, color=INK)
        axes.set(xlim=(-0.6, 11 * STRIDE + 0.6), ylim=(-depth, TITLE_HEIGHT + 0.3))
        axes.set_axis_off()
        _draw_chain(axes, chain.split())
    return figure, list(grid[:, 0])


def _draw_chain(axes: Axes, labels: list[str]) -> None:
    """Boxes and arrows; from ↓2 to ↑2 the boxes hang below their chain."""
    lower = range(labels.index("↓2"), labels.index("↑2") + 1) if "↓2" in labels else range(0)
    heights = [-0.9 * (number in lower) for number in range(len(labels))]
    for number, (label, height) in enumerate(zip(labels, heights, strict=True)):
        corner, fill = (number * STRIDE - 0.5, height - 0.4), FILLS.get(label.split("|")[0], "#FFFFFF")
        axes.add_patch(
            FancyBboxPatch(corner, 1, 0.8, "round,pad=0,rounding_size=0.1", fc=fill, ec=INK, lw=0.7)
        )
        text = label.replace("|", "\n")
        axes.text(number * STRIDE, height, text, ha="center", va="center", fontsize=6, color=INK)
    for start, end in pairwise(range(len(labels))):
        places = (start * STRIDE + 0.5, heights[start]), (end * STRIDE - 0.5, heights[end])
        _draw_arrow(axes, *places, INK)


def _draw_arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], ink: str) -> None:
    arrow = FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=6, color=ink, lw=0.9)
    arrow.shrinkA = arrow.shrinkB = 0
    axes.add_patch(arrow)


def _draw_skip(axes: Axes, start: int, end: int, ink: str, shift: float = 0.0) -> None:
    """From above one box to above a later one, the higher the farther."""
    left, right = start * STRIDE + shift, end * STRIDE - 0.25 + shift
    height = 0.55 + 0.08 * (end - start) + 0.3 * shift
    axes.plot([left, left, right], [0.4, height, height], color=ink, lw=0.9)
    _draw_arrow(axes, (right, height), (right, 0.4), ink)


def _draw_cascade(axes: Axes, entry: int) -> None:
    """The entry and every unit so far, into each 1×1 convolution."""
    for fusion in (2, 4, 6):
        sources = [source for source in (3, 1, 0) if source < fusion - 1]
        for number, source in enumerate(sources):
            _draw_skip(axes, entry + source, entry + fusion, color("CARN"), shift=0.2 * number)
