import hashlib
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import skimage
import torch
from PIL import Image, ImageOps

from sr_utils import headers, images

QUADRANTS = np.kron(
    np.array([[[250, 10, 10], [10, 250, 10]], [[10, 10, 250], [240, 240, 240]]], np.uint8),
    np.ones((16, 24, 1), np.uint8),
)  # (32, 48, 3); each corner of another colour, so that every orientation looks different


@pytest.mark.parametrize(("name", "count"), [("Set5", 5), ("Set14", 14)])
def test_reduced_benchmark_images_are_matlabs_bit_for_bit(sr_data: Path, name: str, count: int) -> None:
    compared = 0
    for path in sorted((sr_data / name / "HR").iterdir()):
        hr = images.read_image(path)
        lr = images.read_image(sr_data / name / "LR_bicubic_x4" / f"{path.stem}x4.png")
        cut = hr[: 4 * lr.shape[0], : 4 * lr.shape[1]]
        np.testing.assert_array_equal(images.resize_bicubic(cut, 0.25), lr, err_msg=path.name)
        compared += 1
    assert compared == count


@pytest.mark.parametrize(
    ("padding", "digest"),
    [
        ("mirror", "53ca505a86fd24fa38e922ad4427a2106d12646194c306f0b379f234e78e1763"),
        ("edge", "779079bcc93ec25299324a20e627ad9bd6d317fe6e0ccc2c0037703d25ae14f7"),
    ],
)
def test_resize_bicubic_is_pinned(padding: str, digest: str) -> None:
    astronaut = images.read_image(Path(skimage.__file__).parent / "data" / "astronaut.png")
    lr = images.resize_bicubic(astronaut, 0.25, padding)
    assert lr.shape == (128, 128, 3)
    assert hashlib.sha256(lr.tobytes()).hexdigest() == digest


@pytest.mark.parametrize("scale", [0.25, 4])
@pytest.mark.parametrize("padding", ["mirror", "edge"])
def test_resize_bicubic_commutes_with_mirroring_and_keeps_flat_images(make_photo, scale, padding) -> None:
    photo = make_photo(12, 20)
    small = images.resize_bicubic(photo, scale, padding)
    assert small.shape == (12 * scale, 20 * scale, 3)
    np.testing.assert_array_equal(images.resize_bicubic(photo[:, ::-1], scale, padding), small[:, ::-1])
    np.testing.assert_array_equal(images.resize_bicubic(photo[..., 1], scale, padding), small[..., 1])
    flat = np.full((4, 8, 3), 77, np.uint8)
    assert (images.resize_bicubic(flat, scale, padding) == 77).all()


@pytest.mark.parametrize(
    ("image", "scale", "padding", "told"),
    [
        (np.zeros((8, 8, 3), np.uint8), 0.5, "mirror", "0.5"),
        (np.zeros((8, 8, 3), np.uint8), 4, "wrap", "wrap"),
        (np.zeros((8, 8, 3), np.float32), 4, "mirror", "float32"),
        (np.zeros((8, 10, 3), np.uint8), 0.25, "mirror", r"\(8, 10\)"),
    ],
)
def test_resize_bicubic_refuses(image: np.ndarray, scale: float, padding: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        images.resize_bicubic(image, scale, padding)


def test_png_keeps_red_red_and_every_pixel(tmp_path: Path, make_photo) -> None:
    for name, image in {"red": np.full((5, 7, 3), [255, 0, 0], np.uint8), "photo": make_photo(9, 13)}.items():
        path = tmp_path / "new" / f"{name}.png"
        images.write_image(path, image)
        np.testing.assert_array_equal(images.read_image(path), image)
        np.testing.assert_array_equal(np.asarray(Image.open(path)), image)  # as others read it
        np.testing.assert_array_equal(images.decode_png(images.encode_png(image)), image)


def test_a_png_is_not_written_under_another_kinds_name(tmp_path: Path, make_photo) -> None:
    with pytest.raises(ValueError, match=r"x\.jpg: expected a name that ends in \.png"):
        images.write_image(tmp_path / "x.jpg", make_photo(8, 8))
    assert list(tmp_path.iterdir()) == []


def test_an_image_of_too_many_pixels_is_named(tmp_path: Path, make_photo, monkeypatch) -> None:
    images.write_image(tmp_path / "vast.png", make_photo(9, 13))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)  # Pillow's own limit does not matter
    assert images.read_image(tmp_path / "vast.png").shape == (9, 13, 3)
    monkeypatch.setattr(headers, "MAX_PIXELS", 116)
    for refused in (images.read_header, images.read_image):
        with pytest.raises(ValueError, match=r"vast\.png: expected at most 116 pixels .* got 9×13"):
            refused(tmp_path / "vast.png")
    with pytest.raises(ValueError, match="expected at most 116 pixels"):  # what could not be read again
        images.write_image(tmp_path / "new.png", make_photo(9, 13))
    assert not (tmp_path / "new.png").exists()


@pytest.mark.filterwarnings("error")
def test_large_outputs_are_read_and_bombs_are_not(tmp_path: Path) -> None:
    """By header alone: 16 times 11.5 megapixels, beyond Pillow's limit; and more than OpenCV decodes."""
    for name, height, width in (("ours", 13_564, 13_564), ("bomb", 32_768, 32_769), ("long", 4, 1_000_001)):
        header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
        (tmp_path / f"{name}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\0IDAT\x35\xaf\x06\x1e")
    assert images.read_header(tmp_path / "ours.png")[:2] == (13_564, 13_564)
    for name, size in (("bomb", "32768×32769"), ("long", "4×1000001")):
        with pytest.raises(ValueError, match=rf"{name}\.png: expected at most .* got {size}"):
            images.read_image(tmp_path / f"{name}.png")


def test_all_256_levels_survive_tensors_and_halves_round_up() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    tensor = images.to_tensor(levels)
    assert (tensor.shape, tensor.dtype) == ((3, 16, 16), torch.float32)
    assert (tensor.min(), tensor.max()) == (0, 1)
    np.testing.assert_array_equal(images.to_image(tensor), levels)
    assert images.to_tensor(levels[None]).is_contiguous(memory_format=torch.channels_last)

    between = torch.tensor(
        [-0.2, 0.49, 0.5, 1.49, 1.5, 2.5, 254.49, 254.5, 255.5, 300.0], dtype=torch.float64
    )
    pixels = (between / 255).expand(3, 1, -1)
    assert images.to_image(pixels)[0, :, 0].tolist() == [0, 0, 1, 1, 2, 3, 254, 255, 255, 255]


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_and_told_by_the_header(
    tmp_path: Path, kind: str, orientation: int
) -> None:
    path = tmp_path / f"turned.{kind}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "webp" else {"quality": 98} if kind == "jpg" else {}
    Image.fromarray(QUADRANTS).save(path, exif=exif, **options)
    image = images.read_image(path)
    with Image.open(path) as file:
        upright = np.asarray(ImageOps.exif_transpose(file).convert("RGB"))
    assert images.read_header(path)[:2] == image.shape[:2] == upright.shape[:2]
    corners = np.ix_([3, -4], [3, -4])  # away from the edges, which JPEG blurs
    np.testing.assert_allclose(image[corners].astype(int), upright[corners].astype(int), atol=6)


def _write_odd_image(kind: str, path: Path) -> None:
    photo = Image.fromarray(QUADRANTS)
    if kind == "16-bit grey":
        Image.fromarray(np.full((8, 8), 40_000, np.uint16)).save(path, "PNG")
    elif kind == "16-bit colour":
        import cv2

        path.write_bytes(cv2.imencode(".png", np.full((8, 8, 3), 40_000, np.uint16))[1].tobytes())
    elif kind == "16-bit tiff":
        Image.fromarray(np.full((8, 8), 40_000, np.uint16)).save(path, "TIFF")
    elif kind == "cmyk":
        photo.convert("CMYK").save(path, "JPEG")
    elif kind == "animated":
        photo.save(path, "WEBP", save_all=True, append_images=[photo.rotate(180)])
    elif kind == "bmp":
        photo.save(path, "BMP")
    elif kind == "text":
        path.write_text("not an image", encoding="utf-8")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind in ("truncated png", "truncated jpeg"):
        photo.effect_spread(9).save(path, kind.split()[1])
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("16-bit grey", "got 16"),
        ("16-bit colour", "got 16"),
        ("16-bit tiff", "got 16"),
        ("cmyk", "CMYK"),
        ("animated", "2 frames"),
        ("bmp", "not a PNG, JPEG"),
        ("text", "not a PNG, JPEG"),
        ("empty", "not a PNG, JPEG"),
        ("truncated png", "damaged|unreadable"),
        ("truncated jpeg", "damaged|unreadable"),
    ],
)
def test_what_would_be_read_wrongly_is_refused_by_name(tmp_path: Path, kind: str, told: str) -> None:
    path = tmp_path / "odd photo.png"
    _write_odd_image(kind, path)
    with pytest.raises(ValueError, match=told) as error:
        images.read_image(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("mode", "note"),
    [
        ("RGB", ""),
        ("L", "grey"),
        ("LA", "grey, alpha dropped"),
        ("RGBA", "alpha dropped"),
        ("P", "palette"),
        ("1", "grey"),
    ],
)
def test_other_modes_become_rgb_with_a_note(tmp_path: Path, mode: str, note: str) -> None:
    path = tmp_path / "photo.png"
    made = Image.fromarray(QUADRANTS).convert(mode)
    made.save(path)
    assert images.read_header(path) == (32, 48, note, "")
    np.testing.assert_array_equal(images.read_image(path), np.asarray(made.convert("RGB")))


def test_the_content_decides_not_the_suffix(tmp_path: Path) -> None:
    path = tmp_path / "really_a_jpeg.png"
    Image.fromarray(QUADRANTS).save(path, "JPEG", quality=98)
    assert images.read_header(path) == (32, 48, "", "")
    assert np.abs(images.read_image(path).astype(int) - QUADRANTS).mean() < 6


@pytest.mark.parametrize("name", ["missing.png", "folder.png"])
def test_missing_files_keep_their_own_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.png").mkdir()
    for read in (images.read_image, images.read_header):
        with pytest.raises((FileNotFoundError, IsADirectoryError), match=name):
            read(tmp_path / name)


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8)]
)
def test_write_image_refuses_other_arrays(tmp_path: Path, image: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"x\.png: expected uint8"):
        images.write_image(tmp_path / "x.png", image)
    assert not list(tmp_path.iterdir())
