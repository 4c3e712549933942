"""Measuring networks on photos, and reading what other tools made of them."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from torch import nn
from tqdm import tqdm

from sr_utils import images
from sr_utils.config import SCALE
from sr_utils.data.pair import Pair, read_pair
from sr_utils.enlarging.infer import enlarge_with
from sr_utils.headers import read_header
from sr_utils.metrics import TRUTH, column, evaluate, summarize


def rank(networks: Mapping[str, nn.Module], pairs: Sequence[Pair]) -> pd.DataFrame:
    """Mean PSNR and SSIM (RGB and Y, border 4) of bicubic and some networks, the highest PSNR (RGB) first.

    One photo after another, so that any number of them fits into memory.
    """
    tables = []
    for pair in tqdm(pairs, "measuring", unit="photo", file=sys.stdout, mininterval=0.5):
        hr, lr = read_pair(pair)
        tables.append(evaluate({pair.name: hr}, enlarge_with(networks, {pair.name: (hr, lr)})))
    means = summarize(pd.concat(tables))
    return means.sort_values(column("PSNR", "rgb"), ascending=False)


def read_outputs(hr_folder: Path, folders: Mapping[str, Path]) -> dict[str, dict[str, np.ndarray]]:
    """Photos and what some tools made of them, for `compare`: image name → "HR" or tool → uint8 (H, W, 3).

    Args:
        hr_folder: the truths; sides that are no multiple of 4 are cut at the bottom and right.
        folders: tool → its folder of images named as the photos, cut like them or not.

    Raises:
        ValueError: images that are missing or of another size, named. FileNotFoundError: no folder or image.
    """
    truths = {path.stem: path for path in images.list_images(hr_folder)}
    outputs = {
        tool: {path.stem: path for path in images.list_images(folder)} for tool, folder in folders.items()
    }
    problems = []
    for name, path in truths.items():
        size = read_header(path)[:2]
        for tool, files in outputs.items():
            got = read_header(files[name])[:2] if name in files else "nothing"
            if got not in (size, _cut(size)):
                problems.append(f"{tool}, {name}: expected {size[0]}×{size[1]} pixels, got {_told(got)}")
    if problems:
        more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise ValueError(f"The outputs do not fit the photos: {'; '.join(problems[:5])}{more}.")
    shown = {}
    for name, path in truths.items():
        files = {TRUTH: path} | {tool: files[name] for tool, files in outputs.items()}
        height, width = _cut(read_header(path)[:2])
        shown[name] = {method: images.read_image(file)[:height, :width] for method, file in files.items()}
    return shown


def _cut(size: Sequence[int]) -> tuple[int, int]:
    height, width = (side // SCALE * SCALE for side in size)
    return height, width


def _told(size: tuple[int, int] | str) -> str:
    return size if isinstance(size, str) else f"{size[0]}×{size[1]}"
