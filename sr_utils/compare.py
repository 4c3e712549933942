"""The interactive before/after view: a widget for notebooks, and the same as one stand-alone HTML file.

Both show what `plan` and `make_side` compose with one compare.js and compare.css; the split moves in the browser.
"""

import base64
import html
import io
import json
import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import anywidget
import ipywidgets as widgets
import numpy as np
import traitlets
from IPython.display import display
from PIL import Image

from sr_utils.config import BORDER, SCALE
from sr_utils.images import encode_png, write_atomic
from sr_utils.metrics import psnr, ssim

Images = Mapping[str, Mapping[str, np.ndarray]]

LOSSLESS_LIMIT = 3_000_000  # characters of a page's images
SCRIPT, STYLE = (Path(__file__).with_suffix(suffix) for suffix in (".js", ".css"))
HINT = "Run this cell to get the slider; report/compare.html shows the same without a kernel."
# An output of its own: where the widget was, a notebook reopened without its kernel shows an error. It is hidden
# beside a live slider, and invisible for the moment one needs to start.
HINT_HTML = f"""<style>
.jp-OutputArea:has(.sr-compare) .jp-OutputArea-child:has(.sr-compare-hint) {{ display: none }}
.sr-compare-hint {{ animation: sr-compare-wait 2s }}
@keyframes sr-compare-wait {{ from, to {{ opacity: 0 }} }}
</style><p class="sr-compare-hint">{HINT}</p>"""
PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>{title}</title>
<style>
{style}
html {{ color-scheme: light dark; font-family: system-ui, sans-serif }}
body {{ max-width: 960px; margin: 0 auto; padding: 16px }}
h1 {{ font-size: 20px }}
</style>
<h1>{title}</h1>
<div class="sr-compare"><noscript>This page needs JavaScript.</noscript></div>
<p><small>{footer}</small></p>
<script type="module">
{script}
renderPage(document.querySelector(".sr-compare"), {data});
</script>
</html>
"""


def compare(
    images: Images, *, left: str = "bicubic", right: str | None = None, hr: str = "HR", border: int = BORDER
) -> "Comparison":
    """A widget that shows two versions of an image with a split to drag, and their PSNR and SSIM.

    Args:
        images: image name → method name → uint8 (H, W, 3) RGB. The methods of an image have the same size; one of
            exactly a quarter of it (the LR image) is shown enlarged 4×, each of its pixels as a square.
        left, right: the methods to begin with; right None: the last one that is neither `hr` nor `left`.
        hr: the method that is the truth; an image without it gets no PSNR and SSIM.
        border: pixels cut from every side before PSNR and SSIM, which are those of RGB.

    Returns:
        An ipywidgets box; its dropdowns are `image`, `left_method` and `right_method`.

    Raises:
        ValueError: no image, fewer than two methods, another type or size, an unknown `left` or `right`; the
            message names image and method.
    """
    return Comparison(images, plan(images, left, right, hr, border), hr, border)


def compare_html(
    images: Images,
    path: Path | str,
    *,
    left: str = "bicubic",
    right: str | None = None,
    hr: str = "HR",
    border: int = BORDER,
    title: str = "Super-resolution, before and after",
) -> Path:
    """Write the comparison as one HTML file that needs neither kernel nor network; returns its path.

    Images are stored as lossless WebP, or with quality 90 if that took more than 3 MB; the page says which.
    PSNR and SSIM are those of the arrays. `title` is the page's heading; other args and errors as `compare`.
    """
    entries = plan(images, left, right, hr, border)
    footer = "The images are stored without loss."
    urls = _data_urls(images, LOSSLESS_LIMIT, lossless=True, quality=40)  # of a lossless file: the effort
    if urls is None:
        footer = "To keep this page small its images are stored as WebP of quality 90; PSNR and SSIM are exact."
        urls = _data_urls(images, math.inf, quality=90)
    for name, methods in images.items():
        sides = [make_side(methods, method, hr, border) | {"data": urls[name, method]} for method in methods]
        entries[name]["methods"] = sides
    data = json.dumps(list(entries.values())).replace("<", "\\u003c")  # so that no name can end the script
    style, script = (file.read_text(encoding="utf-8") for file in (STYLE, SCRIPT))
    page = PAGE.format(title=html.escape(title), style=style, script=script, footer=footer, data=data)
    write_atomic(path, page)
    return Path(path)


def plan(images: Images, left: str, right: str | None, hr: str, border: int) -> dict[str, dict[str, object]]:
    """What is shown of each image but the pixels: its size, its first pair, the convention. Errors as `compare`."""
    if not images:
        raise ValueError("Expected at least one image to compare, got none.")
    entries: dict[str, dict[str, object]] = {}
    for name, methods in images.items():
        if len(methods) < 2:
            raise ValueError(f"{name}: expected at least two methods to compare, got {list(methods)}.")
        for method, image in methods.items():
            if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.shape[2:] != (3,):
                got = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
                raise ValueError(f"{name}, {method}: expected a uint8 (H, W, 3) RGB array, got {got}.")
        height, width = max((image.shape[:2] for image in methods.values()), key=math.prod)
        for method, image in methods.items():
            quarter = (height / SCALE, width / SCALE)
            if image.shape[:2] != (height, width) and (image.shape[:2] != quarter or method == hr):
                raise ValueError(
                    f"{name}, {method}: expected {height}×{width} pixels as the other methods, or a quarter of "
                    f"each side (the LR image), got {image.shape[0]}×{image.shape[1]}. Crop all methods alike."
                )
        if hr in methods and min(height, width) < 11 + 2 * border:
            raise ValueError(f"{name}: SSIM needs 11×11 pixels inside a border of {border}, got {height}×{width}.")
        others = [method for method in methods if method not in (hr, left)]
        pair = {"left": left, "right": right or (others[-1] if others else hr)}
        for side, method in pair.items():
            if method not in methods:
                raise ValueError(f"{name}: expected {side} to be one of {list(methods)}, got {method!r}.")
        entries[name] = {"image": name, "height": height, "width": width, "note": f"RGB, border {border}", **pair}
    return entries


def make_side(methods: Mapping[str, np.ndarray], method: str, hr: str, border: int) -> dict[str, object]:
    """One side of a comparison but the pixels: {method, psnr, ssim}; dB and index, or what stands in their place.

    That is "reference" for the truth, None without a truth, and "identical" for the PSNR of an equal image.
    """
    if method == hr or hr not in methods:
        return {"method": method, **dict.fromkeys(("psnr", "ssim"), "reference" if method == hr else None)}
    shown, truth = methods[method], methods[hr]
    if shown.shape[0] * SCALE == truth.shape[0]:  # the LR image, judged as it is shown
        shown = shown.repeat(SCALE, axis=0).repeat(SCALE, axis=1)
    decibels = psnr(shown, truth, border=border)
    decibels = "identical" if math.isinf(decibels) else decibels
    return {"method": method, "psnr": decibels, "ssim": ssim(shown, truth, border=border)}


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
    """What `compare` returns: three dropdowns above a `PairView`, which gets only the two images that it shows."""

    def __init__(self, images: Images, entries: dict[str, dict[str, object]], hr: str, border: int) -> None:
        self._entries = entries
        self._methods = {name: dict(methods) for name, methods in images.items()}

        @cache
        def side(name: str, method: str) -> dict[str, object]:
            methods = self._methods[name]
            return make_side(methods, method, hr, border) | {"data": encode_png(methods[method])}

        self._side = side
        self.view = PairView()
        self.image, self.left_method, self.right_method = dropdowns = [
            widgets.Dropdown(
                options=options, description=label, style={"description_width": "initial"}, layout={"width": "auto"}
            )
            for label, options in (("Image", list(entries)), ("Left", []), ("Right", []))
        ]
        for dropdown, name in zip(dropdowns, ("image", "left-method", "right-method"), strict=True):
            dropdown.add_class(f"sr-compare-{name}")
        self._choose_image()
        self.image.observe(self._choose_image, "value")
        self.left_method.observe(self._show, "value")
        self.right_method.observe(self._show, "value")
        choices = widgets.HBox(dropdowns)
        choices.add_class("sr-compare-choices")
        super().__init__([choices, self.view])
        self.add_class("sr-compare")

    def _choose_image(self, _change: object = None) -> None:
        name = self.image.value
        with self.view.hold_sync():  # both methods may change, one after the other; the browser gets the last pair
            for dropdown, side in ((self.left_method, "left"), (self.right_method, "right")):
                wanted, methods = dropdown.value, tuple(self._methods[name])
                if dropdown.options != methods:
                    dropdown.options = methods
                    dropdown.value = wanted if wanted in methods else self._entries[name][side]
            self._show()

    def _show(self, _change: object = None) -> None:
        name, methods = self.image.value, (self.left_method.value, self.right_method.value)
        if all(method in self._methods[name] for method in methods):  # not so while _choose_image is half way
            left, right = (self._side(name, method) for method in methods)
            self.view.pair = self._entries[name] | {"left": left, "right": right}

    def __repr__(self) -> str:
        return f"Comparison of {', '.join(self._entries)}"

    def _ipython_display_(self) -> None:
        display(self._repr_mimebundle_(), raw=True)
        display({"text/html": HINT_HTML, "text/plain": HINT}, raw=True)
