"""The only place that reads or writes image files and knows BGR, and the MATLAB-exact bicubic.

Images are uint8 (H, W, 3) RGB arrays; tensors are float32 (3, H, W) or (N, 3, H, W) in [0, 1].
"""

import io
import os
from pathlib import Path
from typing import Literal, NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, UnidentifiedImageError

from sr_utils.config import SCALE

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff"}
_PLAIN_MODES = {"RGB"}
_CONVERTED_MODES = {
    "RGBA": "alpha dropped",
    "L": "grey",
    "LA": "grey, alpha dropped",
    "P": "palette",
    "1": "grey",
}
_TURNED = range(5, 9)  # EXIF orientations that swap height and width


class Header(NamedTuple):
    """What a file says of its image before it is decoded."""

    height: int
    width: int
    note: str
    """How it is converted to RGB ("grey", "palette", …); empty for plain RGB."""


def read_header(path: Path | str, data: bytes | None = None) -> Header:
    """Size after EXIF rotation and kind of an image file; refuses what would be read wrongly.

    Raises:
        ValueError: not an image, 16-bit, CMYK, several frames; the message names the file.
        FileNotFoundError, PermissionError, IsADirectoryError: as `open` raises them.
    """
    try:
        with Image.open(io.BytesIO(data) if data is not None else path) as image:
            frames, mode = getattr(image, "n_frames", 1), image.mode
            bits = _bits_per_sample(image)
            has_exif = image.format != "PNG" or "exif" in image.info  # Pillow would decode a PNG to look
            turned = has_exif and image.getexif().get(0x0112) in _TURNED
            (width, height), kind = image.size, image.format
            if kind == "TIFF":  # its size as stored: newer Pillow has turned it already, older has not
                width, height = image.tag_v2[256], image.tag_v2[257]
    except UnidentifiedImageError:
        raise ValueError(f"{path}: not an image (expected PNG, JPEG, WebP or TIFF).") from None
    except (OSError, SyntaxError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ValueError(f"{path}: unreadable image ({error}). Export or download it again.") from None
    if kind not in {"PNG", "JPEG", "MPO", "WEBP", "TIFF"}:
        raise ValueError(f"{path}: {kind} is not supported; expected PNG, JPEG, WebP or TIFF.")
    if frames > 1 and kind != "MPO":
        raise ValueError(f"{path}: expected one image, got {frames} frames. Export the frame you want.")
    if bits != 8 and not (bits == 1 and mode == "1"):
        raise ValueError(f"{path}: expected 8 bits per channel, got {bits}. Convert it to 8-bit RGB first.")
    if mode not in _PLAIN_MODES | set(_CONVERTED_MODES):
        raise ValueError(f"{path}: expected RGB, got colour mode {mode}. Convert it to 8-bit RGB first.")
    return Header(*((width, height) if turned else (height, width)), _CONVERTED_MODES.get(mode, ""))


def _bits_per_sample(image: Image.Image) -> int:
    if image.format == "PNG":
        rawmode = image.tile[0].args if image.tile else image.mode
        return 16 if "16" in str(rawmode) else 1 if image.mode == "1" else 8
    if image.format == "TIFF":
        return max(image.tag_v2.get(258, (1,)))  # BitsPerSample
    return 16 if "16" in image.mode else 8


def read_image(path: Path | str) -> np.ndarray:
    """An image file as uint8 (H, W, 3) RGB, upright; grey, palette and alpha are converted.

    Raises:
        ValueError: as `read_header`, or damaged pixels.
    """
    path = Path(path)
    data = path.read_bytes()
    header = read_header(path, data)
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    if image is None:
        raise ValueError(f"{path}: truncated or damaged image. Export or download it again.")
    if image.shape[:2] != header[:2]:  # a PNG may say only after its pixels that it is to be turned
        raise ValueError(
            f"{path}: expected {header[:2]} pixels, got {image.shape[:2]}. Save it again upright."
        )
    return image


def write_image(path: Path | str, image: np.ndarray) -> None:
    """Write uint8 (H, W, 3) RGB as a PNG, beside its place first and then renamed."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"{path}: expected uint8 (H, W, 3), got {image.dtype} {image.shape}.")
    write_atomic(path, encode_png(image))


def encode_png(image: np.ndarray) -> bytes:
    """PNG file content of a uint8 (H, W, 3) RGB image."""
    return cv2.imencode(".png", image[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 3])[1].tobytes()


def decode_png(data: bytes) -> np.ndarray:
    """The uint8 (H, W, 3) RGB image of a PNG in memory."""
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)


def write_atomic(path: Path | str, data: bytes | str) -> None:
    """Write a whole file or nothing: beside its place, then renamed."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(data.encode() if isinstance(data, str) else data)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def to_tensor(images: np.ndarray, device: torch.device | str = "cpu") -> torch.Tensor:
    """uint8 (H, W, 3) or (N, H, W, 3) → float32 (3, H, W) or (N, 3, H, W) in [0, 1], made on the device.

    The result keeps the pixel-by-pixel order in memory (channels-last).
    """
    pixels = torch.from_numpy(np.ascontiguousarray(images))
    pixels = pixels.to(device, non_blocking=True)
    return pixels.movedim(-1, -3).float().div_(255)


def to_image(tensor: torch.Tensor) -> np.ndarray:
    """Float (3, H, W) or (N, 3, H, W) → uint8 (…, H, W, 3), rounded half up and clipped to 0–255."""
    return (tensor.detach() * 255 + 0.5).clamp(0, 255).byte().movedim(-3, -1).cpu().numpy()


def resize_bicubic(
    image: np.ndarray, scale: float, padding: Literal["mirror", "edge"] = "mirror"
) -> np.ndarray:
    """MATLAB's imresize(image, scale, 'bicubic'), bit for bit.

    torch's antialiased bicubic uses MATLAB's kernel (a = -0.5, widened when it reduces). What it lacks is the
    padding, height before width, and rounding half up after each pass.

    Args:
        image: uint8 (H, W, 3), or (H, W).
        scale: 0.25 or 4; H and W must be multiples of 4 to be reduced.
        padding: "mirror" repeats the image backwards beyond its border (newer MATLAB); "edge" repeats the
            border pixel, as the releases did that most published LR sets come from.

    Raises:
        ValueError: another scale or padding, not uint8, or a side that is no multiple of 4.

    Source: MATLAB documentation of imresize; R. Keys, "Cubic convolution interpolation", 1981.
    """
    if scale not in (1 / SCALE, SCALE) or padding not in ("mirror", "edge") or image.dtype != np.uint8:
        raise ValueError(
            "resize_bicubic: expected uint8, scale 0.25 or 4 and padding 'mirror' or 'edge', "
            f"got {image.dtype}, {scale}, {padding!r}."
        )
    if scale < 1 and (image.shape[0] % SCALE or image.shape[1] % SCALE):
        raise ValueError(f"resize_bicubic: expected sides that are multiples of 4, got {image.shape[:2]}.")
    pad = 2 * SCALE if scale < 1 else 4  # input pixels that the kernel reaches beyond the border, or more
    mode = {"mirror": "symmetric", "edge": "edge"}[padding]
    for axis in (0, 1):
        widths = [(0, 0)] * image.ndim
        widths[axis] = (pad, pad)
        pixels = np.moveaxis(np.pad(image, widths, mode), axis, 0)
        rows = torch.from_numpy(pixels.reshape(len(pixels), -1).astype(np.float32))[None, None]
        size = (round(rows.shape[2] * scale), rows.shape[3])
        rows = F.interpolate(rows, size, mode="bicubic", antialias=True)[0, 0]
        cut = round(pad * scale)
        rows = (rows[cut:-cut] + 0.5).floor().clamp(0, 255).byte().numpy()
        image = np.ascontiguousarray(np.moveaxis(rows.reshape(-1, *pixels.shape[1:]), 0, axis))
    return image
