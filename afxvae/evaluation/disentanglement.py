"""How well single dimensions of a latent stand for single attributes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["dci", "mutual_information_gap", "ranks", "sap", "spearman", "spearman_matrix"]

_BINS = 20


def ranks(values: Tensor) -> Tensor:
    """Ranks of ``(item,)`` from 0, equal values with their mean rank, in double precision."""
    _, place, count = values.unique(return_inverse=True, return_counts=True)
    count = count.double()
    found: Tensor = (count.cumsum(0) - 0.5 * (count + 1.0))[place]
    return found


def spearman(one: Tensor, other: Tensor) -> float:
    """Rank correlation of two tensors ``(item,)``; 0 if one of them does not vary.

    >>> spearman(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 8.0, 27.0]))
    1.0
    """
    first, second = (part - part.mean() for part in (ranks(one), ranks(other)))
    scale = float(first.norm() * second.norm())
    return round(float(first @ second) / scale, 12) if scale > 0.0 else 0.0


def spearman_matrix(latent: Tensor, values: Tensor) -> Tensor:
    """`spearman` of ``(item, latent)`` with ``(item, attribute)``, ``(latent, attribute)``."""
    rows = [[spearman(z, a) for a in values.unbind(1)] for z in latent.unbind(1)]
    return torch.tensor(rows)


def sap(latent: Tensor, values: Tensor) -> Tensor:
    """Separated attribute predictability, ``(attribute,)``.

    The gap of R2 between the two dimensions that predict an attribute best by themselves (Kumar,
    Sattigeri and Balakrishnan 2018, eq. 8).

    Args:
        latent: ``(item, latent)``, two dimensions at least.
        values: ``(item, attribute)``.
    """
    z, a = (part.double() - part.double().mean(0) for part in (latent, values))
    scale = z.norm(dim=0).unsqueeze(1) * a.norm(dim=0)
    best = ((z.mT @ a) / scale.clamp_min(1e-12)).square().topk(2, dim=0).values
    gap: Tensor = (best[0] - best[1]).float()
    return gap


def mutual_information_gap(latent: Tensor, values: Tensor, bins: int = _BINS) -> Tensor:
    """MIG, ``(attribute,)``: the gap of mutual information between the two best dimensions.

    In shares of the attribute's entropy (Chen et al. 2018, eq. 6), over `bins` bins that hold
    equally many items.
    """
    z, a = (_binned(part, bins) for part in (latent, values))
    gaps = []
    for attribute in a.unbind(1):
        entropy = _entropy(attribute, bins)
        found = [
            _entropy(one, bins) + entropy - _entropy(one * bins + attribute, bins * bins)
            for one in z.unbind(1)
        ]
        first, second = sorted(found, reverse=True)[:2]
        gaps.append((first - second) / max(entropy, 1e-12))
    return torch.tensor(gaps)


def dci(latent: Tensor, values: Tensor, damping: float = 1e-3) -> dict[str, float]:
    """Disentanglement, completeness and informativeness (Eastwood and Williams 2018, section 2).

    Importances are absolute coefficients of a ridge regression of standardised attributes on
    standardised dimensions, instead of a lasso; informativeness is its mean R2.

    Args:
        latent: ``(item, latent)``.
        values: ``(item, attribute)``, two attributes at least.
        damping: Of the regression, per item.
    """
    z, a = (_standard(part.double()) for part in (latent, values))
    gram = z.mT @ z / len(z) + damping * torch.eye(z.shape[1], dtype=z.dtype)
    weights = torch.linalg.solve(gram, z.mT @ a / len(z))
    importance = weights.abs() + 1e-12
    by_dimension = 1.0 - _normed_entropy(importance)
    share = importance.sum(1) / importance.sum()
    residual = (a - z @ weights).square().mean(0)
    return {
        "disentanglement": float((share * by_dimension).sum()),
        "completeness": float((1.0 - _normed_entropy(importance.mT)).mean()),
        "informativeness": float(1.0 - residual.mean()),
    }


def _standard(values: Tensor) -> Tensor:
    centred = values - values.mean(0)
    return centred / centred.square().mean(0).sqrt().clamp_min(1e-12)


def _normed_entropy(rows: Tensor) -> Tensor:
    """Entropy of each row as a distribution, in shares of the largest there can be."""
    share = rows / rows.sum(1, keepdim=True)
    return -(share * share.log()).sum(1) / math.log(rows.shape[1])


def _binned(values: Tensor, bins: int) -> Tensor:
    columns = [ranks(column) * bins / len(values) for column in values.unbind(1)]
    return torch.stack(columns, dim=1).long().clamp_max(bins - 1)


def _entropy(labels: Tensor, count: int) -> float:
    share = torch.bincount(labels, minlength=count).double() / len(labels)
    return float(-(share[share > 0] * share[share > 0].log()).sum())
