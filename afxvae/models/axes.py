"""Named axes of the latent: directions in which an attribute of what is decoded changes.

A model's config has them under ``axes``: a name and the step in the latent, one number a dimension,
that changes the attribute by one standard deviation of what random treatments do to it.
"""

from __future__ import annotations

from typing import Any

from ..types import WeightsError

__all__ = ["Axes", "check_axes"]

Axes = dict[str, list[float]]
"""Steps in the latent by name of the attribute."""


def check_axes(axes: Any, latent_dim: int) -> Axes:
    """The axes of a config as floats; none if the config knows none.

    Raises:
        WeightsError: They are no table of steps in a latent of `latent_dim` dimensions.
    """
    try:
        found = {str(name): [float(part) for part in step] for name, step in (axes or {}).items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise WeightsError("The configuration of the weights has no valid axes.") from error
    for name, step in found.items():
        if len(step) != latent_dim:
            raise WeightsError(
                f"The axis {name} of the weights has {len(step)} dimensions, but their latent has "
                f"{latent_dim}."
            )
    return found
