"""README: its links exist and its commands are real."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^python ((?:-m )?[\w./]+)", README, re.M)


def test_relative_links_exist():
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", README) + re.findall(
        r"src=\"(?!https?:)([^\"]+)\"", README
    )
    assert len(links) > 5
    for link in links:
        assert (REPOSITORY / link).exists(), link


def test_links_inside_the_page_exist():
    headings = re.findall(r"^#+ (.+)$", README, re.M)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    for link in re.findall(r"\]\(#([^)]+)\)", README):
        assert link in anchors


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_every_make_target_of_the_readme_exists():
    targets = set(re.findall(r"`make ([a-z-]+)", README))
    assert {"demo", "test", "lab"} <= targets
    for target in targets:
        subprocess.run(["make", "-n", target], cwd=REPOSITORY, check=True, capture_output=True)


@pytest.mark.parametrize("command", sorted(set(COMMANDS)))
def test_every_command_of_the_readme_has_help(command):
    if command.startswith("-m ") and not command.startswith("-m sr_utils"):
        pytest.skip("not a command of ours")
    done = subprocess.run([sys.executable, *command.split(), "--help"], cwd=REPOSITORY, capture_output=True)
    assert done.returncode == 0 and b"usage" in done.stdout
