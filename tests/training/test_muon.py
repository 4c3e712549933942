import copy

import pytest
import torch
from torch import nn

from sr_utils.networks import CARN, EDSR, MSRResNet, TwoScale
from sr_utils.training.muon import Muon, orthogonalize


@pytest.mark.parametrize("shape", [(3, 8, 40), (2, 40, 8), (1, 16, 16), (4, 1, 9)])
@pytest.mark.parametrize("size", [1e-6, 1.0, 1e4])
def test_orthogonalize_levels_the_singular_values_and_keeps_the_directions(shape, size: float) -> None:
    matrices = size * torch.randn(shape, generator=torch.Generator().manual_seed(0))
    result = orthogonalize(matrices)
    values = torch.linalg.svdvals(result)
    wanted = (
        min(shape[1:]) if shape[1] != shape[2] else min(shape[1:]) - 2
    )  # square ones may be near-singular
    assert result.shape == shape and values[:, :wanted].min() > 0.6 and values.max() < 1.25
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    levelled = left.mT @ result @ right.mT
    off = levelled - torch.diag_embed(levelled.diagonal(dim1=1, dim2=2))
    assert off.abs().max() < 1e-3


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_levels_even_tiny_gradients(dtype: torch.dtype) -> None:
    matrices = 1e-6 * torch.randn((2, 8, 40), generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalize(matrices, dtype))
    assert values.min() > 0.6 and values.max() < 1.25


def test_nothing_stays_nothing() -> None:
    assert torch.equal(orthogonalize(torch.zeros(1, 4, 6)), torch.zeros(1, 4, 6))


def _step(optimizer: torch.optim.Optimizer, model: nn.Module) -> None:
    loss = model(torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(1))).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


@pytest.mark.parametrize(
    "make",
    [
        lambda: MSRResNet(2, features=8),
        lambda: EDSR(1, features=8),
        lambda: CARN(8),
        lambda: TwoScale(1, 1, 1, 8, 8),
    ],
)
def test_images_and_biases_are_left_to_adam(make) -> None:
    torch.manual_seed(0)
    model = make()
    twin = make()
    twin.load_state_dict(model.state_dict())
    _step(Muon(model.parameters(), 1e-3), model)
    _step(torch.optim.Adam(twin.parameters(), 1e-3, betas=(0.9, 0.99), fused=True), twin)
    for (name, ours), adams in zip(model.named_parameters(), twin.parameters(), strict=True):
        inner = ours.ndim == 4 and ours.shape[0] > 3 and ours.shape[1] > 3
        assert torch.equal(ours, adams) is not inner, name


def test_the_step_has_adams_size_and_follows_the_learning_rate() -> None:
    for rate in (1e-3, 1e-2):
        torch.manual_seed(0)
        model = MSRResNet(2, features=16)
        before = model.body[0].conv1.weight.detach().clone()
        _step(Muon(model.parameters(), rate), model)
        change = (model.body[0].conv1.weight - before).square().mean().sqrt()
        assert 0.1 * rate < change < 0.3 * rate


def test_weight_decay_takes_its_share_where_there_is_no_gradient_too() -> None:
    """As that of a unit whose ReLU is never active."""
    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(4, 4, 3, 3))
    before = weight.detach().clone()
    optimizer = Muon([weight, nn.Parameter(torch.zeros(4))], 0.1, weight_decay=0.5)
    for _ in range(2):
        weight.grad = torch.zeros_like(weight)
        optimizer.step()
    torch.testing.assert_close(weight.detach(), before * 0.95**2)


def test_a_saved_state_goes_on_exactly() -> None:
    torch.manual_seed(0)
    model = MSRResNet(2, features=8)
    optimizer = Muon(model.parameters(), 1e-3)
    _step(optimizer, model)
    twin = MSRResNet(2, features=8)
    twin.load_state_dict(model.state_dict())
    other = Muon(twin.parameters(), 1e-3)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for _ in range(2):
        _step(optimizer, model), _step(other, twin)
    assert all(map(torch.equal, model.parameters(), twin.parameters()))


def test_a_weight_without_a_gradient_stays() -> None:
    torch.manual_seed(0)
    model = MSRResNet(2, features=8)
    frozen = model.body[0].conv1.weight.requires_grad_(False)
    before = frozen.clone()
    _step(Muon(model.parameters(), 1e-3), model)
    assert torch.equal(frozen, before)


def test_found_inf_changes_nothing() -> None:
    torch.manual_seed(0)
    model = MSRResNet(2, features=8)
    optimizer = Muon(model.parameters(), 1e-3)
    _step(optimizer, model)
    before = [
        value.clone() for value in (*model.parameters(), *(s["momentum"] for s in optimizer.state.values()))
    ]
    scaler = torch.amp.GradScaler("cpu", init_scale=1.0)
    loss = scaler.scale(model(torch.rand(1, 3, 6, 6)).sum() * torch.inf)
    loss.backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    after = [*model.parameters(), *(s["momentum"] for s in optimizer.state.values())]
    assert all(map(torch.equal, before, after))
