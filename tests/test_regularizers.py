"""The terms that shape the latent space against their definitions."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from afxvae import regularizers
from afxvae.regularizers import attribute, free_bits, kl
from afxvae.types import UsageError


def normals(seed: int, *shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    mean = torch.randn(*shape, generator=generator, dtype=torch.float64)
    return mean, 2.0 * torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("prior_mean", [0.0, -1.5])
def test_kl_is_that_of_the_distributions(prior_mean: float) -> None:
    mean, log_var = normals(0, 50, 7)
    prior = Normal(torch.full_like(mean, prior_mean), torch.ones_like(mean))
    expected = kl_divergence(Normal(mean, (0.5 * log_var).exp()), prior)
    torch.testing.assert_close(kl(mean, log_var, prior_mean), expected)


def test_kl_takes_a_prior_for_each_item() -> None:
    mean, log_var = normals(1, 5, 3)
    prior = torch.randn(5, 3, dtype=torch.float64)
    torch.testing.assert_close(kl(mean, log_var, prior), kl(mean - prior, log_var))


def test_kl_is_zero_at_the_prior_and_nowhere_negative() -> None:
    assert torch.equal(kl(torch.zeros(2, 3), torch.zeros(2, 3)), torch.zeros(2, 3))
    assert float(kl(*normals(2, 1000, 4)).min()) >= 0.0


def test_free_bits_count_what_a_dimension_has_but_at_least_the_minimum() -> None:
    divergence = torch.tensor([[0.0, 1.0, 0.05], [0.1, 3.0, 0.35]])  # means .05, 2 and .2
    assert float(free_bits(divergence, 0.1)) == pytest.approx(0.1 + 2.0 + 0.2)
    assert float(free_bits(divergence, 0.0)) == pytest.approx(0.05 + 2.0 + 0.2)
    assert float(free_bits(torch.zeros(4, 3), 0.5)) == pytest.approx(1.5)


def test_free_bits_do_not_press_on_dimensions_below_the_minimum() -> None:
    mean = torch.tensor([[0.01, 2.0]] * 8, requires_grad=True)
    free_bits(kl(mean, torch.zeros(8, 2)), 0.1).backward()
    assert mean.grad is not None
    assert torch.equal(mean.grad[:, 0], torch.zeros(8))
    assert float(mean.grad[:, 1].min()) > 0.0


def test_an_ordered_latent_costs_little_and_a_reversed_one_much() -> None:
    values = torch.linspace(-1.0, 1.0, 32)
    ordered = float(attribute(10.0 * values, values))
    assert ordered < 0.1
    assert float(attribute(-10.0 * values, values)) > 1.8
    assert float(attribute(torch.zeros(32), values)) == pytest.approx(1.0, abs=0.05)
    noise = torch.randn(32, generator=torch.Generator().manual_seed(0))
    assert ordered < float(attribute(noise, values)) < 1.8


def test_only_the_order_of_an_attribute_counts() -> None:
    latent, values = normals(3, 40)[0], torch.linspace(-1.0, 1.0, 40, dtype=torch.float64)
    warped = attribute(latent, values.exp() * 7.0)
    torch.testing.assert_close(attribute(latent, values), warped)


def test_pairs_that_hardly_differ_are_left_out() -> None:
    values = torch.tensor([0.0, 0.01, 1.0])
    latent = torch.tensor([5.0, -5.0, 50.0])  # wrong only where nobody hears it
    assert float(attribute(latent, values, least=0.1)) < 1e-6
    assert float(attribute(latent, values)) > 0.3
    assert float(attribute(latent, torch.ones(3), least=0.1)) == 0.0


def test_descending_it_orders_a_latent() -> None:
    values = torch.linspace(-1.0, 1.0, 16)
    latent = 0.1 * torch.randn(16, generator=torch.Generator().manual_seed(1))
    latent.requires_grad_()
    optimizer = torch.optim.Adam([latent], lr=0.1)
    for _ in range(60):
        optimizer.zero_grad()
        attribute(latent, values).backward()
        optimizer.step()
    assert bool((latent.diff() > 0).all())


def _latents(count: int = 12, size: int = 3) -> torch.Tensor:
    return torch.randn(count, size, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def test_matching_distances_cost_nothing() -> None:
    z = _latents()
    wanted = regularizers.distances(z)
    assert float(regularizers.euclidean(z, wanted)) == 0.0
    nothing = torch.zeros_like(wanted)
    assert float(regularizers.gaussian(z, wanted, nothing)) == pytest.approx(0.0, abs=1e-12)
    assert float(regularizers.pearson(z, 3.0 * wanted + 1.0)) == pytest.approx(0.0, abs=1e-9)
    assert float(regularizers.pearson(z, -wanted)) == pytest.approx(2.0)


@pytest.mark.parametrize("name", regularizers.REGULARIZERS)
def test_turning_and_moving_the_latent_changes_nothing(name: str) -> None:
    z, targets = _latents(), regularizers.distances(_latents(12, 2) * 0.3)
    turn, _ = torch.linalg.qr(_latents(3, 3))
    term = regularizers.REGULARIZERS[name]
    values = [
        float(term(points, targets, 0.1 * targets, torch.Generator().manual_seed(0)))
        for points in (z, z @ turn + 5.0)
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-9)


def test_pearson_knows_no_scale_and_euclidean_does() -> None:
    z, targets = _latents(), regularizers.distances(_latents(12, 2))
    first, second = (float(regularizers.pearson(k * z, targets)) for k in (1.0, 40.0))
    assert first == pytest.approx(second)
    assert regularizers.euclidean(2.0 * z, targets) != regularizers.euclidean(z, targets)


@pytest.mark.parametrize("name", regularizers.REGULARIZERS)
def test_gradients_are_finite_where_points_coincide(name: str) -> None:
    for z in (torch.zeros(5, 2), torch.tensor([[0.0, 0.0], [0.0, 0.0], [1.0, 2.0]])):
        z.requires_grad_()
        targets = torch.ones(len(z), len(z)) - torch.eye(len(z))
        regularizers.REGULARIZERS[name](z, targets, 0.1 * targets, None).backward()
        assert z.grad is not None
        assert bool(z.grad.isfinite().all())


def test_euclidean_is_the_norm_of_the_difference() -> None:
    z = torch.tensor([[0.0, 0.0], [3.0, 4.0]])
    targets = torch.tensor([[0.0, 2.0], [2.0, 0.0]])
    assert float(regularizers.euclidean(z, targets)) == pytest.approx(18.0**0.5)


def test_student_is_least_where_neighbours_agree() -> None:
    """Two items are each other's only neighbour: each row is 1, each target half."""
    z = torch.tensor([[0.0], [1.0]])
    both = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    assert float(regularizers.student(z, both)) == pytest.approx(2 * torch.log(torch.tensor(2.0)))
    z = torch.tensor([[0.0], [0.1], [3.0], [3.1]])
    right = regularizers.distances(z)
    wrong = right[[0, 2, 1, 3]][:, [0, 2, 1, 3]]
    assert regularizers.student(z, right) < regularizers.student(z, wrong)
    assert regularizers.student(z, right) >= 4 * torch.log(torch.tensor(4.0))


def test_drawn_distances_scatter_about_their_mean() -> None:
    mean = 4.0 * (torch.ones(200, 200) - torch.eye(200))
    drawn = regularizers.draw_distances(mean, 0.5 * mean / 4.0, torch.Generator().manual_seed(1))
    assert torch.equal(drawn, drawn.T)
    assert bool((drawn.diagonal() == 0.0).all())
    off = drawn[mean > 0]
    assert float(off.mean()) == pytest.approx(4.0, abs=0.02)
    assert float(off.std()) == pytest.approx(0.5, abs=0.02)


def test_class_prior_is_the_divergence_of_gaussians() -> None:
    mean, log_var, place = _latents(), 0.3 * _latents(12, 3) - 1.0, _latents(12, 3)
    one, other = (
        torch.distributions.Normal(mean, (0.5 * log_var).exp()),
        torch.distributions.Normal(place, 0.7),
    )
    known = torch.distributions.kl_divergence(one, other)
    assert torch.allclose(regularizers.class_prior(mean, log_var, place, 0.49), known)
    plain = regularizers.class_prior(mean, log_var, torch.zeros(3), 1.0)
    assert torch.allclose(plain, regularizers.kl(mean, log_var))
    assert float(regularizers.class_prior(place, torch.zeros(12, 3), place, 1.0).abs().max()) == 0.0


def test_targets_of_another_shape_are_refused() -> None:
    with pytest.raises(UsageError, match="a row for each"):
        regularizers.pearson(torch.zeros(4, 2), torch.zeros(3, 3))
    with pytest.raises(UsageError, match="one square"):
        regularizers.draw_distances(torch.zeros(4, 3), torch.zeros(4, 3))
