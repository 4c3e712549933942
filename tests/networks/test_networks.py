import pytest
import torch
from torch import nn

from sr_utils import networks
from sr_utils.networks import CARN, EDSR, MSRResNet, TwoScale, count_parameters, make_network


@pytest.mark.parametrize(
    ("name", "arguments", "parameters"),
    [
        ("msrresnet", {"num_blocks": 20}, 1_812_995),
        ("msrresnet", {}, 1_812_995),
        ("msrresnet", {"num_blocks": 16}, 1_517_571),
        ("msrresnet", {"num_blocks": 20, "unshuffle_stem": True}, 1_838_915),
        ("msrresnet", {"num_blocks": 19, "unshuffle_stem": True}, 1_765_059),
        ("msrresnet", {"light_tail": True}, 1_633_548),
        ("edsr", {}, 1_517_571),
        ("carn", {}, 1_111_875),
        ("two_scale", {}, 1_698_700),
    ],
)
def test_parameter_counts(name: str, arguments: dict, parameters: int) -> None:
    model = make_network(name, **arguments)
    assert count_parameters(model) == parameters
    assert sum(tensor.numel() for tensor in model.state_dict().values()) == parameters
    assert type(model)(**model.arguments).state_dict().keys() == model.state_dict().keys()


def test_frozen_parameters_do_not_count() -> None:
    model = MSRResNet(2, features=8)
    all_of_them = count_parameters(model)
    model.conv_last.requires_grad_(False)
    assert count_parameters(model) == all_of_them - (8 * 3 * 9 + 3)


SMALL = [
    MSRResNet(2, features=8),
    MSRResNet(5, features=4),
    MSRResNet(2, features=8, light_tail=True),
    EDSR(2, features=8),
    CARN(features=4),
    TwoScale(1, 1, 1, features=8, wide=8),
]


@pytest.mark.parametrize("model", SMALL, ids=lambda model: model.label)
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 3), (8, 13)])
def test_output_is_four_times_as_large(model: nn.Module, size: tuple[int, int]) -> None:
    lr = torch.rand(2, 3, *size)
    before = lr.clone()
    with torch.no_grad():
        sr = model(lr)
    assert sr.shape == (2, 3, 4 * size[0], 4 * size[1]) and sr.dtype == torch.float32
    assert torch.equal(lr, before)  # the networks work in place on their own tensors only
    torch.testing.assert_close(model(lr[1:]), sr[1:], rtol=0, atol=1e-5)  # no image sees another one


def _amplified(model: nn.Module) -> nn.Module:
    """In float64 with large positive weights, so that no influence drowns or cancels."""
    model = model.double()
    for parameter in model.parameters():
        nn.init.uniform_(parameter, 0.05, 0.15)
    return model


@pytest.mark.parametrize(
    ("model", "reach"),
    [
        (MSRResNet(2, features=3), 7),
        (MSRResNet(4, features=3), 11),
        (MSRResNet(2, features=3, light_tail=True), 7),
        (EDSR(2, features=3), 8),
        (CARN(2), 21),
        (TwoScale(1, 2, 1, 2, 2), 16),
    ],
    ids=["msrresnet2", "msrresnet4", "light_tail", "edsr2", "carn", "two_scale"],
)
def test_receptive_field_is_enough_and_not_wasteful(model: nn.Module, reach: int) -> None:
    """Gradient of the 4×4 pixels of one LR pixel: how far away an input pixel still matters."""
    side, centre = 2 * reach + 9, reach + 4
    lr = torch.rand(1, 3, side, side, dtype=torch.float64, requires_grad=True)
    block = _amplified(model)(lr)[..., 4 * centre : 4 * centre + 4, 4 * centre : 4 * centre + 4]
    (gradient,) = torch.autograd.grad(block.sum(), lr)
    rows, columns = gradient.abs().sum(dim=(0, 1)).nonzero(as_tuple=True)
    found = max((rows - centre).abs().max().item(), (columns - centre).abs().max().item())
    assert found == reach
    assert reach <= model.receptive_field <= reach + 1


def test_a_pixel_outside_of_the_receptive_field_changes_nothing() -> None:
    model = _amplified(MSRResNet(2, features=3))
    lr = torch.rand(1, 3, 3, 40, dtype=torch.float64)
    other = lr.clone()
    other[..., 0] += 0.5
    with torch.no_grad():
        difference = (model(lr) - model(other)).abs().amax(dim=(0, 1, 2))
    assert (difference[4 * (model.receptive_field + 1) :] == 0).all()
    assert difference[: 4 * model.receptive_field - 4].min() > 0


def test_twenty_blocks_reach_44_pixels() -> None:
    assert MSRResNet().receptive_field == 44


def test_msrresnet_is_bilinear_plus_what_it_learned() -> None:
    model = MSRResNet(2, features=8)
    nn.init.zeros_(model.conv_last.weight)
    lr = torch.rand(1, 3, 6, 5)
    bilinear = nn.functional.interpolate(lr, scale_factor=4, mode="bilinear", align_corners=False)
    assert torch.equal(model(lr), bilinear)


def test_behind_the_stem_an_lr_image_stands_for_its_nearest_enlargement() -> None:
    model = MSRResNet(2, features=8, unshuffle_stem=True)
    lr = torch.rand(2, 3, 6, 5)
    enlarged = nn.functional.interpolate(lr, scale_factor=4, mode="nearest")
    unshuffled = nn.functional.pixel_unshuffle(enlarged, 4)
    torch.testing.assert_close(model(unshuffled), model(lr), rtol=0, atol=1e-6)
    sharper = nn.functional.pixel_unshuffle(enlarged + 0.1 * torch.randn_like(enlarged), 4)
    assert model(sharper).shape == (2, 3, 24, 20) and not torch.allclose(model(sharper), model(lr), atol=1e-3)


def test_residuals_that_are_scaled_to_zero_leave_the_identity() -> None:
    x = torch.randn(1, 8, 6, 5)
    block = networks.edsr.ScaledResidualBlock(8, 0.0)
    assert torch.equal(block(x), x)
    scaled, plain = (EDSR(2, features=8, res_scale=value) for value in (0.5, 1.0))
    plain.load_state_dict(scaled.state_dict())
    for index in range(2):
        for parameter in plain.body[index].conv2.parameters():
            parameter.data *= 0.5
    lr = torch.rand(1, 3, 6, 5)
    torch.testing.assert_close(scaled(lr), plain(lr), rtol=0, atol=1e-4)


def test_edsrs_inner_range_does_not_matter_to_a_linear_network() -> None:
    inner, outer = EDSR(1, features=8, image_range=255.0), EDSR(1, features=8, image_range=1.0)
    outer.load_state_dict(inner.state_dict())
    for module in (*inner.modules(), *outer.modules()):
        if isinstance(module, nn.Conv2d):
            nn.init.zeros_(module.bias)
    lr = torch.rand(1, 3, 6, 5)
    torch.testing.assert_close(inner(lr), outer(lr), rtol=0, atol=1e-5)
    mean = torch.tensor(networks.edsr.DIV2K_MEAN).view(1, 3, 1, 1).expand(1, 3, 24, 20)
    flat = mean[..., :6, :5].contiguous()
    torch.testing.assert_close(inner(flat), mean, rtol=0, atol=1e-6)  # the mean colour maps to itself


@pytest.mark.parametrize("gain", [0.1, 1.0])
def test_init_gain_scales_the_outer_layers_alone(gain: float) -> None:
    torch.manual_seed(0)
    model = MSRResNet(2, init_gain=gain)
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            kaiming = (2 / (module.in_channels * 9)) ** 0.5
            inner = name.startswith("body") or name == "conv_last"
            expected = kaiming * (0.1 if inner else gain)
            assert module.weight.std().item() == pytest.approx(expected, rel=0.1), name
            assert (module.bias == 0).all()


def test_checkpoint_names_are_the_fields() -> None:
    assert {name.rsplit(".", 1)[0] for name in MSRResNet(1).state_dict()} == {
        "conv_first",
        "body.0.conv1",
        "body.0.conv2",
        "upconv1",
        "upconv2",
        "conv_hr",
        "conv_last",
    }


def test_unknown_networks_are_named() -> None:
    with pytest.raises(ValueError, match="expected msrresnet, edsr, carn, two_scale, got 'srcnn'"):
        make_network("srcnn")
