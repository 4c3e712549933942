"""What all benchmarks share: stand-in photos, alternating runs, medians, one table and one JSON file."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from sr_utils import images
from sr_utils.config import configure
from sr_utils.console import say
from sr_utils.data import sources
from sr_utils.data.pair import Pair
from sr_utils.device import choose_device
from sr_utils.files import write_atomic
from sr_utils.paths import Paths

RESULTS = Path(__file__).with_name("results.json")
HEIGHT, WIDTH = 1356, 2040  # of a typical DIV2K photo


def alternate(contestants: Mapping[str, Callable[[], object]], *, runs: int = 5) -> dict[str, float]:
    """Median seconds of each function: one warm-up each, then `runs` rounds in turn."""
    for function in contestants.values():
        function()
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(runs):
        for name, function in contestants.items():
            began = time.perf_counter()
            function()
            seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in seconds.items()}


def in_child(script: str, *arguments: object) -> Any:
    """What `script --contestant …` prints as its last line, JSON, in a process of its own."""
    command = [sys.executable, script, "--contestant", *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def require_cpu() -> None:
    """The baselines run on the CPU, so ours must too."""
    device = choose_device()
    if device.device.type != "cpu":
        raise RuntimeError(f"This benchmark compares CPU runs; hide the GPU first ({device.description}).")


def read_results() -> list[dict[str, Any]]:
    """What was told so far."""
    return json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else []


def write_results(rows: list[dict[str, Any]]) -> None:
    """All that is told."""
    write_atomic(RESULTS, json.dumps(rows, indent=1, ensure_ascii=False))


def forget(command: str) -> None:
    """Take out the rows of a command that is about to tell others."""
    write_results([row for row in read_results() if row["command"] != command])


def tell(
    claim: str,
    value: float,
    unit: str,
    *,
    baseline: str,
    command: str,
    target: float | None = None,
    at_most: bool = False,
) -> None:
    """Print one result and keep it in results.json; `target` None means that the figure is only told."""
    met = None if target is None else value <= target if at_most else value >= target
    row = {"claim": claim, "value": round(value, 4), "unit": unit, "target": target, "met": met}
    row |= {"baseline": baseline, "command": command}
    write_results([old for old in read_results() if old["claim"] != claim] + [row])
    verdict = (
        "" if met is None else f"target {'≤' if at_most else '≥'} {target:g}: {'met' if met else 'NOT MET'}"
    )
    say(f"{claim:<66} {value:>10.4g} {unit:<8} {verdict}")


def make_photos(folder: Path, count: int) -> list[Pair]:
    """Stand-ins of 2040×1356: crops of real photos, enlarged if needed, mirrored, with fine grain; PNGs.

    The photos come from the folder train/photos below SR_DATA, or are the demo's.
    """
    data = Path(os.environ.get("SR_DATA", "none")) / "train" / "photos"
    if data.is_dir():
        files = images.list_images(data)
    else:
        files = [pair.hr for pair in sources.find_split(configure("demo"), Paths(folder), "train")]
    rng = np.random.default_rng(0)
    pairs = []
    for number in range(count):
        name = f"{number + 1:04d}"
        hr_path, lr_path = folder / "HR" / f"{name}.png", folder / "LR" / f"{name}x4.png"
        if not lr_path.exists():
            hr = _stand_in(images.read_image(files[number % len(files)]), rng)
            images.write_image(hr_path, hr)
            images.write_image(lr_path, images.resize_bicubic(hr, 0.25))
        pairs.append(Pair(name, hr_path, lr_path))
    return pairs


def _stand_in(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    enlarge = max(1.0, HEIGHT / photo.shape[0], WIDTH / photo.shape[1])
    size = (max(WIDTH, round(photo.shape[1] * enlarge)), max(HEIGHT, round(photo.shape[0] * enlarge)))
    photo = cv2.resize(photo, size, interpolation=cv2.INTER_CUBIC) if enlarge > 1 else photo
    top, left = rng.integers(photo.shape[0] - HEIGHT + 1), rng.integers(photo.shape[1] - WIDTH + 1)
    crop = photo[top : top + HEIGHT, left : left + WIDTH]
    crop = crop[:, ::-1] if rng.random() < 0.5 else crop
    grain = rng.normal(0, 2, crop.shape)
    return (crop + grain).clip(0, 255).astype(np.uint8)
