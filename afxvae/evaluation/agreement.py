"""How far distances between classes in a latent agree with those that are wanted."""

from __future__ import annotations

import torch
from torch import Tensor

from ..regularizers import distances
from ..types import UsageError
from .disentanglement import spearman

__all__ = [
    "class_distances",
    "class_means",
    "distance_agreement",
    "nearest_class",
    "neighbour_divergence",
]


def class_means(points: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Mean point of each class, ``(class, dimension)``.

    Args:
        points: ``(item, dimension)``.
        labels: ``(item,)``, from 0 to `classes` - 1.
        classes: Number of classes.

    Raises:
        UsageError: A class has no item.
    """
    counts = torch.bincount(labels, minlength=classes)
    if len(counts) != classes or not bool(counts.all()):
        raise UsageError(f"Each of {classes} classes needs an item; there are {counts.tolist()}.")
    sums = torch.zeros(classes, points.shape[1], dtype=points.dtype).index_add(0, labels, points)
    return sums / counts.unsqueeze(1)


def class_distances(points: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Distances ``(class, class)`` between `class_means`."""
    return distances(class_means(points, labels, classes))


def nearest_class(points: Tensor, means: Tensor) -> Tensor:
    """Number of the nearest of `means` ``(class, dimension)``, of each point ``(item,)``."""
    nearest: Tensor = torch.cdist(points, means).argmin(1)
    return nearest


def distance_agreement(found: Tensor, wanted: Tensor) -> dict[str, float]:
    """Whether distances ``(class, class)`` are like those that are wanted; no unit matters.

    Returns:
        ``spearman``, over pairs of different classes, and ``kl``, see `neighbour_divergence`.

    Raises:
        UsageError: They have not one square shape of at least three classes.
    """
    divergence = neighbour_divergence(found, wanted)
    row, column = torch.triu_indices(len(found), len(found), 1)
    return {"spearman": spearman(found[row, column], wanted[row, column]), "kl": divergence}


def neighbour_divergence(found: Tensor, wanted: Tensor) -> float:
    """Divergence of the neighbours found from those wanted, in nats, mean over classes.

    The neighbours of a class are a distribution over the others: a Gaussian of their distances, as
    in stochastic neighbour embedding (Hinton and Roweis 2002, eq. 1), whose standard deviation is
    half the mean distance, so that scale does not matter. 0 if found is proportional to wanted.

    Raises:
        UsageError: They have not one square shape of at least three classes.
    """
    if found.dim() != 2 or found.shape != wanted.shape or found.shape[0] != found.shape[1]:
        shapes = f"{tuple(found.shape)} and {tuple(wanted.shape)}"
        raise UsageError(f"Distances have the shapes {shapes}: one square is needed.")
    if len(found) < 3:
        raise UsageError(f"{len(found)} classes have no order of neighbours; 3 are needed.")
    near, right = (_log_neighbours(matrix.double()) for matrix in (found, wanted))
    itself = torch.eye(len(found), dtype=torch.bool)
    gaps = (right.exp() * (right - near).masked_fill(itself, 0.0)).sum(1)
    return max(0.0, float(gaps.mean()))


def _log_neighbours(matrix: Tensor) -> Tensor:
    itself = torch.eye(len(matrix), dtype=torch.bool)
    unit = matrix[~itself].mean().clamp_min(1e-12)
    return (-2.0 * (matrix / unit).square()).masked_fill(itself, -torch.inf).log_softmax(1)
