"""Measuring and showing: tables, pages, the rules of the challenge, and files for other programs."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from sr_utils.commands.shared import SOME, Command, File, Foreign

if TYPE_CHECKING:
    from sr_utils.data.pair import Pair


@dataclass(kw_only=True)
class Evaluate(Command, Foreign):
    """Measure networks against bicubic: mean PSNR and SSIM (RGB and Y, border 4), the best one first."""

    weights: Annotated[Positional[tuple[Path, ...]], arg(metavar="WEIGHTS …", help_behavior_hint=SOME)]
    """Checkpoints: .safetensors of ours, or .pth."""
    photos: Annotated[tuple[str, ...], arg(metavar="Set5|HR_DIR [LR_DIR]")] = ("Set5",)
    """Set5, or a folder of photos and, if there is one, that of their ×4 reduced versions."""
    csv: File = None
    """Write the table there, too."""

    def __post_init__(self) -> None:
        if not self.weights or not 1 <= len(self.photos) <= 2:
            raise ValueError("expected at least one checkpoint, and one or two folders of photos.")
        if self.csv and self.csv.suffix != ".csv":
            raise ValueError(f"--csv: expected a name that ends in .csv, got {self.csv}.")

    def run(self) -> None:
        """Measure all, print the table."""
        from sr_utils.experiments import evaluation
        from sr_utils.files import write_atomic

        networks = {name: self.load(path) for name, path in _labels(self.weights).items()}
        table = evaluation.rank(networks, self._pairs())
        print(table.round(3).to_string())
        if self.csv:
            write_atomic(self.csv, table.to_csv(float_format="%.4f"))
        print(f"done: {len(networks)} networks and bicubic on {' '.join(self.photos)}")

    def _pairs(self) -> "list[Pair]":
        from sr_utils.config import OPEN
        from sr_utils.data import sources
        from sr_utils.data.pair import find_pairs

        if self.photos != ("Set5",):
            pairs = find_pairs(self.photos[0], self.photos[1] if self.photos[1:] else None)
            return sources.with_detail(pairs, "photos")
        found, pairs = sources.find_benchmark(OPEN, self.paths())
        if found != "Set5":
            raise FileNotFoundError("Set5 is missing and was not downloaded; see data/README.md.")
        return pairs


def _labels(paths: tuple[Path, ...]) -> dict[str, Path]:
    """Each file by its name, with its folder's where two have the same."""
    names = [path.stem for path in paths]
    alone = {name for name in names if names.count(name) == 1 and name != "bicubic"}
    labels = [path.stem if path.stem in alone else str(path) for path in paths]
    return dict(zip(labels, paths, strict=True))


@dataclass(kw_only=True)
class Compare(Command):
    """Write a page that shows the outputs of any tools before and after a line to drag."""

    hr: Annotated[Positional[Path], arg(metavar="HR_DIR")]
    """Folder of the true photos."""
    outputs: Annotated[Positional[tuple[str, ...]], arg(metavar="NAME=DIR …", help_behavior_hint=SOME)]
    """A name for a tool, and the folder of its ×4 images, named as the photos."""
    out: Annotated[Path, arg(metavar="FILE")] = Path("compare.html")
    """The page."""

    def __post_init__(self) -> None:
        names = [text.partition("=")[0] for text in self.outputs]
        if not names or not all("=" in text and text.partition("=")[2] for text in self.outputs):
            raise ValueError(f"expected NAME=DIR for each tool, got {' '.join(self.outputs) or 'none'}.")
        if len({*names, "HR", ""}) < len(names) + 2:
            raise ValueError(f"expected different names, none of them HR, got {' '.join(names)}.")
        if self.out.suffix != ".html":
            raise ValueError(f"--out: expected a name that ends in .html, got {self.out}.")

    def run(self) -> None:
        """Read all images, name those that are missing or of another size, write the page."""
        from sr_utils.experiments.evaluation import read_outputs
        from sr_utils.views.compare import compare_html

        folders = {name: Path(folder) for name, _, folder in (text.partition("=") for text in self.outputs)}
        images = read_outputs(self.hr, folders)
        compare_html(images, self.out, left=next(iter(folders)))
        print(f"done: {len(images)} photos, {', '.join(folders)} in {self.out}")


@dataclass(kw_only=True)
class Check(Command):
    """Check a hand-in against the rules of the challenge."""

    hand_in: Annotated[Positional[Path], arg(metavar="FOLDER_OR_ZIP")]
    """What notebook 07 made: report/submission, or its zip."""

    def run(self) -> None:
        """Print each rule with what was found."""
        from sr_utils.hand_in.rules import check

        rows = check(self.hand_in)
        for row in rows:
            print(f"{'pass' if row.passed else 'FAIL'}  {row.rule}: {row.figure}")
        if failed := [row for row in rows if not row.passed]:
            told = "; ".join(f"{row.rule}: {row.todo}" for row in failed)
            raise ValueError(f"{len(failed)} of {len(rows)} rules fail: {told}")
        print(f"done: all {len(rows)} rules pass")


@dataclass(kw_only=True)
class Export(Command, Foreign):
    """Write a network as ONNX with free height and width, for other programs."""

    weights: Annotated[Positional[Path], arg(metavar="WEIGHTS")]
    """A .safetensors of ours, or a .pth."""
    model: Annotated[Positional[Path], arg(metavar="MODEL.onnx")]
    """The file to write."""

    def __post_init__(self) -> None:
        if self.model.suffix != ".onnx":
            raise ValueError(f"expected a name that ends in .onnx, got {self.model}.")

    def run(self) -> None:
        """Write the file."""
        from sr_utils.enlarging.export import export_onnx

        export_onnx(self.load(self.weights), self.model)
        print(f"done: {self.model}, {self.model.stat().st_size / 1e6:.1f} MB")
