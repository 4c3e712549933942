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
