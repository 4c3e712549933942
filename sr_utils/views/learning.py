"""See a network learn: one detail of a validation photo, *bicubic | now | HR*, at every validation."""

import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from IPython.display import display
from matplotlib.figure import Figure
from torch import nn

from sr_utils import images
from sr_utils.checkpoints import load_checkpoint
from sr_utils.config import SCALE
from sr_utils.data.pair import Pair, read_pair
from sr_utils.enlarging.infer import super_resolve
from sr_utils.metrics import psnr
from sr_utils.training.run_files import BEST, is_training, read_log
from sr_utils.views.figures import draw_images, most_different_box

SIDE = 96  # HR pixels of the detail
MARGIN = 44  # LR pixels around it that the network sees too: the receptive field of 20 blocks
IDLE = 100  # a live figure waits this many times as long as its drawing took: 1 % of the time at most


class Detail:
    """The place in a photo where bicubic is worst, as a network enlarges it from step to step.

    The patches are kept as PNGs named by step, so that a run that goes on has those of before.
    """

    def __init__(self, pair: Pair, folder: Path) -> None:
        hr, lr = read_pair(pair)
        bicubic = images.resize_bicubic(lr, SCALE)
        top, left, height, width = (
            side // SCALE * SCALE for side in most_different_box(bicubic, hr, side=SIDE)
        )
        self.folder, self.photo, self.lr = folder, pair.name, lr
        self.place = np.s_[top : top + height, left : left + width]
        self.box = (top // SCALE, left // SCALE, height // SCALE, width // SCALE)
        self.hr, self.bicubic = hr[self.place], bicubic[self.place]

    def add(self, model: nn.Module, step: int, *, precision: str = "auto", forget: bool = True) -> None:
        """Keep what a network makes of the detail at a step.

        `forget` those of later steps: the run that is trained here went back, or was started afresh.
        """
        for path in self._files() if forget else ():
            if int(path.stem) >= step:
                path.unlink()
        images.write_image(self.folder / f"{step:08}.png", self.enlarge(model, precision=precision))

    def enlarge(self, model: nn.Module, *, precision: str = "auto") -> np.ndarray:
        """The detail as in the whole photo, though no more of it is enlarged than its pixels depend on."""
        top, left, height, width = self.box
        first, begin = max(0, top - MARGIN), max(0, left - MARGIN)
        lr = self.lr[first : top + height + MARGIN, begin : left + width + MARGIN]
        y, x = SCALE * (top - first), SCALE * (left - begin)
        sr = super_resolve(model, lr, precision=precision)
        return sr[y : y + SCALE * height, x : x + SCALE * width]

    def patches(self) -> dict[int, np.ndarray]:
        """Step → what the network made of the detail."""
        return {int(path.stem): images.read_image(path) for path in self._files()}

    def draw(self) -> Figure:
        """Bicubic | now | HR, with the PSNR of the detail (RGB)."""
        step, now = list(self.patches().items())[-1] if self._files() else (0, self.bicubic)
        shown = {self._title("bicubic", self.bicubic): self.bicubic}
        shown |= {self._title(f"now, step {step:,}", now): now, "HR": self.hr}
        return draw_images(shown, columns=3)

    def draw_strip(self, count: int = 6) -> Figure:
        """Bicubic | `count` steps from the first to the last | HR."""
        patches = list(self.patches().items())
        chosen = (
            sorted({round(place) for place in np.linspace(0, len(patches) - 1, count)}) if patches else []
        )
        shown = {self._title("bicubic", self.bicubic): self.bicubic}
        shown |= {self._title(f"step {patches[n][0]:,}", patches[n][1]): patches[n][1] for n in chosen}
        return draw_images(shown | {"HR\n": self.hr}, columns=len(shown) + 1)

    def _title(self, name: str, image: np.ndarray) -> str:
        return f"{name}\n{psnr(image, self.hr, border=0):.2f} dB"

    def _files(self) -> list[Path]:
        found = self.folder.glob("*.png") if self.folder.is_dir() else ()
        return sorted(path for path in found if re.fullmatch(r"\d{8,}", path.stem))


class Live:
    """A figure in a notebook that is drawn again while something runs, for 1 % of the time at most."""

    def __init__(self, draw: Callable[[], Figure]) -> None:
        self._draw, self._handle, self._next = draw, display(draw(), display_id=True), 0.0

    def update(self, *, last: bool = False) -> None:
        """Draw it again, unless that was done just now; the `last` time in any case."""
        began = time.perf_counter()
        if self._handle and (last or began >= self._next):
            self._handle.update(self._draw())
            self._next = began + IDLE * (time.perf_counter() - began)


def follow(
    folder: Path,
    on_log: Callable[[dict[str, Any]], None],
    on_validation: Callable[[nn.Module, Mapping[str, Any]], None],
    *,
    seconds: float = 5.0,
) -> None:
    """Tell of a run that trains elsewhere as `train` does, until it ends; its best weights are what is shown.

    An interrupt ends the looking, not the training.
    """
    told, shown = len(read_log(folder)), 0.0
    with suppress(KeyboardInterrupt):
        while True:
            goes_on = is_training(folder)
            for record in read_log(folder)[told:]:
                on_log(record)
                told += 1
            best = folder / BEST
            if best.exists() and best.stat().st_mtime != shown:
                shown = best.stat().st_mtime
                model, story = load_checkpoint(best)
                on_validation(model, {"step": story["step"]})
            if not goes_on:
                return
            time.sleep(seconds)
