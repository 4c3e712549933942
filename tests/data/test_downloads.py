"""Downloads against a local HTTP server: what arrives, what is refused, and what is said."""

import functools
import hashlib
import http.server
import io
import shutil
import threading
import zipfile
from collections import namedtuple

import numpy as np
import pytest

from sr_utils import images
from sr_utils.config import configure
from sr_utils.data import downloads, sources
from sr_utils.paths import Paths

PHOTO = np.full((64, 64, 3), (200, 30, 90), np.uint8)


def make_zip(names):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as content:
        for name in names:
            content.writestr(name, images.encode_png(PHOTO))
    return buffer.getvalue()


def archive_of(data, name="HR.zip", **folders):
    folders = folders or {"val_HR": ("HR/{:04d}.png", range(1, 3))}
    return downloads.Archive(name, len(data), hashlib.sha256(data).hexdigest(), folders)


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Say nothing."""

    def do_GET(self):
        if self.path.startswith("/cut/"):
            data = (self.server.folder / self.path.removeprefix("/cut/")).read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: len(data) // 2])
        else:
            super().do_GET()


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "server"
    folder.mkdir()
    handler = functools.partial(Handler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as service:
        service.folder = folder
        threading.Thread(target=service.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{service.server_address[1]}/"
        service.shutdown()


def prepare(root, url, *archives):
    return downloads.prepare_mini_div2k(Paths(root), url=url, archives=archives)


def test_good_files_become_the_split_and_are_not_fetched_again(server, tmp_path, monkeypatch):
    folder, url = server
    hr = make_zip(["HR/0001.png", "HR/0002.png", "HR/0003.png"])
    lr = make_zip(["LR/0001x4.png", "LR/0002x4.png"])
    (folder / "HR.zip").write_bytes(hr)
    (folder / "LR.zip").write_bytes(lr)
    both = archive_of(hr), archive_of(lr, "LR.zip", val_LR=("LR/{:04d}x4.png", range(1, 3)))
    target = prepare(tmp_path, url, *both)
    assert sorted(path.relative_to(target).as_posix() for path in target.rglob("*.png")) == [
        "val_HR/0001.png",
        "val_HR/0002.png",
        "val_LR/0001x4.png",
        "val_LR/0002x4.png",
    ]
    assert (images.read_image(target / "val_HR" / "0002.png") == PHOTO).all()
    (target / "val_HR" / "0001.png").unlink()
    shutil.rmtree(folder)
    prepare(tmp_path, url, *both)  # from the zips that lie there
    assert (target / "val_HR" / "0001.png").exists()
    shutil.rmtree(tmp_path / "data" / "downloads")
    prepare(tmp_path, url, *both)  # nothing is missing, so no zip is


@pytest.mark.parametrize(
    ("kind", "told"),
    [("cut", "curl -L -C -"), ("missing", "404"), ("wrong", "hash"), ("nobody", "curl -L -C -")],
)
def test_a_failed_download_says_how_to_go_on_and_leaves_nothing(server, tmp_path, kind, told):
    folder, url = server
    data = make_zip(["HR/0001.png", "HR/0002.png"])
    if kind != "missing":
        (folder / "HR.zip").write_bytes(data[:-1] + b"x" if kind == "wrong" else data)
    address = {"cut": url + "cut/", "nobody": "http://127.0.0.1:1/"}.get(kind, url)
    with pytest.raises(OSError, match=told) as error:
        prepare(tmp_path, address, archive_of(data))
    assert "HR.zip" in str(error.value) and "curl" in str(error.value)
    assert not list((tmp_path / "data" / "downloads").iterdir())
    assert not (tmp_path / "data" / "mini-DIV2K").exists()


def test_an_incomplete_zip_by_hand_is_kept_and_told(tmp_path):
    data = make_zip(["HR/0001.png", "HR/0002.png"])
    path = tmp_path / "data" / "downloads" / "HR.zip"
    path.parent.mkdir(parents=True)
    path.write_bytes(data[:100])
    with pytest.raises(ValueError, match=r"100 bytes there differ.*curl -L -C -"):
        prepare(tmp_path, "http://127.0.0.1:1/", archive_of(data))
    assert path.stat().st_size == 100
    path.write_bytes(data)
    assert len(list(prepare(tmp_path, "http://127.0.0.1:1/", archive_of(data)).rglob("*.png"))) == 2


@pytest.mark.parametrize("name", ["../evil.png", "HR/../../evil.png", "/evil.png", "..\\evil.png"])
def test_a_name_that_leads_out_is_never_unpacked(tmp_path, name):
    data = make_zip(["HR/0001.png", "HR/0002.png", name])
    path = tmp_path / "data" / "downloads" / "HR.zip"
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    target = prepare(tmp_path, "http://127.0.0.1:1/", archive_of(data))
    unpacked = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(unpacked) == [path, target / "val_HR" / "0001.png", target / "val_HR" / "0002.png"]


def test_no_space_is_told_before_the_download(server, tmp_path, monkeypatch):
    usage = namedtuple("Usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1, 1, 10))
    data = make_zip(["HR/0001.png", "HR/0002.png"])
    with pytest.raises(OSError, match="Make space"):
        prepare(tmp_path, server[1], archive_of(data))


def test_the_registry_is_the_pinned_one():
    sizes = {archive.name: archive.size for archive in downloads.DIV2K}
    assert sizes["DIV2K_train_HR.zip"] == 3530603713 and len(sizes) == 4
    counts = {folder: len(numbers) for one in downloads.DIV2K for folder, (_, numbers) in one.folders.items()}
    assert counts == {"train_HR": 500, "train_LR": 500, "val_HR": 80, "val_LR": 80, "test_LR": 80}
    assert len(downloads.SET5_REGISTRY.read_text(encoding="utf-8").splitlines()) == 10


def test_without_mini_div2k_the_ways_to_it_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="sr-utils download"):
        sources.find_split(configure("full"), Paths(tmp_path), "train")
