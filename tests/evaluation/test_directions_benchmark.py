"""Following a field in the latent does what is asked, by the shortest way."""

from __future__ import annotations

import torch
from torch import Tensor

from afxvae.training.axes import NAMED
from afxvae.training.surrogate import Surrogate
from tests.benchmarks.directions import expectation, follow, slopes
from tests.sounds import untrained

MIXTURE = torch.randn(16, 4, generator=torch.Generator().manual_seed(0)) / 4.0


def bent(latent: Tensor) -> Tensor:
    """Attributes that are mixed, bent, and told by all dimensions."""
    mixed = latent @ MIXTURE
    return mixed + 0.2 * mixed.sin() + 0.1 * mixed.roll(1, 1).square()


def test_one_attribute_goes_where_it_is_asked_to_and_the_others_stay() -> None:
    start = 0.5 * torch.randn(5, 16, generator=torch.Generator().manual_seed(1))
    asked = torch.zeros(5, 4)
    asked[:4] = torch.diag(torch.tensor([2.0, -2.0, 1.0, -1.0]))
    moved = follow(bent, start, asked)
    torch.testing.assert_close(bent(moved) - bent(start), asked, atol=0.02, rtol=0.0)
    assert torch.equal(moved[4], start[4])


def test_the_way_is_the_shortest() -> None:
    asked = torch.tensor([[0.0, 1.0, 0.0, 0.0]])
    moved = follow(lambda latent: latent @ MIXTURE, torch.zeros(1, 16), asked)
    torch.testing.assert_close(moved, asked @ torch.linalg.pinv(MIXTURE), atol=0.02, rtol=0.0)


def test_an_expectation_has_slopes_in_the_latent() -> None:
    model = untrained().requires_grad_(False)
    surrogate = Surrogate(model.chain).requires_grad_(False).eval()
    embedded = torch.zeros(1, model.config["embedding_dim"])
    latent = torch.randn(3, 16, generator=torch.Generator().manual_seed(0))
    found, slope = slopes(expectation(model, surrogate, embedded), latent)
    assert found.shape == (3, len(NAMED))
    assert slope.shape == (3, len(NAMED), 16)
    assert bool(slope.any(dim=2).all())
