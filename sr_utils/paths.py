"""The folders that a project reads and writes."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from sr_utils.config import Config

CODE = Path(__file__).resolve().parent  # the package that runs


@dataclass(frozen=True)
class Paths:
    """Where a project keeps its files, and, if they are not the embedded ones, where the photos are."""

    root: Path
    """Top folder of the project; every product lies below it."""
    train_hr: Path | None = None
    """Folder of training photos. None: the profile's own (embedded photos, or data/mini-DIV2K/train_HR)."""
    train_lr: Path | None = None
    """Folder of their ×4 reduced versions; None: they are made with the MATLAB-exact bicubic."""
    val_hr: Path | None = None
    """Folder of validation photos, as `train_hr`."""
    val_lr: Path | None = None
    """Folder of reduced validation photos, as `train_lr`."""
    test_lr: Path | None = None
    """Folder of the images to enlarge."""

    def __post_init__(self) -> None:
        for split in ("train", "val"):
            if getattr(self, f"{split}_lr") and not getattr(self, f"{split}_hr"):
                raise ValueError(
                    f"Paths: {split}_lr is set without {split}_hr. Set both, or {split}_hr alone."
                )
        for name, value in asdict(self).items():
            if isinstance(value, str):
                object.__setattr__(self, name, Path(value))

    @classmethod
    def find(cls, root: Path | str | None = None, **folders: Path | str | None) -> Self:
        """Paths below `root`, or below the nearest folder upwards that holds our pyproject.toml.

        `data/paths.json` there, if any, names a user's own photo folders: {"train_hr": "…", …};
        a relative one starts from the project. A project with code of its own is told if other code runs.

        Raises:
            FileNotFoundError: no project there, or none around the current folder.
            ValueError: `data/paths.json` cannot be used.
        """
        root = find_root(root)
        own = root / "sr_utils"
        if own.is_dir() and not own.samefile(CODE):
            print(f"The project {root} runs the code of {CODE}. For its own: pip install -e {root}")
        own = root / "data" / "paths.json"
        try:
            saved = json.loads(own.read_text(encoding="utf-8")) if own.exists() else {}
            saved = {name: root / folder for name, folder in dict(saved).items()}
            return cls(root, **saved | {name: folder for name, folder in folders.items() if folder})
        except (TypeError, ValueError) as error:
            raise ValueError(f'{own}: expected {{"train_hr": "folder", …}} ({error}).') from None

    def store(self, profile: str, split: str = "train") -> Path:
        """Folder of the pair of LMDBs of a split."""
        return self.root / "data" / profile / split

    def run(self, run: Config | str) -> Path:
        """Folder of one training run, by its config or its folder's name: log, states and weights.

        A run of the first versions keeps the folder that it has: `Config.digest_name`.
        """
        if isinstance(run, str):
            return self.root / "checkpoints" / run
        now, once = (self.root / "checkpoints" / name for name in (run.run_name, run.digest_name))
        return once if once.is_dir() and not now.is_dir() else now

    def results(self, run: Config | str) -> Path:
        """Folder of what one trained network made: enlarged images, tables and figures."""
        return self.root / "report" / "results" / self.run(run).name


def find_root(root: Path | str | None = None) -> Path:
    """A folder, "~" understood, that holds our pyproject.toml; None: the nearest one upwards from here."""
    here = Path.cwd()
    if root:
        folder = Path(root).expanduser().absolute()
        if _is_project(folder):
            return folder
        raise FileNotFoundError(
            f"{folder} is no project (a folder with sr-utils' pyproject.toml). Correct ROOT (--root)."
        )
    if found := next(filter(_is_project, (here, *here.parents)), None):
        return found
    raise FileNotFoundError(
        f"No project found in {here} or above it (a folder with sr-utils' pyproject.toml). Start Jupyter "
        "in the project, or set ROOT in the parameters cell (--root in a terminal)."
    )


def _is_project(folder: Path) -> bool:
    project = folder / "pyproject.toml"
    return project.is_file() and 'name = "sr-utils"' in project.read_text(encoding="utf-8")
