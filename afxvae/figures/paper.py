"""What figures share: paper, colours that are told apart by everyone, and how they are written."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from ..types import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["COLOURS", "EFFECT_COLOURS", "GREY", "MARKERS", "PICTURES", "as_bytes", "paper", "tidy"]

PICTURES = ("png", "svg", "pdf")
"""Formats of pictures."""

GREY = "0.6"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8c6d31")
"""After Okabe and Ito 2008, *Color universal design*, who leave out the last."""

EFFECT_COLOURS = {
    "nothing": GREY,
    "eq": COLOURS[0],
    "compressor": COLOURS[4],
    "overdrive": COLOURS[1],
    "chorus": COLOURS[2],
    "delay": COLOURS[3],
    "reverb": COLOURS[5],
}
MARKERS = dict(zip(EFFECT_COLOURS, ("x", "o", "s", "^", "D", "v", "P"), strict=True))

_DPI = 110


def paper(width: float, height: float) -> Figure:
    """An empty figure of so many inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def tidy(axes: Axes) -> None:
    """Leave out what is not read, and draw a faint grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)


def as_bytes(figure: Figure, form: str) -> bytes:
    """A figure as the contents of a file; the same figure gives the same bytes.

    Args:
        figure: Any.
        form: One of `PICTURES`.

    Raises:
        UsageError: There is no such format.
    """
    if form not in PICTURES:
        raise UsageError(f"There is no format {form!r}; there are {', '.join(PICTURES)}.")
    dated: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    drawn = io.BytesIO()
    import matplotlib as mpl

    with mpl.rc_context({"svg.hashsalt": "afxvae"}):
        figure.savefig(drawn, format=form, dpi=_DPI, metadata=dated.get(form))
    return drawn.getvalue()
