"""Make the committed pictures of README and notebooks in report/figures: `make figures`."""

import argparse
import json
from pathlib import Path

import numpy as np

from sr_utils import images, sources
from sr_utils.charts import draw_time_to_psnr
from sr_utils.checkpoints import load_checkpoint
from sr_utils.config import configure
from sr_utils.diagrams import draw_architectures
from sr_utils.figures import draw_images, most_different_box
from sr_utils.infer import super_resolve
from sr_utils.paths import Paths


def main() -> None:
    """Draw details of two photos, the networks, and the curves of time to PSNR."""
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
    pictures = {"before_after": draw_images(rows, columns=6, width=11), "architecture": draw_architectures()}
    curves = paths.root / "bench" / "curves.json"
    if curves.exists():
        pictures["time_to_psnr"] = draw_time_to_psnr(json.loads(curves.read_text()))
    for name, figure in pictures.items():
        target = paths.root / "report" / "figures" / f"{name}.png"
        figure.savefig(target, dpi=90, bbox_inches="tight", metadata={"Software": None})
        print(f"wrote {target.relative_to(paths.root)}: {target.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
