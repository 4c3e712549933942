"""The widget of a comparison: it sends the scripts only the pixels that are looked at."""

import io
import math
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import anywidget
import cv2
import numpy as np
import traitlets
from IPython.display import display

from sr_utils.images import encode_png
from sr_utils.views.compare.plan import (
    DETAIL,
    Box,
    Images,
    Methods,
    as_shown,
    find_details,
    find_reach,
    make_side,
)
from sr_utils.views.figures import draw_split

OVERVIEW = 512  # pixels: the longer side of the reduced image that a widget gets first
TILE = 256  # HR pixels of a tile's side, as in pictures.js
HERE = Path(__file__).parent
PARTS = (
    "measure",
    "pictures",
    "paint",
    "controls",
    "input",
    "scores",
    "camera",
    "view",
    "hosts",
)  # in this order
SCRIPT = "\n".join((HERE / f"{part}.js").read_text(encoding="utf-8") for part in PARTS)
STYLE = (HERE / "style.css").read_text(encoding="utf-8")
HINT = "A still picture. Run this cell to move it; report/compare.html moves without a kernel."
# An output of its own, since a notebook reopened without its kernel has an error where the widget was. It is
# hidden beside a live widget, and not yet seen while one starts. So is the still picture before it.
HINT_HTML = f"""<style>
.jp-OutputArea:has(.sr-compare-stage) .jp-OutputArea-child:has(.sr-compare-hint),
.jp-OutputArea:has(.sr-compare-stage) .jp-OutputArea-child:has(+ * .sr-compare-hint) {{ display: none }}
.sr-compare-hint {{ animation: sr-compare-wait 2s }}
@keyframes sr-compare-wait {{ from, to {{ opacity: 0 }} }}
</style><p class="sr-compare-hint">{HINT}</p>"""


class Comparison(anywidget.AnyWidget):
    """What `compare` returns: the methods of one image at a time, and the box that is looked at."""

    _esm = SCRIPT
    _css = STYLE
    names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    image = traitlets.Unicode().tag(sync=True)
    left = traitlets.Unicode().tag(sync=True)
    right = traitlets.Unicode().tag(sync=True)
    box = traitlets.Tuple(*[traitlets.Int()] * 4).tag(sync=True)
    entry = traitlets.Dict().tag(sync=True)

    def __init__(self, images: Images, entries: dict[str, dict[str, Any]]) -> None:
        self._images, self._entries = images, entries
        self._details = cache(lambda name, left, right: find_details(images[name], left, right))
        self._side = cache(lambda name, method: make_side(images[name], method))
        self._later = ThreadPoolExecutor(1)  # a large image's SSIM takes a second: pixels do not wait for it
        super().__init__(names=list(entries), image=next(iter(entries)))
        self.on_msg(self._answer)
        self.add_class("sr-compare")

    @traitlets.validate("image", "left", "right")
    def _known(self, proposal: dict) -> str:
        name, value = proposal["trait"].name, proposal["value"]
        expected = list(self._entries if name == "image" else self._images[self.image])
        if value not in expected:
            raise traitlets.TraitError(f"{name}: expected one of {expected}, got {value!r}.")
        return value

    @traitlets.observe("image")
    def _open(self, _change: object) -> None:
        methods, entry = self._images[self.image], self._entries[self.image]
        with self.hold_sync():  # one message
            for side in ("left", "right"):
                if getattr(self, side) not in methods:
                    setattr(self, side, entry[side])
            details = self._details(self.image, self.left, self.right)
            seen = {self.left, self.right, entry["truth"]} - {None}
            pieces = [piece for method in sorted(seen) for piece in first_pieces(methods, method, details[0])]
            told = {"details": details, "reach": find_reach(methods, self.left, self.right), "pieces": pieces}
            self.entry = entry | told
            self.box = details[0]

    def _answer(self, _widget: object, asked: dict, _buffers: object) -> None:
        name, methods = asked["image"], self._images[asked["image"]]
        answer: dict[str, object] = {"image": name}
        if "pieces" in asked:
            pieces = [make_piece(methods, method, box) for method, box in asked["pieces"]]
            data = [piece.pop("data") for piece in pieces]
            return self.send(answer | {"pieces": pieces}, buffers=data)
        if "details" in asked:
            self.send(answer | {"pair": asked["details"], "details": self._details(name, *asked["details"])})
        if "side" in asked:
            self._later.submit(self._tell_side, name, asked["side"])

    def _tell_side(self, name: str, method: str) -> None:
        self.send({"image": name, "side": self._side(name, method) | {"method": method}})

    def __repr__(self) -> str:
        return f"Comparison of {', '.join(self._entries)}"

    def _ipython_display_(self) -> None:
        bundle, metadata = self._repr_mimebundle_() or ({}, {})
        display(bundle, metadata=metadata, raw=True)
        display({"image/png": self._still(), "text/plain": "A still of the comparison"}, raw=True)
        display({"text/html": HINT_HTML, "text/plain": HINT}, raw=True)

    def _still(self) -> bytes:
        methods, (top, left, height, width) = self._images[self.image], self.box
        if height <= DETAIL:  # nobody has looked yet
            full = as_shown(methods, self.left).shape
            top, left = (
                max(min(start - DETAIL // 2, side - 2 * DETAIL), 0)
                for start, side in ((top + 16, full[0]), (left, full[1]))
            )
            height, width = 3 * DETAIL // 2, 2 * DETAIL
        inside = np.s_[top : top + height, left : left + width]
        sides = {method: as_shown(methods, method)[inside] for method in (self.left, self.right)}
        if len(sides) < 2:
            sides = {self.left: sides[self.left], f"{self.left} ": sides[self.left]}
        with io.BytesIO() as file:
            draw_split(sides).savefig(file, format="png", dpi=100, bbox_inches="tight")
            return file.getvalue()


def make_piece(methods: Methods, method: str, box: Box | None = None) -> dict[str, Any]:
    """The pixels of a box as PNG, or the whole image reduced by `step`: {method, box, step, data}."""
    image, step = methods[method], 1
    share = max(other.shape[0] for other in methods.values()) // image.shape[0]  # 4 of an LR image
    if box is None:
        height, width = image.shape[:2]
        step = math.ceil(max(height, width) / OVERVIEW)
        if step > 1:
            size = (math.ceil(width / step), math.ceil(height / step))
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        box = (0, 0, height * share, width * share)
    else:
        top, left, height, width = (value // share for value in box)
        image = image[top : top + height, left : left + width]
    return {"method": method, "box": list(box), "step": step, "data": encode_png(image)}


def first_pieces(methods: Methods, method: str, detail: Box) -> list[dict[str, Any]]:
    """A method's overview and, unless that has every pixel already, the tiles around a detail."""
    overview = make_piece(methods, method)
    if overview["step"] == 1:
        return [overview]
    _, _, height, width = overview["box"]
    top, left, side, _ = detail
    rows = range(max(top - side, 0) // TILE * TILE, min(top + 2 * side, height), TILE)
    columns = range(max(left - side, 0) // TILE * TILE, min(left + 2 * side, width), TILE)
    tiles = [
        (row, column, min(TILE, height - row), min(TILE, width - column))
        for row in rows
        for column in columns
    ]
    return [overview, *(make_piece(methods, method, tile) for tile in tiles)]
