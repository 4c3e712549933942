import hashlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from sr_utils import checkpoints, headers, images
from sr_utils.enlarging import outputs, tiles
from sr_utils.enlarging.ensemble import SelfEnsemble
from sr_utils.enlarging.export import export_onnx
from sr_utils.enlarging.infer import enlarge_with, super_resolve, super_resolve_float, super_resolve_folder
from sr_utils.enlarging.outputs import is_whole, read_manifest, read_story, sign
from sr_utils.networks import CARN, EDSR, MSRResNet, TwoScale


def _strong(model: nn.Module) -> nn.Module:
    """Weights that carry far pixels to the output, as training makes them; outputs stay near [0, 1]."""
    torch.manual_seed(0)
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
            module.weight.data *= 0.05 if name in ("conv_last", "exit") else 1
    return model.eval()


@pytest.fixture(scope="module", params=[lambda: MSRResNet(2, 16), lambda: TwoScale(1, 1, 1, 16, 16)])
def model(request) -> nn.Module:
    return _strong(request.param())


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


@pytest.mark.parametrize(
    "make",
    [
        lambda: MSRResNet(2, features=8, light_tail=True),
        lambda: EDSR(2, features=8),
        lambda: CARN(features=8),
        lambda: TwoScale(1, 2, 1, 8, 8),
    ],
)
def test_tiles_of_the_other_networks(make_photo, make) -> None:
    network, photo = _strong(make()), make_photo(30, 61)
    whole = super_resolve_float(network, photo, tile=None, precision="float32")
    tiled = super_resolve_float(network, photo, tile=8, precision="float32")
    assert np.abs(tiled - whole).max() <= 2e-6
    assert np.abs(whole).max() < 10


@pytest.mark.parametrize(
    "make",
    [
        lambda: MSRResNet(2, features=8),
        lambda: MSRResNet(2, features=8, light_tail=True),
        lambda: EDSR(2, 8),
        lambda: CARN(8),
        lambda: TwoScale(1, 1, 1, 8, 8),
    ],
)
@pytest.mark.parametrize("strip", [1, 7])
def test_strips_give_the_whole_result(make_photo, monkeypatch, make, strip: int) -> None:
    """The half that enlarges goes strip by strip, alone and under a self-ensemble, whole and in tiles."""
    network, photo = _strong(make()), make_photo(23, 12)
    whole = {}
    for name, model in {"alone": network, "ensemble": SelfEnsemble(network)}.items():
        with torch.no_grad():
            whole[name] = model(images.to_tensor(photo)[None])[0].movedim(0, -1).numpy()
    monkeypatch.setattr(tiles, "STRIP", strip)
    for tile in (None, 9):
        for name, model in {"alone": network, "ensemble": SelfEnsemble(network)}.items():
            parts = super_resolve_float(model, photo, tile=tile, precision="float32")
            np.testing.assert_allclose(parts, whole[name], rtol=0, atol=5e-6)


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
    counting = CountingNearest()
    super_resolve(counting, photo, tile=None)
    super_resolve_float(counting, photo, tile=None)
    assert counting.gradients == [False, False]


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
        (np.zeros((8, 8, 3), np.uint8), {"tile": 4, "overlap": -1}, "overlap: .*got -1"),
        (np.zeros((8, 8, 3), np.uint8), {"tile": "whole"}, "tile: .*got 'whole'"),
        (np.zeros((8, 8, 3), np.uint8), {"precision": "half"}, "precision: .*got 'half'"),
    ],
)
def test_bad_calls_are_told(model, image: np.ndarray, options: dict, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        super_resolve(model, image, **options)


class CountingNearest(Nearest):
    """Remembers the width of every input."""

    def __init__(self) -> None:
        super().__init__()
        self.widths: list[int] = []
        self.gradients: list[bool] = []

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        self.widths.append(lr.shape[-1])
        self.gradients.append(torch.is_grad_enabled())
        return super().forward(lr)


class SmallMemory(CountingNearest):
    """Fails like a GPU on inputs of more than 32 pixels' width."""

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        if lr.shape[-1] > 32:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().forward(lr)


def test_tiles_shrink_where_the_memory_ends(make_photo, capsys) -> None:
    photo, model = make_photo(50, 128), SmallMemory()
    result = super_resolve(model, photo, tile=64, overlap=2)
    np.testing.assert_array_equal(result, photo.repeat(4, axis=0).repeat(4, axis=1))
    assert capsys.readouterr().out.count("out of GPU memory: going on with tiles of") == 2  # 32, then 16
    assert max(model.widths) == 32
    with pytest.raises(torch.OutOfMemoryError):
        super_resolve(SmallMemory(), photo, tile=64, overlap=10)
    with pytest.raises(torch.OutOfMemoryError):  # no tiles without an overlap, they would show
        super_resolve(SmallMemory(), photo, tile=None)


@pytest.mark.parametrize("width, tile", [(510, "auto"), (299 + 44, 150), (100, 30)])
def test_tiles_have_a_width_at_which_convolutions_are_quick(make_photo, width: int, tile) -> None:
    """510 pixels used to be two tiles of 255 + 44, and oneDNN took five times as long for 299 as for 304."""
    model = CountingNearest()
    super_resolve(model, make_photo(5, width), tile=tile, overlap=44)
    assert len(model.widths) > 1
    assert not any(seen % 16 for seen in model.widths if seen < width)


def test_self_ensemble_is_the_mean_of_eight(model, make_photo) -> None:
    photo = make_photo(14, 22)
    ensemble = SelfEnsemble(model)
    result = super_resolve_float(ensemble, photo, precision="float32")
    expected = []
    for turns in range(4):
        for mirrored in (False, True):
            turned = np.rot90(photo, turns)
            turned = np.ascontiguousarray(turned[:, ::-1] if mirrored else turned)
            sr = super_resolve_float(model, turned, precision="float32")
            expected.append(np.rot90(sr[:, ::-1] if mirrored else sr, -turns))
    np.testing.assert_allclose(result, np.mean(expected, axis=0), atol=1e-5)
    mirrored = super_resolve_float(ensemble, photo[:, ::-1].copy(), precision="float32")
    np.testing.assert_allclose(mirrored[:, ::-1], result, atol=1e-5)  # it has no preferred direction
    odd = photo[
        :13, :21
    ]  # turned cells of a network's grid would lie otherwise: repeated to whole ones first
    whole, tiled = (super_resolve_float(ensemble, odd, tile=tile, precision="float32") for tile in (None, 5))
    np.testing.assert_allclose(tiled, whole, atol=1e-5)


LARGE = """
import resource, sys
import numpy as np
import torch
from sr_utils.enlarging.infer import super_resolve

class OneConvolution(torch.nn.Module):
    receptive_field = 2

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 48, 1, bias=False)
        torch.nn.init.constant_(self.conv.weight, 1 / 3)

    def forward(self, lr):
        return torch.nn.functional.pixel_shuffle(self.conv(lr), 4)

height, width = int(sys.argv[1]), int(sys.argv[2])
model = OneConvolution()
super_resolve(model, np.zeros((300, 300, 3), np.uint8))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
image = np.random.default_rng(0).integers(256, size=(height, width, 3), dtype=np.uint8)
result = super_resolve(model, image)
assert result.shape == (4 * height, 4 * width, 3)
grey = image[::37, ::41].mean(axis=2, keepdims=True)
for row, column in ((0, 0), (3, 3)):
    assert np.abs(result[row :: 4 * 37, column :: 4 * 41] - grey).max() < 3  # bfloat16 has 8 bits
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before - image.nbytes - result.nbytes)
"""


def test_memory_is_that_of_input_and_output() -> None:
    """In `make soak` 12,000×9,000 → 48,000×36,000, which takes a minute and 8 GB."""
    size = (9000, 12000) if os.environ.get("SR_SOAK") else (2250, 3000)
    command = [sys.executable, "-c", LARGE, *map(str, size)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    )
    assert int(done.stdout) < 500e6


def test_a_folder_is_enlarged_and_finished_images_are_kept(photo_folder, tmp_path: Path) -> None:
    folder = photo_folder("LR", {"0901.png": (6, 9), "0902.PNG": (5, 4), "ü.png": (3, 7)})
    files, out = sorted(folder.iterdir()), tmp_path / "new" / "out"
    targets = super_resolve_folder(Nearest(), files, out)
    assert [path.name for path in targets] == ["0901.png", "0902.png", "ü.png"]
    for file, target in zip(files, targets, strict=True):
        np.testing.assert_array_equal(images.read_image(target)[::4, ::4], images.read_image(file))
    records = read_manifest(out)
    assert list(records) == ["0901", "0902", "ü"]
    first = records["0901"]
    assert (first["lr"], first["sr"], first["ensemble"]) == ([6, 9], [24, 36], False)
    assert first["sha256"] == hashlib.sha256(targets[0].read_bytes()).hexdigest()
    assert first["weights"] == checkpoints.weights_digest(Nearest()) and first["seconds"] >= 0

    model = CountingNearest()
    super_resolve_folder(model, files, out)
    assert model.widths == []  # all finished
    targets[1].write_bytes(targets[1].read_bytes()[:-9])  # damaged
    targets[2].unlink()
    with (out / "manifest.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"image": "0901", "ha')  # a killed run's last words
    super_resolve_folder(model, files, out)
    assert model.widths == [4, 7]
    images.write_image(files[0], np.zeros((6, 9, 3), np.uint8))  # another input of the same name
    super_resolve_folder(model, files, out)
    assert model.widths == [4, 7, 9] and not images.read_image(targets[0]).any()
    model.register_buffer("weight", torch.ones(1))  # other weights
    super_resolve_folder(model, files, out)
    assert len(model.widths) == 6


def test_two_runs_into_one_folder_do_not_disturb_each_other(photo_folder, tmp_path: Path) -> None:
    files = sorted(photo_folder("LR", {f"{n}.png": (20, 20) for n in range(8)}).iterdir())
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(super_resolve_folder, Nearest(), files, tmp_path / "out") for _ in range(2)]
        targets, _ = (run.result() for run in runs)
    assert len(read_manifest(tmp_path / "out")) == 8 and len(list((tmp_path / "out").iterdir())) == 9
    for file, target in zip(files, targets, strict=True):
        np.testing.assert_array_equal(images.read_image(target)[::4, ::4], images.read_image(file))


def test_a_folder_that_cannot_be_enlarged_is_refused_before_the_first_image(
    photo_folder, tmp_path: Path
) -> None:
    folder, other = photo_folder("LR", {"a.png": (4, 4)}), photo_folder("other", {"a.png": (4, 4)})
    with pytest.raises(ValueError, match="holds the inputs"):
        super_resolve_folder(Nearest(), [folder / "a.png"], folder / ".." / "LR")
    with pytest.raises(ValueError, match="same name"):
        super_resolve_folder(Nearest(), [folder / "a.png", other / "a.png"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def _snapshot(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    "what",
    [
        "an image",
        "text",
        "a broken link",
        "a link to an output",
        "a manifest",
        "a manifest of another encoding",
    ],
)
def test_a_file_of_others_in_the_way_is_refused_before_any_work(
    photo_folder, tmp_path: Path, what: str
) -> None:
    files, out = sorted(photo_folder("LR", {"a.png": (4, 4), "b.png": (4, 4)}).iterdir()), tmp_path / "out"
    super_resolve_folder(Nearest(), files[:1], tmp_path / "other")
    out.mkdir()
    if what == "an image":
        images.write_image(out / "b.png", np.zeros((16, 16, 3), np.uint8))
    elif what == "text":
        (out / "b.png").write_text("mine", encoding="utf-8")
    elif what == "a broken link":
        (out / "b.png").symlink_to("nowhere")
    elif what == "a link to an output":
        (out / "a.png").symlink_to(tmp_path / "other" / "a.png")
    else:
        encoding = "utf-16" if "encoding" in what else "utf-8"
        (out / "manifest.jsonl").write_text('{"name": "an app"}\n[1]\n', encoding=encoding)
    before = sorted((path.name, path.is_symlink()) for path in out.iterdir())
    with pytest.raises(ValueError, match=r"not outputs of ours are in the way \(1\): .*out"):
        super_resolve_folder(Nearest(), files, out)
    assert sorted((path.name, path.is_symlink()) for path in out.iterdir()) == before


@pytest.mark.parametrize("link", ["symlink_to", "hardlink_to"])
def test_an_input_reached_by_a_link_is_never_replaced(photo_folder, tmp_path: Path, link: str) -> None:
    """The inputs are links into the output folder, which holds the photos themselves."""
    photos, links = photo_folder("photos", {"a.png": (4, 4), "b.png": (4, 4)}), tmp_path / "links"
    links.mkdir()
    getattr(links / "b.png", link)(photos / "b.png")
    before = _snapshot(photos)
    with pytest.raises(ValueError, match=r"b\.png is itself an input"):
        super_resolve_folder(Nearest(), [links / "b.png"], photos)
    assert _snapshot(photos) == before


def test_outputs_of_an_older_version_are_known_by_their_hash(photo_folder, tmp_path: Path) -> None:
    """They bear no signature; the manifest tells them, unless somebody changed them since."""
    files, out = sorted(photo_folder("LR", {"a.png": (4, 4)}).iterdir()), tmp_path / "out"
    super_resolve_folder(Nearest(), files, out)
    plain = images.encode_png(images.read_image(out / "a.png"))
    record = read_manifest(out)["a"] | {"bytes": len(plain), "sha256": hashlib.sha256(plain).hexdigest()}
    (out / "a.png").write_bytes(plain)
    (out / "manifest.jsonl").write_text(json.dumps(record), encoding="utf-8")
    super_resolve_folder(Nearest(), files, out)
    assert (out / "a.png").read_bytes() == plain  # kept
    (out / "a.png").write_bytes(plain + b" ")
    with pytest.raises(ValueError, match="not outputs of ours"):
        super_resolve_folder(Nearest(), files, out)


def test_a_signature_is_a_valid_chunk_and_changes_no_pixel(make_photo, tmp_path: Path) -> None:
    photo, path = make_photo(20, 30), tmp_path / "a.png"
    story = {"weights": "ü" * 9, "ensemble": False}
    path.write_bytes(sign(images.encode_png(photo), story))
    with Image.open(path) as image:
        image.verify()  # every chunk's checksum
    with Image.open(path) as image:
        assert json.loads(image.text["sr_utils"]) == story
    np.testing.assert_array_equal(images.read_image(path), photo)
    assert images.read_header(path) == (20, 30, "", "")
    assert read_story(path) == story and is_whole(path)
    path.write_bytes(path.read_bytes()[:-1])
    assert read_story(path) == story and not is_whole(path)
    for other in (b"", b"\x89PNG", images.encode_png(photo), path.read_bytes()[:60]):
        path.write_bytes(other)
        assert read_story(path) is None


def test_a_broken_input_is_named_after_the_others_are_done(photo_folder, tmp_path: Path) -> None:
    folder = photo_folder("LR", {"a.png": (40, 40), "b.png": (40, 40), "c.png": (5, 5)})
    (folder / "a.png").write_bytes((folder / "a.png").read_bytes()[:-40])
    with pytest.raises(ValueError, match=r"1 of 3 images failed, the others are done: .*a\.png"):
        super_resolve_folder(Nearest(), sorted(folder.iterdir()), tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["b.png", "c.png", "manifest.jsonl"]
    assert list(read_manifest(tmp_path / "out")) == ["b", "c"]


def test_a_full_disk_is_told_and_the_finished_images_stay(photo_folder, tmp_path: Path, monkeypatch) -> None:
    files = sorted(photo_folder("LR", {f"{n}.png": (8, 8) for n in range(6)}).iterdir())
    real = outputs.write_atomic

    def write(path: Path, data: bytes) -> None:
        if path.name == "2.png":
            raise OSError(28, "No space left on device")
        real(path, data)

    monkeypatch.setattr(outputs, "write_atomic", write)
    with pytest.raises(OSError, match="No space left"):
        super_resolve_folder(Nearest(), files, tmp_path / "out")
    assert {"0", "1"} <= read_manifest(tmp_path / "out").keys() and "2" not in read_manifest(tmp_path / "out")
    monkeypatch.undo()
    super_resolve_folder(Nearest(), files, tmp_path / "out")
    assert len(read_manifest(tmp_path / "out")) == 6


def test_onnx_gives_torchs_result_at_any_size(model, make_photo, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason='pip install -e ".[onnx]"')
    export_onnx(model, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    for size in ((24, 32), (9, 17), (1, 1)):
        lr = images.to_tensor(make_photo(*size))[None]
        (sr,) = session.run(["sr"], {"lr": lr.numpy()})
        with torch.no_grad():
            np.testing.assert_allclose(sr, model(lr).numpy(), atol=1e-5)


def test_bicubic_and_networks_side_by_side(model, make_photo) -> None:
    pairs = {name: (make_photo(32, 40, seed), make_photo(8, 10, seed)) for seed, name in enumerate("ab")}
    outputs = enlarge_with({"small": model}, pairs)
    assert list(outputs) == ["bicubic", "small"]
    for name, (_, lr) in pairs.items():
        np.testing.assert_array_equal(outputs["bicubic"][name], images.resize_bicubic(lr, 4))
        np.testing.assert_array_equal(outputs["small"][name], super_resolve(model, lr))


def test_the_longest_names_are_enlarged_and_longer_ones_are_told(photo_folder, tmp_path: Path) -> None:
    longest = "ü" * 125 + "a"  # 251 bytes; 255 with the suffix
    folder = photo_folder("LR", {f"{longest}.png": (4, 5), "b.png": (5, 4)})
    (folder / f"{longest}.png").rename(folder / f"{longest}.jpg")
    (folder / "b.png").rename(folder / ("b" * 255))  # no suffix: its output would need 259 bytes
    with pytest.raises(ValueError, match=r"1 of 2 images failed, the others are done: .*File name too long"):
        super_resolve_folder(Nearest(), sorted(folder.iterdir()), tmp_path / "out")
    assert images.read_image(tmp_path / "out" / f"{longest}.png").shape == (16, 20, 3)
    assert list(read_manifest(tmp_path / "out")) == [longest]
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_what_could_not_be_read_again_is_refused_before_it_is_made(
    photo_folder, tmp_path: Path, monkeypatch
) -> None:
    folder = photo_folder("LR", {"large.png": (6, 9), "small.png": (5, 9)})
    monkeypatch.setattr(headers, "MAX_PIXELS", 16 * 45)
    model = CountingNearest()
    with pytest.raises(ValueError, match=r"large\.png: expected at most 720 pixels .* got 24×36\. Cut it"):
        super_resolve_folder(model, images.list_images(folder), tmp_path / "out")
    assert model.widths == [9] and list(read_manifest(tmp_path / "out")) == ["small"]
    assert images.read_image(tmp_path / "out" / "small.png").shape == (20, 36, 3)
