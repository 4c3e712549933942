from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from sr_utils.config import FULL
from sr_utils.training import augment

OFF = replace(
    FULL, rgb_permutation=0, blend=0, mixup=0, cutblur=0, brightness_contrast=0, unshuffle_stem=True
)
NAMES = ("rgb_permutation", "blend", "mixup", "brightness_contrast", "cutblur")


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    """A batch of 5, HR between 0.2 and 0.8, and LR as its 4×4 box average."""
    hr = 0.2 + 0.6 * torch.rand(5, 3, 24, 16, generator=torch.Generator().manual_seed(0))
    return hr, F.avg_pool2d(hr, 4)


def _settings(name: str) -> dict:
    rng = np.random.default_rng(1)
    return {
        "rgb_permutation": {"permutation": rng.permuted(np.tile(np.arange(3), (5, 1)), axis=1)},
        "blend": {"color": rng.random((5, 3)), "weight": rng.random(5)},
        "mixup": {"partner": np.array([1, 2, 3, 4, 0]), "weight": rng.random(5)},
        "brightness_contrast": {"brightness": rng.uniform(0.8, 1.2, 5), "contrast": rng.uniform(0.8, 1.2, 5)},
    }[name]


@pytest.mark.parametrize("name", NAMES[:4])
def test_each_commutes_with_box_averaging_and_changes_nothing_in_place(pair, name: str) -> None:
    hr, lr = pair
    before = hr.clone(), lr.clone()
    new_hr, new_lr = getattr(augment, name)(hr, lr, **_settings(name))
    torch.testing.assert_close(F.avg_pool2d(new_hr, 4), new_lr, rtol=0, atol=1e-6)
    assert torch.equal(hr, before[0]) and torch.equal(lr, before[1])
    assert new_hr.dtype == torch.float32 and (new_hr - hr).abs().max() > 0.05
    assert new_hr.min() > 0 and new_hr.max() < 1  # nothing was clipped, so the property could be tested


def test_rgb_permutation_lists_old_channels(pair) -> None:
    hr, lr = pair
    permutation = np.array([[0, 1, 2], [2, 0, 1], [1, 0, 2], [0, 2, 1], [2, 1, 0]])
    for old, new in zip(pair, augment.rgb_permutation(hr, lr, permutation=permutation), strict=True):
        for n, channels in enumerate(permutation):
            for channel, source in enumerate(channels):
                assert torch.equal(new[n, channel], old[n, source])


def test_weight_one_is_the_identity_and_zero_the_other(pair) -> None:
    hr, lr = pair
    partner, color = np.array([4, 3, 2, 1, 0]), np.linspace(0, 1, 15).reshape(5, 3)
    for weight, expected in ((np.ones(5), pair), (np.zeros(5), (hr.flip(0), lr.flip(0)))):
        for new, truth in zip(augment.mixup(hr, lr, partner=partner, weight=weight), expected, strict=True):
            assert torch.equal(new, truth)
    for new, old in zip(augment.blend(hr, lr, color=color, weight=np.ones(5)), pair, strict=True):
        assert torch.equal(new, old)
    for new in augment.blend(hr, lr, color=color, weight=np.zeros(5)):
        expected = torch.tensor(color, dtype=torch.float32)[..., None, None].expand_as(new)
        torch.testing.assert_close(new, expected)
    ones = {"brightness": np.ones(5), "contrast": np.ones(5)}
    for new, old in zip(augment.brightness_contrast(hr, lr, **ones), pair, strict=True):
        torch.testing.assert_close(new, old, rtol=0, atol=1e-6)


def test_brightness_contrast_formula_and_clipping(pair) -> None:
    hr, lr = pair
    factors = {"brightness": np.full(5, 1.2), "contrast": np.full(5, 1.5)}
    new_hr, new_lr = augment.brightness_contrast(hr, lr, **factors)
    luma = torch.tensor([0.2989, 0.587, 0.114]).view(1, 3, 1, 1)
    grey = (1.2 * lr * luma).sum(1, keepdim=True).mean((2, 3), keepdim=True)
    for new, old in ((new_hr, hr), (new_lr, lr)):
        expected = (1.5 * 1.2 * old - 0.5 * grey).clamp(0, 1)
        torch.testing.assert_close(new, expected, rtol=0, atol=1e-4)
    assert new_hr.max() == 1


@pytest.mark.parametrize("inside", [True, False])
def test_cutblur_pastes_its_box(pair, inside: bool) -> None:
    hr, lr = pair
    new_hr, mixed = augment.cutblur(hr, lr, box=(1, 2, 3, 2), inside=inside)
    assert torch.equal(new_hr, hr) and mixed.shape == hr.shape
    enlarged = lr.repeat_interleave(4, 2).repeat_interleave(4, 3)
    inner, outer = (hr, enlarged) if inside else (enlarged, hr)
    expected = outer.clone()
    expected[:, :, 4:16, 8:16] = inner[:, :, 4:16, 8:16]
    assert torch.equal(mixed, expected) and not torch.equal(mixed, outer)
    torch.testing.assert_close(F.avg_pool2d(mixed, 4), lr, rtol=0, atol=1e-6)  # 4-aligned: the same means


def _drawn(config, step: int) -> dict[str, dict]:
    return {f.func.__name__: f.keywords for f in augment.draw(config, step, 8, 24)}


def test_draws_depend_on_seed_and_step_alone_and_streams_are_separate() -> None:
    on = replace(OFF, **dict.fromkeys(NAMES, 1.0))
    everything = _drawn(on, 3)
    assert tuple(everything) == NAMES
    np.testing.assert_equal(_drawn(on, 3), everything)
    for name in NAMES:
        others = _drawn(replace(on, **{name: 0}), 3)
        np.testing.assert_equal(others, {key: everything[key] for key in NAMES if key != name})
    for other in (_drawn(on, 4), _drawn(replace(on, seed=1), 3)):
        for name in ("rgb_permutation", "blend", "mixup", "brightness_contrast"):
            key = next(iter(everything[name]))
            assert not np.array_equal(other[name][key], everything[name][key]), name


def test_rates_and_ranges_follow_the_config() -> None:
    config = replace(
        OFF, rgb_permutation=0.6, blend=0.2, mixup=0.3, brightness_contrast=0.4, cutblur=0.7, mixup_alpha=1.2
    )
    steps, size = 400, 8
    counts = dict.fromkeys(NAMES, 0.0)
    for step in range(steps):
        for name, drawn in _drawn(config, step).items():
            if name == "rgb_permutation":
                assert (np.sort(drawn["permutation"]) == np.arange(3)).all()
                counts[name] += (drawn["permutation"] != np.arange(3)).any(axis=1).sum() * 6 / 5
            elif name in ("blend", "mixup"):
                low = config.blend_alpha if name == "blend" else 0
                assert drawn["weight"].min() >= low and drawn["weight"].max() <= 1
                counts[name] += (drawn["weight"] < 1).sum()
            elif name == "brightness_contrast":
                assert drawn["brightness"].min() >= 0.8 and drawn["contrast"].max() <= 1.2
                counts[name] += (drawn["brightness"] != 1).sum()
            else:
                top, left, height, width = drawn["box"]
                assert (
                    0 <= top <= 24 - height
                    and 0 <= left <= 24 - width
                    and 0.6 < height * width / 24**2 * 2 < 1.4
                )
                counts[name] += size
    for name, count in counts.items():
        # one draw per image, for CutBlur one per batch
        draws = steps * (1 if name == "cutblur" else size)
        chance = getattr(config, name)
        assert count / (steps * size) == pytest.approx(
            chance, abs=4.5 * (chance * (1 - chance) / draws) ** 0.5
        )


def test_augment_applies_what_was_drawn_in_order(pair) -> None:
    hr, lr = pair
    config = replace(OFF, rgb_permutation=1, blend=1, mixup=1)
    expected = pair
    for function in augment.draw(config, 11, 5, lr.shape[-1]):
        expected = function(*expected)
    got = augment.augment(hr, lr, config, 11)
    assert all(map(torch.equal, got, expected))
    torch.testing.assert_close(F.avg_pool2d(got[0], 4), got[1], rtol=0, atol=1e-6)
    assert augment.augment(hr, lr, OFF, 11) == (hr, lr)


def test_augmentations_are_chosen_independently() -> None:
    config = replace(OFF, blend=0.5, mixup=0.5, blend_alpha=0.0, mixup_alpha=1.0)
    both = [_drawn(config, step) for step in range(200)]
    nothing = {"weight": np.ones(8)}  # where no image of the batch is chosen
    names = ("blend", "mixup")
    chosen = np.array([[drawn.get(name, nothing)["weight"] < 1 for name in names] for drawn in both])
    correlation = np.corrcoef(chosen[:, 0].ravel(), chosen[:, 1].ravel())[0, 1]
    assert abs(correlation) < 4 / chosen[:, 0].size ** 0.5


def test_cutblurs_large_input_comes_back_unshuffled(pair) -> None:
    hr, lr = pair
    got, unshuffled = augment.augment(hr, lr, replace(OFF, cutblur=1), 3)
    (drawn,) = augment.draw(replace(OFF, cutblur=1), 3, len(lr), lr.shape[-1])
    assert torch.equal(got, hr) and unshuffled.shape == (len(lr), 48, *lr.shape[2:])
    assert torch.equal(F.pixel_shuffle(unshuffled, 4), drawn(hr, lr)[1])
