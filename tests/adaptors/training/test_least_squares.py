"""Ridge regression from sums, against planted maps."""

import math

import pytest
import torch

from clockwork_pack.adaptors.training.least_squares import NormalEquations


@pytest.fixture
def planted():
    """Samples x (500, 3) of very different sizes, y (500, 2), and the map between them."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(500, 3, generator=generator) * torch.tensor([1.0, 1e-3, 1e3]) + torch.tensor([0.0, 0.0, 2e3])
    weight = torch.tensor([[1.0, 2000.0, 0.003], [-2.0, 0.0, 0.001]])
    bias = torch.tensor([0.5, -4.0])
    return x, x @ weight.T + bias, weight, bias


def equations_of(x, y, weights=None):
    equations = NormalEquations(x.shape[1], y.shape[1])
    equations.add(x, y, torch.ones(len(x)) if weights is None else weights)
    return equations


def test_a_planted_map_is_recovered(planted):
    x, y, weight, bias = planted
    found = equations_of(x, y).solve(1e-9)
    torch.testing.assert_close(found.weight, weight, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(found.bias, bias, rtol=1e-3, atol=1e-3)


def test_one_input_by_hand():
    """x = 1, -1 and y = 3 x: at unit size already, so the weight is 3 / (1 + strength)."""
    x = torch.tensor([[1.0], [-1.0]])
    found = equations_of(x, 3.0 * x).solve(0.5)
    torch.testing.assert_close(found.weight, torch.tensor([[2.0]]))
    torch.testing.assert_close(found.bias, torch.tensor([0.0]))


def test_each_scale_is_held_alike(planted):
    x, y, _, _ = planted
    scaled = equations_of(x * torch.tensor([10.0, 0.01, 3.0]), y).solve(0.1)
    found = equations_of(x, y).solve(0.1)
    torch.testing.assert_close(scaled.weight * torch.tensor([10.0, 0.01, 3.0]), found.weight, rtol=1e-4, atol=1e-6)


def test_the_stronger_the_nearer_to_zero(planted):
    x, y, _, _ = planted
    sizes = [equations_of(x, y).solve(strength).weight.norm().item() for strength in (1e-3, 0.1, 10.0, 1e3)]
    assert sizes == sorted(sizes, reverse=True)
    found = equations_of(x, y).solve(math.inf)
    assert found.weight.count_nonzero() == found.bias.count_nonzero() == 0


def test_sums_of_parts_are_the_sum_of_all(planted):
    x, y, _, _ = planted
    parts = equations_of(x[:100], y[:100]) + equations_of(x[100:], y[100:])
    whole = equations_of(x, y)
    assert parts.weight == whole.weight == 500
    torch.testing.assert_close(parts.gram, whole.gram)
    torch.testing.assert_close(parts.solve(0.1).weight, whole.solve(0.1).weight)


def test_a_weight_of_two_counts_as_the_sample_twice(planted):
    x, y, _, _ = planted
    y = y + torch.linspace(-1.0, 1.0, 500)[:, None]
    weights = torch.ones(500)
    weights[:50] = 2.0
    weights[450:] = 0.0
    found = equations_of(x, y, weights).solve(0.1)
    expected = equations_of(torch.cat([x[:450], x[:50]]), torch.cat([y[:450], y[:50]])).solve(0.1)
    torch.testing.assert_close(found.weight, expected.weight)
    torch.testing.assert_close(equations_of(x, y, 7.0 * weights).solve(0.1).weight, expected.weight)


def test_an_input_that_is_always_zero():
    x = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    assert equations_of(x, x[:, :1]).solve(1e-3).weight[0, 1] == 0.0


def test_no_samples_give_zero():
    assert NormalEquations(2, 1).solve(1e-3).weight.count_nonzero() == 0


def test_numbers_that_are_not_finite():
    with pytest.raises(ValueError, match="not finite"):
        equations_of(torch.tensor([[float("inf")]]), torch.tensor([[1.0]])).solve(0.1)


def test_size():
    equations = NormalEquations(5, 3)
    assert NormalEquations.size_bytes(5, 3) == equations.gram.nbytes + equations.cross.nbytes
