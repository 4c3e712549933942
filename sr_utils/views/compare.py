"""The interactive before/after view: a widget for notebooks, and the same as one stand-alone HTML file.

Both show what `plan` and `make_side` compose, with one compare.js and compare.css.
"""

import base64
import html
import io
import json
import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from string import Template

import anywidget
import ipywidgets as widgets
import numpy as np
import traitlets
from IPython.display import display
from PIL import Image

from sr_utils.config import BORDER, SCALE
from sr_utils.files import write_atomic
from sr_utils.images import encode_png
from sr_utils.metrics import TRUTH, psnr, ssim

Images = Mapping[str, Mapping[str, np.ndarray]]

LOSSLESS_LIMIT = 3_000_000  # characters of a page's images
SCRIPT, STYLE, PAGE = (Path(__file__).with_suffix(suffix) for suffix in (".js", ".css", ".html"))
HINT = "No slider here? Run this cell; report/compare.html shows the same without a kernel."
# An output of its own, since a notebook reopened without its kernel has an error where the widget was. It is
# hidden beside a live slider, and not yet seen while one starts.
HINT_HTML = f"""<style>
.jp-OutputArea:has(.sr-compare) .jp-OutputArea-child:has(.sr-compare-hint) {{ display: none }}
.sr-compare-hint {{ animation: sr-compare-wait 2s }}
@keyframes sr-compare-wait {{ from, to {{ opacity: 0 }} }}
</style><p class="sr-compare-hint">{HINT}</p>"""


def compare(images: Images, *, left: str = "bicubic", right: str | None = None) -> "Comparison":
    """A widget that shows two versions of an image with a split to drag, and their PSNR and SSIM.

    Args:
        images: image name → method name → uint8 (H, W, 3) RGB. All methods of an image have the same size;
            only an LR image, of exactly a quarter of it, is shown enlarged 4×, each pixel as a square. "HR"
            is the truth; an image without it gets no PSNR and SSIM (RGB, border 4).
        left, right: the methods to begin with; right None: the last one that is neither HR nor `left`.

    Returns:
        An ipywidgets box; its dropdowns are `image`, `left_method` and `right_method`.

    Raises:
        ValueError: no image, fewer than two methods, another type or size, an unknown `left` or `right`; the
            message names image and method.
    """
    return Comparison(images, plan(images, left, right))


def compare_html(
    images: Images,
    path: Path | str,
    *,
    left: str = "bicubic",
    right: str | None = None,
    title: str = "Super-resolution, before and after",
) -> Path:
    """Write the comparison as one HTML file that needs neither kernel nor network; returns its path.

    Images are stored as lossless WebP, or with quality 90 if that took more than 3 MB; the page says which.
    PSNR and SSIM are those of the arrays. `title` is the page's heading; other args and errors as `compare`.
    """
    entries = plan(images, left, right)
    footer = "Images stored without loss."
    urls = _data_urls(images, LOSSLESS_LIMIT, lossless=True, quality=40)  # of a lossless file: the effort
    if urls is None:
        footer = "Images stored as WebP of quality 90 to keep the page small; PSNR and SSIM of the originals."
        urls = _data_urls(images, math.inf, quality=90) or {}
    for name, methods in images.items():
        sides = [make_side(methods, method) | {"data": urls[name, method]} for method in methods]
        entries[name]["methods"] = sides
    data = json.dumps(list(entries.values())).replace("<", "\\u003c")  # so that no name can end the script
    style, script, page = (file.read_text(encoding="utf-8") for file in (STYLE, SCRIPT, PAGE))
    parts = {"title": html.escape(title), "style": style, "script": script, "footer": footer, "images": data}
    write_atomic(path, Template(page).substitute(parts))
    return Path(path)


def plan(images: Images, left: str, right: str | None) -> dict[str, dict[str, object]]:
    """What is shown of every image but its methods: size, first pair, convention. Errors as `compare`."""
    if not images:
        raise ValueError("Expected at least one image to compare, got none.")
    entries = {}
    for name, methods in images.items():
        height, width = _size(name, methods)
        if TRUTH in methods and min(height, width) < 11 + 2 * BORDER:
            raise ValueError(f"{name}: SSIM needs 11×11 pixels inside border {BORDER}, got {height}×{width}.")
        others = [method for method in methods if method not in (TRUTH, left)]
        pair = {"left": left, "right": right or (others[-1] if others else TRUTH)}
        for side, method in pair.items():
            if method not in methods:
                raise ValueError(f"{name}: expected {side} to be one of {list(methods)}, got {method!r}.")
        size = {"image": name, "height": height, "width": width}
        entries[name] = size | pair | {"note": f"RGB, border {BORDER}"}
    return entries


def _size(name: str, methods: Mapping[str, np.ndarray]) -> tuple[int, int]:
    if len(methods) < 2:
        raise ValueError(f"{name}: expected at least two methods to compare, got {list(methods)}.")
    for method, image in methods.items():
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.shape[2:] != (3,):
            got = f"{getattr(image, 'dtype', type(image).__name__)} {getattr(image, 'shape', '')}"
            raise ValueError(f"{name}, {method}: expected a uint8 (H, W, 3) RGB array, got {got}.")
    height, width = max((image.shape[:2] for image in methods.values()), key=math.prod)
    for method, image in methods.items():
        is_lr = method != TRUTH and image.shape[:2] == (height / SCALE, width / SCALE)
        if image.shape[:2] != (height, width) and not is_lr:
            raise ValueError(
                f"{name}, {method}: expected {height}×{width} pixels as the largest method, or a quarter of "
                f"each side (LR), got {image.shape[0]}×{image.shape[1]}. Crop all methods alike."
            )
    return height, width


def make_side(methods: Mapping[str, np.ndarray], method: str) -> dict[str, object]:
    """One side of a comparison but its pixels: {method, psnr, ssim}, PSNR in dB.

    Both are "reference" for the truth and None without one; the PSNR of an equal image is "identical".
    """
    if method == TRUTH or TRUTH not in methods:
        figure = "reference" if method == TRUTH else None
        return {"method": method, "psnr": figure, "ssim": figure}
    shown, truth = methods[method], methods[TRUTH]
    if shown.shape[0] * SCALE == truth.shape[0]:  # the LR image, judged as it is shown
        shown = shown.repeat(SCALE, axis=0).repeat(SCALE, axis=1)
    decibels = psnr(shown, truth, border=BORDER)
    told = "identical" if math.isinf(decibels) else decibels
    return {"method": method, "psnr": told, "ssim": ssim(shown, truth, border=BORDER)}


def _data_urls(images: Images, limit: float, **options: object) -> dict[tuple[str, str], str] | None:
    """WebP data URLs of all images by (image name, method); None if they exceed `limit` characters."""
    urls = {}
    for name, methods in images.items():
        for method, image in methods.items():
            file = io.BytesIO()
            Image.fromarray(image).save(file, "WEBP", **options)
            urls[name, method] = "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()
            limit -= len(urls[name, method])
            if limit < 0:
                return None
    return urls


class PairView(anywidget.AnyWidget):
    """The picture with its split, zoom and figures: what compare.js draws of `pair`."""

    _esm = SCRIPT
    _css = STYLE
    pair = traitlets.Dict().tag(sync=True)


class Comparison(widgets.VBox):
    """What `compare` returns: three dropdowns above a `PairView`, which gets only the two images it shows."""

    def __init__(self, images: Images, entries: dict[str, dict[str, object]]) -> None:
        self._images, self._entries = images, entries

        @cache
        def side(name: str, method: str) -> dict[str, object]:
            return make_side(images[name], method) | {"data": encode_png(images[name][method])}

        self._side = side
        self.view = PairView()
        self.image = _dropdown("Image", "sr-compare-image", list(entries))
        self.left_method = _dropdown("Left", "sr-compare-left-method")
        self.right_method = _dropdown("Right", "sr-compare-right-method")
        self._choose_image()
        self.image.observe(self._choose_image, "value")
        self.left_method.observe(self._show, "value")
        self.right_method.observe(self._show, "value")
        choices = widgets.HBox([self.image, self.left_method, self.right_method])
        choices.add_class("sr-compare-choices")
        super().__init__([choices, self.view])
        self.add_class("sr-compare")

    def _choose_image(self, _change: object = None) -> None:
        entry, methods = self._entries[self.image.value], tuple(self._images[self.image.value])
        with self.view.hold_sync():  # one message, though both methods may change
            for dropdown, side in ((self.left_method, "left"), (self.right_method, "right")):
                wanted = dropdown.value
                if dropdown.options != methods:
                    dropdown.options = methods
                    dropdown.value = wanted if wanted in methods else entry[side]
            self._show()

    def _show(self, _change: object = None) -> None:
        name, chosen = self.image.value, {"left": self.left_method.value, "right": self.right_method.value}
        if all(method in self._images[name] for method in chosen.values()):  # not half way in _choose_image
            sides = {side: self._side(name, method) for side, method in chosen.items()}
            self.view.pair = self._entries[name] | sides

    def __repr__(self) -> str:
        return f"Comparison of {', '.join(self._entries)}"

    def _ipython_display_(self) -> None:
        display(self._repr_mimebundle_(), raw=True)
        display({"text/html": HINT_HTML, "text/plain": HINT}, raw=True)


def _dropdown(label: str, css_class: str, options: Sequence[str] = ()) -> widgets.Dropdown:
    style, layout = {"description_width": "initial"}, {"width": "auto"}
    dropdown = widgets.Dropdown(options=options, description=label, style=style, layout=layout)
    return dropdown.add_class(css_class)
