"""A tiny project that can be trained, and the same run without interruption."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sr_utils.config import Config
from sr_utils.data.build_store import build_store
from sr_utils.paths import Paths
from sr_utils.training.train import train


@pytest.fixture
def project(tmp_path: Path, photo_folder, make_photo) -> Paths:
    """A project with a store of two photos and two validation photos of its own."""
    paths = Paths(tmp_path / "project", val_hr=photo_folder("val", {"v.png": (24, 32), "w.png": (26, 20)}))
    pairs = [(name, make_photo(48, 48, seed), None) for seed, name in enumerate(("a", "b"), 5)]
    build_store(pairs, paths.store("demo"), sub_image=32, step=16)
    return paths


@pytest.fixture
def trained(project: Paths) -> Callable[..., Path]:
    """trained(config): the folder of an uninterrupted run in a project of its own, with the same data."""

    def run(config: Config) -> Path:
        root = project.root.with_name("uninterrupted")
        root.mkdir(exist_ok=True)
        if not (root / "data").exists():
            (root / "data").symlink_to(project.root / "data")
        return train(config, replace(project, root=root))

    return run
