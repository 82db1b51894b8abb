"""Pictures of the compared latents: PCA, MDS, Shepard plots, and lines between two classes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from afxvae.evaluation.agreement import class_distances
from afxvae.evaluation.disentanglement import spearman
from afxvae.evaluation.linear import principal_components
from afxvae.timbre import classical_scaling

from .regularizer_measuring import STEPS_OF_LINE
from .regularizer_sets import AXES, Table
from .regularizer_sounds import NAMES
from .regularizer_tables import BASELINE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = ("#2b6cb0", "#c05621", "#2f855a", "#6b46c1", "#b83280", "#0f766e")
_MARKERS = "o^sDvP<>ph*X"
_UNSEEN = ("x", "+")
_GREY = "0.6"

Views = Mapping[str, Mapping[str, Tensor]]
"""By row, ``latent`` ``(item, latent)`` and ``line`` ``(step, attribute)`` of the first seed."""


def draw(name: str, table: Table, views: Views, ends: tuple[str, str], folder: Path) -> list[Path]:
    """Write ``NAME-pca.png``, ``-mds.png``, ``-shepard.png`` and ``-line.png``."""
    folder.mkdir(parents=True, exist_ok=True)
    figures = {
        "pca": _pca(table, views),
        "mds": _mds(table, views),
        "shepard": _shepard(table, views),
        "line": _line(views, ends),
    }
    paths = []
    for kind, figure in figures.items():
        paths.append(folder / f"{name}-{kind}.png")
        figure.savefig(paths[-1], format="png", dpi=80)
        _shrink(paths[-1])
    return paths


def _shrink(path: Path) -> None:
    """Keep 128 colours: a third of the size, and no difference to be seen."""
    from PIL import Image

    with Image.open(path) as image:
        few = image.convert("RGB").quantize(128)
    few.save(path, optimize=True)


def _panels(views: Views, size: float, extra: int = 0) -> tuple[Figure, list[Any]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    count = len(views) + extra
    columns = 3
    rows = -(-count // columns)
    figure = Figure(figsize=(size * columns, size * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = [figure.add_subplot(rows, columns, place + 1) for place in range(count)]
    for one in axes:
        one.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _styles(table: Table) -> list[dict[str, Any]]:
    """Colour by family, marker by class."""
    families = list(dict.fromkeys(table.family))
    used: dict[str, int] = {}
    styles = []
    for place, family in enumerate(table.family):
        number = used.get(family, 0)
        marker = _MARKERS[number % len(_MARKERS)]
        if place >= table.seen:
            marker = _UNSEEN[(place - table.seen) % len(_UNSEEN)]
        else:
            used[family] = number + 1
        styles.append({"color": _COLOURS[families.index(family)], "marker": marker})
    return styles


def _pca(table: Table, views: Views) -> Figure:
    figure, axes = _panels(views, 3.6)
    styles = _styles(table)
    for one, (row, view) in zip(axes, views.items(), strict=True):
        latent = view["latent"]
        mean, directions = principal_components(latent[table.learn], 2)
        points = (latent.double() - mean) @ directions
        spread = (latent[table.learn].double() - mean).square().sum(1).mean()
        share = points[table.learn].square().mean(0) / spread
        for place, style in enumerate(styles):
            own = points[(table.test | table.unseen) & (table.label == place)]
            look = {"s": 26, "lw": 1.2} if place >= table.seen else {"s": 13, "lw": 0}
            label = table.names[place] + (" (unseen)" if place >= table.seen else "")
            one.scatter(own[:, 0], own[:, 1], alpha=0.7, label=label, **style, **look)
        one.set_title(row, fontsize=10)
        one.set_xlabel(f"first component, {100 * float(share[0]):.0f} %", fontsize=8)
        one.set_ylabel(f"second, {100 * float(share[1]):.0f} %", fontsize=8)
        one.tick_params(labelsize=7)
    handles, labels = axes[0].get_legend_handles_labels()
    labels = [label.replace("_", " ") for label in labels]
    figure.legend(handles, labels, loc="outside lower center", ncols=6, fontsize=8, frameon=False)
    return figure


def _mds(table: Table, views: Views) -> Figure:
    """Classical scaling: with so few classes the nonmetric one puts near ones on one point."""
    views = {row: view for row, view in views.items() if row != BASELINE}
    figure, axes = _panels(views, 3.4, extra=1)
    styles = _styles(table)[: table.seen]
    wanted = classical_scaling(table.mean.double().numpy())
    _places(axes[0], wanted.points, table, styles)
    axes[0].set_title(f"target, stress {wanted.stress:.2f}", fontsize=10)
    for one, (row, view) in zip(axes[1:], views.items(), strict=True):
        own = class_distances(view["latent"][table.test], table.label[table.test], table.seen)
        found = classical_scaling(own.double().numpy())
        left, _, right = np.linalg.svd(found.points.T @ wanted.points)
        _places(one, found.points @ left @ right, table, styles)
        one.set_title(f"{row}, stress {found.stress:.2f}", fontsize=10)
    return figure


def _places(axes: Axes, points: Any, table: Table, styles: list[dict[str, Any]]) -> None:
    """Points within a square of 2, with their names where there is most room."""
    points = points / np.abs(points).max()
    taken = [(x, y, 0.04, 0.04) for x, y in points]  # centres and half sizes
    for place, (x, y) in enumerate(points):
        axes.scatter(x, y, s=24, lw=0, **styles[place])
        name = table.names[place].replace("_", " ")
        wide, high = 0.03 * len(name), 0.05
        rooms = [
            (x + right * (wide + 0.06), y + up, wide, high)
            for right in (1, -1) for up in (0.0, 0.07, -0.07, 0.14, -0.14)
        ] + [(x, y + up, wide, high) for up in (0.12, -0.12, 0.18, -0.18)]  # fmt: skip
        best = min(rooms, key=lambda room: sum(_overlap(room, other) for other in taken))
        taken.append(best)
        axes.text(*best[:2], name, ha="center", va="center", fontsize=8)
    axes.set(xlim=(-1.4, 1.4), ylim=(-1.2, 1.2), xticks=[], yticks=[], aspect="equal")
    axes.spines[["top", "right"]].set_visible(True)


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Area that two rectangles share, and what the first has outside of the picture."""
    wide = one[2] + other[2] - abs(one[0] - other[0])
    high = one[3] + other[3] - abs(one[1] - other[1])
    outside = max(0.0, abs(one[0]) + one[2] - 1.4) + max(0.0, abs(one[1]) + one[3] - 1.2)
    return max(0.0, wide) * max(0.0, high) + outside


def _shepard(table: Table, views: Views) -> Figure:
    figure, axes = _panels(views, 2.9)
    row, column = torch.triu_indices(table.seen, table.seen, 1)
    wanted = table.mean[row, column]
    for one, (name, view) in zip(axes, views.items(), strict=True):
        own = class_distances(view["latent"][table.test], table.label[table.test], table.seen)
        found = own[row, column]
        fit = float((wanted @ found) / (wanted @ wanted))
        one.plot((0, wanted.max()), (0, fit * wanted.max()), color=_GREY, lw=1)
        one.scatter(wanted, found, s=14, lw=0, color=_COLOURS[0], alpha=0.8)
        one.set_title(f"{name}, Spearman {spearman(found, wanted):.2f}", fontsize=9)
        one.set(xlim=(0, None), ylim=(0, None))
        one.set_xlabel("target distance", fontsize=8)
        one.set_ylabel("latent distance", fontsize=8)
        one.tick_params(labelsize=7)
    return figure


def _line(views: Views, ends: tuple[str, str]) -> Figure:
    figure, axes = _panels(views, 2.9)
    share = np.linspace(0, 1, STEPS_OF_LINE)
    start, end = (name.replace("_", " ") for name in ends)
    low = min(float(view["line"].min()) for view in views.values())
    high = max(float(view["line"].max()) for view in views.values())
    for one, (row, view) in zip(axes, views.items(), strict=True):
        for place, name in enumerate(AXES):
            values = view["line"][:, NAMES.index(name)]
            one.plot(share, values, color=_COLOURS[place], lw=1.6, label=name)
        one.set_title(row, fontsize=9)
        one.set_xticks([0, 1], [start, end], fontsize=8)
        one.set(ylim=(low - 0.1, high + 0.1))
        one.set_ylabel("decoded, deviations", fontsize=8)
        one.tick_params(axis="y", labelsize=7)
        one.grid(alpha=0.25)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    return figure
