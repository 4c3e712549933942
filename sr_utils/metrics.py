"""PSNR and SSIM with their conventions, and the table of a comparison: numbers only, no files, no plots."""

from collections.abc import Mapping
from typing import Literal

import cv2
import numpy as np
import pandas as pd

from sr_utils.config import BORDER, SCALE
from sr_utils.images import resize_bicubic

Channel = Literal["rgb", "y"]
TRUTH = "HR"  # the name of the true image among methods


def luma(image: np.ndarray) -> np.ndarray:
    """BT.601 luma, 16–235, rounded half up to whole numbers: uint8 (H, W, 3) RGB → float64 (H, W, 1).

    Source: ITU-R BT.601; MATLAB's rgb2ycbcr.
    """
    y = 16 + image @ np.array([65.481, 128.553, 24.966]) / 255
    return np.floor(y + 0.5)[..., None]


def _prepare(sr: np.ndarray, hr: np.ndarray, border: int, channel: Channel) -> list[np.ndarray]:
    if sr.shape != hr.shape or sr.ndim != 3 or sr.shape[2] != 3:
        raise ValueError(f"Expected two (H, W, 3) images of the same shape, got {sr.shape} and {hr.shape}.")
    if sr.dtype != np.uint8 or hr.dtype != np.uint8:
        raise ValueError(f"Expected uint8 images (0–255), got {sr.dtype} and {hr.dtype}.")
    if border < 0 or min(hr.shape[:2]) <= 2 * border:
        raise ValueError(f"A border of {border} pixels leaves nothing of {hr.shape[0]}×{hr.shape[1]} pixels.")
    if channel not in ("rgb", "y"):
        raise ValueError(f"channel: expected 'rgb' or 'y', got {channel!r}.")
    inside = np.s_[border : hr.shape[0] - border, border : hr.shape[1] - border]
    return [luma(image[inside]) if channel == "y" else image[inside] for image in (sr, hr)]


def psnr(sr: np.ndarray, hr: np.ndarray, *, border: int, channel: Channel = "rgb") -> float:
    """Peak signal-to-noise ratio of one image, in dB (inf where they are equal).

    Args:
        sr, hr: (H, W, 3) uint8 RGB, the same shape.
        border: pixels cut from every side first; the challenge cuts 4.
        channel: "rgb", or "y" for BT.601 luma rounded to whole numbers, as papers report it.

    Raises:
        ValueError: shapes differ, not uint8, or the border leaves no pixel.

    Source: 10 · log10(255² / MSE), one MSE over all pixels and channels of the image.
    """
    ours, truth = _prepare(sr, hr, border, channel)
    mse = cv2.norm(ours, truth, cv2.NORM_L2SQR) / truth.size
    return float("inf") if mse == 0 else float(10 * np.log10(255**2 / mse))


def ssim(sr: np.ndarray, hr: np.ndarray, *, border: int, channel: Channel = "rgb") -> float:
    """Structural similarity of one image, up to 1: mean over channels and 11×11 Gaussian windows (σ 1.5).

    Args and errors as `psnr`; at least 11×11 pixels must remain inside the border.

    Source: Wang et al., "Image quality assessment", IEEE TIP 2004; K1 = 0.01, K2 = 0.03.
    """
    ours, truth = _prepare(sr, hr, border, channel)
    if min(truth.shape[:2]) < 11:
        raise ValueError(f"SSIM needs 11×11 pixels inside the border, got {truth.shape[0]}×{truth.shape[1]}.")

    def smooth(values: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(values, (11, 11), 1.5)[5:-5, 5:-5]

    ours, truth = (np.squeeze(image).astype(np.float64) for image in (ours, truth))
    mean_ours, mean_truth = smooth(ours), smooth(truth)
    variance_sum = smooth(ours**2) + smooth(truth**2) - mean_ours**2 - mean_truth**2
    covariance = smooth(ours * truth) - mean_ours * mean_truth
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    luminance = (2 * mean_ours * mean_truth + c1) / (mean_ours**2 + mean_truth**2 + c1)
    return float(np.mean(luminance * (2 * covariance + c2) / (variance_sum + c2)))


def has_detail(hr: np.ndarray, lr: np.ndarray) -> bool:
    """Whether an HR photo holds anything that bicubic does not restore exactly from its LR image.

    A white page does not, nor does a photo that bicubic enlarged: bicubic's PSNR (Y, border 4) is infinite,
    and what a network rounds otherwise would count for more than all other photos.

    Args:
        hr, lr: uint8 (4H, 4W, 3) and (H, W, 3) RGB. What is too small for the border is taken to have detail.
    """
    if min(hr.shape[:2]) <= 2 * BORDER:
        return True
    middle = tuple(slice(max(0, side // 2 - 16), side // 2 + 16) for side in lr.shape[:2])
    truth = hr[tuple(slice(SCALE * part.start, SCALE * part.stop) for part in middle)]
    differences = np.abs(luma(resize_bicubic(lr[middle], SCALE)) - luma(truth))
    if (differences[8:-8, 8:-8] > 1).any():  # nearly always; not at the border, where pixels are missing
        return True
    return psnr(resize_bicubic(lr, SCALE), hr, border=BORDER, channel="y") < np.inf


def evaluate(hr: Mapping[str, np.ndarray], methods: Mapping[str, Mapping[str, np.ndarray]]) -> pd.DataFrame:
    """PSNR and SSIM of every image and method, in RGB and Y, with the challenge's border.

    Args:
        hr: the truths by image name.
        methods: for every method its outputs by image name; each must have every image of `hr`.

    Returns:
        A table with a row per (method, image); `summarize` gives the means.

    Raises:
        ValueError: an output is missing or has another size; the message names it.
    """
    rows = []
    for method, outputs in methods.items():
        for name, truth in hr.items():
            if name not in outputs or outputs[name].shape != truth.shape:
                got = outputs[name].shape if name in outputs else "nothing"
                raise ValueError(f"{method}, {name}: expected an output of {truth.shape}, got {got}.")
            row: dict[str, object] = {"method": method, "image": name}
            for metric, function in (("PSNR", psnr), ("SSIM", ssim)):
                for channel in ("rgb", "y"):
                    value = function(outputs[name], truth, border=BORDER, channel=channel)
                    row[column(metric, channel)] = value
            rows.append(row)
    return pd.DataFrame(rows).set_index(["method", "image"])


def column(metric: str, channel: Channel) -> str:
    """Column name that carries its convention, for example "PSNR dB (RGB, border 4)"."""
    return f"{metric}{' dB' if metric == 'PSNR' else ''} ({channel.upper()}, border {BORDER})"


def summarize(table: pd.DataFrame) -> pd.DataFrame:
    """Mean over the images for every method of a table made by `evaluate`."""
    return table.groupby("method", sort=False).mean()


def signed(gain: float) -> str:
    """A gain in dB with its sign, "−0.012"; what rounds to zero is "+0.000"."""
    return f"{round(gain, 3) + 0.0:+.3f}".replace("-", "−")
