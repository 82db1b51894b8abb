"""Terms that shape a latent space: pure functions of latents and targets, in nats per sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["attribute", "free_bits", "kl"]


def kl(mean: Tensor, log_var: Tensor, prior_mean: Tensor | float = 0.0) -> Tensor:
    """Divergence of ``N(mean, exp(log_var))`` from ``N(prior_mean, 1)`` by dimension.

    Kingma and Welling 2014, appendix B. ``(batch, latent)`` to ``(batch, latent)``.
    """
    return 0.5 * ((mean - prior_mean).square() + log_var.exp() - log_var - 1.0)


def free_bits(divergence: Tensor, minimum: float = 0.1) -> Tensor:
    """Sum over dimensions of the batch mean, each counted as at least `minimum` nats.

    Kingma et al. 2016, *Improved variational inference with inverse autoregressive flow*, eq. 15.
    """
    return divergence.mean(0).clamp_min(minimum).sum()


def attribute(latent: Tensor, values: Tensor, delta: float = 2.0, least: float = 0.0) -> Tensor:
    """AR-VAE: a latent dimension must order a batch as an attribute does.

    Pati and Lerch 2020, *Attribute-based regularization of latent spaces*, eq. 3, over the pairs
    whose attributes differ by more than `least`.

    Args:
        latent: ``(batch,)`` one latent dimension.
        values: ``(batch,)`` the attribute.
        delta: Steepness.
        least: Smallest difference that counts.
    """
    wanted = values.unsqueeze(0) - values.unsqueeze(1)
    found = torch.tanh(delta * (latent.unsqueeze(0) - latent.unsqueeze(1)))
    counted = (wanted.abs() > least).to(latent.dtype)
    return ((found - wanted.sign()).abs() * counted).sum() / counted.sum().clamp_min(1.0)
