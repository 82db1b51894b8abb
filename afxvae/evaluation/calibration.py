"""Whether beliefs hold: reliability of probabilities, risk and coverage, places of the truth.

All functions take arrays of items and give plain values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..types import UsageError
from .metrics import Floats, closure, share_worse
from .summary import TOLERANCE

__all__ = ["kolmogorov", "reliability", "risk_coverage", "uniformity"]

_BINS = 10
_GRID = 41  # points of the curve of `uniformity`
_LEAST_MEAN = 1e-12  # of distances, to be divided by
_WITHIN = (0.5, 0.8, 0.95)


def reliability(probability: ArrayLike, happened: ArrayLike, bins: int = _BINS) -> dict[str, Any]:
    """Predicted probabilities beside how often it happened, in bins of equal width.

    Returns:
        ``bins``, each with ``predicted`` (mean probability), ``observed`` (share), its 95 % Wilson
        interval and ``items``; ``ece``, the expected calibration error: the mean over items of
        their bin's ``|observed - predicted|`` (Guo, Pleiss, Sun and Weinberger, *On calibration of
        modern neural networks*, ICML 2017); ``brier``, the mean squared error, beside that of
        always saying the ``share``.

    >>> reliability([0.25, 0.25, 0.25, 0.25], [1, 0, 0, 0])["ece"]
    0.0
    """
    p, y = (np.asarray(values, np.float64) for values in (probability, happened))
    _check(p, y)
    place = np.minimum((p * bins).astype(int), bins - 1)
    rows: list[dict[str, Any]] = []
    for index in range(bins):
        mine = place == index
        if mine.any():
            predicted, observed, n = float(p[mine].mean()), float(y[mine].mean()), int(mine.sum())
            rows.append({"predicted": predicted, "observed": observed, "items": n,
                         "interval": _wilson(observed, n)})  # fmt: skip
    gaps = [row["items"] * abs(row["observed"] - row["predicted"]) for row in rows]
    share = float(y.mean())
    return {
        "items": len(p),
        "share": share,
        "ece": sum(gaps) / len(p),
        "brier": float(np.square(p - y).mean()),
        "brier_of_share": share * (1 - share),
        "bins": rows,
    }


def risk_coverage(
    before: ArrayLike, after: ArrayLike, untouched: ArrayLike, shifts: Sequence[float]
) -> list[dict[str, float]]:
    """What caution costs and saves, one row for each shift of the gate's margin.

    Selective prediction: the more is left alone, the less comes out worse (El-Yaniv and Wiener, *On
    the foundations of noise-free selective classification*, JMLR 11, 2010). Shares are of all
    items, so that what is left alone counts as not worse.

    Args:
        before: Distances of the inputs to the truth ``(item,)``.
        after: Of what was made of them ``(item, shift)``.
        untouched: Whether nothing was done ``(item, shift)``.
        shifts: Names of the columns.
    """
    x, y, idle = (np.asarray(values, np.float64) for values in (before, after, untouched))
    if y.shape != (len(x), len(shifts)) or idle.shape != y.shape or not len(x):
        raise UsageError(f"Distances are {x.shape}, {y.shape} and {idle.shape}: give some of each.")
    return [
        {
            "shift": float(shift),
            "left_alone": float(idle[:, column].mean()),
            "worse": share_worse(y[:, column], x + TOLERANCE),
            "closure": _closure(y[:, column], x),
        }
        for column, shift in enumerate(shifts)
    ]


def uniformity(places: ArrayLike, bins: int = _BINS) -> dict[str, Any]:
    """Whether the truth lies anywhere in its distribution equally often.

    Simulation-based calibration: if distributions are right, the share of each that lies below its
    truth is uniform between 0 and 1 (Talts, Betancourt, Simpson, Vehtari and Gelman 2018,
    arXiv:1804.06788); humps mean distributions that are too wide, piles at both ends too narrow.

    Returns:
        ``histogram``, shares of the items; ``curve``, the empirical distribution less the uniform
        one, at equal steps from 0 to 1 (Säilynoja, Bürkner and Vehtari 2022); ``largest``, its
        largest absolute value anywhere; ``p``, the probability of that or more by chance
        (Kolmogorov and Smirnov); how often the truth was ``within`` the central 50, 80 and 95 %.
    """
    u = np.sort(np.asarray(places, np.float64))
    if u.ndim != 1 or not len(u) or not (u[0] >= 0 and u[-1] <= 1):
        raise UsageError("Places must be a list of shares from 0 to 1.")
    n = len(u)
    grid = np.linspace(0, 1, _GRID)
    steps = np.arange(n + 1) / n
    largest = float(max(np.abs(steps[1:] - u).max(), np.abs(steps[:-1] - u).max()))
    counts = np.histogram(u, bins, (0, 1))[0]
    return {
        "items": n,
        "histogram": (counts / n).tolist(),
        "curve": (np.searchsorted(u, grid, "right") / n - grid).tolist(),
        "largest": largest,
        "p": kolmogorov(largest, n),
        "within": {
            f"{share:g}": float((np.abs(u - 0.5) <= 0.5 * share).mean()) for share in _WITHIN
        },
    }


def kolmogorov(largest: float, n: int) -> float:
    """Probability that `n` uniform places deviate as far or farther by chance.

    The asymptotic series, with the correction of Stephens (1970) for small `n`.
    """
    root = math.sqrt(n)
    scaled = (root + 0.12 + 0.11 / root) * largest
    if scaled < 0.2:
        return 1.0
    terms = ((-1) ** (k - 1) * math.exp(-2 * (k * scaled) ** 2) for k in range(1, 101))
    return float(min(1.0, max(0.0, 2 * sum(terms))))


def _closure(after: Floats, before: Floats) -> float:
    """`closure`, also where every input is the truth already."""
    if before.mean() > _LEAST_MEAN:
        return closure(after, before)
    return float(1 - after.mean() / _LEAST_MEAN)


def _wilson(share: float, n: int) -> list[float]:
    """95 % interval of a share."""
    z = 1.96
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return [max(0.0, middle - half), min(1.0, middle + half)]


def _check(p: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> None:
    if p.shape != y.shape or p.ndim != 1 or not len(p) or not (p.min() >= 0 and p.max() <= 1):
        raise UsageError("Give a probability from 0 to 1 and an outcome for each of some items.")
