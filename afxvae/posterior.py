"""How sure the knobs are: a distribution over each, calibrated on held-out recordings.

The posterior over the latent says which treatments make the same difference between two
recordings. It does not say how often the estimate itself is wrong, and its samples lie much too
close together to hold the truth as often as they should. So a knob's distribution is made of what
is known of it before, uniform over the range that productions use, and of how estimates erred on
recordings that took no part in training:

    p(knob) = (1 - doubt) Laplace(shift + slope estimate, spread), cut to the range, + doubt uniform

The line is needed because an amount is estimated as if an effect that is off had none, so that
doubt about an effect makes its amounts small; here it is known to be on. The four numbers of each
knob stand in `spreads.json`, if there is one, once for estimates and once for what was measured;
``python -m tests.benchmarks.spreads`` fits them to a results folder of the evaluation: the line by
least absolute errors, the others by the largest likelihood.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .data.treatments import knob_range
from .files import replacing

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import ArrayLike

    from .effects import Chain
    from .params import Param

__all__ = [
    "HOW",
    "SPREADS_FILE",
    "Knob",
    "KnobPosterior",
    "fit_spread",
    "knob_intervals",
    "knob_posterior",
    "laplace_cdf",
    "read_spreads",
    "write_spreads",
]

HOW = ("estimated", "measured")
"""How a knob was found."""
SPREADS_FILE = Path(__file__).with_name("spreads.json")

_UNKNOWN = (0.0, 1.0, 0.2, 0.3)  # of a knob that was never fitted
_SPREADS = np.geomspace(0.001, 3.0, 56)
_DOUBTS = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0)
_FEWEST = 8  # truths that a fit needs
_ANCHORS = 5  # points on the diagonal that hold the line of few truths
_ROUNDS = 60

Floats = np.ndarray[Any, np.dtype[np.float64]]


def laplace_cdf(x: ArrayLike, centre: ArrayLike = 0.0, spread: ArrayLike = 1.0) -> Floats:
    """Probability of a value at or below `x` in a Laplace distribution, shapes as numpy's.

    Args:
        x: The values.
        centre: Median of the distribution.
        spread: Mean absolute distance from there, above 0.

    >>> laplace_cdf([-1e3, 0.0, 1e3]).tolist()
    [0.0, 0.5, 1.0]
    """
    away = np.divide(np.subtract(x, centre, dtype=np.float64), spread)
    tail = 0.5 * np.exp(-np.abs(away))
    below: Floats = np.where(away < 0, tail, 1 - tail)
    return below


@dataclass(frozen=True)
class KnobPosterior:
    """Distribution of one knob's position; see the module.

    Attributes:
        centre: Position in [0, 1] of the Laplace distribution.
        low: Where the range begins.
        high: Where it ends.
        spread: Scale of the Laplace distribution, in positions.
        doubt: Weight of the uniform distribution, from 0 to 1.
    """

    centre: float
    low: float
    high: float
    spread: float
    doubt: float

    def cdf(self, position: ArrayLike) -> Floats:
        """Probability that the knob stands at or below a position, same shape.

        >>> KnobPosterior(0.5, 0.0, 1.0, 0.1, 0.0).cdf([0.0, 0.5, 1.0]).round(6).tolist()
        [0.0, 0.5, 1.0]
        """
        x = np.clip(np.asarray(position, np.float64), self.low, self.high)
        start, end = (self._below(edge) for edge in (self.low, self.high))
        flat = (x - self.low) / (self.high - self.low)
        peak: Floats = (self._below(x) - start) / (end - start)
        return (1 - self.doubt) * peak + self.doubt * flat

    def quantile(self, share: ArrayLike) -> Floats:
        """Positions below which the knob stands with these probabilities; inverse of `cdf`."""
        share = np.asarray(share, np.float64)
        below, above = np.full(share.shape, self.low), np.full(share.shape, self.high)
        for _ in range(50):
            middle = 0.5 * (below + above)
            small = self.cdf(middle) < share
            below, above = np.where(small, middle, below), np.where(small, above, middle)
        found: Floats = 0.5 * (below + above)
        return found

    def interval(self, share: float = 0.8) -> tuple[float, float]:
        """Central interval that holds the knob's position with this probability."""
        low, high = self.quantile([0.5 - 0.5 * share, 0.5 + 0.5 * share])
        return float(low), float(high)

    def _below(self, x: ArrayLike) -> Floats:
        """What of the uncut Laplace distribution lies below."""
        return laplace_cdf(x, self.centre, self.spread)


def knob_posterior(
    effect: str,
    param: Param,
    estimate: float,
    how: str = "estimated",
    spreads: dict[str, Any] | None = None,
) -> KnobPosterior:
    """Distribution of a knob of an effect that is on.

    Args:
        effect: Name of the effect.
        param: The knob.
        estimate: Its position in [0, 1].
        how: One of `HOW`.
        spreads: As `read_spreads` gives them, which is the default.
    """
    known = (read_spreads() if spreads is None else spreads)[how]
    shift, slope, spread, doubt = known.get(f"{effect}.{param.name}", _UNKNOWN)
    low, high = knob_range(effect, param)
    low, high = min(low, estimate), max(high, estimate)
    centre = min(max(shift + slope * estimate, low), high)
    return KnobPosterior(centre, low, high, spread, doubt)


def knob_intervals(
    chain: Chain,
    controls: Sequence[float],
    on: Mapping[str, bool],
    measured: Collection[str],
    checksum: str,
    share: float = 0.8,
) -> dict[str, dict[str, tuple[float, float]]]:
    """Where knobs lie with a probability, in their units, by effect and knob of what is on.

    Args:
        chain: Has the knobs.
        controls: Estimated positions of all.
        on: By effect.
        measured: Effects that were measured.
        checksum: Of the model; other weights err in other ways, and get nothing.
        share: The probability.
    """
    spreads = read_spreads()
    found: dict[str, dict[str, tuple[float, float]]] = {}
    if spreads.get("checksum") != checksum:
        return found
    for (effect, param), position in zip(chain.knobs, controls, strict=True):
        how = HOW[effect in measured]
        if on[effect] and f"{effect}.{param.name}" in spreads[how]:
            ends = knob_posterior(effect, param, position, how, spreads).interval(share)
            low, high = (float(f"{param.to_setting(end):.4g}") for end in ends)
            found.setdefault(effect, {})[param.name] = (low, high)
    return found


@dataclass(frozen=True)
class Knob:
    """A knob of an effect that was on and was found, with its truth.

    Attributes:
        effect: Name of the effect.
        name: Of the knob.
        how: One of `HOW`.
        true: Position in [0, 1].
        estimate: The same.
        below: Share of samples of the latent's posterior whose knob stands below the truth, with
            half of those that stand on it; None for what was measured.
    """

    effect: str
    name: str
    how: str
    true: float
    estimate: float
    below: float | None


def fit_spread(
    true: ArrayLike, estimate: ArrayLike, low: float, high: float
) -> tuple[float, float, float, float] | None:
    """Shift, slope, spread and doubt of a knob; None from too few truths.

    Args:
        true: Positions ``(item,)``.
        estimate: The same.
        low: Where the range begins.
        high: Where it ends.
    """
    y, x = (np.asarray(values, np.float64) for values in (true, estimate))
    if len(y) < _FEWEST:
        return None
    shift, slope = _line(x, y, low, high)
    start, end = np.minimum(low, x), np.maximum(high, x)
    centre = np.clip(shift + slope * x, start, end)
    spread = _SPREADS[:, None]
    mass = 2 - np.exp(-(centre - start) / spread) - np.exp(-(end - centre) / spread)
    density = np.exp(-np.abs(y - centre) / spread) / (spread * mass)
    doubt = np.asarray(_DOUBTS)[:, None, None]
    likelihood = np.log((1 - doubt) * density + doubt / (end - start) + 1e-12).sum(-1)
    best = np.unravel_index(int(likelihood.argmax()), likelihood.shape)
    line = round(shift, 5), round(slope, 5)
    return (*line, round(float(_SPREADS[best[1]]), 5), _DOUBTS[int(best[0])])


def _line(x: Floats, y: Floats, low: float, high: float) -> tuple[float, float]:
    """Shift and slope of least absolute errors, by reweighted least squares."""
    anchors = np.linspace(low, high, _ANCHORS)
    x, y = np.append(x, anchors), np.append(y, anchors)
    table = np.stack([np.ones_like(x), x], 1)
    line = np.array([0.0, 1.0])
    for _ in range(_ROUNDS):
        weights = 1 / np.maximum(np.abs(y - table @ line), 1e-4)
        normal = (table * weights[:, None]).T @ table + 1e-9 * np.eye(2)
        line = np.linalg.solve(normal, (table * weights[:, None]).T @ y)
    return float(line[0]), float(line[1])


@functools.lru_cache(maxsize=1)
def read_spreads() -> dict[str, Any]:
    """What `write_spreads` wrote, with empty tables if nothing was."""
    if not SPREADS_FILE.is_file():
        return {how: {} for how in HOW}
    spreads: dict[str, Any] = json.loads(SPREADS_FILE.read_text(encoding="utf-8"))
    return spreads


def write_spreads(knobs: Sequence[Knob], chain: Chain, checksum: str, path: Path) -> dict[str, Any]:
    """Fit every knob, write the table as JSON, and return it.

    Args:
        knobs: Of held-out items.
        chain: Whose knobs they are.
        checksum: Of the model.
        path: The file.
    """
    table: dict[str, Any] = {"checksum": checksum, "knobs": len(knobs), **{how: {} for how in HOW}}
    for effect, param in chain.knobs:
        for how in HOW:
            own = [k for k in knobs if (k.effect, k.name, k.how) == (effect, param.name, how)]
            truths, estimates = [k.true for k in own], [k.estimate for k in own]
            fitted = fit_spread(truths, estimates, *knob_range(effect, param))
            if fitted is not None:
                table[how][f"{effect}.{param.name}"] = fitted
    with replacing(path) as unfinished:
        unfinished.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    read_spreads.cache_clear()
    return table
