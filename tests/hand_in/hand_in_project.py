"""A project after notebook 07, in a second: tiny test images, and a network that was never trained."""

import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
import typst

from sr_utils import images
from sr_utils.checkpoints import save_weights
from sr_utils.config import DEMO
from sr_utils.data.build_store import build_store
from sr_utils.data.sources import find_split
from sr_utils.enlarging.infer import super_resolve_folder
from sr_utils.hand_in import submission
from sr_utils.networks import MSRResNet
from sr_utils.paths import Paths
from sr_utils.training.validation import validation_psnr

ROOT = Path(__file__).parents[2]
STORE = {"sub_image": 32, "sub_image_step": 16, "hr_patch_size": 32}
CONFIG = replace(DEMO, num_blocks=1, test_images=3, precision="float32", **STORE)
PARAMETERS = "409,731"


def make_project(root: Path, make_photo) -> Paths:
    for name in submission.SOURCES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, root / name)
    for split, count, side in (("test", 3, 12), ("val", 2, 48)):
        for seed in range(count):
            photo = make_photo(side, side + 4, seed + count)
            images.write_image(root / "photos" / split / f"{split}{seed}.png", photo)
    paths = Paths(root, test_lr=root / "photos" / "test", val_hr=root / "photos" / "val")
    store = build_store([("a", make_photo(48, 48), None)], paths.store("demo"), sub_image=32, step=16)
    torch.manual_seed(0)
    model = MSRResNet(1)
    scores = validation_psnr(model, find_split(CONFIG, paths, "val"), precision="float32")
    story = {
        "step": 400,
        "weights": "ema",
        "val_psnr_rgb_border4": scores,
        "config": asdict(CONFIG),
        "data_fingerprint": store.description["fingerprint"],
        "training_seconds": 1.0,
        "initial_weights": None,
        "ensemble": False,
    }
    save_weights(paths.run(CONFIG.run_name) / "best.safetensors", model, story)
    super_resolve_folder(model, images.list_images(paths.test_lr), paths.results(CONFIG.run_name) / "test")
    write_report(root / "report" / "report.pdf", scores)
    return paths


def write_report(
    path: Path, scores: dict[str, float], told: str = "{parameters} parameters, {mean} dB"
) -> None:
    text = told.format(parameters=PARAMETERS, mean=f"{np.mean(list(scores.values())):.2f}")
    path.write_bytes(typst.compile(f'#set page(paper: "a4")\n{text}'.encode(), format="pdf"))
