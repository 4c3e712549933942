"""Colour profiles: told where they are not sRGB, carried from input to output, byte for byte."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from torch import nn

from sr_utils import images
from sr_utils.data.pair import conversion_note, find_pairs
from sr_utils.enlarging.infer import super_resolve_folder

P3 = ((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841))
ADOBE_RGB = ((0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7446))
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def make_profile(name: str, primaries: tuple = (), gamma: float = 2.2, space: bytes = b"RGB ") -> bytes:
    """An ICC 2 profile: primaries in XYZ (D50) and one gamma; of grey without primaries."""
    xyz = {b"wtpt": (0.9642, 1.0, 0.8249)} | dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=False))
    tags = {
        key: b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(v * 65536)) for v in values)
        for key, values in xyz.items()
    }
    text = name.encode() + b"\0"
    tags[b"desc"] = b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78)
    tags[b"cprt"] = b"text\0\0\0\0none\0"
    for key in (b"rTRC", b"gTRC", b"bTRC") if primaries else (b"kTRC",):
        tags[key] = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))
    table, body, start = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for key, value in tags.items():
        table += key + struct.pack(">II", start + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    head = struct.pack(">I4sI4s4s4s", start + len(body), bytes(4), 0x02200000, b"mntr", space, b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + struct.pack(">iii", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + table + body


DISPLAY_P3 = make_profile("Display P3", P3)
ADOBE = make_profile("Adobe RGB (1998)", ADOBE_RGB)
DOT_GAIN = make_profile("Dot Gain 20%", gamma=1.75, space=b"GRAY")
PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8))


class Nearest(nn.Module):
    def forward(self, lr):
        return lr.repeat_interleave(4, 2).repeat_interleave(4, 3)


@pytest.mark.parametrize("profile", [DISPLAY_P3, ADOBE, SRGB], ids=["P3", "Adobe RGB", "sRGB"])
@pytest.mark.parametrize("kind", ["png", "jpg", "webp", "tif"])
def test_an_output_has_the_profile_of_its_input(tmp_path: Path, kind: str, profile: bytes) -> None:
    PHOTO.save(tmp_path / f"photo.{kind}", icc_profile=profile)
    (target,) = super_resolve_folder(Nearest(), [tmp_path / f"photo.{kind}"], tmp_path / "out")
    with Image.open(target) as image:
        assert image.info["icc_profile"] == profile and image.mode == "RGB"
        pixels = np.asarray(image)
    np.testing.assert_array_equal(pixels, images.read_image(target))  # decoders agree on the file
    np.testing.assert_array_equal(pixels[::4, ::4], images.read_image(tmp_path / f"photo.{kind}"))
    assert images.read_header(target) == images.read_header(tmp_path / f"photo.{kind}")._replace(
        height=32, width=48
    )


@pytest.mark.parametrize("mode", ["RGBA", "P", "L"])
def test_other_modes_keep_a_profile_of_rgb(tmp_path: Path, mode: str) -> None:
    PHOTO.convert(mode).save(tmp_path / "photo.png", icc_profile=DISPLAY_P3)
    (target,) = super_resolve_folder(Nearest(), [tmp_path / "photo.png"], tmp_path / "out")
    with Image.open(target) as image:
        assert image.info["icc_profile"] == DISPLAY_P3


def test_what_an_rgb_file_cannot_carry_is_told_and_left_out(tmp_path: Path, capsys) -> None:
    PHOTO.convert("L").save(tmp_path / "print.tif", icc_profile=DOT_GAIN)
    PHOTO.convert("L").save(tmp_path / "scan.png", icc_profile=DOT_GAIN)
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA005] = {1: "R03"}  # how cameras tell Adobe RGB
    PHOTO.save(tmp_path / "camera.jpg", exif=exif)
    PHOTO.convert("L").save(tmp_path / "plain.png")
    files = images.list_images(tmp_path)
    for target in super_resolve_folder(Nearest(), files, tmp_path / "out"):
        with Image.open(target) as image:
            assert "icc_profile" not in image.info
    told = capsys.readouterr().out
    assert "3 outputs lack the colours of their inputs" in told and "plain.png" not in told
    assert "camera.jpg (Adobe RGB (by EXIF))" in told and "scan.png (Dot Gain 20%)" in told


def _add_chunk(path: Path, kind: bytes, content: bytes) -> None:
    chunk = struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    data = path.read_bytes()
    path.write_bytes(data[:33] + chunk + data[33:])


@pytest.mark.parametrize(
    ("kind", "content", "told"),
    [
        (b"gAMA", struct.pack(">I", 100_000), "gamma 1.00"),
        (b"gAMA", struct.pack(">I", 45_455), ""),
        (
            b"cHRM",
            struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000),
            "its own primaries",
        ),
        (b"sRGB", b"\0", ""),
    ],
)
def test_a_pngs_own_colour_chunks_are_told_and_kept(tmp_path: Path, kind, content, told) -> None:
    PHOTO.save(tmp_path / "photo.png")
    _add_chunk(tmp_path / "photo.png", kind, content)
    assert images.read_header(tmp_path / "photo.png").colors == told
    (target,) = super_resolve_folder(Nearest(), [tmp_path / "photo.png"], tmp_path / "out")
    assert target.read_bytes().count(kind + content) == 1
    assert images.read_header(target).colors == told


@pytest.mark.parametrize(
    ("mode", "profile", "told"),
    [
        ("RGB", DISPLAY_P3, "Display P3"),
        ("RGB", ADOBE, "Adobe RGB (1998)"),
        ("L", DOT_GAIN, "Dot Gain 20%"),
        ("RGB", SRGB, ""),
        ("RGB", DISPLAY_P3[:200], "a damaged profile"),
        ("RGB", b"no profile", "a profile that is neither grey nor RGB"),
    ],
)
def test_colours_that_are_not_srgb_are_named_by_the_header(tmp_path: Path, mode, profile, told) -> None:
    PHOTO.convert(mode).save(tmp_path / "photo.jpg", icc_profile=profile)
    header = images.read_header(tmp_path / "photo.jpg")
    assert header.colors == told and header.note == ("grey" if mode == "L" else "")


def test_foreign_profiles_of_training_and_validation_photos_are_counted(tmp_path: Path) -> None:
    for name, profile in (("a", DISPLAY_P3), ("b", DISPLAY_P3), ("c", ADOBE), ("d", SRGB), ("e", None)):
        PHOTO.convert("L" if name == "e" else "RGB").save(tmp_path / f"{name}.png", icc_profile=profile)
    assert conversion_note(find_pairs(tmp_path, None)) == (
        "converted to RGB: 1 grey; taken as sRGB, though they are not: 2 Display P3, 1 Adobe RGB (1998)"
    )


def _write_tiff(path: Path, mode: str, pixel: tuple[int, ...], alpha: int) -> None:
    """A TIFF whose ExtraSamples tag says 0 unspecified, 1 associated or 2 unassociated alpha."""
    buffer = io.BytesIO()
    Image.new(mode, (5, 3), pixel).save(buffer, "TIFF")
    data = bytearray(buffer.getvalue())
    tag = data.index(struct.pack("<HHI", 338, 3, 1))
    data[tag + 8 : tag + 10] = struct.pack("<H", alpha)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("mode", "pixel", "alpha", "expected"),
    [
        ("RGBA", (200, 100, 50, 128), 2, (200, 100, 50)),
        ("RGBA", (200, 100, 50, 0), 2, (200, 100, 50)),
        ("RGBA", (100, 50, 25, 128), 1, (199, 99, 49)),  # was multiplied: divided again
        ("LA", (200, 128), 2, (200, 200, 200)),
    ],
)
def test_alpha_of_a_tiff_is_dropped(tmp_path: Path, mode, pixel, alpha, expected) -> None:
    _write_tiff(tmp_path / "photo.tif", mode, pixel, alpha)
    np.testing.assert_array_equal(images.read_image(tmp_path / "photo.tif"), np.full((3, 5, 3), expected))


@pytest.mark.parametrize("kind", ["png", "webp", "tif"])
@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_pixels_read_alike_from_every_kind(tmp_path: Path, kind: str, mode: str) -> None:
    if mode == "P":
        image = Image.new("P", (4, 4), 1)
        image.putpalette([0, 0, 0, 200, 200, 200])
        options = {"transparency": 1} if kind == "png" else {}
    else:
        image, options = Image.new(mode, (4, 4), (200, 200, 200, 128) if mode == "RGBA" else (200, 128)), {}
    options |= {"lossless": True} if kind == "webp" else {}
    image.save(tmp_path / f"photo.{kind}", **options)
    assert (images.read_image(tmp_path / f"photo.{kind}") == 200).all()
