"""What one does with a run: look at it closely, note something, send it to a colleague, delete it."""

import json
import shutil
import tempfile
from pathlib import Path

from sr_utils.console import say
from sr_utils.experiments.runs import NOTE, KnownRun
from sr_utils.files import put_in_place, write_atomic
from sr_utils.names import words
from sr_utils.paths import Paths
from sr_utils.training.run_files import LOG, RECORD, WEIGHTS, is_training


def tell(run: KnownRun) -> str:
    """All that is known of a run, in lines."""
    record, facts = run.record, run.facts()
    lines = [
        f"{run.name}: {run.state}",
        f"  profile {run.profile} with {words(run.changes) or 'nothing changed'}",
        f"  network {record['label']}, {record.get('parameters', 0):,} parameters",
        f"  step {run.step:,} of {facts['total_steps']:,}, {facts['minutes'] or 0:.1f} minutes of training",
    ]
    if run.psnr:
        gain = f", {run.gain:+.2f} over bicubic" if run.gain is not None else ""
        lines.append(f"  best validation {run.psnr:.2f} dB (RGB, border 4{gain}) on {run.photos}")
    for name in ("device", "machine"):
        lines += [f"  {name} {record[name]}"] if name in record else []
    if versions := record.get("versions"):
        lines.append("  versions " + ", ".join(f"{name} {value}" for name, value in versions.items()))
    for told, key in (("learned from", "data_fingerprint"), ("validated on", "val_fingerprint")):
        lines += [f"  photos {told}: fingerprint {record[key]}"] if record.get(key) else []
    for event in record["history"]:
        why = f": {event['why']}" if event.get("why") else ""
        lines.append(f"  {event['at'].replace('T', ' ')}  {event['event']} at step {event['step']:,}{why}")
    lines += [f"  note: {line}" for line in run.note.splitlines()]
    return "\n".join(lines)


def write_note(run: KnownRun, text: str) -> None:
    """Keep a few words with a run, in place of those before; empty: none."""
    if text.strip():
        write_atomic(run.folder / NOTE, text.strip() + "\n")
    else:
        (run.folder / NOTE).unlink(missing_ok=True)


def what_goes(run: KnownRun, paths: Paths) -> dict[Path, float]:
    """The folders that `delete` deletes, and their megabytes."""
    folders = [folder for folder in (run.folder, paths.results(run.name)) if folder.is_dir()]
    return {
        folder: sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
        for folder in folders
    }


def delete(run: KnownRun, paths: Paths) -> None:
    """Delete a run with its results; ValueError while it trains, or for a link."""
    for folder in what_goes(run, paths):
        if folder.is_symlink():
            raise ValueError(f"{folder} is a link: remove it yourself.")
    if is_training(run.folder):
        raise ValueError(f"{run.name} is being trained now. Stop it first.")
    for folder in what_goes(run, paths):
        shutil.rmtree(folder)


def export(run: KnownRun, paths: Paths, target: Path) -> list[str]:
    """Copy weights, config, log, note and figures into a new folder; returns the names of the files.

    ValueError if there is something of that name.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ValueError(f"{target} is there already: name a folder that is new or empty.")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".export-") as place:
        beside = Path(place) / run.name
        beside.mkdir()
        for name in (*WEIGHTS, LOG, RECORD, NOTE):
            if (run.folder / name).is_file():
                shutil.copy(run.folder / name, beside / name)
        write_atomic(beside / "config.json", json.dumps(run.record["config"], indent=1))
        figures = paths.results(run.name) / "figures"
        if figures.is_dir():
            shutil.copytree(figures, beside / "figures")
        if target.exists():
            target.rmdir()
        put_in_place(beside, target)
    files = sorted(path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file())
    say(f"{len(files)} files in {target}: {', '.join(files[:8])}")
    return files
