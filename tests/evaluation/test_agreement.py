"""Agreement of distances between classes, on distances whose answers are known."""

from __future__ import annotations

import math

import pytest
import torch

from afxvae.evaluation.agreement import (
    class_distances,
    class_means,
    distance_agreement,
    nearest_class,
    neighbour_divergence,
)
from afxvae.regularizers import distances
from afxvae.types import UsageError


def places(seed: int, classes: int = 6) -> torch.Tensor:
    return torch.randn(classes, 4, generator=torch.Generator().manual_seed(seed))


def test_means_are_those_of_each_class() -> None:
    points = torch.tensor([[0.0, 2.0], [5.0, 5.0], [2.0, 4.0]])
    labels = torch.tensor([1, 0, 1])
    assert class_means(points, labels, 2).tolist() == [[5.0, 5.0], [1.0, 3.0]]
    expected = math.hypot(4.0, 2.0)
    assert float(class_distances(points, labels, 2)[0, 1]) == pytest.approx(expected)


@pytest.mark.parametrize("classes", [1, 3])
def test_each_class_needs_an_item(classes: int) -> None:
    with pytest.raises(UsageError, match="needs an item"):
        class_means(torch.zeros(2, 2), torch.tensor([0, 1]), classes)


def test_a_mean_is_nearest_to_itself() -> None:
    means = places(0)
    assert nearest_class(means, means).tolist() == list(range(6))


@pytest.mark.parametrize("scale", [0.01, 1.0, 40.0])
def test_proportional_distances_agree(scale: float) -> None:
    wanted = distances(places(1))
    found = distance_agreement(scale * wanted, wanted)
    assert found["spearman"] == 1.0
    assert found["kl"] == pytest.approx(0.0, abs=1e-9)


def test_order_is_all_that_spearman_sees() -> None:
    wanted = distances(places(2))
    found = distance_agreement(wanted.pow(3.0), wanted)
    assert found["spearman"] == 1.0
    assert found["kl"] > 0.05


def test_turned_distances_disagree() -> None:
    wanted = distances(places(3))
    found = (wanted.max() - wanted).fill_diagonal_(0.0)
    agreement = distance_agreement(found, wanted)
    assert agreement["spearman"] == -1.0
    assert agreement["kl"] > neighbour_divergence(distances(places(4)), wanted)


def test_divergence_is_that_of_the_definition() -> None:
    found, wanted = distances(places(5, 3)), distances(places(6, 3))
    total = 0.0
    for row in range(3):
        others = [column for column in range(3) if column != row]
        sides = []
        for matrix in (wanted, found):
            unit = float(matrix.sum()) / 6
            weights = [math.exp(-0.5 * (float(matrix[row, c]) / (0.5 * unit)) ** 2) for c in others]
            sides.append([weight / sum(weights) for weight in weights])
        total += sum(p * math.log(p / q) for p, q in zip(*sides, strict=True))
    assert neighbour_divergence(found, wanted) == pytest.approx(total / 3)


@pytest.mark.parametrize("shapes", [((3, 3), (4, 4)), ((3, 4), (3, 4)), ((2, 2), (2, 2))])
def test_other_shapes_are_refused(shapes: tuple[tuple[int, int], tuple[int, int]]) -> None:
    with pytest.raises(UsageError):
        distance_agreement(torch.zeros(shapes[0]), torch.zeros(shapes[1]))
