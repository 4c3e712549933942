from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sr_utils import images
from sr_utils.infer import super_resolve, super_resolve_float, super_resolve_folder
from sr_utils.networks import CARN, EDSR, MSRResNet


def _strong(model: nn.Module) -> nn.Module:
    """Weights that carry far pixels to the output, as training makes them; outputs stay near [0, 1]."""
    torch.manual_seed(0)
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
            module.weight.data *= 0.05 if name in ("conv_last", "exit") else 1
    return model.eval()


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return _strong(MSRResNet(2, features=16))


class Nearest(nn.Module):
    """Repeats pixels: knows no receptive_field, and needs none."""

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        return lr.repeat_interleave(4, 2).repeat_interleave(4, 3)


@pytest.mark.parametrize("size", [(37, 53), (1, 1), (1, 40), (40, 1), (8, 16), (9, 17)])
@pytest.mark.parametrize("tile", [3, 8, 64, "auto"])
def test_tiles_give_the_whole_result(model, make_photo, size: tuple[int, int], tile: int | str) -> None:
    photo = make_photo(*size)
    whole = super_resolve_float(model, photo, tile=None, precision="float32")
    tiled = super_resolve_float(model, photo, tile=tile, precision="float32")
    assert whole.shape == (4 * size[0], 4 * size[1], 3) and whole.dtype == np.float32
    assert np.abs(tiled - whole).max() <= 1e-6
    with torch.no_grad():
        plain = model(images.to_tensor(photo)[None])[0].movedim(0, -1).numpy()
    np.testing.assert_allclose(whole, plain, atol=1e-5)


@pytest.mark.parametrize("make", [lambda: EDSR(2, features=8), lambda: CARN(features=8)])
def test_tiles_of_the_other_networks(make_photo, make) -> None:
    network, photo = _strong(make()), make_photo(30, 61)
    whole = super_resolve_float(network, photo, tile=None, precision="float32")
    tiled = super_resolve_float(network, photo, tile=8, precision="float32")
    assert np.abs(tiled - whole).max() <= 2e-6
    assert np.abs(whole).max() < 10


def test_a_smaller_overlap_shows(model, make_photo) -> None:
    photo = make_photo(37, 53)
    whole = super_resolve_float(model, photo, tile=None, precision="float32")
    differences = [
        np.abs(super_resolve_float(model, photo, tile=8, precision="float32", overlap=overlap) - whole).max()
        for overlap in (0, 3, model.receptive_field)
    ]
    assert differences[0] > differences[1] > 1e-4 > 1e-6 >= differences[2]


def test_uint8_is_the_float_result_rounded(model, make_photo) -> None:
    photo = make_photo(19, 23)
    photo[:4] = 255  # beyond which some outputs go
    floats = super_resolve_float(model, photo, precision="float32")
    assert floats.min() < 0 or floats.max() > 1
    expected = np.floor(np.clip(floats * np.float32(255) + np.float32(0.5), 0, 255)).astype(np.uint8)
    np.testing.assert_array_equal(super_resolve(model, photo, precision="float32"), expected)


def test_bf16_stays_close(make_photo) -> None:
    torch.manual_seed(0)
    small = MSRResNet(2, features=16)
    photo = make_photo(16, 20)
    exact, rough = (super_resolve_float(small, photo, precision=name) for name in ("float32", "bf16"))
    assert 0 < np.abs(exact - rough).max() < 0.01


def test_training_mode_and_gradients_do_not_matter(model, make_photo) -> None:
    photo = make_photo(9, 9)
    expected = super_resolve(model, photo)
    np.testing.assert_array_equal(super_resolve(model.train(), photo), expected)
    assert not model.training
    assert all(parameter.grad is None for parameter in model.parameters())


def test_any_module_that_enlarges_four_times(make_photo) -> None:
    photo = make_photo(20, 30)
    expected = photo.repeat(4, axis=0).repeat(4, axis=1)
    for options in ({}, {"tile": None}, {"tile": 7, "overlap": 0}, {"tile": 7, "overlap": 5}, {"tile": 30}):
        np.testing.assert_array_equal(super_resolve(Nearest(), photo, **options), expected)
    for function in (super_resolve, super_resolve_float):
        with pytest.raises(ValueError, match="Nearest has no receptive_field: pass overlap="):
            function(Nearest(), photo, tile=7)
    with pytest.raises(ValueError, match=r"Identity: expected an output of \(80, 120\), got \(20, 30\)"):
        super_resolve(nn.Identity(), photo, tile=None)


@pytest.mark.parametrize(
    ("image", "options", "told"),
    [
        (np.zeros((8, 8, 3), np.float32), {}, r"float32 \(8, 8, 3\)"),
        (np.zeros((8, 8), np.uint8), {}, r"uint8 \(8, 8\)"),
        (np.zeros((8, 8, 4), np.uint8), {}, r"\(8, 8, 4\)"),
        (np.zeros((0, 8, 3), np.uint8), {}, r"\(0, 8, 3\)"),
        (np.zeros((8, 8, 3), np.uint8), {"tile": 0}, "tile: .*got 0"),
        (np.zeros((8, 8, 3), np.uint8), {"tile": -3}, "tile: .*got -3"),
        (np.zeros((8, 8, 3), np.uint8), {"tile": "whole"}, "tile: .*got 'whole'"),
        (np.zeros((8, 8, 3), np.uint8), {"precision": "half"}, "precision: .*got 'half'"),
    ],
)
def test_bad_calls_are_told(model, image: np.ndarray, options: dict, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        super_resolve(model, image, **options)


def test_a_folder_is_enlarged_and_finished_images_are_kept(photo_folder, tmp_path: Path) -> None:
    folder = photo_folder("LR", {"0901.png": (6, 9), "0902.PNG": (5, 4), "ü.png": (3, 3)})
    files, out = sorted(folder.iterdir()), tmp_path / "new" / "out"
    told: list[str] = []

    def on_image(name: str, seconds: float) -> None:
        assert seconds >= 0
        told.append(name)

    targets = super_resolve_folder(Nearest(), files, out, on_image=on_image)
    assert [path.name for path in targets] == ["0901.png", "0902.png", "ü.png"]
    assert told == [path.name for path in files]
    for file, target in zip(files, targets, strict=True):
        np.testing.assert_array_equal(images.read_image(target)[::4, ::4], images.read_image(file))
    marked = np.zeros((24, 36, 3), np.uint8)
    images.write_image(targets[0], marked)  # finished, by its size
    images.write_image(targets[1], marked)  # of another size: made again
    targets[2].unlink()
    told.clear()
    super_resolve_folder(Nearest(), files, out, on_image=on_image)
    assert told == ["0902.PNG", "ü.png"]
    np.testing.assert_array_equal(images.read_image(targets[0]), marked)
    assert images.read_image(targets[1]).shape == (20, 16, 3)


def test_a_folder_that_cannot_be_enlarged_is_refused_before_the_first_image(
    photo_folder, tmp_path: Path
) -> None:
    folder, other = photo_folder("LR", {"a.png": (4, 4)}), photo_folder("other", {"a.png": (4, 4)})
    with pytest.raises(ValueError, match="holds the inputs"):
        super_resolve_folder(Nearest(), [folder / "a.png"], folder / ".." / "LR")
    with pytest.raises(ValueError, match="same name"):
        super_resolve_folder(Nearest(), [folder / "a.png", other / "a.png"], tmp_path / "out")
    (folder / "b.png").write_text("x")
    with pytest.raises(ValueError, match=r"b\.png: not an image"):
        super_resolve_folder(Nearest(), [folder / "a.png", folder / "b.png"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_damaged_input_leaves_no_output(photo_folder, tmp_path: Path) -> None:
    path = photo_folder("LR", {"a.png": (40, 40)}) / "a.png"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match=r"a\.png"):
        super_resolve_folder(Nearest(), [path], tmp_path / "out")
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())
