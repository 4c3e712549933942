"""Enlarging photos."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from sr_utils.commands.shared import SOME, Command, File, Folder, Foreign, Switch, best_weights

SUFFIX = "_x4"  # photo.jpg → photo_x4.png


@dataclass(kw_only=True)
class Enlarge(Command, Foreign):
    """Enlarge photos, or folders of photos, four times in height and width."""

    photos: Annotated[Positional[tuple[Path, ...]], arg(metavar="PHOTO_OR_FOLDER …", help_behavior_hint=SOME)]
    """Photos and folders."""
    weights: File = None
    """A .safetensors of ours, or a .pth; the default is the best network that comes with the project."""
    out: Folder = None
    """Folder for photo.png and a manifest; the default is photo_x4.png beside each photo."""
    self_ensemble: Switch = False
    """Mean of eight turned inputs: slower, slightly better, not allowed in the challenge."""

    def __post_init__(self) -> None:
        if not self.photos:
            raise ValueError("expected at least one photo or folder, got none.")

    def run(self) -> None:
        """Enlarge what can be read, then tell what could not."""
        files = list(dict.fromkeys(file for path in self.photos for file in _inputs(path)))
        from sr_utils.enlarging.ensemble import SelfEnsemble
        from sr_utils.enlarging.infer import super_resolve_files

        network = self.load(self.weights or best_weights(self.root))
        model = SelfEnsemble(network) if self.self_ensemble else network
        targets = [self._target(file) for file in files]
        outcome = super_resolve_files(model, files, targets, self.out)
        where = self.out or (targets[0] if len(targets) == 1 else f"photo{SUFFIX}.png beside each")
        done = len(files) - len(outcome.failed)
        print(f"done: {done} of {len(files)} photos enlarged, {outcome.kept} of them earlier: {where}")
        if outcome.failed:
            raise ValueError(f"{len(outcome.failed)} of {len(files)} failed: {' '.join(outcome.failed)}")

    def _target(self, file: Path) -> Path:
        return self.out / f"{file.stem}.png" if self.out else file.with_name(f"{file.stem}{SUFFIX}.png")


def _inputs(path: Path) -> list[Path]:
    """A photo, or those of a folder without the outputs of ours that lie beside them."""
    if not path.is_dir():
        if not path.exists():
            raise FileNotFoundError(f"{path} is missing. Name a photo or a folder of photos.")
        return [path]
    from sr_utils.enlarging.outputs import read_story
    from sr_utils.images import list_images

    found = list_images(path)
    made = {file for file in found if file.stem.endswith(SUFFIX) and read_story(file) is not None}
    return [file for file in found if file not in made]
