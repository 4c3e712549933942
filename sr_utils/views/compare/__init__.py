"""The interactive comparison: a widget for notebooks, and the same as one stand-alone HTML file.

Both show what `plan` tells, with one script and one style.
"""

import base64
import html
import io
import json
from pathlib import Path
from string import Template

import numpy as np
from PIL import Image

from sr_utils.files import write_atomic
from sr_utils.metrics import TRUTH
from sr_utils.views.compare.plan import Images, find_all_details, find_reach, make_side, plan
from sr_utils.views.compare.widget import SCRIPT, STYLE, Comparison

LIMIT = 2_900_000  # characters of a page's images: a page of 3 MB
PAGE = Path(__file__).with_name("page.html")


def compare(images: Images, *, left: str = "bicubic", right: str | None = None) -> Comparison:
    """A widget that shows where versions of an image differ: split, blink, side by side, as a map.

    Args:
        images: image name → method name → uint8 (H, W, 3) RGB. All methods of an image have the same size;
            only an LR image, of exactly a quarter of it, is shown enlarged 4×, each pixel as a square. "HR"
            is the truth; an image without it gets no PSNR and SSIM (RGB, border 4).
        left, right: the methods to begin with; right None: the last one that is neither HR nor `left`.

    Returns:
        A widget; its `image`, `left`, `right` and `box` (top, left, height, width in HR pixels) are what it
        shows, for example for `draw_zoom(images[view.image], box=view.box)`.

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
    limit: int = LIMIT,
) -> Path:
    """Write the comparison as one HTML file that needs neither kernel nor network; returns its path.

    Images are stored as lossless WebP: first all HR, then `right` and `left` of all images, then the others,
    as long as they take no more than `limit` characters (a page of 3 MB). What is left has quality 90 and no
    figures of the visible box; the page says which. PSNR and SSIM of whole images are those of the arrays.
    `title` is the page's heading; other args and errors as `compare`.
    """
    entries = plan(images, left, right)
    urls, lossy = _data_urls(images, entries, limit)
    footer = "Images stored without loss."
    if lossy:
        footer = (
            f"To keep the page small, stored with loss (WebP, quality 90): {', '.join(lossy)}. Their "
            "maps are approximate and their visible box has no figures; those of the whole image are exact."
        )
    for name, methods in images.items():
        entry = entries[name]
        entry["reach"] = find_reach(methods, entry["left"], entry["right"])
        entry["details"] = find_all_details(methods)
        entry["sides"] = {
            method: make_side(methods, method) | {"data": urls[name, method], "lossy": method in lossy}
            for method in methods
        }
    data = json.dumps(list(entries.values())).replace("<", "\\u003c")  # so that no name can end the script
    parts = {"title": html.escape(title), "style": STYLE, "script": SCRIPT, "images": data}
    write_atomic(
        path, Template(PAGE.read_text(encoding="utf-8")).substitute(parts | {"footer": html.escape(footer)})
    )
    return Path(path)


def _data_urls(images: Images, entries: dict, limit: int) -> tuple[dict[tuple[str, str], str], list[str]]:
    """WebP data URLs by (image name, method), and the methods that are stored with loss to stay in limit."""
    pairs = [(name, method) for name, methods in images.items() for method in methods]
    urls = {pair: _data_url(images[pair[0]][pair[1]], quality=90) for pair in pairs}
    room = limit - sum(map(len, urls.values()))
    wanted = [TRUTH, *(entry[side] for side in ("right", "left") for entry in entries.values())]
    smallest_first = sorted(pairs, key=lambda pair: images[pair[0]][pair[1]].size)
    lossy = list(dict.fromkeys([*wanted, *(method for _, method in smallest_first)]))
    lossy = [method for method in lossy if any(method == stored for _, stored in pairs)]
    while lossy and room > 0:
        better = {}
        for pair in (pair for pair in pairs if pair[1] == lossy[0]):
            better[pair] = _data_url(images[pair[0]][pair[1]], lossless=True, quality=40)  # here the effort
            room -= len(better[pair]) - len(urls[pair])
            if room < 0:
                return urls, lossy
        urls |= better
        lossy.pop(0)
    return urls, lossy


def _data_url(image: np.ndarray, **options: object) -> str:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "WEBP", **options)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()
