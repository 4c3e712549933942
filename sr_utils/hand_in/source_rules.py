"""The source code of a hand-in: what belongs to it, and whether it is the project's."""

import json
import shutil
from pathlib import Path

import sr_utils
from sr_utils.hand_in.folder import HandIn, list_files, sha256
from sr_utils.hand_in.rule import Rule, listed

SOURCES = (
    "sr_utils",
    "notebooks",
    "report/report.typ",
    "report/references.yml",
    "bench/ablations.csv",
    "bench/curves.json",
    "bench/results.json",
    "report/figures",
    "report/make_figures.py",
    "data/README.md",
    "checkpoints/README.md",
    "requirements.txt",
    "pyproject.toml",
    "Makefile",
    "README.md",
    "LICENSE",
)


def copy_sources(root: Path, target: Path) -> None:
    """Copy what a project hands in of its own files."""
    for name, path in _find_sources(root, SOURCES).items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target / name)


def _find_sources(root: Path, parts: tuple[str, ...]) -> dict[str, Path]:
    names = []
    for part in parts:
        place = root / part
        inside = list_files(place)[0] if place.is_dir() else []
        names += [f"{part}/{name}" for name in inside] + [part] * place.is_file()
    return {name: root / name for name in names if "/." not in f"/{name}"}  # no hidden ones


def check_source(hand_in: HandIn) -> list[Rule]:
    """Whether source/ is as it was built, and as in the project that runs this check."""
    found = {
        name.removeprefix("source/"): hand_in.folder / name
        for name in hand_in.files
        if name.startswith("source/")
    }
    built = {
        (name.removeprefix("source/"), digest)
        for name, digest in hand_in.manifest["files"].items()
        if name.startswith("source/")
    }
    changed = sorted({name for name, _ in built ^ {(name, sha256(path)) for name, path in found.items()}})
    unlike, told = _compare(found)
    return [
        Rule(
            "source code as it was built (attested)",
            bool(built) and not changed,
            listed(changed, f"{len(found)} files"),
            "Run 07 again.",
        ),
        Rule(
            "source code as in the project that checks it",
            not unlike,
            listed(unlike, told),
            "Run 07 again. Was it built by another version of the project? Then check it with that one.",
        ),
    ]


def _compare(found: dict[str, Path]) -> tuple[list[str], str]:
    """What differs from the project that runs, and what it was compared with."""
    root = Path(sr_utils.__file__).parents[1]
    at_hand = (root / "pyproject.toml").is_file()  # else the package was installed without its project
    own = _find_sources(root, SOURCES if at_hand else ("sr_utils",))
    found = {name: path for name, path in found.items() if at_hand or name.startswith("sr_utils/")}
    unlike = [f"{name} is missing" for name in own.keys() - found.keys()]
    unlike += [f"{name} is not of the project" for name in found.keys() - own.keys()]
    unlike += [
        f"{name} differs"
        for name in own.keys() & found.keys()
        if _essence(own[name]) != _essence(found[name])
    ]
    return sorted(unlike), f"{len(found)} files" + ("" if at_hand else ", the notebooks not compared")


def _essence(path: Path) -> object:
    """A file's content but for line endings, and for what editing parameters and running change."""
    content = path.read_bytes().replace(b"\r\n", b"\n")
    if path.suffix != ".ipynb":
        return content
    cells = json.loads(content)["cells"]
    return [
        (cell["cell_type"], "".join(cell["source"]))
        for cell in cells
        if not {"parameters", "injected-parameters"} & set(cell["metadata"].get("tags", []))
    ]
