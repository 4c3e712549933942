"""The challenge's rules as checks of a hand-in: pass or fail, with the figure."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from sr_utils import checkpoints
from sr_utils.data.pair import Pair
from sr_utils.hand_in.checkpoint_rules import check_network, check_story, check_validation
from sr_utils.hand_in.folder import CHECKPOINT, check_files, list_files, opened, read_hand_in
from sr_utils.hand_in.image_rules import check_images, check_origin
from sr_utils.hand_in.report_rules import check_report
from sr_utils.hand_in.rule import Rule, listed
from sr_utils.hand_in.source_rules import check_source

__all__ = ["Rule", "as_table", "check"]


def check(path: Path | str, *, val_pairs: Sequence[Pair] = ()) -> list[Rule]:
    """Every rule of the challenge on a hand-in made by `submission.build`.

    What a folder cannot prove is taken from its records; the names of those rules end in "(attested)".

    Args:
        path: the hand-in, a folder or the zip of one; a zip is unpacked to a temporary place.
        val_pairs: all validation photos; with them the PSNR is computed again from the checkpoint.

    Returns:
        One row per rule, failing ones included; the first one alone where the folder has links, which are
        not followed.

    Raises:
        ValueError: no hand-in: no folder or zip that can be read, or none with a readable manifest.
    """
    with opened(Path(path)) as folder:
        return _check_folder(folder, val_pairs)


def _check_folder(folder: Path, val_pairs: Sequence[Pair]) -> list[Rule]:
    files, others = list_files(folder)
    rows = [
        Rule(
            "files and folders, no links",
            not others,
            listed(others, f"{len(files)} files"),
            "Put the files themselves there.",
        )
    ]
    if others:
        return rows
    hand_in = read_hand_in(folder, files)
    rows += [*check_files(hand_in), *_guarded("source code", lambda: check_source(hand_in))]
    try:
        model, metadata = checkpoints.load_checkpoint(folder / CHECKPOINT)
    except Exception as error:  # of a stranger's file; see `_guarded`
        todo = "Put the run's checkpoint there."
        return [*rows, Rule("checkpoint loads strictly", False, str(error), todo)]
    rows.append(Rule("checkpoint loads strictly", True, model.label, ""))
    weights, ensemble = checkpoints.weights_digest(model), metadata.get("ensemble", "unknown")
    for what, part in (
        ("images", lambda: check_images(hand_in, metadata.get("config", {}))),
        ("network", lambda: check_network(hand_in, model)),
        ("records", lambda: check_origin(hand_in, weights, ensemble)),
        ("story", lambda: check_story(hand_in, model, metadata)),
        ("report", lambda: check_report(hand_in, model, metadata)),
        ("validation PSNR", lambda: check_validation(model, metadata, val_pairs)),
    ):
        rows += _guarded(what, part)
    return rows


def _guarded(what: str, part: Callable[[], list[Rule]]) -> list[Rule]:
    """The rows of a part; one that fails where a damaged file stops it, whatever the error of its reader."""
    try:
        return part()
    except Exception as error:  # PDF, PNG and JSON readers raise many kinds
        return [Rule(f"{what} readable", False, repr(error), "Run 04 and 07 again.")]


def as_table(rows: Sequence[Rule]) -> pd.DataFrame:
    """The checks as a table, with a mark that needs no colour."""
    marks = {True: "✔ pass", False: "✘ FAIL"}
    cells = [(marks[row.passed], row.rule, row.figure, "" if row.passed else row.todo) for row in rows]
    return pd.DataFrame(cells, columns=["", "rule", "found", "to do"])
