"""README: its links exist and its commands are real."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import get_args

import pytest

from sr_utils.__main__ import main
from sr_utils.commands import COMMANDS

REPOSITORY = Path(__file__).parent.parent
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
NAMES = {command.__name__.lower() for command in get_args(COMMANDS)}


PAGES = sorted([REPOSITORY / "README.md", *REPOSITORY.glob("[bcd]*/README.md")])  # bench, checkpoints, data


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_relative_links_and_their_headings_exist(page: Path):
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:)([^)]+)\)", text) + re.findall(r"src=\"(?!https?:)([^\"]+)\"", text)
    assert links
    for link in links:
        file, _, heading = link.partition("#")
        target = page.parent / file if file else page
        assert target.exists(), link
        if heading:
            headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.M)
            assert heading in {re.sub(r"[^\w\- ]", "", name.lower()).replace(" ", "-") for name in headings}


@pytest.mark.parametrize(
    "name, heading", [("README.md", "## How fast"), ("bench/README.md", "## The figures")]
)
def test_every_ratio_of_speed_was_measured(name: str, heading: str):
    """It stands in results.json, rounded; what is a bound ("more than"), rounded down."""
    section = (REPOSITORY / name).read_text(encoding="utf-8").split(heading)[1].split("\n## ")[0]
    rows = json.loads((REPOSITORY / "bench" / "results.json").read_text(encoding="utf-8"))
    ratios = [(row["value"], "more than" in row["baseline"]) for row in rows if row["unit"] == "×"]
    measured = {
        f"{value - bound * 0.5 / 10**digits:,.{digits}f}" for value, bound in ratios for digits in range(3)
    }
    told = re.findall(r"([\d.,]+)×(?!\d)", section)
    assert told
    assert not [ratio for ratio in told if ratio not in measured]


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_every_make_target_of_the_readme_exists():
    targets = set(re.findall(r"`make ([a-z-]+)", README))
    assert {"demo", "test", "lab"} <= targets
    for target in targets:
        subprocess.run(["make", "-n", target], cwd=REPOSITORY, check=True, capture_output=True)


def test_the_readme_names_every_command_and_only_commands():
    told = set(re.findall(r"^(?:\.venv/bin/)?sr-utils (\w+)|`sr-utils (\w+)", README, re.M))
    assert {name for names in told for name in names if name} <= NAMES
    assert set(re.findall(r"^\| `(\w+)[^|]*` \|", README.split("## The commands")[1], re.M)) & NAMES == NAMES


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_command_has_help(name, capsys):
    assert main([name, "--help"]) == 0
    assert f"usage: sr-utils {name}" in capsys.readouterr().out
