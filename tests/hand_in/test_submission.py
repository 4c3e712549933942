"""Building and packing a hand-in: what a user put there stays, and a zip is of the hand-in of now."""

import os
import shutil
import stat
import zipfile

import pytest
from hand_in_project import CONFIG, make_project

from sr_utils import images
from sr_utils.hand_in import folder as hand_in_files
from sr_utils.hand_in import submission
from sr_utils.hand_in.rules import check


@pytest.fixture(scope="module")
def good(tmp_path_factory, make_photo):
    paths = make_project(tmp_path_factory.mktemp("project"), make_photo)
    folder = submission.build(CONFIG, paths)
    return paths, submission.pack(folder, check(folder))


@pytest.fixture
def packed(good, tmp_path):
    """A copy of the zip of a good hand-in."""
    return shutil.copy(good[1], tmp_path / "submission.zip")


def test_a_zip_is_checked_as_its_folder(packed, tmp_path):
    rows = check(packed)
    assert [row for row in rows if not row.passed] == []
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(tmp_path / "out")
    assert check(tmp_path / "out" / "submission") == rows
    shutil.make_archive(str(tmp_path / "flat"), "zip", tmp_path / "out" / "submission")
    assert check(tmp_path / "flat.zip") == rows  # packed without its folder
    with zipfile.ZipFile(packed, "a") as archive:  # as macOS packs it
        archive.writestr("__MACOSX/submission/._report.pdf", "x")
        archive.writestr("submission/.DS_Store", "x")
    assert check(packed) == rows


def add(name, content="x", mode=stat.S_IFREG):
    def change(path):
        entry = zipfile.ZipInfo(name)
        entry.external_attr = mode << 16
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(entry, content)

    return change


def say_encrypted(path):
    data = bytearray(path.read_bytes())
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)


def damage(path):
    data = bytearray(path.read_bytes())
    data[1000:1100] = bytes(100)
    path.write_bytes(data)


BAD_ZIPS = {
    "encrypted": (say_encrypted, "encrypted; pack it without a password"),
    "leading upwards": (add("submission/../../evil"), r"'submission/\.\./\.\./evil' leads out"),
    "leading to the top": (add("/evil"), "'/evil' leads out"),
    "leading to a drive": (add("C:evil"), "'C:evil' leads out"),
    "leading out by backslashes": (add("..\\evil"), "leads out"),
    "a link": (add("submission/images/x.png", "/etc/passwd", stat.S_IFLNK), "x.png is a link"),
    "one name twice": (add("submission/report.pdf"), "two of its files have one name"),
    "a file for a folder": (add("submission/report.pdf/x"), "no hand-in"),
    "too long a name": (add("submission/" + "x" * 300), "no hand-in"),
    "a bomb": (add("submission/bomb", bytes(3 * 10**6)), r"would be \d+ files of"),
    "damaged": (damage, "no hand-in"),
    "cut short": (lambda path: os.truncate(path, 5000), "no hand-in"),
    "no zip": (lambda path: path.write_bytes(b"x"), "not a zip"),
    "nothing": (lambda path: path.unlink(), "No such file"),
    "another zip": (lambda path: (path.unlink(), add("notes.txt")(path)), "no hand-in"),
    "an empty zip": (lambda path: zipfile.ZipFile(path, "w").close(), "no hand-in"),
}


@pytest.mark.parametrize("kind", BAD_ZIPS)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_bad_zip_is_refused_and_writes_nothing_elsewhere(packed, tmp_path, kind, monkeypatch):
    change, told = BAD_ZIPS[kind]
    monkeypatch.setattr(hand_in_files, "MAX_BYTES", 3 * 10**6 + packed.stat().st_size)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    change(packed)
    before = set(tmp_path.iterdir())
    with pytest.raises(ValueError, match=told):
        check(packed)
    assert set(tmp_path.iterdir()) == before and not any((tmp_path / "temporary").iterdir())


@pytest.fixture
def project(good, tmp_path):
    """A copy of the project, with hand-in and zip."""
    paths, _ = good
    root = shutil.copytree(paths.root, tmp_path / "project")
    return type(paths)(root, test_lr=root / "photos" / "test", val_hr=root / "photos" / "val")


OWN = {
    "notes": lambda f: (f / "notes.txt").write_text("mine", encoding="utf-8"),
    "a hidden file": lambda f: (f / ".notes").write_text("mine", encoding="utf-8"),
    "a photo": lambda f: shutil.copy(f / "sample_LR.png", f / "images/mine.png"),
    "a script": lambda f: (f / "source/mine.py").write_text("mine", encoding="utf-8"),
    "a report of one's own": lambda f: (f / "report.pdf").write_bytes(b"%PDF mine"),
    "an edited notebook": lambda f: (f / "source/notebooks/03_train.ipynb").write_text(
        "mine", encoding="utf-8"
    ),
    "a link": lambda f: (f / "mine").symlink_to(f.parent),
    "no manifest": lambda f: (
        (f / "manifest.json").unlink(),
        (f / "notes.txt").write_text("mine", encoding="utf-8"),
    ),
}


@pytest.mark.parametrize("kind", OWN)
def test_a_users_own_files_are_not_replaced(project, kind):
    folder = project.root / "report" / "submission"
    OWN[kind](folder)
    before = {path: path.lstat().st_mtime_ns for path in folder.rglob("*")}
    with pytest.raises(ValueError, match=r"would be lost: .*Move them elsewhere, or delete the folder"):
        submission.build(CONFIG, project)
    assert {path: path.lstat().st_mtime_ns for path in folder.rglob("*")} == before
    shutil.rmtree(folder)
    assert submission.build(CONFIG, project) == folder


def test_a_folder_that_is_a_link_is_not_replaced(project):
    folder = project.root / "report" / "submission"
    folder.rename(project.root / "elsewhere")
    folder.symlink_to(project.root / "elsewhere")
    with pytest.raises(ValueError, match="is a link"):
        submission.build(CONFIG, project)


def test_an_earlier_zip_is_set_aside_when_a_new_hand_in_is_built(project):
    folder = project.root / "report" / "submission"
    archive, aside = folder.with_name("submission.zip"), folder.with_name("submission.old.zip")
    earlier = archive.read_bytes()
    submission.build(CONFIG, project)
    assert not archive.exists() and aside.read_bytes() == earlier
    aside.unlink()
    assert submission.pack(folder, check(folder)) == archive
    (folder / "report.pdf").unlink()
    with pytest.raises(ValueError, match="No zip: 1 rules fail"):
        submission.pack(folder, check(folder))
    assert not archive.exists() and aside.exists()


def test_a_link_is_not_packed(project):
    folder = project.root / "report" / "submission"
    (folder / "images" / "x.png").symlink_to(project.root / "README.md")
    archive = submission.pack(folder, check(folder), despite_failures=True)
    assert "submission/images/x.png" not in zipfile.ZipFile(archive).namelist()


def test_test_images_exchanged_after_notebook_04_fail(project, make_photo):
    images.write_image(project.test_lr / "test1.png", make_photo(12, 16, 99))
    rows = check(submission.build(CONFIG, project))
    assert [(row.rule, row.figure) for row in rows if not row.passed] == [
        ("each made from its input (attested)", "test1")
    ]
    (project.test_lr / "test2.png").unlink()
    rows = check(submission.build(CONFIG, project))
    assert ("number of images", False, "2 of 3") in [(row.rule, row.passed, row.figure[:6]) for row in rows]
