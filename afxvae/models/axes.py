"""Named axes of the latent: directions in which a treatment is moved by a wish.

A model's config has them under ``axes``: a name and the step in the latent, one number a dimension,
that changes the attribute by one standard deviation of what random treatments do to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..types import UsageError, WeightsError

__all__ = ["Axes", "check_axes", "step_of"]

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


def step_of(axes: Mapping[str, Sequence[float]], move: Mapping[str, float]) -> Tensor:
    """The step in the latent ``(latent,)`` that a wish asks for: steps by name, weighted.

    Args:
        axes: See `Axes`.
        move: By name, how many standard deviations; one at least.

    Raises:
        UsageError: The model has no axes, or none of that name.

    >>> step_of({"brightness": [1.0, 0.0]}, {"brightness": -0.5})
    tensor([-0.5000, -0.0000])
    """
    for name in move:
        if not axes:
            raise UsageError("This model has no named axes, so nothing can be moved with it.")
        if name not in axes:
            raise UsageError(f"There is no axis {name!r} to move; there are {', '.join(axes)}.")
    steps = [amount * torch.tensor(axes[name]) for name, amount in move.items()]
    return torch.stack(steps).sum(0)
