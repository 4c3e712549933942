"""Notebooks with a user's own photos: their code cells, run here without a kernel."""

import json
from pathlib import Path

import nbformat
import numpy as np
import pytest

from sr_utils import images
from sr_utils.checkpoints import save_weights
from sr_utils.config import configure
from sr_utils.networks import MSRResNet
from sr_utils.paths import Paths

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


def run_cells(name: str, root: Path, **parameters: object) -> dict[str, object]:
    """The names that a notebook's cells leave behind."""
    names: dict[str, object] = {}
    for cell in nbformat.read(NOTEBOOKS / f"{name}.ipynb", 4).cells:
        if cell.cell_type == "code":
            exec(cell.source, names)
            if "parameters" in cell.metadata.get("tags", []):
                names |= parameters | {"ROOT": str(root), "REMEMBER": False}
    return names


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty project."""
    (tmp_path / "project" / "data").mkdir(parents=True)
    (tmp_path / "project" / "pyproject.toml").write_text('name = "sr-utils"\n', encoding="utf-8")
    return tmp_path / "project"


def _use(root: Path, **folders: Path) -> None:
    told = {name: str(folder) for name, folder in folders.items()}
    (root / "data" / "paths.json").write_text(json.dumps(told), encoding="utf-8")


@pytest.mark.parametrize("size", [(96, 96), (120, 120), (100, 640), (640, 100)])
def test_notebook_01_shows_small_photos(root: Path, photo_folder, size) -> None:
    _use(root, train_hr=photo_folder("mine", {"a.png": size}), val_hr=photo_folder("val", {"b.png": size}))
    names = run_cells("01_prepare_data", root, CHANGES={"hr_patch_size": 96, "challenge": False})
    pictures = [names[name][names["detail"]] for name in ("hr", "bicubic")] + [names["lr"][names["small"]]]
    assert all(min(picture.shape[:2]) >= 8 for picture in pictures)
    assert names["hr_patch"].shape == (96, 96, 3) and names["lr_patch"].shape == (24, 24, 3)


def test_photos_of_equal_names_stand_side_by_side_in_notebook_05(root: Path, photo_folder) -> None:
    for seed, name in enumerate(("butterfly", "woman")):
        hr = photo_folder("unused", {f"{seed}.png": (64, 48 + 16 * seed)}) / f"{seed}.png"
        images.write_image(root / "data/Set5/HR" / f"{name}.png", images.read_image(hr))
        small = images.resize_bicubic(images.read_image(hr), 0.25)
        images.write_image(root / "data/Set5/LR_bicubic_x4" / f"{name}.png", small)
    photos = {"val": (40, 48), "mine": (48, 40)}
    folders = {name: photo_folder(name, {"woman.png": size}) for name, size in photos.items()}
    _use(root, val_hr=folders["val"])
    run = Paths.find(root).run(configure("demo"))
    save_weights(run / "best.safetensors", MSRResNet(1, features=4), {"weights": "trained", "step": 1})
    names = run_cells(
        "05_compare_models",
        root,
        RUN={"profile": "demo"},
        MY_PHOTOS=str(folders["mine"]),
        DOWNLOAD_SET5=False,
    )
    sizes = {name: methods["HR"].shape[:2] for name, methods in names["shown"].items()}
    assert sizes == {
        "Set5: butterfly": (64, 48),
        "Set5: woman": (64, 64),
        "mine: woman": (48, 40),
        "validation photos: woman": (40, 48),
    }
    for name, methods in names["shown"].items():
        np.testing.assert_array_equal(methods["LR"], images.resize_bicubic(methods["HR"], 0.25), err_msg=name)
    page = (root / "report" / "compare.html").read_text(encoding="utf-8")
    assert '"height": 64, "width": 64' in page and '"height": 40' not in page  # Set5's, and no other
