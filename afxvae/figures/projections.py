"""Embeddings and latents in the plane, coloured by effect and by knob."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..timbre import nonmetric_scaling
from ..types import UsageError
from .arrays import Array, Knob, Treated
from .paper import COLOURS, EFFECT_COLOURS, GREY, MARKERS, paper, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["PROJECTIONS", "Projected", "check_projection", "draw_embeddings", "draw_parameters",
           "project"]  # fmt: skip

PROJECTIONS = ("pca", "mds", "umap")
"""Ways into the plane."""

_MOST_SOURCES = 8  # with a colour of their own
_NEIGHBOURS = 15  # that UMAP keeps together


@dataclass(frozen=True)
class Projected:
    """Points in the plane.

    Attributes:
        points: ``(item, 2)``.
        labels: Of the two directions.
        note: How well distances are kept, if that is known.
    """

    points: Array
    labels: tuple[str, str]
    note: str = ""


def check_projection(method: str) -> None:
    """Raise `UsageError` if there is no such projection, or its package is not installed."""
    if method not in PROJECTIONS:
        raise UsageError(f"There is no projection {method!r}; there are {', '.join(PROJECTIONS)}.")
    if method == "umap" and importlib.util.find_spec("umap") is None:
        raise UsageError(
            "A UMAP needs umap-learn, which is not installed: pip install 'afxvae[umap]'."
        )


def project(points: Array, method: str = "pca", seed: int = 0) -> Projected:
    """Points ``(item, dimension)`` in the plane.

    Args:
        points: At least 3, of at least 2 dimensions.
        method: ``pca``, principal components; ``mds``, distances in the order of what they are
            (see `afxvae.timbre.nonmetric_scaling`); ``umap``, neighbours stay neighbours, but what
            is far apart may lie anywhere (McInnes, Healy and Melville 2018).
        seed: Of UMAP.

    Raises:
        UsageError: Too few points, or see `check_projection`.

    >>> project(np.eye(3), "pca").labels
    ('PC 1 (50 % of variance)', 'PC 2 (50 % of variance)')
    """
    check_projection(method)
    points = np.asarray(points, np.float64)
    if len(points) < 3 or points.shape[1] < 2:
        raise UsageError(f"A projection needs 3 points of 2 dimensions, not {points.shape}.")
    if method == "pca":
        return _pca(points)
    if method == "mds":
        apart = np.sqrt(np.square(points[:, None] - points[None]).sum(-1))
        found = nonmetric_scaling(apart, starts=1, steps=150, tolerance=1e-2)
        return Projected(found.points, ("MDS 1", "MDS 2"), f"stress {found.stress:.2f}")
    return _umap(points, seed)


def _pca(points: Array) -> Projected:
    centred = points - points.mean(0)
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    signs = np.sign(directions[np.arange(2), np.abs(directions[:2]).argmax(1)])
    shares = 100.0 * sizes[:2] ** 2 / max(float((sizes**2).sum()), 1e-24)
    one, other = (f"PC {n} ({share:.0f} % of variance)" for n, share in enumerate(shares, 1))
    return Projected(centred @ (directions[:2] * signs[:, None]).T, (one, other))


def _umap(points: Array, seed: int) -> Projected:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the compiler, and that one seed means one thread
        umap = importlib.import_module("umap")
        near = min(_NEIGHBOURS, len(points) - 1)
        start = "spectral" if len(points) > 2 * near else "random"
        made = umap.UMAP(n_neighbors=near, init=start, random_state=seed, n_jobs=1)
        return Projected(np.asarray(made.fit_transform(points)), ("UMAP 1", "UMAP 2"))


def draw_embeddings(treated: Treated, method: str = "pca", seed: int = 0) -> Figure:
    """Clean clips by what they are of; treated ones, differences and latents by effect."""
    figure = paper(10.5, 8.2)
    first, *others = (figure.add_subplot(2, 2, place) for place in range(1, 5))
    _draw_sources(first, project(treated.clean, method, seed), treated.sources)
    titles = ("treated clips", "difference embeddings", "latent, posterior means")
    parts = (treated.treated, treated.difference, treated.latent)
    for axes, title, points in zip(others, titles, parts, strict=True):
        _draw_effects(axes, project(points, method, seed), treated.effects)
        _finish(axes, title)
    _finish(first, "clean clips")
    handles, names = others[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), frameon=False,
                  title="effect of treated clips, differences and latent")  # fmt: skip
    return figure


def _draw_sources(axes: Axes, plane: Projected, sources: tuple[str, ...]) -> None:
    kinds = [name for name, _ in Counter(sources).most_common()]
    named = kinds if len(kinds) <= _MOST_SOURCES else kinds[: _MOST_SOURCES - 1]
    for place, kind in enumerate(named):
        rows = [index for index, source in enumerate(sources) if source == kind]
        x, y = _columns(plane.points[rows])
        axes.scatter(x, y, s=26, color=COLOURS[place], alpha=0.85, lw=0,
                     label=_short(kind))  # fmt: skip
    rest = [index for index, source in enumerate(sources) if source not in named]
    if rest:
        x, y = _columns(plane.points[rest])
        axes.scatter(x, y, s=26, color=GREY, alpha=0.85, lw=0, label="others")
    if len(kinds) > 1:
        axes.legend(fontsize=8, loc="best", framealpha=0.75, handletextpad=0.2)
    _label(axes, plane)


def _draw_effects(axes: Axes, plane: Projected, effects: tuple[str, ...]) -> None:
    for name, colour in EFFECT_COLOURS.items():
        rows = [index for index, effect in enumerate(effects) if effect == name]
        if rows:
            marker = MARKERS[name]
            x, y = _columns(plane.points[rows])
            axes.scatter(x, y, s=22, color=colour, marker=marker, alpha=0.8,
                         lw=1.0 if marker == "x" else 0.0, label=name)  # fmt: skip
    _label(axes, plane)


def _columns(points: Array) -> tuple[Array, Array]:
    return points[:, 0], points[:, 1]


def _label(axes: Axes, plane: Projected) -> None:
    axes.set(xlabel=plane.labels[0], ylabel=plane.labels[1])
    if plane.note:
        axes.text(0.99, 0.01, plane.note, transform=axes.transAxes, ha="right", fontsize=8)
    if plane.labels[0].startswith("UMAP"):
        axes.set(xticks=(), yticks=())


def _finish(axes: Axes, title: str) -> None:
    axes.set_title(title)
    axes.set_aspect("equal", "datalim")
    axes.margins(0.08)
    tidy(axes)


def _short(name: str, most: int = 24) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


def draw_parameters(treated: Treated, method: str = "pca", seed: int = 0) -> Figure:
    """The latents of each effect alone, coloured by one of its knobs."""
    figure = paper(11.0, 6.8)
    for place, (name, knob) in enumerate(treated.knobs.items()):
        axes = figure.add_subplot(2, -(-len(treated.knobs) // 2), place + 1)
        rows = [index for index, effect in enumerate(treated.effects) if effect == name]
        plane = project(treated.latent[rows], method, seed)
        _draw_knob(figure, axes, plane, knob)
        _finish(axes, name)
    figure.suptitle("Latent of one effect at a time, coloured by one of its knobs")
    return figure


def _draw_knob(figure: Figure, axes: Axes, plane: Projected, knob: Knob) -> None:
    norm = "log" if knob.log else "linear"
    x, y = _columns(plane.points)
    drawn = axes.scatter(x, y, c=knob.settings, s=30, cmap="viridis", norm=norm, lw=0)
    bar = figure.colorbar(drawn, ax=axes, pad=0.01, aspect=28)
    bar.set_label(f"{knob.label}, {knob.unit}")
    if knob.log:
        ticks = _log_ticks(float(knob.settings.min()), float(knob.settings.max()))
        bar.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])
        bar.ax.minorticks_off()
    _label(axes, plane)


def _log_ticks(low: float, high: float) -> list[float]:
    """Round numbers between two, a few."""
    found: list[float] = []
    for digits in ((1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8), range(10, 100)):
        size = 0.1 if isinstance(digits, range) else 1.0
        numbers = [d * size * 10.0**e for e in range(-3, 5) for d in digits]
        found = [round(number, 6) for number in numbers if low <= number <= high]
        if len(found) > 2:
            break
    return found[:: max(1, len(found) // 6)]
