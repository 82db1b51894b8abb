"""Whether a sound is followed by a copy of itself, all the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["consistency", "earlier"]

_BESIDE = (-1.4, 1.4)  # samples


def earlier(sound: Tensor, place: Tensor, lag: Tensor) -> Tensor:
    """A sound ``(time,)`` as it was `lag` samples before each `place`, linearly interpolated."""
    whole = lag.floor()
    share = lag - whole
    index = place - whole.long()
    return (1.0 - share) * sound[index] + share * sound[index - 1]


def consistency(white: Tensor, place: Tensor, lag: Tensor, stretches: int) -> float:
    """A lower quartile over time of the correlation with the past, less that beside it.

    Content resembles its past here or there, a copy follows everywhere.

    Args:
        white: A whitened clip ``(time,)``, see `whiten_frames`.
        place: The samples that are compared, ``(place,)``.
        lag: How far back, in samples, at each of them or at all.
        stretches: Parts of the clip.
    """
    place = place[: len(place) // stretches * stretches]
    lag = lag if lag.dim() == 0 else lag[: len(place)]
    now = white[place]

    def mean(values: Tensor) -> Tensor:
        return values.view(stretches, -1).mean(1)

    def correlation(offset: float) -> Tensor:
        then = earlier(white, place, lag + offset)
        power = mean(now.square()) * mean(then.square())
        normalised: Tensor = mean(now * then) / power.clamp_min(1e-12).sqrt()
        return normalised

    beside = torch.stack([correlation(offset) for offset in _BESIDE]).mean(0)
    return float((correlation(0.0) - beside).quantile(0.25))
