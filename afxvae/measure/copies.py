"""Whether a sound is followed by a copy of itself, all the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["consistency", "earlier", "one_way"]

_BESIDE = (-1.4, 1.4)  # samples
_MOMENT = 2048  # samples
_SOFTEST = 1e-5  # of the power of the loudest moments
_FEWEST = 16  # moments that sound
_LEAST_CHANGE_DB = 0.05  # deviation of levels; below it none is louder, and nothing tells
_MOST_ALIKE = 0.4  # which echoes are on average; what is played again may be more so


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


def one_way(audio: Tensor, white: Tensor, lag: int) -> float:
    """How much what comes `lag` samples later is like an echo, and unlike what is played again.

    An echo is softer than the sound that it repeats. So it is plain to hear where that was loud and
    all is soft now, and hidden where it is the other way round; of music that repeats itself
    neither moment is more like the other.

    Args:
        audio: A clip ``(time,)``.
        white: The same, see `whiten_frames`.
        lag: In samples.

    Returns:
        The mean likeness of moments so far apart, which is that of their whitened waveforms, or 0.4
        if that is less, plus its correlation with how much louder the earlier one is.
    """
    then, now = (_moments(part) for part in (white[:-lag], white[lag:]))
    alike = (then * now).sum(1) / (then.norm(dim=1) * now.norm(dim=1)).clamp_min(1e-9)
    power = audio.diff(prepend=audio[:1]).square()  # bass is loud, and tells little
    before, after = (_moments(part).mean(1) for part in (power[:-lag], power[lag:]))
    softest = (_SOFTEST * before.quantile(0.95)).clamp_min(1e-12)
    sounds = torch.maximum(before, after) > softest
    louder = (10.0 * torch.log10((before + softest) / (after + softest))).clamp(-20.0, 20.0)
    both = torch.stack([alike[sounds], louder[sounds]])
    if both.shape[1] < _FEWEST or float(both[1].std()) < _LEAST_CHANGE_DB:
        return 0.0
    return min(float(both[0].mean()), _MOST_ALIKE) + float(torch.corrcoef(both)[0, 1].nan_to_num())


def _moments(values: Tensor) -> Tensor:
    return values.unfold(0, _MOMENT, _MOMENT // 4)
