"""The figures of a model by name: what each is drawn from, and by what."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..types import UsageError
from .heard import draw_attributes, draw_interpolation
from .latents import draw_posterior, draw_reconstruction
from .moves import draw_levers, draw_traversals
from .projections import draw_embeddings, draw_parameters

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["DRAWINGS", "Drawing", "draw", "figure_names"]


@dataclass(frozen=True)
class Drawing:
    """How a figure is made.

    Attributes:
        table: What it is drawn from: ``treated``, ``posteriors``, ``levers``, ``traversals`` or
            ``interpolated``, see `afxvae.figures.arrays`.
        make: What draws it.
        projected: Whether `make` takes a projection and its seed too.
    """

    table: str
    make: Callable[..., Figure]
    projected: bool = False


DRAWINGS = {
    "embeddings": Drawing("treated", draw_embeddings, projected=True),
    "parameters": Drawing("treated", draw_parameters, projected=True),
    "attributes": Drawing("treated", draw_attributes),
    "interpolation": Drawing("interpolated", draw_interpolation),
    "reconstruction": Drawing("posteriors", draw_reconstruction),
    "posterior": Drawing("posteriors", draw_posterior),
    "levers": Drawing("levers", draw_levers),
    "traversals": Drawing("traversals", draw_traversals),
}
"""In the order in which they are made."""


def figure_names(wanted: Iterable[str] | None) -> list[str]:
    """Names of figures in the order of `DRAWINGS`, all for None; each may hold several, by commas.

    Raises:
        UsageError: There is no such figure.
    """
    if wanted is None:
        return list(DRAWINGS)
    names = [name.strip() for text in wanted for name in text.split(",")]
    for name in names:
        if name not in DRAWINGS:
            raise UsageError(f"There is no figure {name!r}; there are {', '.join(DRAWINGS)}.")
    return [name for name in DRAWINGS if name in names]


def draw(name: str, table: Any, projection: str = "pca", seed: int = 0) -> Figure:
    """Draw a figure of `DRAWINGS` from its table.

    Raises:
        UsageError: See `project`.
    """
    drawing = DRAWINGS[name]
    return drawing.make(table, projection, seed) if drawing.projected else drawing.make(table)
