"""Train a shipped network again, measure it, and put it into checkpoints/: `make weights NAME=carn_2000`.

The photos are those of the profile "open" (data/README.md). A run resumes; what it made replaces a shipped
file if it is better by 0.03 dB on the held-out photos. Without a name, only the shipped networks are
measured, and the table of the model card is written.
"""

import argparse
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from sr_utils import checkpoints
from sr_utils.config import OPEN, STUDIED
from sr_utils.console import say
from sr_utils.data import sources
from sr_utils.data.build_store import build_split
from sr_utils.data.pair import find_pairs, read_pair
from sr_utils.enlarging.infer import enlarge_with
from sr_utils.files import write_atomic
from sr_utils.metrics import evaluate, summarize
from sr_utils.paths import Paths
from sr_utils.training.train import train
from sr_utils.training.validation import validation_psnr

HERE = Path(__file__).parent
FIRST = replace(STUDIED, rgb_permutation=0.5)  # the recipe before the study
EQUAL = replace(FIRST, total_steps=2000, warmup_steps=100, ema_decay=0.995)
TWO_SCALE = replace(EQUAL, network="two_scale")
LIGHT = replace(  # about the time of 5,100 steps with the whole tail
    OPEN,
    light_tail=True,
    learning_rate=1e-3,
    total_steps=8400,
    warmup_steps=420,
    ema_decay=1 - 10 / 8400,
    validate_every=2100,
    save_every=300,
)
LIGHT_LONGER = replace(  # less weight decay, so that what was learned stays
    LIGHT,
    reduced_copies=True,
    hr_patch_size=192,
    batch_size=8,
    learning_rate=6e-4,
    weight_decay=0.1,
    total_steps=12000,
    warmup_steps=500,
    ema_decay=0.999,
    validate_every=1500,
    seed=1,
)
LIGHT_COLOURS = replace(  # without permuted channels it knew only the usual colours
    LIGHT_LONGER, rgb_permutation=0.5, total_steps=14000, validate_every=1400, seed=2
)
LIGHT_SQUARED = replace(  # PSNR is a squared error
    LIGHT_COLOURS,
    loss="mse",
    hr_patch_size=256,
    batch_size=4,
    learning_rate=2e-4,
    total_steps=2500,
    warmup_steps=100,
    validate_every=500,
    seed=3,
)
WHOLE = replace(  # the time of LIGHT
    LIGHT, light_tail=False, total_steps=5110, warmup_steps=255, ema_decay=1 - 10 / 5110, validate_every=1300
)
WHOLE_LONGER = replace(  # the time of LIGHT_LONGER
    LIGHT_LONGER, light_tail=False, total_steps=7300, warmup_steps=300, validate_every=900
)
# Segments, one after another: each ends with its best weights. 5,450 steps of TwoScale take the time of 2,000
# of MSRResNet-20.
RECIPES = {
    "msrresnet20_open": (WHOLE, WHOLE_LONGER),
    "msrresnet20_light_open": (LIGHT, LIGHT_LONGER, LIGHT_COLOURS, LIGHT_SQUARED),
    "msrresnet20_2000": (EQUAL,),
    "msrresnet16_2000": (replace(EQUAL, num_blocks=16),),
    "edsr_2000": (replace(EQUAL, network="edsr", num_blocks=16),),
    "carn_2000": (replace(EQUAL, network="carn"),),
    "two_scale_2000": (TWO_SCALE,),
    "two_scale_5450": (replace(TWO_SCALE, total_steps=5450, warmup_steps=200, ema_decay=0.998),),
}
BETTER = 0.03  # dB on the held-out photos, below which a shipped file is left alone


def make(name: str, paths: Paths, *, further: bool = False) -> None:
    """Train (or go on), and ship the weights in half precision if they are better than what is there.

    Args:
        further: train only the segments that the shipped file has not had, from the shipped file.
    """
    initial, target, segments = "", HERE / f"{name}.safetensors", RECIPES[name]
    if further:
        initial = target.relative_to(paths.root).as_posix()
        kept = len(list(checkpoints.segments(checkpoints.load_checkpoint(target)[1])))
        if kept >= len(segments):
            raise ValueError(f"{target}: has had all {kept} segments of RECIPES. Add one.")
        segments = segments[kept:]
    for segment in segments:
        config = replace(segment, initial_weights=initial)
        build_split(config, paths)
        weights = train(config, paths) / "best.safetensors"
        initial = weights.relative_to(paths.root).as_posix()
    beside = weights.with_name("shipped.safetensors")
    held_aside = sources.find_split(config, paths, "val")

    def score(path: Path) -> float:
        network, _ = checkpoints.load_checkpoint(path)
        return float(np.mean(list(validation_psnr(network, held_aside, precision="float32").values())))

    model, story = checkpoints.load_checkpoint(weights)
    checkpoints.save_weights(beside, model, story, half=True)
    new, old = score(beside), score(target) if target.exists() else 0.0
    told = {"purpose": "demonstration and comparison; not trained on mini-DIV2K, not for the challenge"}
    told["half_precision_costs_db"] = score(weights) - new
    checkpoints.save_weights(beside, model, story | told, half=True)
    print(f"{name}: {new:.3f} dB on the held-out photos (RGB, border 4); shipped so far: {old:.3f} dB")
    if new >= old + BETTER:
        write_atomic(target, beside.read_bytes())
        print(f"wrote {target.name}: {target.stat().st_size / 1e6:.2f} MB")


def measure(paths: Paths) -> None:
    """PSNR and SSIM of bicubic and every shipped network on Set5 and Set14 → results.csv, model card."""
    files = sorted(HERE.glob("*.safetensors"))
    networks = {path.stem: checkpoints.load_checkpoint(path)[0] for path in files}
    found, pairs = sources.find_benchmark(OPEN, paths, download=False)
    if found != "Set5":
        raise FileNotFoundError("Set5 is missing. Let SR_DATA name a folder that holds Set5 and Set14.")
    benchmarks = pairs[0].hr.parents[2]  # Set5/HR/butterfly.png
    tables = []
    for name in ("Set5", "Set14"):
        found = find_pairs(benchmarks / name / "HR", benchmarks / name / "LR_bicubic_x4")
        pairs = {pair.name: read_pair(pair) for pair in found}
        table = evaluate({key: hr for key, (hr, _) in pairs.items()}, enlarge_with(networks, pairs))
        tables.append(summarize(table).reset_index().assign(photos=name))
    results = pd.concat(tables).set_index(["photos", "method"])
    write_atomic(HERE / "results.csv", results.to_csv(float_format="%.3f"))
    rows = results.map("{:.3f}".format).reset_index()
    lines = [list(rows.columns), ["---"] * len(rows.columns), *rows.to_numpy().tolist()]
    text = "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
    card = (HERE / "README.md").read_text(encoding="utf-8")
    card = re.sub(r"(?<=<!-- results -->\n).*(?=\n<!-- end -->)", text, card, flags=re.S)
    write_atomic(HERE / "README.md", card)
    say(text)


def main() -> None:
    """Train one network, or measure all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("name", nargs="?", choices=RECIPES)
    parser.add_argument(
        "--further", action="store_true", help="from the shipped file, only what it has not had"
    )
    arguments = parser.parse_args()
    paths = Paths(HERE.parent)
    try:
        if arguments.name:
            make(arguments.name, paths, further=arguments.further)
        measure(paths)
    except (ValueError, OSError, FloatingPointError) as error:
        parser.exit(1, f"{error}\n")
    except KeyboardInterrupt:
        parser.exit(130)


if __name__ == "__main__":
    main()
