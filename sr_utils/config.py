"""Every choice of a run, as one frozen object."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from sr_utils import names
from sr_utils.field_values import as_type, require_in_range

SCALE = 4
PARAMETER_LIMIT = 1_821_085  # trainable parameters must stay below: 120 % of SRResNet's 1,517,571
BORDER = 4  # pixels cut from every side before PSNR or SSIM, as the challenge does


@dataclass(frozen=True, kw_only=True)
class Config:
    """One training run. Variants by `dataclasses.replace`; the field defaults are the reference recipe."""

    profile: str = "full"
    """Name of the photo set: "demo" (embedded photos), "full" (mini-DIV2K) or "open" (see data/README.md)."""
    sub_image: int = 480
    """Side of the stored HR crops in pixels; a smaller photo is stored with its own side."""
    sub_image_step: int = 240
    """Distance of neighbouring sub-images in HR pixels; 352 keeps every 128-patch reachable."""
    codec: Literal["raw", "png"] = "raw"
    """How pixels lie in the LMDB: "raw" bytes (fast), or "png" (small, readable by other tools)."""

    reduced_copies: bool = False
    """Train on each photo reduced to 0.8 and to 0.6 of its sides, too."""

    network: Literal["msrresnet", "edsr", "carn", "two_scale"] = "msrresnet"
    """Architecture; see sr_utils/networks."""
    num_blocks: int = 20
    """Residual blocks of MSRResNet and EDSR (others have their own); 20 is the most the limit allows."""
    unshuffle_stem: bool = False
    """Give MSRResNet the HR-sized input that CutBlur makes; over the parameter limit with 20 blocks."""
    bilinear_skip: bool = True
    """Let MSRResNet learn what the bilinear ×4 image lacks, not the whole image."""
    light_tail: bool = False
    """Let MSRResNet enlarge without a layer at HR size: a step takes 0.6 of the time."""
    init_gain: float = 0.1
    """Factor on MSRResNet's initial weights outside blocks and last layer; the reference has 0.1."""

    batch_size: int = 16
    """HR/LR patch pairs per step."""
    hr_patch_size: int = 128
    """Side of a training patch in HR pixels, a multiple of 4."""
    patch_draws: int = 1
    """Of so many random patches the one with the most detail is taken, for each of a batch."""
    flip: bool = True
    """Mirror patches horizontally and vertically, each with probability 0.5."""
    rotate: bool = True
    """Turn patches by 90° (a transposition with probability 0.5)."""
    rgb_permutation: float = 0.5
    """Probability of shuffling the colour channels of an image."""
    blend: float = 0.15
    """Probability of blending an image with one random colour; the sources say 0.1 to 0.2."""
    blend_alpha: float = 0.6
    """Least share of the image in a blend; the share is drawn from U(blend_alpha, 1)."""
    mixup: float = 0.2
    """Probability of mixing an image with another one of its batch."""
    mixup_alpha: float = 0.2
    """λ ~ Beta(α, α). The reference's write-up says 0.2, its published config says 1.2."""
    cutblur: float = 0.0
    """Probability of CutBlur, which needs `unshuffle_stem`."""
    brightness_contrast: float = 0.0
    """Probability of a random change of brightness and contrast (tried by the reference without gain)."""

    loss: Literal["l1", "mse", "charbonnier"] = "l1"
    """Training loss on RGB values in [0, 1]."""
    optimizer: Literal["adam", "muon"] = "adam"
    """Adam, as in the reference, or Muon for the inner convolutions, which needs far fewer steps."""
    learning_rate: float = 2e-4
    """Highest step size, with Adam's meaning for both."""
    min_learning_rate: float = 1e-7
    """Step size at the end of a cosine."""
    schedule: Literal["cosine_restarts", "one_cycle", "constant"] = "cosine_restarts"
    """Learning rate over steps; see recipe.learning_rate_at."""
    restart_period: int = 250_000
    """Steps from one restart of the cosine to the next."""
    warmup_steps: int = 0
    """Steps of linear rise at the start of "one_cycle"; at most a tenth of the run."""
    total_steps: int = 2_000_000
    """Optimiser updates of the whole run."""
    ema_decay: float = 0.0
    """Decay per step of the exponential moving average of the weights; 0: none, as in the reference."""
    weight_decay: float = 0.0
    """Share of the weights, times the learning rate, that a step takes off (Muon: of inner convolutions)."""
    gradient_clip: float = 0.0
    """Largest allowed gradient norm; 0: no clipping."""

    validate_every: int = 5_000
    """Steps between validations."""
    validation_images: int = 0
    """How many validation photos to use, the first ones by name; 0: all."""
    log_every: int = 100
    """Steps between log lines."""
    save_every: int = 5_000
    """Steps between saves of the training state."""
    initial_weights: str = ""
    """Checkpoint to start from, a path below the project's root; the challenge forbids it."""
    seed: int = 0
    """Seed of initialisation, patches and augmentations."""
    precision: Literal["auto", "float32", "bf16", "fp16"] = "auto"
    """Arithmetic of convolutions; "auto" takes what the device does natively."""
    challenge: bool = True
    """Hold the challenge's rules: parameter limit, no initial weights, no photo left out or used twice."""
    test_images: int = 80
    """How many test images a complete hand-in has."""

    def __post_init__(self) -> None:
        for field in fields(Config):  # equal configs hold equal values, 16 for 16.0
            value = as_type(field.name, field.type, getattr(self, field.name))
            object.__setattr__(self, field.name, value)
        require_in_range(vars(self))
        if self.cutblur and not self.unshuffle_stem:
            raise ValueError("cutblur makes HR-sized inputs: set unshuffle_stem=True too, or cutblur=0.")
        for name in ("unshuffle_stem", "light_tail"):
            if getattr(self, name) and self.network != "msrresnet":
                told = f"{name}: expected network msrresnet, got {self.network!r}."
                raise ValueError(f"{told} Set {name}=False, too (--no-{name.replace('_', '-')}).")
        if self.challenge and self.initial_weights:
            raise ValueError(
                "initial_weights: the challenge forbids them. Leave them out, or challenge=False."
            )
        if self.hr_patch_size > self.sub_image:
            raise ValueError(f"hr_patch_size: expected at most {self.sub_image}, got {self.hr_patch_size}.")

    @property
    def network_arguments(self) -> dict[str, int | float]:
        """What `networks.make_network` is given for `network`."""
        if self.network in ("carn", "two_scale"):  # their blocks are fixed
            return {}
        if self.network == "edsr":
            return {"num_blocks": self.num_blocks}
        own = ("num_blocks", "init_gain", "unshuffle_stem", "bilinear_skip", "light_tail")
        return {name: getattr(self, name) for name in own}

    @property
    def run_name(self) -> str:
        """Name of the run's folders: its profile, and what differs from it; see `names.folder_name`."""
        return names.folder_name(*self.origin)

    @property
    def digest_name(self) -> str:
        """What `run_name` was at first, found still; the rows of bench/ablations.csv go by it.

        A field added later renames no run, if its default is what was done before.
        """
        return names.digest_name(vars(self), {field.name: field.default for field in fields(Config)})

    @property
    def origin(self) -> tuple[str, dict[str, Any]]:
        """Name of the nearest profile of the same photos, and the fields that differ from it."""
        return names.nearest(vars(self), PROFILE_VALUES)


FULL = Config()

# Our recipe: fewer steps than the reference's to the same PSNR, as bench/bench_time_to_psnr.py measures.
# Flips and rotations alone, since bench/ablations.csv shows no gain of any other augmentation.
OURS = replace(
    FULL,
    init_gain=1.0,
    optimizer="muon",
    learning_rate=2e-3,
    schedule="one_cycle",
    warmup_steps=200,
    ema_decay=0.999,
    gradient_clip=1.0,
    rgb_permutation=0.0,
    blend=0.0,
    mixup=0.0,
    weight_decay=1.0,
    patch_draws=2,
)
# At equal time the light tail is a little better than the whole network (bench/networks.csv), and twice as
# quick to use. RGB permutation costs nothing, and without it a network relies on the usual colours.
FAST = replace(OURS, light_tail=True, rgb_permutation=0.5, total_steps=160_000)
OPEN = replace(OURS, profile="open", challenge=False, total_steps=20_000, validate_every=500, save_every=500)
STUDIED = replace(OPEN, weight_decay=0.0, patch_draws=1)  # ours as the study ran it
DEMO = replace(
    OURS,
    profile="demo",
    hr_patch_size=96,
    warmup_steps=20,
    total_steps=400,
    ema_decay=0.97,
    validate_every=50,
    log_every=10,
    save_every=100,
    test_images=5,
)

PROFILES = {"demo": DEMO, "full": FULL, "fast": FAST, "open": OPEN}
PROFILE_VALUES = {name: vars(config) for name, config in PROFILES.items()}


def configure(profile: str, changes: Mapping[str, Any] | None = None, **overrides: Any) -> Config:
    """A profile with some fields changed.

    Args:
        profile: a name of PROFILES.
        changes: values by field, CHANGES of the notebooks.
        overrides: the same as keywords; one of None leaves the field alone.

    Raises:
        ValueError: unknown profile, a value that its field does not take, or two for one field.
        TypeError: unknown field; the message names the nearest.
    """
    if profile not in PROFILES:
        raise ValueError(f"PROFILE: expected {' or '.join(PROFILES)}, got {profile!r}.")
    given = {name: value for name, value in overrides.items() if value is not None}
    for name, value in (changes or {}).items():
        if given.setdefault(name, value) != value:
            raise ValueError(f"{name}: given twice, as {given[name]!r} and, in CHANGES, as {value!r}.")
    known = [field.name for field in fields(Config)[1:]]
    for name in given.keys() - set(known):
        near = difflib.get_close_matches(name, known, 1)
        hint = f"Did you mean {near[0]!r}?" if near else "See sr_utils/config.py."
        raise TypeError(f"No field to change is named {name!r}. {hint}")
    return replace(PROFILES[profile], **given)
