import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import torch

from sr_utils import checkpoints
from sr_utils.data.build_store import build_store
from sr_utils.training.distributed import Group, join
from sr_utils.training.train import read_log

CHANGES = {
    "num_blocks": 2,
    "sub_image": 32,
    "sub_image_step": 16,
    "hr_patch_size": 16,
    "batch_size": 4,
    "total_steps": 20,
    "warmup_steps": 2,
    "log_every": 5,
    "validate_every": 10,
    "save_every": 10,
    "precision": "float32",
    "rgb_permutation": 0.5,
    "blend": 0.5,
    "mixup": 0.5,
    "learning_rate": 2e-4,
    "loss": "charbonnier",
}
FLAGS = [f"--{name.replace('_', '-')}={value}" for name, value in CHANGES.items()]


@pytest.fixture
def start(tmp_path: Path, photo_folder, make_photo):
    """start(name, *launcher, extra=()): a run of FLAGS in a project of its own, and what it printed."""
    val = photo_folder("val", {"v.png": (24, 32)})
    pairs = [(name, make_photo(48, 48, seed), None) for seed, name in enumerate(("a", "b"), 5)]

    def run(
        name: str, *launcher: str, extra: tuple[str, ...] = ()
    ) -> tuple[Path, subprocess.CompletedProcess]:
        root = tmp_path / name
        if not root.exists():
            build_store(pairs, root / "data" / "demo" / "train", sub_image=32, step=16)
            (root / "data" / "paths.json").write_text(json.dumps({"val_hr": str(val)}), encoding="utf-8")
            (root / "pyproject.toml").write_text('name = "sr-utils"', encoding="utf-8")
        command = [sys.executable, *launcher, "-m", "sr_utils", "train", "demo", f"--root={root}"]
        command += [*FLAGS, *extra]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        return next((root / "checkpoints").glob("*"), root), done

    return run


TWO = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def test_two_processes_train_the_run_of_one(start) -> None:
    (one, done), (two, done_too) = start("one"), start("two", *TWO)
    assert done.returncode == 0 and done_too.returncode == 0, done.stderr + done_too.stderr
    assert "2 processes" in done_too.stdout and done_too.stdout.count("parameters") == 1
    ours, theirs = (checkpoints.load_state(folder / "state.pt") for folder in (one, two))
    assert ours["step"] == theirs["step"] == 20 and len(read_log(two)) == 4
    for part in ("model", "ema"):
        for name, value in ours[part].items():
            # of the 4e-3 that 20 steps can move a weight; the processes sum in another order
            torch.testing.assert_close(theirs[part][name], value, rtol=0, atol=2e-5)
    for mine, other in zip(read_log(one), read_log(two), strict=True):
        assert mine["loss"] == pytest.approx(other["loss"], abs=1e-6)
    _, again = start("two", *TWO)
    assert again.returncode == 0 and "This run is complete" in again.stdout


def test_two_processes_stop_together_where_one_is_told_to(start, tmp_path: Path) -> None:
    """SIGTERM to the second process alone, as a cluster may send it: both stop after the same step."""
    runs = tmp_path / "two" / "checkpoints"

    def terminate() -> None:
        while not any(map(read_log, runs.glob("*"))):
            time.sleep(0.05)
        workers = [
            process
            for process in psutil.process_iter(["cmdline", "environ"])
            if f"--root={runs.parent}" in (process.info["cmdline"] or [])
            and (process.info["environ"] or {}).get("RANK") == "1"
        ]
        workers[0].send_signal(signal.SIGTERM)

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(terminate)
        folder, done = start("two", *TWO, extra=("--total-steps=2000", "--log-every=1"))
        waiting.result(60)
    assert done.returncode != 0 and "Stopped and saved after step" in done.stdout
    step = checkpoints.load_state(folder / "state.pt")["step"]
    assert 0 < step < 2000 and len(read_log(folder)) == step


def test_a_batch_that_cannot_be_shared_is_told(start) -> None:
    _, done = start("odd", *TWO, extra=("--batch-size=3",))
    assert done.returncode != 0 and "expected a multiple of the 2 processes, got 3" in done.stderr


def test_slices_are_disjoint_and_complete(monkeypatch) -> None:
    batch = torch.arange(12).reshape(6, 2)
    shares = [Group(rank, 3).take(batch) for rank in range(3)]
    assert all(len(share) == 2 for share in shares)
    assert sorted(torch.cat(shares)[:, 0].tolist()) == batch[:, 0].tolist()
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert join() == Group(0, 1) and torch.equal(join().take(batch), batch)
