"""Terms that shape a latent space: pure functions of latents and targets, in nats per sample."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .types import UsageError

__all__ = [
    "REGULARIZERS",
    "Regularizer",
    "attribute",
    "class_prior",
    "distances",
    "draw_distances",
    "euclidean",
    "free_bits",
    "gaussian",
    "kl",
    "pearson",
    "student",
]


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


def distances(points: Tensor) -> Tensor:
    """Euclidean distances ``(item, item)`` of points ``(item, dimension)``.

    The gradient is 0, not infinite, where points coincide.
    """
    squared = (points.unsqueeze(0) - points.unsqueeze(1)).square().sum(-1)
    apart = squared > 0.0
    return torch.where(apart, torch.where(apart, squared, 1.0).sqrt(), 0.0)


def euclidean(latent: Tensor, targets: Tensor) -> Tensor:
    """Latent distances must equal target distances: ``||D_z - D_T||_F``.

    Esling, Chemla-Romeu-Santos and Bitton, DAFx 2018, eq. 8, with its term R as a norm of
    distances. Invariant to rotation and translation of `latent`.

    Args:
        latent: ``(batch, latent)``.
        targets: Distances ``(batch, batch)``, in units of the latent.

    Raises:
        UsageError: `targets` is not square with a row for each latent.
    """
    _check(latent, targets)
    squared = (distances(latent) - targets).square().sum()
    return torch.where(squared > 0.0, squared.clamp_min(1e-24).sqrt(), 0.0)


def gaussian(
    latent: Tensor, mean: Tensor, deviation: Tensor, generator: torch.Generator | None = None
) -> Tensor:
    """`euclidean` to distances that are drawn anew at each call, as listeners' ratings scatter.

    Esling, Chemla-Romeu-Santos and Bitton, DAFx 2018, eq. 8, with ratings modelled as Gaussians:
    ``D_T[i, j] ~ N(mean, deviation^2)``. Draws are symmetric, never negative, 0 on the diagonal.

    Args:
        latent: ``(batch, latent)``.
        mean: Of the target distances, ``(batch, batch)``.
        deviation: Standard deviations ``(batch, batch)``.
        generator: Draws the distances.

    Raises:
        UsageError: `mean` or `deviation` is not square with a row for each latent.
    """
    return euclidean(latent, draw_distances(mean, deviation, generator))


def draw_distances(
    mean: Tensor, deviation: Tensor, generator: torch.Generator | None = None
) -> Tensor:
    """Symmetric distances ``(item, item)``, normal about `mean`, at least 0, with diagonal 0.

    Raises:
        UsageError: `mean` and `deviation` have not one square shape.
    """
    if mean.dim() != 2 or len(mean) != mean.shape[1] or mean.shape != deviation.shape:
        shapes = f"{tuple(mean.shape)} and {tuple(deviation.shape)}"
        raise UsageError(f"Means and deviations of distances are {shapes}: one square is needed.")
    noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype).to(mean.device)
    noise = noise.triu(1)
    drawn = (mean + deviation * (noise + noise.T)).clamp_min(0.0)
    return drawn - torch.diag(drawn.diagonal())


def student(latent: Tensor, targets: Tensor) -> Tensor:
    """Neighbours in the latent must be neighbours in the target space, as in t-SNE.

    Esling, Chemla-Romeu-Santos and Bitton, DAFx 2018, eq. 9-11:
    ``sum_ij D_z log(D_z / D_T)``, where ``D_z`` is a Gaussian of the latent distances with variance
    1/2, normalised by row, and ``D_T`` a Student-t of the target distances, normalised over all
    pairs; both without their diagonals. The rows of ``D_z`` each sum to 1 but those of ``D_T`` to 1
    together, so the least value for ``batch`` items is ``batch log batch``, not 0.

    Args:
        latent: ``(batch, latent)``, at least two.
        targets: Distances ``(batch, batch)``.

    Raises:
        UsageError: `targets` is not square with a row for each latent.
    """
    _check(latent, targets)
    itself = torch.eye(len(latent), dtype=torch.bool, device=latent.device)
    squared = (latent.unsqueeze(0) - latent.unsqueeze(1)).square().sum(-1)
    log_near = (-squared).masked_fill(itself, -torch.inf).log_softmax(1)
    weight = (-torch.log1p(targets.square())).masked_fill(itself, -torch.inf)
    log_target = weight - weight.flatten().logsumexp(0)
    ratio = (log_near - log_target).masked_fill(itself, 0.0)
    return (log_near.exp() * ratio).sum()


def class_prior(
    mean: Tensor, log_var: Tensor, prior_mean: Tensor, prior_var: Tensor | float
) -> Tensor:
    """Divergence of a posterior from the Gaussian of its class, by dimension.

    Esling, Chemla-Romeu-Santos and Bitton, DAFx 2018, eq. 8 with ``p(z | C) = N(place, spread)`` in
    place of ``p(z)``: takes the place of `kl`, and equals it for mean 0 and variance 1.

    Args:
        mean: ``(batch, latent)``.
        log_var: ``(batch, latent)``.
        prior_mean: Place of each item's class, ``(batch, latent)``.
        prior_var: Variance of each item's class, above 0, that can be broadcast.

    Returns:
        ``(batch, latent)`` nats.
    """
    variance = torch.as_tensor(prior_var, dtype=mean.dtype, device=mean.device)
    apart = (mean - prior_mean).square()
    return 0.5 * (variance.log() - log_var + (log_var.exp() + apart) / variance - 1.0)


def pearson(latent: Tensor, targets: Tensor) -> Tensor:
    """Latent distances must be proportional, but for an offset, to target distances.

    ``1 - r`` over the pairs of a batch, from 0 to 2: the loss of Pascal and Lagrange's timbre
    metric learning. Scale does not matter, so that it does not pull against the prior. 1 where
    either side does not vary.

    Args:
        latent: ``(batch, latent)``, at least three.
        targets: Distances ``(batch, batch)``.

    Raises:
        UsageError: `targets` is not square with a row for each latent.
    """
    _check(latent, targets)
    row, column = torch.triu_indices(len(latent), len(latent), 1, device=latent.device)
    found = distances(latent)[row, column]
    wanted = targets[row, column].to(found)
    found, wanted = found - found.mean(), wanted - wanted.mean()
    power = found.square().sum() * wanted.square().sum()
    return 1.0 - (found * wanted).sum() / power.clamp_min(1e-24).sqrt()


Regularizer = Callable[[Tensor, Tensor, Tensor, "torch.Generator | None"], Tensor]
"""Of latents ``(batch, latent)``, and mean and deviation of the target distances."""

REGULARIZERS: dict[str, Regularizer] = {
    "euclidean": lambda z, mean, deviation, generator: euclidean(z, mean),
    "gaussian": gaussian,
    "student": lambda z, mean, deviation, generator: student(z, mean),
    "pearson": lambda z, mean, deviation, generator: pearson(
        z, draw_distances(mean, deviation, generator)
    ),
}
"""Terms on distances, by the names that a recipe knows them by."""


def _check(latent: Tensor, targets: Tensor) -> None:
    if latent.dim() != 2 or targets.shape != (len(latent), len(latent)):
        shapes = f"{tuple(targets.shape)} for latents {tuple(latent.shape)}"
        raise UsageError(f"Target distances have the shape {shapes}: a row for each is needed.")
