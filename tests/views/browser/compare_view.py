"""A comparison on a page, and the pictures whose pixels its screen is held against."""

import io

import numpy as np
from PIL import Image

from sr_utils.views.compare.plan import find_reach

BLOCK = 8  # pixels of a block of one colour: a pixel of a screenshot tells image, method and place
SHARES = np.random.default_rng(0).uniform(0.02, 0.98, (150, 2)).tolist()  # of a panel: x, y
STOPS = {
    "error": ("000004", "420a68", "932667", "dd513a", "fca50a", "fcffa4"),
    "gain": ("b35806", "f1a340", "f7f7f7", "67a9cf", "2166ac"),
}


def blocks(seed, height, width, values=256):
    rng = np.random.default_rng(seed)
    colours = rng.integers(0, values, (-(-height // BLOCK), -(-width // BLOCK), 3), np.uint8)
    return colours.repeat(BLOCK, axis=0).repeat(BLOCK, axis=1)[:height, :width]


def make_images():
    """Two images of two sizes, each with an LR image, HR and four methods, all of other colours."""
    sizes = {"wide <b>&": (192, 256), "tall": (320, 192)}
    images = {}
    for number, (name, (height, width)) in enumerate(sizes.items()):
        hr = blocks(10 * number, height, width)
        methods = {"LR": blocks(10 * number + 1, height // 4, width // 4)}
        for i, method in enumerate(("bicubic", "third", "fourth", "ours")):
            methods[method] = hr ^ blocks(10 * number + 2 + i, height, width, 128 >> i)
        images[name] = methods | {"HR": hr}
    return images


IMAGES = make_images()
WIDE, TALL = IMAGES


def as_shown(image, method):
    pixels = IMAGES[image][method]
    return pixels.repeat(4, axis=0).repeat(4, axis=1) if method == "LR" else pixels


def colour_of(kind, value, reach):
    """The colour of a map at a value in grey levels: 256 steps between the stops."""
    share = (value / reach + 1) / 2 if kind == "gain" else value / reach
    stops = np.array([[int(stop[i : i + 2], 16) for i in (0, 2, 4)] for stop in STOPS[kind]])
    place = round(255 * min(max(share, 0), 1)) / 255 * (len(stops) - 1)
    return np.array([np.interp(place, range(len(stops)), stops[:, channel]) for channel in range(3)])


class View:
    """One comparison on a page, found by its public class names."""

    def __init__(self, page, number=0, scope=None):
        self.page, self.root = page, (scope or page).locator(".sr-compare-view").nth(number)
        self.stage = self.root.locator(".sr-compare-stage")
        self.stage.wait_for(state="attached")
        self.handle, self.scores = (self.root.locator(f".sr-compare-{name}") for name in ("handle", "scores"))
        self.status = self.root.locator(".sr-compare-status")
        self.root.locator(".sr-compare-stage[data-box]").wait_for(state="attached")
        self.stage.scroll_into_view_if_needed()

    @property
    def split(self):
        return int(self.handle.get_attribute("aria-valuenow"))

    @property
    def box(self):
        """The visible box, when the view has come to rest."""
        self.page.wait_for_timeout(250)
        return tuple(int(value) for value in self.stage.get_attribute("data-box").split(", "))

    def choose(self, what, value):
        self.root.locator(f".sr-compare-{what} select").select_option(label=value)

    def chosen(self, what):
        return self.root.locator(f".sr-compare-{what} select").evaluate("e => e.selectedOptions[0].label")

    def begin(self, image, left="bicubic", right="ours"):
        """Back to how a comparison opens, whatever an earlier test left."""
        self.stage.scroll_into_view_if_needed()
        self.choose("image", image)
        self.stage.and_(self.page.locator(f"[aria-label^={image[:4]!r}]")).wait_for(state="attached")
        self.choose("left-method", left)
        self.choose("right-method", right)
        self.press("s", "Home", *["PageUp"] * 5, "0", "n")

    def act(self, name):
        self.root.get_by_role("button", name=name, exact=True).click()

    def press(self, *keys):
        self.stage.focus()
        for key in keys:
            self.page.keyboard.press(key)

    def point(self, x, y):
        box = self.stage.bounding_box()
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    def drag(self, start, end, steps=6):
        self.page.mouse.move(*self.point(*start))
        self.page.mouse.down()
        self.page.mouse.move(*self.point(*end), steps=steps)
        self.page.mouse.up()

    def screen(self):
        """The stage as it is on the screen, (H, W, 3), without the line of the split."""
        self.page.wait_for_timeout(150)
        self.stage.and_(self.page.locator("[aria-busy=false]")).wait_for()
        hide = "(handle, shown) => { handle.style.visibility = shown }"
        self.handle.evaluate(hide, "hidden")
        shot = self.stage.locator("canvas").screenshot()
        self.handle.evaluate(hide, "")
        return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(int)

    def panels(self):
        return self.stage.evaluate("stage => stage.panels")

    def samples(self, panel, image):
        """Row and column of the stage, and of the image, at some points of a panel inside flat blocks."""
        seen = self.stage.evaluate("stage => stage.seen")
        height, width = IMAGES[image]["HR"].shape[:2]
        for x, y in SHARES:
            across, down = panel["x"] + x * panel["width"], panel["y"] + y * panel["height"]
            column = seen["x"] + (across - panel["x"] - panel["width"] / 2) / seen["scale"]
            row = seen["y"] + (down - panel["y"] - panel["height"] / 2) / seen["scale"]
            margin = 1.5 + 1 / seen["scale"]
            inside = all(margin < value % BLOCK < BLOCK - margin for value in (row, column))
            if inside and 0 <= row < height and 0 <= column < width:
                yield round(down), round(across), int(row), int(column)

    def assert_shows(self, image, *methods, least=8):
        """Every panel shows its method; two methods in one panel: beside the split."""
        screen, panels = self.screen(), self.panels()
        for number, panel in enumerate(panels):
            checked = 0
            for down, across, row, column in self.samples(panel, image):
                pair = methods if len(panels) == 1 else methods[number : number + 1]
                on_the_left = across < self.split / 100 * screen.shape[1]
                if len(pair) == 2 and abs(across - self.split / 100 * screen.shape[1]) < 4:
                    continue
                method = pair[0] if len(pair) == 1 or on_the_left else pair[1]
                expected = as_shown(image, method)[row, column].astype(int)
                found = screen[down, across]
                assert abs(found - expected).max() <= 2, (method, row, column, found, expected)
                checked += 1
            assert checked >= least, (panel, checked)


def assert_all_ways(view, image, left="bicubic", right="ours"):
    """Split, blink, side by side and difference show the arrays' pixels; ends in split."""
    view.press("s")
    view.assert_shows(image, left, right)
    view.press("b")
    view.assert_shows(image, right)
    view.stage.focus()
    view.page.keyboard.down(" ")
    view.assert_shows(image, left)
    view.page.keyboard.up(" ")
    view.assert_shows(image, right)
    view.page.mouse.click(*view.point(0.5, 0.5))
    view.assert_shows(image, left)
    for count in (2, 3, 4, 6):
        view.press(str(count))
        shown = [panel["method"] for panel in view.panels()]
        assert len(shown) == count and {left, right} <= set(shown)
        view.assert_shows(image, *shown, least=1)
    assert_maps(view, image, left, right)
    view.press("s")


def assert_maps(view, image, left, right):
    view.press("d")
    methods = IMAGES[image]
    hr = methods["HR"].astype(int)
    errors = [abs(as_shown(image, method).astype(int) - hr).mean(axis=2) for method in (left, right)]
    reach = find_reach(methods, left, right)
    maps = {
        "right better or worse": ("gain", errors[0] - errors[1], reach / 2),
        "error of left": ("error", errors[0], reach),
        "error of right": ("error", errors[1], reach),
    }
    for name, (kind, values, end) in maps.items():
        view.choose("map", name)
        screen, checked = view.screen(), 0
        for down, across, row, column in view.samples(view.panels()[0], image):
            expected = colour_of(kind, values[row, column], end)
            assert abs(screen[down, across] - expected).max() <= 2, (name, row, column)
            checked += 1
        assert checked >= 3
    view.choose("map", "right better or worse")
