"""The only place that reads or writes image files and knows BGR, and the MATLAB-exact bicubic.

Images are uint8 (H, W, 3) RGB arrays; tensors are float32 (3, H, W) or (N, 3, H, W) in [0, 1].
"""

import io
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps

from sr_utils import color
from sr_utils.config import SCALE
from sr_utils.console import say
from sr_utils.device import copy_to
from sr_utils.files import write_atomic
from sr_utils.headers import open_image, read_header, require_readable

SUFFIXES = {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".tif", ".tiff"}
OTHER_SUFFIXES = {  # of images that are not read
    ".heic",
    ".heif",
    ".hif",
    ".avif",
    ".bmp",
    ".gif",
    ".jxl",
    ".jp2",
    ".j2k",
    ".jpx",
    ".psd",
    ".svg",
    ".tga",
    ".ico",
    ".ppm",
    ".pgm",
    ".pnm",
    ".exr",
    ".hdr",
    ".dng",
    ".cr2",
    ".cr3",
    ".nef",
    ".arw",
    ".orf",
    ".raf",
    ".rw2",
}


def list_images(folder: Path | str) -> list[Path]:
    """The image files of a folder by name; hidden files and other kinds of files are passed over.

    Images of other kinds (HEIC, BMP, GIF, …) are named. FileNotFoundError for no folder or no image;
    ValueError for what is no file or differs in its suffix only.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder. Name yours in Paths, or put the images there.")
    visible = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    found = [path for path in visible if path.suffix.lower() in SUFFIXES]
    others = [path.name for path in visible if path.suffix.lower() in OTHER_SUFFIXES]
    told = f"{len(others)} images of other kinds ({', '.join(others[:5])}{', …' * (len(others) > 5)})"
    if not found:
        told = f" but {told}: convert them" if others else ""
        raise FileNotFoundError(f"{folder} holds no image{told} (expected {', '.join(sorted(SUFFIXES))}).")
    if others:
        say(f"{folder}: {told} are passed over; convert them to PNG or JPEG to use them.")
    for path in found:
        if not path.is_file():
            raise ValueError(f"{path}: expected an image file, got a folder or a broken link. Remove it.")
    [(stem, count)] = Counter(path.stem for path in found).most_common(1)
    if count > 1:
        raise ValueError(f"{folder}: {count} images are named {stem}. Keep one of them.")
    return found


def read_image(path: Path | str) -> np.ndarray:
    """An image file as uint8 (H, W, 3) RGB, upright; errors as `read_header`, and ValueError if damaged."""
    path = Path(path)
    data = path.read_bytes()
    header = read_header(path, data)
    # OpenCV multiplies a TIFF's colours by its alpha, and takes no file of 2 GB.
    image = _decode_by_pillow(data) if data[:2] in (b"II", b"MM") or len(data) >= 2**31 else decode_png(data)
    if image is None:
        raise ValueError(f"{path}: truncated or damaged image. Export or download it again.")
    if image.shape[:2] != header[:2]:  # a PNG may say only after its pixels that it is to be turned
        raise ValueError(f"{path}: expected {header[:2]}, got {image.shape[:2]}. Save it again upright.")
    return image


def _decode_by_pillow(data: bytes) -> np.ndarray | None:
    try:
        with open_image(io.BytesIO(data)) as image:
            image.load()
            return np.array(ImageOps.exif_transpose(image).convert("RGB"))
    except (OSError, SyntaxError, ValueError):
        return None


def read_color_chunks(data: bytes) -> bytes:
    """What `encode_png` needs to keep the colours of an image file's content: its profile, as PNG chunks."""
    with open_image(io.BytesIO(data)) as image:
        return color.make_chunks(image, data)


def write_image(path: Path | str, image: np.ndarray) -> None:
    """Write uint8 (H, W, 3) RGB as a PNG, beside its place first and then renamed."""
    if Path(path).suffix.lower() != ".png":
        raise ValueError(f"{path}: expected a name that ends in .png, got {Path(path).suffix!r}.")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"{path}: expected uint8 (H, W, 3), got {image.dtype} {image.shape}.")
    require_readable(path, *image.shape[:2])
    write_atomic(path, encode_png(image))


def encode_png(image: np.ndarray, color_chunks: bytes = b"") -> bytes:
    """PNG file content of a uint8 (H, W, 3) RGB image, with what `read_color_chunks` gives of a file."""
    png = cv2.imencode(".png", image[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 3])[1].tobytes()
    return color.insert_chunks(png, color_chunks) if color_chunks else png


def decode_png(data: bytes | memoryview) -> np.ndarray | None:
    """The uint8 (H, W, 3) RGB image of a PNG (or another file) in memory; None where it is damaged."""
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)


def to_tensor(images: np.ndarray, device: torch.device | str = "cpu") -> torch.Tensor:
    """uint8 (…, H, W, 3) → float32 (…, 3, H, W) in [0, 1], made on the device; channels-last in memory."""
    pixels = copy_to(np.ascontiguousarray(images), device)
    return pixels.movedim(-1, -3).float().div_(255)


def to_image(tensor: torch.Tensor) -> np.ndarray:
    """Float (…, 3, H, W) → uint8 (…, H, W, 3), rounded half up and clipped to 0–255."""
    return (tensor.detach() * 255).add_(0.5).clamp_(0, 255).byte().movedim(-3, -1).cpu().numpy()


def reduce(image: np.ndarray, share: float) -> np.ndarray:
    """uint8 (H, W, 3) with both sides times `share`, below 1, rounded; Pillow's antialiased bicubic."""
    height, width = (round(side * share) for side in image.shape[:2])
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))


def resize_bicubic(image: np.ndarray, scale: float, padding: str = "mirror") -> np.ndarray:
    """MATLAB's imresize(image, scale, 'bicubic'), bit for bit.

    torch's antialiased bicubic uses MATLAB's kernel (a = -0.5, widened when it reduces). What it lacks is the
    padding, height before width, and rounding half up after each pass.

    Args:
        image: uint8 (H, W, 3), or (H, W).
        scale: 0.25 or 4; H and W must be multiples of 4 to be reduced.
        padding: "mirror" repeats the image backwards beyond its border (newer MATLAB); "edge" repeats the
            border pixel, as the releases did that most published LR sets come from.

    Source: MATLAB documentation of imresize; R. Keys, "Cubic convolution interpolation", 1981.
    """
    fits = scale == SCALE or (scale == 1 / SCALE and not any(side % SCALE for side in image.shape[:2]))
    if not fits or padding not in ("mirror", "edge") or image.dtype != np.uint8:
        raise ValueError(
            "resize_bicubic: expected uint8, scale 4 or (if both sides are multiples of 4) 0.25, and padding "
            f"'mirror' or 'edge'; got {image.dtype} {image.shape[:2]}, {scale} and {padding!r}."
        )
    pad = 2 * SCALE if scale < 1 else 4  # input pixels that the kernel reaches beyond the border, or more
    cut = round(pad * scale)
    for _ in ("height", "width"):
        widths = [(pad, pad), *[(0, 0)] * (image.ndim - 1)]
        pixels = np.pad(image, widths, "symmetric" if padding == "mirror" else "edge")
        rows = torch.from_numpy(pixels.reshape(len(pixels), -1).astype(np.float32))[None, None]
        size = (round(len(pixels) * scale), rows.shape[3])
        resized = F.interpolate(rows, size, mode="bicubic", antialias=True)[0, 0, cut:-cut]
        rounded = (resized + 0.5).floor().clamp(0, 255).byte().numpy()
        image = rounded.reshape(-1, *pixels.shape[1:]).swapaxes(0, 1)  # the other axis next
    return np.ascontiguousarray(image)
