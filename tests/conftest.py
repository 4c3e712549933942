"""Small photos, a tiny store, and the folder of real photographs: the parts that many tests share."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch._dynamo  # noqa: F401 -- before `_on_the_cpu`: while it is imported, it wants the real functions
from children import NOTEBOOK_CHANGES, NOTEBOOK_STEPS, run_child

from sr_utils import images
from sr_utils.data.build_store import build_store
from sr_utils.data.store import Store
from sr_utils.hand_in import submission

ROOT = Path(__file__).parents[1]

# `make test &` in a script ignores Ctrl-C, which the tests send to themselves and to their children.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The tensors of the tests are tiny; more threads would wait for one another, the more so on a busy machine.
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"  # of children: commands, and the kernels of notebooks


@pytest.fixture(autouse=True)
def _on_the_cpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if not request.node.get_closest_marker("cuda"):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.fixture(autouse=True)
def _no_user_data(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test sees SR_DATA only through the fixture `sr_data`."""
    if "sr_data" not in request.fixturenames:
        monkeypatch.delenv("SR_DATA", raising=False)


@pytest.fixture(scope="session")
def sr_data() -> Path:
    """The folder of real photographs (Set5, Set14): environment variable SR_DATA, else ../shared/data."""
    folder = Path(os.environ.get("SR_DATA") or ROOT.parent / "shared" / "data")
    if not (folder / "Set5" / "HR").is_dir():
        pytest.skip(f"no real photographs in {folder}: set SR_DATA to a folder with Set5 and Set14")
    return folder


def _make_photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Smooth random texture of three scales, uint8 (H, W, 3), between 20 and 235."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width, 3))
    for cell, weight in ((16, 1.0), (6, 0.5), (2, 0.25)):
        coarse = rng.random((height // cell + 2, width // cell + 2, 3))
        total += weight * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    total = (total - total.min()) / (total.max() - total.min())
    return np.round(20 + 215 * total).astype(np.uint8)


@pytest.fixture(scope="session")
def make_photo() -> Callable[..., np.ndarray]:
    """make_photo(height, width, seed=0): smooth random texture, uint8 (H, W, 3)."""
    return _make_photo


@pytest.fixture(scope="session")
def box_average() -> Callable[[np.ndarray], np.ndarray]:
    """Mean of every 4×4 block of (…, H, W, 3), in float64."""

    def average(image: np.ndarray) -> np.ndarray:
        *batch, height, width, channels = image.shape
        blocks = image.reshape(*batch, height // 4, 4, width // 4, 4, channels)
        return blocks.mean(axis=(-4, -2), dtype=np.float64)

    return average


@pytest.fixture
def photo_folder(tmp_path: Path) -> Callable[..., Path]:
    """photo_folder(name, {"a.png": (height, width), …}): a folder of photos below tmp_path."""

    def make(name: str, sizes: dict[str, tuple[int, int]]) -> Path:
        for seed, (file, size) in enumerate(sizes.items()):
            images.write_image(tmp_path / name / file, _make_photo(*size, seed))
        return tmp_path / name

    return make


@pytest.fixture
def small_store(tmp_path: Path) -> Store:
    """Sub-images of at most 32×32 HR pixels from three photos of 48×64, 32×40 and 24×32."""
    sizes = {"a": (48, 64), "b": (32, 40), "c": (24, 32)}
    pairs = [(name, _make_photo(*size, seed), None) for seed, (name, size) in enumerate(sizes.items())]
    return build_store(pairs, tmp_path / "store", sub_image=32, step=16)


@pytest.fixture(scope="session")
def _processes() -> multiprocessing.context.BaseContext:
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")  # imports torch once, for all children
    context.set_forkserver_preload(["sr_utils.training.train", "sr_utils.data.build_store"])
    return context


@pytest.fixture
def start_process(_processes) -> Iterator[Callable[..., multiprocessing.Process]]:
    """start_process(function, *arguments): function(begun, *arguments) in a process to be killed.

    It returns as soon as the function has called begun.set().
    """
    started = []

    def start(function: Callable, *arguments: object) -> multiprocessing.Process:
        begun = _processes.Event()
        process = _processes.Process(target=run_child, args=(begun, function, arguments))
        process.start()
        started.append(process)
        assert begun.wait(60)
        return process

    yield start
    for process in started:
        process.kill()
        process.join()


@pytest.fixture(scope="session")
def executed_project(tmp_path_factory):
    """A temporary project in which all notebooks have run, and what that printed."""
    root = tmp_path_factory.mktemp("project")
    shipped = [path.relative_to(ROOT) for path in (ROOT / "checkpoints").glob("*.safetensors")]
    for name in (*submission.SOURCES, *shipped):
        origin, target = ROOT / name, root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(origin, target) if origin.is_dir() else shutil.copy(origin, target)
    command = [
        *(sys.executable, "-m", "sr_utils", "notebooks", "demo"),
        *("--total-steps", str(NOTEBOOK_STEPS), "--root", root, "--no-download"),
        *(f"--{name.replace('_', '-')}={value}" for name, value in NOTEBOOK_CHANGES.items()),
    ]
    poor = os.environ | {"PYTHONIOENCODING": "ascii"}  # a console that lacks ×, → and the like
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=poor)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "IPKernelApp" not in done.stderr  # what kernels log of themselves
    return root, done.stdout
