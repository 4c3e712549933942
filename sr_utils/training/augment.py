"""Augmentations on a batch: drawn once from (seed, step), applied to HR and LR alike, on their device.

`hr` is float (N, 3, H, W) in [0, 1], `lr` (N, 3, H/4, W/4). Every function returns new ones.
Flips and rotations are made while the batch is gathered (`batches`).

Source: Yoo et al., "Rethinking data augmentation for image super-resolution", CVPR 2020, arXiv:2004.00448.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torchvision.transforms.v2 import functional as transforms

from sr_utils.config import SCALE, Config
from sr_utils.data.batches import random_generator
from sr_utils.device import copy_to

Tensors = tuple[torch.Tensor, torch.Tensor]


def rgb_permutation(hr: torch.Tensor, lr: torch.Tensor, *, permutation: np.ndarray) -> Tensors:
    """Shuffle the colour channels.

    Args:
        permutation: (N, 3) whole numbers; row n lists the old channel of each new one of image n.
    """
    channels = copy_to(permutation, hr.device)
    images = torch.arange(len(hr), device=hr.device)[:, None]
    return hr[images, channels], lr[images, channels]


def blend(hr: torch.Tensor, lr: torch.Tensor, *, color: np.ndarray, weight: np.ndarray) -> Tensors:
    """weight · image + (1 - weight) · color.

    Args:
        color: (N, 3) in [0, 1].
        weight: (N,) in [0, 1]; 1 leaves an image as it is.
    """
    share = _per_image(weight, hr)
    veil = (1 - share) * copy_to(color, hr.device, hr.dtype)[..., None, None]
    return share * hr + veil, share * lr + veil


def mixup(hr: torch.Tensor, lr: torch.Tensor, *, partner: np.ndarray, weight: np.ndarray) -> Tensors:
    """weight · pair + (1 - weight) · another pair of the batch.

    Args:
        partner: (N,) index of the other pair.
        weight: (N,) λ in [0, 1]; 1 leaves a pair as it is.
    """
    share, other = _per_image(weight, hr), copy_to(partner, hr.device)
    return share * hr + (1 - share) * hr[other], share * lr + (1 - share) * lr[other]


def cutblur(hr: torch.Tensor, lr: torch.Tensor, *, box: tuple[int, int, int, int], inside: bool) -> Tensors:
    """Paste a region of HR into the enlarged LR, or the other way round; the LR that returns is HR-sized.

    It teaches a network where not to sharpen, and needs one with an HR-sized input (`unshuffle_stem`).

    Args:
        box: top, left, height, width of the region in LR pixels.
        inside: HR inside the box and LR around it; False: the reverse.
    """
    enlarged = F.interpolate(lr, scale_factor=SCALE, mode="nearest")
    top, left, height, width = (SCALE * value for value in box)
    mask = torch.zeros(hr.shape[-2:], dtype=torch.bool, device=hr.device)
    mask[top : top + height, left : left + width] = True
    return hr, torch.where(mask == inside, hr, enlarged)


def brightness_contrast(
    hr: torch.Tensor, lr: torch.Tensor, *, brightness: np.ndarray, contrast: np.ndarray
) -> Tensors:
    """brightness · image, then contrast · image + (1 - contrast) · its mean grey (of LR), clipped to [0, 1].

    Args:
        brightness, contrast: (N,) factors; 1 leaves an image as it is.
    """
    brighter = [image * _per_image(brightness, hr) for image in (hr, lr)]
    grey = transforms.rgb_to_grayscale(brighter[1]).mean(dim=(1, 2, 3), keepdim=True)  # one pivot for both
    share = _per_image(contrast, hr)
    changed = [(share * image + (1 - share) * grey).clamp(0, 1) for image in brighter]
    return changed[0], changed[1]


def _per_image(values: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    return copy_to(values, like.device, like.dtype).reshape(-1, 1, 1, 1)


def draw(config: Config, step: int, batch_size: int, lr_side: int) -> list[Callable[..., Tensors]]:
    """The augmentations of one step with their random parameters, in the order in which they apply.

    Each has its own stream of random numbers: switching one off leaves the draws of the others as they were.
    """
    drawn: list[Callable[..., Tensors]] = []
    chances = ("rgb_permutation", "blend", "mixup", "brightness_contrast", "cutblur")
    for stream, name in enumerate(chances, 1):
        rng = random_generator(config.seed, step, stream)
        chosen = rng.random(batch_size) < getattr(config, name)
        if not chosen.any():
            continue
        if name == "rgb_permutation":
            shuffled = rng.permuted(np.tile(np.arange(3), (batch_size, 1)), axis=1)
            drawn.append(
                partial(rgb_permutation, permutation=np.where(chosen[:, None], shuffled, np.arange(3)))
            )
        elif name == "blend":
            weight = np.where(chosen, rng.uniform(config.blend_alpha, 1, batch_size), 1)
            drawn.append(partial(blend, color=rng.random((batch_size, 3)), weight=weight))
        elif name == "mixup":
            weight = np.where(chosen, rng.beta(config.mixup_alpha, config.mixup_alpha, batch_size), 1)
            drawn.append(partial(mixup, partner=rng.permutation(batch_size), weight=weight))
        elif name == "brightness_contrast":
            factors = np.where(chosen, rng.uniform(0.8, 1.2, (2, batch_size)), 1)
            drawn.append(partial(brightness_contrast, brightness=factors[0], contrast=factors[1]))
        elif chosen[0]:  # CutBlur: one region for the whole batch
            height, width = (max(1, round(lr_side * share)) for share in rng.normal(0.7, 0.01, 2).clip(0, 1))
            top, left = rng.integers(lr_side - height + 1), rng.integers(lr_side - width + 1)
            drawn.append(partial(cutblur, box=(top, left, height, width), inside=bool(rng.integers(2))))
    return drawn


def augment(hr: torch.Tensor, lr: torch.Tensor, config: Config, step: int) -> Tensors:
    """Apply what `config` asks for at this step to a batch of float pairs.

    Where CutBlur made LR HR-sized, it comes back pixel-unshuffled, (N, 48, H/4, W/4).
    """
    for function in draw(config, step, len(lr), lr.shape[-1]):
        hr, lr = function(hr, lr)
    return hr, F.pixel_unshuffle(lr, SCALE) if lr.shape == hr.shape else lr
