"""Multidimensional scaling: known configurations come back, and orders are all that counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from afxvae.timbre import classical_scaling, load_dissimilarities, nonmetric_scaling
from afxvae.types import UsageError


def between(points: np.ndarray) -> np.ndarray:
    return np.sqrt(np.square(points[:, None] - points[None]).sum(-1))


def points(count: int = 12, size: int = 2) -> np.ndarray:
    return np.random.default_rng(3).standard_normal((count, size))


def test_classical_scaling_gives_back_points_but_for_a_rotation() -> None:
    known = between(points())
    found = classical_scaling(known, 2)
    np.testing.assert_allclose(between(found.points), known, atol=1e-9)
    assert found.stress < 1e-12
    np.testing.assert_allclose(found.points.mean(0), 0.0, atol=1e-12)
    covariance = np.cov(found.points.T)
    assert abs(covariance[0, 1]) < 1e-9 < covariance[1, 1] < covariance[0, 0]


def test_classical_scaling_of_a_square() -> None:
    side = np.array([[0, 1, 2**0.5, 1], [1, 0, 1, 2**0.5], [2**0.5, 1, 0, 1], [1, 2**0.5, 1, 0]])
    np.testing.assert_allclose(np.abs(classical_scaling(side).points).max(), 2**-0.5, atol=0.21)
    np.testing.assert_allclose(between(classical_scaling(side).points), side, atol=1e-9)


def test_stress_is_kruskals() -> None:
    known = between(points(8, 4))
    found = classical_scaling(known, 2)
    row, column = np.triu_indices(8, 1)
    distances = between(found.points)[row, column]
    expected = np.sqrt(((known[row, column] - distances) ** 2).sum() / (distances**2).sum())
    assert found.stress == pytest.approx(expected)
    assert found.stress > classical_scaling(known, 3).stress > classical_scaling(known, 4).stress


@pytest.mark.parametrize("bend", [np.square, np.sqrt, np.expm1], ids=["square", "root", "exp"])
def test_only_the_order_counts_for_nonmetric_scaling(bend) -> None:
    known = between(points(15))
    found = nonmetric_scaling(bend(known), 2, starts=2)
    assert found.stress < 0.01
    row, column = np.triu_indices(15, 1)
    assert np.corrcoef(found.distances, known[row, column])[0, 1] > 0.99
    assert classical_scaling(known**3, 2).stress > 0.1


def test_shepard_values_are_in_order_and_their_blocks_keep_the_mean() -> None:
    known = between(points(10, 5))
    found = nonmetric_scaling(known, 2)
    order = np.argsort(found.dissimilarities)
    assert (np.diff(found.fitted[order]) >= -1e-12).all()
    assert found.fitted.sum() == pytest.approx(found.distances.sum())
    assert found.stress < classical_scaling(known, 2).stress


@pytest.mark.parametrize("steps", [1, 3, 500])
def test_mean_square_distance_is_one_wherever_it_stops(steps: int) -> None:
    found = nonmetric_scaling(between(points(10, 5)), 2, steps=steps)
    assert np.mean(found.distances**2) == pytest.approx(1.0)
    np.testing.assert_allclose(found.points.mean(0), 0.0, atol=1e-12)


def test_the_same_seed_gives_the_same_points() -> None:
    known = between(points(9, 4))
    first, second = (nonmetric_scaling(known, 2, seed=5).points for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_matrices_load_with_and_without_names_of_rows(tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text("# mean ratings\n,oboe,harp\noboe,0,3\nharp,5,0\n")
    found = load_dissimilarities(path)
    assert found.names == ("oboe", "harp")
    np.testing.assert_array_equal(found.matrix, [[0, 4], [4, 0]])
    path.write_text("oboe\tharp\n0\t3\n5\t0\n")
    np.testing.assert_array_equal(load_dissimilarities(path).matrix, found.matrix)


def test_triples_are_averaged(tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text("oboe,harp,1\nharp,oboe,3\noboe,horn,5\nhorn,harp,7\n")
    found = load_dissimilarities(path)
    assert found.names == ("oboe", "harp", "horn")
    np.testing.assert_array_equal(found.matrix, [[0, 2, 5], [2, 0, 7], [5, 7, 0]])


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a,b,1\nb,c,2\n", "no value for a and c"),
        ("a,b\n0,x\n1,0\n", "could not convert"),
        ("a,b\n0,1,2,3\n1,0\n", "as many columns"),
        ("a,b,-1\n", "at least 0"),
        ("", "no rows"),
    ],
)
def test_faulty_files_are_refused(tmp_path: Path, text: str, fault: str) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match=fault):
        load_dissimilarities(path)
    with pytest.raises(UsageError, match="cannot be read"):
        load_dissimilarities(tmp_path / "none.csv")


@pytest.mark.parametrize(
    "matrix",
    [np.zeros((2, 3)), -np.ones((3, 3)), np.ones((3, 3)), [[0, 1, 2], [2, 0, 1], [1, 1, 0]]],
)
def test_other_matrices_are_refused(matrix) -> None:
    for scaling in (classical_scaling, nonmetric_scaling):
        with pytest.raises(UsageError, match="issimilarities"):
            scaling(matrix)
    with pytest.raises(UsageError, match="dimensions"):
        classical_scaling(np.zeros((2, 2)), 2)
