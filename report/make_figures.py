"""Make the committed pictures of README in report/figures: `make figures`."""

import argparse
from pathlib import Path

import numpy as np

from sr_utils import images, sources
from sr_utils.checkpoints import load_checkpoint
from sr_utils.config import Paths, configure
from sr_utils.figures import draw_images, most_different_box
from sr_utils.infer import super_resolve


def main() -> None:
    """Draw bicubic and network side by side for the first two photos of the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--checkpoint", type=Path, help="network to show (default: the demo's)")
    arguments = parser.parse_args()
    config, paths = configure("demo"), Paths.find(Path(__file__).parent.parent)
    model, _ = load_checkpoint(arguments.checkpoint or paths.run(config.run_name) / "best.safetensors")
    rows: dict[str, np.ndarray] = {}
    for pair in sources.find_split(config, paths, "val"):
        hr, lr = sources.read_pair(pair)
        bicubic = images.resize_bicubic(lr, 4)
        top, left, height, width = most_different_box(bicubic, hr, side=128)
        for method, image in (("bicubic", bicubic), (model.label, super_resolve(model, lr)), ("HR", hr)):
            rows[f"{pair.name} · {method}"] = image[top : top + height, left : left + width]
    figure = draw_images(rows, columns=6, width=11)
    target = paths.root / "report" / "figures" / "before_after.png"
    figure.savefig(target, dpi=90, bbox_inches="tight", metadata={"Software": None})
    print(f"wrote {target.relative_to(paths.root)}: {target.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
