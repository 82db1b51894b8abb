"""What moving a treatment does to measured attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .arrays import Moved
from .paper import COLOURS, GREY, paper, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_levers", "draw_traversals"]

_MARKERS = ("o", "s", "^", "D", "v", "P")


def draw_levers(moved: Moved) -> Figure:
    """Attributes measured against how far each of them was asked to move."""
    figure = _panels(moved, own=True)
    figure.supxlabel("asked for, standard deviations")
    figure.suptitle(f"Moving one attribute by its lever ({len(moved.changes)} treatments)")
    return figure


def draw_traversals(moved: Moved) -> Figure:
    """Attributes measured on the way along directions of the latent."""
    figure = _panels(moved, own=False)
    figure.supxlabel("moved along the direction, standard deviations of the posterior means")
    title = f"Moving the latent along its principal directions ({len(moved.changes)} items)"
    figure.suptitle(title)
    return figure


def _panels(moved: Moved, own: bool) -> Figure:
    """A panel for everything that is moved; with `own`, that attribute's items and the diagonal."""
    figure = paper(3.1 * len(moved.names) + 0.4, 4.3)
    reach = _reach(moved, own)
    for place, name in enumerate(moved.names):
        axes = figure.add_subplot(1, len(moved.names), place + 1)
        axes.axhline(0.0, color=GREY, lw=0.8)
        for index, attribute in enumerate(moved.measured):
            changes, colour = moved.changes[:, place, :, index], COLOURS[index % len(COLOURS)]
            mine = own and attribute == name
            if mine:
                axes.plot(moved.steps, changes.T, color=colour, lw=0.7, alpha=0.35)
            elif not own:
                quartiles = np.quantile(changes, (0.25, 0.75), axis=0)
                axes.fill_between(moved.steps, *quartiles, color=colour, alpha=0.15, lw=0)
            axes.plot(moved.steps, np.median(changes, 0), color=colour, lw=2.6 if mine else 1.5,
                      marker=_MARKERS[index % len(_MARKERS)], ms=6 if mine else 4,
                      label=attribute)  # fmt: skip
        if own:
            axes.plot([], [], color=GREY, lw=0.7, label="one treatment")
            axes.plot(moved.steps, moved.steps, color="k", lw=0.9, ls="--", label="as asked")
        axes.set(title=name, ylim=(-reach, reach))
        if place:
            axes.tick_params(labelleft=False)
        else:
            axes.set_ylabel("change measured, standard deviations")
        tidy(axes)
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside right center", frameon=False,
                  title="median of" if own else "median and quartiles of")  # fmt: skip
    return figure


def _reach(moved: Moved, own: bool) -> float:
    """Upper end of the changes that are shown; few may lie beyond."""
    shown = [np.quantile(moved.changes, (0.25, 0.75), axis=0)]
    if own:
        places = [moved.measured.index(n) if n in moved.measured else 0 for n in moved.names]
        rows = [moved.changes[:, row, :, place] for row, place in enumerate(places)]
        shown.append(np.stack(rows))
        shown.append(moved.steps)
    return 1.08 * max(0.5, *(float(np.abs(part).max()) for part in shown))
