"""Photos, and the store that training reads."""

from dataclasses import dataclass, field
from typing import Literal

from tyro.conf import Positional

from sr_utils.commands.shared import Chosen, Command, Named, Switch, resolve

BYTES_PER_SECOND = 3e8  # of a store, written and verified on two cores; see bench/README.md


@dataclass(kw_only=True)
class Download(Command):
    """Download Set5 (1 MB) and DIV2K (4.3 GB), of which 660 photos stand in for mini-DIV2K."""

    what: Positional[tuple[Literal["Set5", "DIV2K"], ...]] = ("Set5", "DIV2K")
    """Which of the two."""
    list: Switch = False
    """Only say what would come, from where, and how large it is."""

    def run(self) -> None:
        """Download what is missing."""
        from sr_utils.data import downloads

        paths = self.paths()
        if self.list:
            print(downloads.list_downloads(paths))
            return
        set5 = paths.root / "data" / "Set5"
        if "Set5" in self.what and not (set5 / "HR").is_dir() and not downloads.download_set5(set5):
            raise OSError("Set5 was not downloaded: no connection, or other files than expected. Try again.")
        if "DIV2K" in self.what:
            downloads.prepare_mini_div2k(paths)
        print(f"done: {', '.join(self.what)} in {paths.root / 'data'}")


@dataclass(kw_only=True)
class Prepare(Command):
    """Cut a profile's training photos into the store that training reads, as notebook 01 does."""

    config: Named = field(default_factory=Chosen)
    """Which photos; fields that do not concern them change nothing."""

    def run(self) -> None:
        """Build the store, and make the demo's test images."""
        from sr_utils.data import sources
        from sr_utils.data.build_store import build_split, plan_split

        paths = self.paths()
        config = resolve(self.config, paths)
        folder = paths.store(config.profile)
        photos, size = plan_split(config, paths)
        print(f"{photos} photos → {folder}: about {size / 1e9:.2f} GB; {_duration(size)} on two cores")
        sources.find_split(config, paths, "val")  # told now, not after the training began
        if config.profile == "demo":
            sources.find_test_images(config, paths)
        store = build_split(config, paths)
        size = sum(store.description["bytes"].values())
        print(f"done: {len(store)} sub-images of {len(store.photos)} photos, {size / 1e9:.2f} GB in {folder}")


def _duration(size: int) -> str:
    seconds = size / BYTES_PER_SECOND
    return f"about {seconds / 60:.0f} minutes" if seconds > 90 else f"about {seconds + 1:.0f} s"
