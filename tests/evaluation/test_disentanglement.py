"""Measures of single dimensions for single attributes, on latents whose answers are known."""

from __future__ import annotations

import pytest
import scipy.stats
import torch

from afxvae.evaluation.disentanglement import (
    dci,
    mutual_information_gap,
    ranks,
    sap,
    spearman,
    spearman_matrix,
)


def noise(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_equal_values_share_their_rank() -> None:
    assert ranks(torch.tensor([3.0, 1.0, 3.0, 2.0])).tolist() == [2.5, 0.0, 2.5, 1.0]


def test_spearman_is_that_of_scipy() -> None:
    one, other = (noise(seed, 60).mul(2.0).round() for seed in (0, 1))  # with ties
    other = other + one
    assert spearman(one, other) == pytest.approx(scipy.stats.spearmanr(one, other).statistic)
    assert spearman(one, torch.zeros(60)) == 0.0


def test_a_perfect_latent_has_perfect_figures() -> None:
    values = noise(0, 4000, 2)
    latent = torch.cat([values.exp(), noise(1, 4000, 2)], dim=1)
    torch.testing.assert_close(
        spearman_matrix(latent, values)[:2], torch.eye(2), atol=0.05, rtol=0.0
    )
    assert bool((mutual_information_gap(latent, values) > 0.95).all())
    linear = torch.cat([values, noise(1, 4000, 2)], dim=1)
    assert bool((sap(linear, values) > 0.95).all())
    found = dci(linear, values)
    assert min(found.values()) > 0.85


def test_a_latent_that_mixes_is_told_from_it() -> None:
    values = noise(0, 4000, 2)
    latent = values @ torch.tensor([[1.0, 1.0], [1.0, -1.0]])
    assert bool((sap(latent, values) < 0.05).all())
    assert bool((mutual_information_gap(latent, values) < 0.05).all())
    found = dci(latent, values)
    assert found["informativeness"] > 0.99
    assert max(found["disentanglement"], found["completeness"]) < 0.1
