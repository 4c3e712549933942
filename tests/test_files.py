import os
from pathlib import Path

import pytest

from sr_utils.data.swap import swapped_in
from sr_utils.files import put_in_place, write_atomic


@pytest.fixture
def events(monkeypatch) -> list[tuple[str, str]]:
    """What is flushed and renamed, in order: ("flush", path by then) and ("rename", new path)."""
    told: list[tuple[str, str]] = []
    flush, rename = os.fsync, Path.replace

    def fsync(handle: int) -> None:
        told.append(("flush", os.readlink(f"/proc/self/fd/{handle}")))  # noqa: PTH115
        flush(handle)

    def replace(self: Path, target: Path) -> Path:
        told.append(("rename", str(target)))
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    return told


needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="names open files by /proc")


@needs_proc
def test_a_file_is_on_the_disk_before_its_name_and_its_name_before_we_go_on(tmp_path: Path, events) -> None:
    write_atomic(tmp_path / "state.pt", b"new")
    (first, beside), *rest = events
    assert first == "flush" and Path(beside).parent == tmp_path and beside != str(tmp_path / "state.pt")
    assert rest == [("rename", str(tmp_path / "state.pt")), ("flush", str(tmp_path))]


@needs_proc
def test_a_folder_is_on_the_disk_before_it_is_swapped_in(tmp_path: Path, events) -> None:
    """A store with an LMDB in a folder of its own; what it replaces is renamed after that."""
    (tmp_path / "store").mkdir()
    with swapped_in(tmp_path / "store") as building:
        (building / "HR_sub.lmdb").mkdir()
        (building / "HR_sub.lmdb" / "data.mdb").write_bytes(b"pixels")
        del events[:]
    beside = tmp_path / "store.building"
    flushed = {beside, beside / "HR_sub.lmdb", beside / "HR_sub.lmdb" / "data.mdb"}
    assert set(events[:3]) == {("flush", str(path)) for path in flushed}
    renamed = [("rename", str(tmp_path / name)) for name in ("store.old", "store")]
    assert events[3:] == [*renamed, ("flush", str(tmp_path))]


def test_what_was_there_can_be_kept(tmp_path: Path) -> None:
    path, before = tmp_path / "state.pt", tmp_path / "state.previous.pt"
    for content in (b"1", b"2", b"3"):
        write_atomic(path, content, keep=before)
    assert (path.read_bytes(), before.read_bytes()) == (b"3", b"2") and len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("name", ["x" * 251 + ".png", "写" * 83 + ".png"], ids=["ascii", "three bytes each"])
def test_names_may_be_as_long_as_the_disk_allows(tmp_path: Path, name: str) -> None:
    write_atomic(tmp_path / name, b"new")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_flush_that_fails_keeps_the_old_file(tmp_path: Path, monkeypatch) -> None:
    write_atomic(tmp_path / "file", b"old")

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)  # network drives tell of a full disk as late as this
    with pytest.raises(OSError, match="No space left"):
        write_atomic(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_cannot_be_flushed_is_no_error(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "beside").mkdir()

    def fail(_: int) -> None:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "fsync", fail)
    put_in_place(tmp_path / "beside", tmp_path / "store")
    assert (tmp_path / "store").is_dir()


@pytest.mark.parametrize("function", ["replace", "write_bytes"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch, function: str
) -> None:
    path = tmp_path / "file.txt"
    write_atomic(path, "old ×4")
    assert path.read_text(encoding="utf-8") == "old ×4"

    def fail(self: Path, *arguments: object) -> None:
        if function == "write_bytes":
            with self.open("wb") as file:
                file.write(b"ha")  # a full disk stops in the middle
        raise OSError("no space left")

    monkeypatch.setattr(Path, function, fail)
    with pytest.raises(OSError, match="no space"):
        write_atomic(path, b"new")
    assert os.listdir(tmp_path) == ["file.txt"]  # noqa: PTH208
    assert path.read_text(encoding="utf-8") == "old ×4"
