"""What an image file says of itself before it is decoded, and which files are refused."""

import io
import struct
from pathlib import Path
from typing import BinaryIO, NamedTuple

from PIL import Image, ImageFile, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from sr_utils import color

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF")
MAX_PIXELS, MAX_SIDE = 2**30, 1_000_000  # of a file: what OpenCV decodes, and libpng
_NOTES = {
    "RGB": "",
    "L": "grey",
    "1": "grey",
    "P": "palette",
    "RGBA": "alpha dropped",
    "LA": "grey, alpha dropped",
}
_TURNED = range(5, 9)  # EXIF orientations that swap height and width


class Header(NamedTuple):
    """What a file says of its image before it is decoded."""

    height: int
    width: int
    note: str  # how it is converted to RGB ("grey", "palette", …); empty for plain RGB
    colors: str = ""  # what its numbers mean where that is not sRGB ("Display P3"); they are read as they are


def read_header(path: Path | str, data: bytes | None = None) -> Header:
    """Size after EXIF rotation and kind of an image file, or of its content `data`.

    ValueError for what would be read wrongly: not an image, 16-bit, CMYK, several frames, more than
    `MAX_PIXELS`; OSError as `open`.
    """
    try:
        with _open(path, data) as file, open_image(file) as image:
            frames, mode, bits = getattr(image, "n_frames", 1), image.mode, _bits_per_sample(image)
            has_exif = image.format != "PNG" or "exif" in image.info  # Pillow would decode a PNG to look
            turned = has_exif and image.getexif().get(0x0112) in _TURNED
            (width, height), kind, colors = image.size, image.format, color.describe(image)
            if isinstance(image, TiffImageFile):
                # Its size as stored: newer Pillow has turned it already, older has not.
                width, height = image.tag_v2[256], image.tag_v2[257]
    except UnidentifiedImageError:
        raise ValueError(f"{path}: not a PNG, JPEG, WebP or TIFF image.") from None
    except (OSError, SyntaxError, ValueError, IndexError, TypeError, struct.error) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ValueError(f"{path}: unreadable image ({error}). Export or download it again.") from None
    require_readable(path, height, width)
    if frames > 1 and kind != "MPO":
        raise ValueError(f"{path}: expected one image, got {frames} frames. Export the frame you want.")
    if bits != 8 and not (bits == 1 and mode == "1"):
        raise ValueError(f"{path}: expected 8 bits per channel, got {bits}. Convert it to 8-bit RGB first.")
    if mode not in _NOTES:
        raise ValueError(f"{path}: expected RGB, got colour mode {mode}. Convert it to 8-bit RGB first.")
    return Header(*((width, height) if turned else (height, width)), _NOTES[mode], colors)


def require_readable(path: Path | str, height: int, width: int) -> None:
    """ValueError for an image file of more pixels than can be decoded."""
    if height * width > MAX_PIXELS or max(height, width) > MAX_SIDE:
        raise ValueError(
            f"{path}: expected at most {MAX_PIXELS:,} pixels and sides of {MAX_SIDE:,}, got "
            f"{height}×{width}. Cut it into pieces."
        )


def _open(path: Path | str, data: bytes | None) -> BinaryIO:
    return Path(path).open("rb") if data is None else io.BytesIO(data)


def open_image(file: BinaryIO) -> ImageFile.ImageFile:
    """As Image.open, which refuses fewer pixels than we write, and warns of fewer still."""
    prefix = file.read(16)
    Image.init()
    for kind in FORMATS:
        opener, accepts = Image.OPEN[kind]
        if accepts and accepts(prefix) is True:
            file.seek(0)
            return opener(file, "")
    raise UnidentifiedImageError


def _bits_per_sample(image: ImageFile.ImageFile) -> int:
    if isinstance(image, TiffImageFile):
        return max(image.tag_v2.get(258, (1,)))  # BitsPerSample
    return 16 if image.tile and ";16" in str(image.tile[0].args) else 8  # as in "RGB;16B"
