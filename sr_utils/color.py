"""What an image file says of its colours: told where that is not sRGB, and carried over into a PNG."""

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

PNG_START = b"\x89PNG\r\n\x1a\n"
HEAD = 33  # bytes of a PNG before its second chunk: start and IHDR
SRGB_PRIMARIES = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)  # x, y of white, red, green, blue
VISIBLE = 4  # levels by which a profile shows some colour otherwise than sRGB


def describe(image: Image.Image) -> str:
    """The name of an open image file's colours, for example "Display P3"; empty for sRGB or nothing said."""
    if profile := image.info.get("icc_profile"):
        return describe_profile(profile)
    if image.format == "PNG" and "srgb" not in image.info:  # a PNG may say it by single numbers
        primaries = image.info.get("chromaticity", SRGB_PRIMARIES)
        if not np.allclose(primaries, SRGB_PRIMARIES, atol=0.01):
            return "its own primaries"
        gamma = image.info.get("gamma", 1 / 2.2)
        return "" if abs(gamma - 1 / 2.2) < 0.02 else f"gamma {gamma:.2f}"
    # Cameras tell Adobe RGB by this alone: interoperability index R03 in EXIF.
    exif = image.getexif() if image.format in ("JPEG", "MPO") else Image.Exif()
    with suppress(KeyError):  # where there is no such part, before Pillow 13
        return "Adobe RGB (by EXIF)" if exif.get_ifd(0xA005).get(1) == "R03" else ""
    return ""


@lru_cache(maxsize=64)
def describe_profile(profile: bytes) -> str:
    """The name of an ICC profile that shows grey or RGB otherwise than sRGB does; empty for sRGB's like."""
    mode = {b"GRAY": "L", b"RGB ": "RGB"}.get(_space(profile))
    if mode is None:
        return "a profile that is neither grey nor RGB"
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        levels = np.linspace(0, 255, 6).astype(np.uint8)
        colors = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, 1, 3)
        colors = colors if mode == "RGB" else levels[:, None]
        srgb = ImageCms.createProfile("sRGB")
        shown = ImageCms.profileToProfile(Image.fromarray(colors), opened, srgb, outputMode="RGB")
        name = ImageCms.getProfileDescription(opened).strip() or "without a name"
    except (ImageCms.PyCMSError, OSError, ValueError):
        return "a damaged profile"
    expected = colors if mode == "RGB" else levels[:, None, None]
    return name if np.abs(np.asarray(shown).astype(int) - expected).max() > VISIBLE else ""


def make_chunks(image: Image.Image, data: bytes) -> bytes:
    """The chunks by which a PNG with the RGB pixels of an image file shows the file's colours; often none.

    Args:
        image: the open file.
        data: its content. An ICC profile that is not of RGB is left out: it would not fit the pixels.

    Source: W3C, "Portable Network Graphics (PNG) Specification", third edition: cICP, iCCP, sRGB, gAMA, cHRM.
    """
    if data.startswith(PNG_START):
        return b"".join(chunk for kind, content, chunk in _iterate_chunks(data) if _fits(kind, content))
    profile = image.info.get("icc_profile") or b""
    return make_profile_chunk(profile) if _space(profile) == b"RGB " else b""


def make_profile_chunk(profile: bytes) -> bytes:
    """An ICC profile as a PNG chunk."""
    return pack_chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(profile))


def insert_chunks(png: bytes, chunks: bytes) -> bytes:
    """A PNG with chunks after its header, which is of a fixed size."""
    return png[:HEAD] + chunks + png[HEAD:]


def _space(profile: bytes) -> bytes:
    return profile[16:20] if profile[36:40] == b"acsp" else b""


def _fits(kind: bytes, content: bytes) -> bool:
    if kind != b"iCCP":
        return kind in (b"cICP", b"sRGB", b"gAMA", b"cHRM")
    try:
        return _space(zlib.decompress(content.partition(b"\0")[2][1:])) == b"RGB "
    except zlib.error:
        return False


def _iterate_chunks(png: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Kind, content and the whole of every chunk before the pixels."""
    place = len(PNG_START)
    while place + 8 <= len(png):
        size, kind = struct.unpack(">I4s", png[place : place + 8])
        if kind == b"IDAT":
            return
        yield kind, png[place + 8 : place + 8 + size], png[place : place + 12 + size]
        place += 12 + size


def pack_chunk(kind: bytes, content: bytes) -> bytes:
    """A PNG chunk of a kind of four letters."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
