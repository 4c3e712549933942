"""A good hand-in, altered in many ways: each alteration fails by its own rule, and none crashes the check."""

import os
import shutil
from pathlib import Path

import pytest
from altered_hand_ins import ALTERATIONS, LINKS, NO_HAND_IN, TOLERATED, edit_story, scores_of
from hand_in_project import CONFIG, PARAMETERS, make_project, write_report

from sr_utils.data.sources import find_split
from sr_utils.hand_in import folder as hand_in_files
from sr_utils.hand_in import submission
from sr_utils.hand_in.rules import as_table, check


@pytest.fixture(scope="module")
def project(tmp_path_factory, make_photo):
    paths = make_project(tmp_path_factory.mktemp("project"), make_photo)
    submission.build(CONFIG, paths)
    return paths


@pytest.fixture
def folder(project, tmp_path) -> Path:
    """A copy of the good hand-in."""
    return shutil.copytree(project.root / "report" / "submission", tmp_path / "submission")


def failing(folder, **options) -> list[str]:
    return [row.rule for row in check(folder, **options) if not row.passed]


def test_the_good_hand_in_passes(project, folder):
    rows = check(folder, val_pairs=find_split(CONFIG, project, "val"))
    assert [row for row in rows if not row.passed] == [] and len(rows) == 22
    assert (as_table(rows)[""] == "✔ pass").all()
    assert f"{PARAMETERS} < 1,821,085" in [row.figure for row in rows]


@pytest.mark.parametrize("kind", ALTERATIONS)
def test_an_altered_hand_in_fails_by_its_own_rule(folder, kind):
    alter, rule = ALTERATIONS[kind]
    if os.name == "nt" and rule == LINKS:
        pytest.skip("links and pipes of POSIX")
    alter(folder)
    assert [name for name in failing(folder) if name.startswith(rule)], failing(folder)


@pytest.mark.parametrize("kind", TOLERATED)
def test_what_breaks_no_rule_passes(folder, kind):
    TOLERATED[kind](folder)
    assert failing(folder) == []


def test_validation_is_of_exactly_these_photos(project, folder):
    rule, pairs = "validation PSNR recomputed (RGB, border 4)", find_split(CONFIG, project, "val")
    scores = scores_of(folder)
    assert failing(folder, val_pairs=pairs[:1]) == [rule]
    for changed in (
        {"val0": scores["val0"]},
        scores | {"easy": 60.0},
        scores | {"val0": scores["val0"] + 0.02},
        {"val0": scores["val0"], "other": scores["val1"]},
    ):
        edit_story(folder, val_psnr_rgb_border4=changed)
        write_report(folder / "report.pdf", changed)
        assert failing(folder, val_pairs=pairs) == [rule]
        assert failing(folder) == []  # nothing in the folder says so


def test_the_source_is_compared_with_the_package_where_no_project_is_at_hand(project, folder, monkeypatch):
    monkeypatch.setattr("sr_utils.__file__", str(project.root / "alone" / "sr_utils" / "__init__.py"))
    shutil.copytree(
        Path(hand_in_files.__file__).parents[1], project.root / "alone" / "sr_utils", dirs_exist_ok=True
    )
    told = {row.rule: row.figure for row in check(folder)}
    assert "the notebooks not compared" in told["source code as in the project that checks it"]
    assert failing(folder) == []
    newer = project.root / "alone" / "sr_utils" / "training" / "train.py"
    newer.write_text("newer = True", encoding="utf-8")
    [row] = [row for row in check(folder) if not row.passed]
    assert row.figure == "sr_utils/training/train.py differs" and "another version of the project" in row.todo


@pytest.mark.parametrize("kind", NO_HAND_IN)
def test_a_folder_without_a_good_manifest_is_no_hand_in(folder, kind):
    NO_HAND_IN[kind](folder)
    with pytest.raises(ValueError, match=r"no hand-in, or damaged.*Run notebook 07 again"):
        check(folder)
