"""Sincs under a Kaiser window, of which delays between samples and resampling filters are made.

Laakso et al., *Splitting the unit delay* (IEEE SP Magazine, 1996), section "windowing".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["kaiser", "windowed_sinc"]

_SMALLEST = 1e-6  # of what has a square root with a slope


def kaiser(position: Tensor, beta: float) -> Tensor:
    """Kaiser window that is 1 at position 0 and ends at -1 and 1; a greater `beta` is narrower."""
    reach = (1.0 - position.square()).clamp_min(_SMALLEST).sqrt()
    window: Tensor = torch.special.i0(beta * reach) / torch.special.i0(reach.new_tensor(beta))
    return window


def windowed_sinc(distance: Tensor, half_width: float, beta: float) -> Tensor:
    """Weights of samples at a `distance` from where a signal is read, up to `half_width`.

    Returns:
        Of the shape of `distance`, differentiable; what is meant beyond `half_width` is not zero.
    """
    sinc: Tensor = torch.sinc(distance)
    return sinc * kaiser(distance / half_width, beta)
