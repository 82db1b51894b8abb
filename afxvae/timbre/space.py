"""Spaces of dissimilarities: multidimensional scaling, and matrices read from text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..types import UsageError

__all__ = [
    "Dissimilarities",
    "Scaling",
    "classical_scaling",
    "load_dissimilarities",
    "nonmetric_scaling",
]

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Dissimilarities:
    """How unlike things are.

    Attributes:
        names: Of the things.
        matrix: ``(thing, thing)``, symmetric, at least 0, with diagonal 0, in any unit.
    """

    names: tuple[str, ...]
    matrix: Matrix


@dataclass(frozen=True)
class Scaling:
    """Points whose distances stand for dissimilarities, and how well they do.

    The columns of a Shepard plot are `dissimilarities`, `distances` and `fitted`.

    Attributes:
        points: ``(thing, dimension)``, centred, along their principal axes.
        stress: Kruskal's stress-1, ``sqrt(sum (fitted - distance)^2 / sum distance^2)``: 0 is
            perfect, 0.05 good, 0.2 poor.
        dissimilarities: Of each pair, ``(pair,)``.
        distances: Of the points, ``(pair,)``.
        fitted: What the distances should be, ``(pair,)``: the dissimilarities themselves, or the
            nearest values that are in their order.
    """

    points: Matrix
    stress: float
    dissimilarities: Matrix
    distances: Matrix
    fitted: Matrix


def classical_scaling(matrix: Any, dimensions: int = 2) -> Scaling:
    """Place things by the eigenvectors of their doubly centred squared dissimilarities.

    Torgerson 1952, *Multidimensional scaling: I. Theory and method*. Euclidean distances give back
    their points, but for a rotation. Dimensions with a negative eigenvalue are 0.

    Args:
        matrix: Dissimilarities ``(thing, thing)``.
        dimensions: At least 1.

    Raises:
        UsageError: Not a matrix of dissimilarities, or fewer things than dimensions.
    """
    known = _checked(matrix, dimensions)
    return _judged(_classical_points(known, dimensions), known, None)


def nonmetric_scaling(
    matrix: Any,
    dimensions: int = 2,
    *,
    starts: int = 4,
    steps: int = 500,
    tolerance: float = 1e-7,
    seed: int = 0,
) -> Scaling:
    """Place things so that distances are in the order of the dissimilarities.

    Kruskal 1964, *Multidimensional scaling by optimizing goodness of fit to a nonmetric
    hypothesis*; the points move by the Guttman transform (SMACOF: De Leeuw 1977) towards the
    monotone values nearest to their distances. Equal dissimilarities may get unequal values. The
    mean square distance is 1.

    Args:
        matrix: Dissimilarities ``(thing, thing)``; only their order counts.
        dimensions: At least 1.
        starts: The classical solution, and as many random ones as are left; the best is kept.
        steps: At most, for each start.
        tolerance: A start ends with the first step that lowers the square of stress-1 by less than
            a thousandth of this.
        seed: Of the random starts.

    Raises:
        UsageError: Not a matrix of dissimilarities, fewer things than dimensions, or no start.
    """
    known = _checked(matrix, dimensions)
    if starts < 1 or steps < 1:
        raise UsageError(f"{starts} starts of {steps} steps: at least one of each is needed.")
    rng = np.random.default_rng(seed)
    first = [_classical_points(known, dimensions)]
    first += [rng.standard_normal((len(known), dimensions)) for _ in range(starts - 1)]
    order = _order(known)
    found = [_descend(points, order, steps, tolerance) for points in first]
    return min((_judged(points, known, order) for points in found), key=lambda s: s.stress)


def load_dissimilarities(path: str | Path) -> Dissimilarities:
    """Read dissimilarities from text, fields apart by commas, tabs or semicolons.

    Either a square matrix, whose first line has the names and whose other lines may begin with one;
    or triples ``name, name, dissimilarity``, one a line. Pairs that occur more than once, or in
    both orders, are averaged. Lines that begin with ``#`` are left out.

    Raises:
        UsageError: The file cannot be read, a pair is missing, or a value is not a number of at
            least 0.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}.") from error
    kept = [line for line in lines if line.strip() and not line.startswith("#")]
    mark = next((m for m in "\t;," if kept and m in kept[0]), ",")
    rows = [[field.strip() for field in line.split(mark)] for line in kept]
    try:
        if rows and all(len(row) == 3 for row in rows) and _is_number(rows[0][2]):
            names, matrix = _from_triples(rows)
        else:
            names, matrix = _from_square(rows)
        return Dissimilarities(names, _checked(matrix, 1))
    except (ValueError, UsageError) as error:
        raise UsageError(f"{path} has no matrix of dissimilarities: {error}") from error


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _from_triples(rows: list[list[str]]) -> tuple[tuple[str, ...], Matrix]:
    names = tuple(dict.fromkeys(name for row in rows for name in row[:2]))
    place = {name: index for index, name in enumerate(names)}
    sums, counts = np.zeros((2, len(names), len(names)))
    for one, other, value in rows:
        for pair in ((place[one], place[other]), (place[other], place[one])):
            sums[pair] += float(value)
            counts[pair] += 1
    np.fill_diagonal(counts, 1.0)
    np.fill_diagonal(sums, 0.0)
    if not counts.all():
        one, other = np.argwhere(counts == 0)[0]
        raise ValueError(f"no value for {names[one]} and {names[other]}.")
    return names, sums / counts


def _from_square(rows: list[list[str]]) -> tuple[tuple[str, ...], Matrix]:
    if len(rows) < 2:
        raise ValueError("there are no rows.")
    count = len(rows) - 1
    names = tuple(rows[0][-count:])
    values = [row[1:] if len(row) == count + 1 else row for row in rows[1:]]
    if len(names) != count or any(len(row) != count for row in values):
        raise ValueError(f"{count} rows need as many columns and names.")
    matrix = np.array([[float(field) for field in row] for row in values])
    return names, (matrix + matrix.T) / 2.0


def _checked(matrix: Any, dimensions: int) -> Matrix:
    known = np.asarray(matrix, dtype=np.float64)
    if known.ndim != 2 or known.shape[0] != known.shape[1]:
        raise UsageError(f"Dissimilarities have the shape {known.shape}; it must be square.")
    if not 1 <= dimensions < len(known):
        raise UsageError(f"{dimensions} dimensions for {len(known)} things; 1 to one fewer exist.")
    if not np.isfinite(known).all() or (known < 0).any() or np.diag(known).any():
        raise UsageError("Dissimilarities must be at least 0, and 0 on the diagonal.")
    if not np.allclose(known, known.T):
        raise UsageError("Dissimilarities must be symmetric.")
    return known


def _classical_points(known: Matrix, dimensions: int) -> Matrix:
    centre = np.eye(len(known)) - 1.0 / len(known)
    values, vectors = np.linalg.eigh(-0.5 * centre @ known**2 @ centre)
    values, vectors = values[::-1][:dimensions], vectors[:, ::-1][:, :dimensions]
    points: Matrix = vectors * np.sqrt(values.clip(0.0))
    return points


def _between(points: Matrix) -> Matrix:
    squared = np.square(points[:, None] - points[None]).sum(-1)
    between: Matrix = np.sqrt(squared)
    return between


def _order(known: Matrix) -> tuple[Matrix, NDArray[np.intp], NDArray[np.intp]]:
    row, column = np.triu_indices(len(known), 1)
    return known[row, column], row, column


def _monotone(dissimilarities: Matrix, distances: Matrix) -> Matrix:
    """Values in the order of the dissimilarities, nearest to the distances (pool neighbours)."""
    order = np.lexsort((distances, dissimilarities))
    means: list[float] = []
    sizes: list[int] = []
    for value in distances[order]:
        means.append(float(value))
        sizes.append(1)
        while len(means) > 1 and means[-2] > means[-1]:
            size = sizes[-2] + sizes[-1]
            means[-2] = (means[-2] * sizes[-2] + means[-1] * sizes[-1]) / size
            sizes[-2] = size
            means.pop()
            sizes.pop()
    fitted = np.empty_like(distances)
    fitted[order] = np.repeat(means, sizes)
    return fitted


def _descend(
    points: Matrix,
    order: tuple[Matrix, NDArray[np.intp], NDArray[np.intp]],
    steps: int,
    tolerance: float,
) -> Matrix:
    known, row, column = order
    last = np.inf
    for _ in range(steps):
        points = _at_unit_distance(points)
        between = _between(points)
        found = between[row, column]
        fitted = _monotone(known, found)
        stress = float(np.square(fitted - found).sum() / max(np.square(found).sum(), 1e-24))
        if last - stress < tolerance * 1e-3:
            break
        last = stress
        fitted = fitted * np.sqrt(len(fitted) / max(np.square(fitted).sum(), 1e-24))
        ratio = np.zeros_like(between)
        ratio[row, column] = fitted / found.clip(1e-12)
        ratio = ratio + ratio.T
        points = (np.diag(ratio.sum(1)) - ratio) @ points / len(points)
    return _at_unit_distance(points)


def _at_unit_distance(points: Matrix) -> Matrix:
    """The same centred, with a mean square distance of 1."""
    points = points - points.mean(0)
    row, column = np.triu_indices(len(points), 1)
    distances = _between(points)[row, column]
    scaled: Matrix = points / max(float(np.sqrt(np.mean(distances**2))), 1e-12)
    return scaled


def _judged(
    points: Matrix,
    known: Matrix,
    order: tuple[Matrix, NDArray[np.intp], NDArray[np.intp]] | None,
) -> Scaling:
    points = points - points.mean(0)
    points = points @ np.linalg.svd(points, full_matrices=False)[2].T
    dissimilarities, row, column = _order(known) if order is None else order
    found = _between(points)[row, column]
    fitted = dissimilarities if order is None else _monotone(dissimilarities, found)
    total = max(float(np.square(found).sum()), 1e-24)
    stress = float(np.sqrt(np.square(fitted - found).sum() / total))
    return Scaling(points, stress, dissimilarities, found, fitted)
