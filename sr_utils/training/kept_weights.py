"""The best and the last weights of a run, kept with the story of where they come from."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sr_utils import checkpoints
from sr_utils.config import Config
from sr_utils.data.pair import Pair
from sr_utils.networks import Network
from sr_utils.training.record import update_record
from sr_utils.training.validation import mean_psnr, measure_again, photo_fingerprint, validation_psnr


class KeptWeights:
    """What a run keeps in its folder; the validation photos choose.

    Args:
        pairs: the validation photos.
        origin: what a story tells of all weights of the run: photos learned from, and initial weights.
    """

    def __init__(self, config: Config, folder: Path, pairs: Sequence[Pair], origin: dict[str, Any]) -> None:
        self.config, self.folder, self.pairs, self.origin = config, folder, pairs, origin
        self.fingerprint = photo_fingerprint(pairs)
        self.best = 0.0  # dB, mean of the validation photos (RGB, border 4); 0: none yet

    def measure_again(self) -> None:
        """Take up what an earlier start of the run kept."""
        self.best = measure_again(self.folder, self.pairs, self.fingerprint, precision=self.config.precision)

    def keep(self, candidates: Mapping[str, Network], step: int, seconds: float) -> dict[str, float]:
        """Measure trained and averaged weights, write what is best or last, and return what the log tells."""
        record = {}
        for kind, model in candidates.items():
            per_image = validation_psnr(model, self.pairs, precision=self.config.precision)
            record[f"val_psnr_{kind}"] = mean = mean_psnr(per_image)
            story = {
                "step": step,
                "weights": kind,
                "val_psnr_rgb_border4": per_image,
                "training_seconds": seconds,
            }
            if mean > self.best:
                self.best = mean
                self._save("best", model, story)
                update_record(self.folder, best_psnr=mean, best_step=step)
            if step == self.config.total_steps:
                self._save("last", model, story)
        return record

    def _save(self, name: str, model: Network, story: dict[str, Any]) -> None:
        of_the_run = {"config": asdict(self.config), "val_fingerprint": self.fingerprint, "ensemble": False}
        path = self.folder / f"{name}.safetensors"
        checkpoints.save_weights(path, model, story | of_the_run | self.origin)
