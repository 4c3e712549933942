"""The hand-in: its folder and its zip; `rules` checks it."""

import json
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sr_utils.config import Config
from sr_utils.data import sources
from sr_utils.data.splits import open_split
from sr_utils.data.swap import CLAIM, swapped_in
from sr_utils.enlarging.outputs import read_manifest
from sr_utils.files import put_in_place, write_atomic
from sr_utils.hand_in.folder import CHECKPOINT, MANIFEST, RECORDS, REPORT, files_of_others, list_files, sha256
from sr_utils.hand_in.rules import Rule, as_table, check
from sr_utils.hand_in.source_rules import SOURCES, copy_sources
from sr_utils.headers import read_header
from sr_utils.paths import Paths

__all__ = ["SOURCES", "as_table", "build", "check", "pack"]


def build(config: Config, paths: Paths) -> Path:
    """Copy images, checkpoint, report and source code into `report/submission/`, with a manifest.

    The zip of an earlier one is set aside as `submission.old.zip`.

    Raises:
        FileNotFoundError: something is missing; the message names the notebook that makes it.
        ValueError: the folder holds files of the user's own, which would be lost.
    """
    folder = paths.root / "report" / "submission"
    _require_ours(folder)
    with swapped_in(folder) as beside:
        files = sources.find_test_images(config, paths)
        made = paths.results(config) / "test"
        _copy_images(files, made, beside)
        _copy(paths.run(config) / "best.safetensors", beside / CHECKPOINT, "03_train")
        _copy(paths.root / "report" / REPORT, beside, "07_report")
        copy_sources(paths.root, beside / "source")
        store = open_split(config, paths).description
        manifest = {
            "profile": config.profile,
            "test_images": config.test_images,
            "inputs": {file.stem: {"size": read_header(file)[:2], "sha256": sha256(file)} for file in files},
            "sample": files[0].stem,
            "data_fingerprint": store["fingerprint"],
            "files": {name: sha256(beside / name) for name in list_files(beside)[0] if name != CLAIM},
        }
        write_atomic(beside / MANIFEST, json.dumps(manifest, indent=1))
    _set_aside(_zip_of(folder))
    return folder


def _copy_images(files: Sequence[Path], made: Path, beside: Path) -> None:
    """The enlarged images of the inputs with their records, and the first input."""
    (beside / "images").mkdir()
    for file in files:
        _copy(made / f"{file.stem}.png", beside / "images", "04_infer_test_set")
    records = read_manifest(made)
    lines = [json.dumps(records[file.stem]) + "\n" for file in files if file.stem in records]
    write_atomic(beside / RECORDS, "".join(lines))
    shutil.copy(files[0], beside / f"sample_LR{files[0].suffix}")


def _copy(origin: Path, target: Path, notebook: str) -> None:
    if not origin.exists():
        raise FileNotFoundError(f"{origin} is missing. Run notebooks/{notebook}.ipynb first.")
    shutil.copy(origin, target)


def _require_ours(folder: Path) -> None:
    """ValueError if a folder that is to be replaced holds what `build` did not put there."""
    if folder.is_symlink():
        raise ValueError(f"{folder} is a link. Remove it; a hand-in is built in a folder of its own.")
    files, others = list_files(folder)
    try:
        built: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
        own = [name for name in files if name != MANIFEST and sha256(folder / name) != built.get(name)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # none, or of an older version
        own = files_of_others(files)
    if own or others:
        raise ValueError(
            f"{folder} holds files that were added or changed since it was built, and that would be lost: "
            f"{', '.join([*own, *others][:5])}. Move them elsewhere, or delete the folder."
        )


def pack(folder: Path | str, rows: Sequence[Rule], *, despite_failures: bool = False) -> Path:
    """Zip a checked hand-in beside its folder; an earlier zip is set aside as `<folder>.old.zip`.

    Raises:
        ValueError: a rule failed, and `despite_failures` is not set.
    """
    folder = Path(folder)
    target, beside = _zip_of(folder), folder.with_name(f"{folder.name}.zip.part")
    _set_aside(target)
    failed = [row.rule for row in rows if not row.passed]
    if failed and not despite_failures:
        raise ValueError(
            f"No zip: {len(failed)} rules fail ({'; '.join(failed)}). despite_failures=True packs it."
        )
    with zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in list_files(folder)[0]:
            archive.write(folder / name, f"{folder.name}/{name}")
    put_in_place(beside, target)
    return target


def _zip_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.zip")


def _set_aside(archive: Path) -> None:
    """An earlier zip is not taken for the hand-in of now, and not lost either."""
    if archive.exists():
        archive.replace(archive.with_suffix(".old.zip"))
