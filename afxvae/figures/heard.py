"""What effects do to measured attributes, and what a way between two treatments sounds like."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .arrays import Interpolated, Treated
from .paper import EFFECT_COLOURS, paper, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .arrays import Array

__all__ = ["draw_attributes", "draw_interpolation"]

_UNITS = {"reverberation": "probability", "decay": "s", "modulation": "dB"}  # others: points
_RANGE_DB = 60.0
_TICKS_HZ = (100, 500, 1000, 2000, 5000, 10_000)


def draw_attributes(treated: Treated) -> Figure:
    """Changes of each attribute by effect: median, quartiles, 5 to 95 %, and every item."""
    names = [name for name in EFFECT_COLOURS if name in treated.knobs]
    columns = min(5, len(treated.changes))
    rows = -(-len(treated.changes) // columns)
    figure = paper(2.5 * columns + 0.8, 2.5 * rows + 0.6)
    for place, (attribute, changes) in enumerate(treated.changes.items()):
        axes = figure.add_subplot(rows, columns, place + 1)
        groups = [
            changes[[index for index, effect in enumerate(treated.effects) if effect == name]]
            for name in names
        ]
        _draw_groups(axes, groups, [EFFECT_COLOURS[name] for name in names])
        axes.set(title=attribute, xlabel=_UNITS.get(attribute, "points"))
        axes.set_yticks(range(len(names)), names)
        if place % columns:
            axes.tick_params(labelleft=False)
        tidy(axes)
        axes.grid(False, axis="y")
    figure.suptitle("What one effect changes: after less before")
    return figure


def _draw_groups(axes: Axes, groups: list[Array], colours: list[str]) -> None:
    axes.axvline(0.0, color="k", lw=0.8)
    drawn = axes.boxplot(groups, positions=range(len(groups)), orientation="horizontal",
                         whis=(5, 95), widths=0.55, showfliers=False, patch_artist=True,
                         medianprops={"color": "k"}, manage_ticks=False)  # fmt: skip
    rng = np.random.default_rng(0)
    for place, (box, group, colour) in enumerate(zip(drawn["boxes"], groups, colours, strict=True)):
        box.set(facecolor=colour, alpha=0.45)
        heights = place + rng.uniform(-0.2, 0.2, len(group))
        axes.scatter(group, heights, s=5, color=colour, alpha=0.55, lw=0, zorder=3)
    ends = [np.quantile(group, (0.02, 0.98)) for group in groups if len(group)]
    low, high = min(0.0, *(e[0] for e in ends)), max(0.0, *(e[1] for e in ends))
    room = max(0.06 * (high - low), 1e-6)
    axes.set(xlim=(low - room, high + room), ylim=(len(groups) - 0.4, -0.6))


def draw_interpolation(between: Interpolated) -> Figure:
    """Mel spectrograms, a row for each way and a column for each step."""
    rows, columns = len(between.rows), len(between.columns)
    figure = paper(2.4 * columns + 1.4, 2.35 * rows + 0.5)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).tolist()
    bands = np.arange(len(between.mel_hz))
    shown = [hz for hz in _TICKS_HZ if between.mel_hz[0] <= hz <= between.mel_hz[-1]]
    ticks = np.interp(shown, between.mel_hz, bands)
    labels = [f"{hz / 1000:g} k" if hz >= 1000 else str(hz) for hz in shown]
    figure.suptitle(f"One clip ({between.source}) on the way between two treatments")
    drawn = None
    for row, column in np.ndindex(rows, columns):
        axes = grid[row][column]
        drawn = axes.imshow(between.pictures_db[row, column], origin="lower", aspect="auto",
                            extent=(0.0, between.seconds, -0.5, len(bands) - 0.5), cmap="magma",
                            vmin=-_RANGE_DB, vmax=0.0, interpolation="nearest")  # fmt: skip
        axes.set_yticks(ticks, labels)
        if not row:
            axes.set_title(between.columns[column])
        if row == rows - 1:
            axes.set_xlabel("s")
        if not column:
            axes.set_ylabel(f"{between.rows[row]}\n\nHz, mel scale")
    if drawn is not None:
        figure.colorbar(drawn, ax=figure.axes, label="dB, the loudest is 0", pad=0.01, aspect=40)
    return figure
