"""The terms that shape the latent space against their definitions."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from afxvae.regularizers import attribute, free_bits, kl


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
