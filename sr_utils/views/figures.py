"""The house style of matplotlib figures, and those of images: functions return one, only notebooks show it.

One method has one colour everywhere (the colour-blind safe palette of Okabe & Ito), and pixels are shown
unsmoothed.
"""

import io
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from sr_utils.config import BORDER, SCALE
from sr_utils.files import write_atomic
from sr_utils.metrics import psnr

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType  # from matplotlib 3.11 on

INK = "#333333"
COLORS = {
    "HR": INK,
    "LR": "#999999",
    "bicubic": "#E69F00",
    "MSRResNet-20": "#0072B2",
    "MSRResNet-20 with a light tail": "#882255",
    "MSRResNet-16": "#56B4E9",
    "EDSR": "#009E73",
    "CARN": "#CC79A7",
    "TwoScale": "#5D3A9B",
}
STYLE: "dict[RcKeyType, Any]" = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "axes.axisbelow": True,
    "figure.dpi": 110,
    "legend.frameon": False,
    "pdf.fonttype": 42,
}
THIS_RUN = " · this run"  # after a network's name: trained by the notebooks
PAGE_WIDTH = 6.7  # inches of text on the report's A4 page


def color(method: str) -> str:
    """The colour of a method in every figure; vermilion: MSRResNet-20 of another run, and unknown ones."""
    network, _, run = method.partition(" · ")  # for example "EDSR · 2,000 steps"
    other = network == "MSRResNet-20" and f" · {run}" not in (" · ", THIS_RUN)
    return "#D55E00" if other else COLORS.get(network, "#D55E00")


def new_figure(width: float, height: float, *grid: int, **options: Any) -> tuple[Figure, Any]:
    """A figure of so many inches with a grid of axes, in the house style, not yet shown."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            *grid, figsize=(width, height), squeeze=False, layout="constrained", **options
        )
    plt.close(figure)  # a notebook shows it once, where it is returned
    return figure, axes


def _show(axes: Axes, image: np.ndarray, title: str = "", *, fontsize: float = 8) -> None:
    axes.imshow(image, interpolation="nearest")
    axes.set_title(title, fontsize=fontsize)
    axes.set_axis_off()


def save_figure(figure: Figure, folder: Path | str, name: str) -> Path:
    """Write `<name>.pdf` (vector) and `<name>.png` into a folder; returns the PDF's path."""
    folder = Path(folder)
    for suffix, settings in (
        ("png", {"dpi": 150}),
        ("pdf", {"dpi": 300, "metadata": {"CreationDate": None}}),
    ):
        with plt.rc_context(STYLE), io.BytesIO() as buffer:
            figure.savefig(buffer, bbox_inches="tight", format=suffix, **settings)
            write_atomic(folder / f"{name}.{suffix}", buffer.getvalue())
    return folder / f"{name}.pdf"


def draw_images(images: Mapping[str, np.ndarray], *, columns: int = 4, width: float = PAGE_WIDTH) -> Figure:
    """A grid of uint8 (H, W, 3) images under their titles; a row is as high as its highest image."""
    columns = min(columns, len(images))
    ratios = [image.shape[0] / image.shape[1] for image in images.values()]
    heights = [
        width / columns * max(ratios[first : first + columns]) + 0.25
        for first in range(0, len(images), columns)
    ]
    figure, axes = new_figure(width, sum(heights), len(heights), columns, height_ratios=heights)
    for place in axes.flat[len(images) :]:
        place.set_axis_off()
    for place, (title, image) in zip(axes.flat, images.items(), strict=False):
        _show(place, image, title)
        place.set_anchor("N")  # titles of a row stand in line
    return figure


def draw_split(methods: Mapping[str, np.ndarray]) -> Figure:
    """Two uint8 (H, W, 3) versions of one image, the first left of a line, the second right of it."""
    (left, first), (right, second) = methods.items()
    half = first.shape[1] // 2
    figure, ((axes,),) = new_figure(PAGE_WIDTH, PAGE_WIDTH * first.shape[0] / first.shape[1], 1, 1)
    _show(axes, np.hstack([first[:, :half], second[:, half:]]))
    axes.axvline(half - 0.5, color="white", linewidth=2)
    for x, name in ((0.01, left), (0.51, right)):
        label = {"facecolor": "black", "alpha": 0.6, "edgecolor": "none"}
        axes.text(x, 0.03, name, transform=axes.transAxes, color="white", fontsize=10, bbox=label)
    return figure


def draw_zoom(
    outputs: Mapping[str, np.ndarray], *, title: str = "", box: tuple[int, int, int, int] | None = None
) -> Figure:
    """The whole image beside a grid of one detail by every method.

    Args:
        outputs: uint8 (H, W, 3) of one size by method, "HR" (the truth) among them; an LR image, of a quarter
            of the size, is shown with its pixels as squares.
        title: name of the image.
        box: top, left, height, width of the detail in HR pixels, for example `compare(...).box`; None: the
            square in which "bicubic" differs most from the truth.

    Raises:
        ValueError: the box does not lie inside the image.
    """
    truth = outputs["HR"]
    top, left, height, width = box or most_different_box(outputs["bicubic"], truth)
    inside = min(top, left) >= 0 and top + height <= truth.shape[0] and left + width <= truth.shape[1]
    if not inside or min(height, width) < 1:
        raise ValueError(
            f"box: expected top, left, height, width inside {truth.shape[0]}×{truth.shape[1]} pixels, "
            f"got {box}."
        )
    rows = 1 if len(outputs) <= 3 else 2
    columns = -(-len(outputs) // rows)
    # in widths of a detail: the whole image, as high as the rows beside it
    share = min(rows * height / width * truth.shape[1] / truth.shape[0], rows)
    detail_width = PAGE_WIDTH / (columns + share)
    fontsize = min(8, 55 / (columns + share))  # 14 letters are as narrow as a detail
    labels = {
        method: "\n".join(textwrap.fill(part, 14) for part in method.split(" · ")) for method in outputs
    }
    with plt.rc_context(STYLE):
        line = 1.2 * fontsize / 72  # inches
        above = line * (2 + max(label.count("\n") for label in labels.values()))  # with the PSNR
        size = (PAGE_WIDTH, rows * (detail_width * min(height / width, 1.5) + above) + 0.3)
        figure = plt.figure(figsize=size, layout="constrained")
        grid = figure.add_gridspec(rows, columns + 1, width_ratios=[share, *[1] * columns])
        whole = figure.add_subplot(grid[:, 0])
    plt.close(figure)
    _show(whole, truth, f"{title}\n")
    whole.add_patch(Rectangle((left, top), width, height, fill=False, edgecolor="#FFDD00", linewidth=1.5))
    for number, (method, image) in enumerate(outputs.items()):
        if image.shape[0] * SCALE == truth.shape[0]:
            image = image.repeat(SCALE, axis=0).repeat(SCALE, axis=1)
        axes = figure.add_subplot(grid[number // columns, 1 + number % columns])
        told = "truth" if method == "HR" else f"{psnr(image, truth, border=BORDER):.2f} dB"
        detail = image[top : top + height, left : left + width]
        _show(axes, detail, f"{labels[method]}\n{told}", fontsize=fontsize)
    figure.supxlabel(f"PSNR of the whole image: RGB, border {BORDER}", fontsize=7, color=INK)
    return figure


def most_different_box(sr: np.ndarray, hr: np.ndarray, side: int = 64) -> tuple[int, int, int, int]:
    """Top, left, height, width of the square in which two (H, W, 3) images differ most."""
    side = min(side, *hr.shape[:2])
    errors = ((sr.astype(np.float64) - hr) ** 2).sum(axis=2)
    sums = np.pad(errors.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    boxes = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    top, left = np.unravel_index(np.argmax(boxes), boxes.shape)
    return int(top), int(left), side, side
