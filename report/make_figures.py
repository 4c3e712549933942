"""Make the pictures of README and notebooks in report/figures: `make demo`, then `make figures`.

Needs Set5 (see data/README.md), what the demo left in report/, and a Chromium for the still of the slider.
runs.png alone is a photograph of notebook 05 in JupyterLab.
"""

import io
import json
import shutil
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from playwright.sync_api import sync_playwright

from sr_utils import images
from sr_utils.config import configure
from sr_utils.data import sources
from sr_utils.data.pair import read_pair
from sr_utils.enlarging.infer import enlarge_with
from sr_utils.experiments.collection import load_shipped
from sr_utils.experiments.study import compare_arms, read_table
from sr_utils.hand_in.report import draw_pages
from sr_utils.metrics import column, evaluate, summarize
from sr_utils.paths import Paths
from sr_utils.views.charts import draw_ablations, draw_time_to_psnr, draw_tradeoff
from sr_utils.views.compare import compare
from sr_utils.views.figures import draw_images, draw_split, draw_zoom

PATHS, CONFIG = Paths(Path(__file__).parents[1]), configure("demo")
FIGURES = PATHS.root / "report" / "figures"
WING = np.s_[70:150, 50:210]  # of Set5's butterfly


def compare_shipped() -> dict[str, Figure]:
    """The shipped networks on Set5."""
    found, pairs = sources.find_benchmark(CONFIG, PATHS, download=False)
    if found != "Set5":
        raise FileNotFoundError("Set5 is missing: put it into data/Set5, or let SR_DATA name its folder.")
    photos = {pair.name: read_pair(pair) for pair in pairs}
    networks = load_shipped(PATHS.root / "checkpoints")
    outputs = enlarge_with(networks, photos)
    hr = {name: truth for name, (truth, _) in photos.items()}
    means = summarize(evaluate(hr, outputs))[column("PSNR", "y")]
    best = max(networks, key=lambda label: means[label])
    butterfly = {"HR": hr["butterfly"]} | {method: made["butterfly"] for method, made in outputs.items()}
    equal = [name for name in butterfly if name in ("HR", "bicubic") or name.endswith(" · 2,000 steps")]
    box = compare({"butterfly": butterfly}, right=best).box  # where the comparison opens
    return {
        "tradeoff": draw_tradeoff(means, networks, convention="Set5, Y, border 4"),
        "zoom": draw_zoom({method: butterfly[method] for method in equal}, title="butterfly", box=box),
        "hero": draw_split({name: butterfly[name][WING] for name in ("bicubic", best)}),
    }


def show_demo() -> dict[str, Figure]:
    """What the demo made."""
    hr, lr = read_pair(sources.find_split(CONFIG, PATHS, "train")[0])
    detail, small = (slice(100, 228), slice(60, 252)), (slice(25, 57), slice(15, 63))
    steps = {"HR (a detail)": hr[detail], "LR": lr[small]}
    steps["LR, bicubic ×4"] = images.resize_bicubic(lr, 4)[detail]
    results = PATHS.results(CONFIG)
    enlarged = {path.stem: images.read_image(path) for path in sorted((results / "test").glob("*.png"))}
    return {"sub_images": draw_images(steps, columns=3), "contact_sheet": draw_images(enlarged, columns=5)}


def show_report(target: Path) -> None:
    """The pages of the demo's report, reduced, on a grey table."""
    side = (420, 594)  # of an A4 page
    pages = [Image.open(io.BytesIO(page)).convert("RGB").resize(side) for page in draw_pages(CONFIG, PATHS)]
    table = Image.new("RGB", (len(pages) * (side[0] + 8) + 8, side[1] + 16), "#CCCCCC")
    for number, page in enumerate(pages):
        table.paste(page, (8 + number * (side[0] + 8), 8))
    table.quantize(256).save(target, optimize=True)


def photograph_slider(target: Path) -> None:
    """A still of report/compare.html, opened as a reader does."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 820, "height": 800})
        page.goto((PATHS.root / "report" / "compare.html").as_uri())
        page.locator(".sr-compare-stage[data-box][aria-busy=false]").wait_for()
        page.wait_for_timeout(1000)  # figures of the box
        page.locator(".sr-compare").screenshot(path=target)
        browser.close()


def main() -> None:
    """Make them all."""
    bench = PATHS.root / "bench"
    pictures = compare_shipped() | show_demo()
    pictures["time_to_psnr"] = draw_time_to_psnr(
        json.loads((bench / "curves.json").read_text(encoding="utf-8"))
    )
    pictures["ablations"] = draw_ablations(compare_arms(read_table(PATHS)))
    for name, figure in pictures.items():
        figure.savefig(FIGURES / f"{name}.png", dpi=100, bbox_inches="tight", metadata={"Software": None})
    for name in ("augmentations", "learning_curves"):
        shutil.copy(PATHS.results(CONFIG) / "figures" / f"{name}.png", FIGURES)
    show_report(FIGURES / "report.png")
    photograph_slider(FIGURES / "slider.png")
    for path in sorted(FIGURES.glob("*.png")):
        print(f"{path.relative_to(PATHS.root)}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
