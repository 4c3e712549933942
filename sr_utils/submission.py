"""The hand-in: its folder and its zip; `rules` checks it."""

import json
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

from sr_utils import images, sources
from sr_utils.config import Config
from sr_utils.files import put_in_place, write_atomic
from sr_utils.infer import MANIFEST
from sr_utils.paths import Paths
from sr_utils.rules import Rule, as_table, check
from sr_utils.splits import open_split
from sr_utils.swap import swapped_in

__all__ = ["as_table", "build", "check", "pack"]

SOURCES = ("sr_utils", "notebooks", "report/report.typ", "report/references.yml", "bench/ablations.csv",
           "bench/curves.json", "bench/results.json", "report/figures", "report/make_figures.py",
           "data/README.md", "checkpoints/README.md", "requirements.txt", "pyproject.toml", "Makefile",
           "README.md", "LICENSE")  # fmt: skip


def build(config: Config, paths: Paths) -> Path:
    """Copy images, checkpoint, report and source code into `report/submission/`, with a manifest.

    Raises:
        FileNotFoundError: something is missing; the message names the notebook that makes it.
    """
    folder = paths.root / "report" / "submission"
    with swapped_in(folder) as beside:
        (beside / "images").mkdir()
        files = sources.find_test_images(config, paths)
        made = paths.results(config.run_name) / "test"
        for file in files:
            _copy(made / f"{file.stem}.png", beside / "images", "04_infer_test_set")
        _copy(made / MANIFEST, beside, "04_infer_test_set")
        _copy(files[0], beside / f"sample_LR{files[0].suffix}", "01_prepare_data")
        best = paths.run(config.run_name) / "best.safetensors"
        _copy(best, beside / "checkpoint.safetensors", "03_train")
        _copy(paths.root / "report" / "report.pdf", beside, "07_report")
        for name in SOURCES:
            origin, target = paths.root / name, beside / "source" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if origin.is_dir():
                shutil.copytree(origin, target, ignore=shutil.ignore_patterns("__pycache__", ".*"))
            elif origin.exists():
                shutil.copy(origin, target)
        manifest = {
            "profile": config.profile,
            "test_images": config.test_images,
            "lr_sizes": {file.stem: images.read_header(file)[:2] for file in files},
            "sample": files[0].stem,
            "data_fingerprint": open_split(config, paths).description["fingerprint"],
        }
        write_atomic(beside / "manifest.json", json.dumps(manifest, indent=1))
    return folder


def _copy(origin: Path, target: Path, notebook: str) -> None:
    if not origin.exists():
        raise FileNotFoundError(f"{origin} is missing. Run notebooks/{notebook}.ipynb first.")
    shutil.copy(origin, target)


def pack(folder: Path | str, rows: Sequence[Rule], *, despite_failures: bool = False) -> Path:
    """Zip a checked hand-in beside its folder.

    Raises:
        ValueError: a rule failed, and `despite_failures` is not set.
    """
    folder = Path(folder)
    failed = [row.rule for row in rows if not row.passed]
    if failed and not despite_failures:
        raise ValueError(
            f"No zip: {len(failed)} rules fail ({'; '.join(failed)}). despite_failures=True packs it."
        )
    target, beside = folder.with_suffix(".zip"), folder.with_suffix(".zip.part")
    with zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            archive.write(path, Path(folder.name) / path.relative_to(folder))
    put_in_place(beside, target)
    return target
