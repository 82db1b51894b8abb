"""What two recordings tell of each other where they sound alike.

Average spectra of two recordings differ in what was said or played as much as in what was done to
it. So frames are matched first: every frame of one recording with those of the other that are like
it, as far as a filter between the two is allowed for. That filter and the matches are found in
turns, as in the registration of point clouds (Besl and McKay, *A Method for Registration of 3-D
Shapes*, IEEE PAMI 14(2), 1992), with soft matches and with weights that leave outliers out. The
way back, from the other recording to the first, should give the inverse; how far it does not shows
how far the result can be trusted, which content that has no counterpart makes it lose.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from .features import N_MELS

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "FILTERS",
    "LOUD",
    "N_LIKENESS",
    "N_SCALARS",
    "SOFT",
    "filters_between",
    "filters_of",
    "likeness",
]

_FRAMES = 255  # that are looked at, about, evenly spaced; a clip has twice as many
_WIDTHS_DB = (8.0, 5.0)  # root mean squares over the bands, within which frames count as alike
_ROUNDS = 5
_SHARPNESS = 8.0  # independent bands among the 80
_OUTLIER_DB = 3.0
_LEVELS = 8
_PAIRS = 8  # that are matched at once
N_SCALARS = 7
"""Number of figures at the end of a likeness, of how alike all is."""
N_LIKENESS = 8 * N_MELS + 2 * _LEVELS + N_SCALARS
"""Number of values that `likeness` returns for a pair."""
_BANDS = [slice(index * N_MELS, (index + 1) * N_MELS) for index in range(8)]
FILTERS, LOUD, SOFT = tuple(_BANDS[:2]), tuple(_BANDS[4:6]), tuple(_BANDS[6:])
"""Where parts of a likeness stand: the filter found forwards and backwards, in dB by band; the
levels of both recordings when they are loud, and when soft."""


def likeness(mine: Tensor, theirs: Tensor) -> Tensor:
    """Compare recordings by frames of like content.

    Args:
        mine: Log-mel frames in dB, ``(batch, frame, 80)``.
        theirs: The same of the other recordings; the number of frames may differ.

    Returns:
        ``(batch, N_LIKENESS)``: the filter from `mine` to `theirs` in dB by band, without its
        median, found forwards and found backwards; in logarithms how far these differ around each
        band; the mean distance of matched frames by band; the levels that each recording exceeds
        by band in a tenth and in nine tenths of the time; gain and level of frames that are alike
        in shape, in eight classes of level; and seven figures of how alike all is.
    """
    pairs = zip(_thinned(mine).split(_PAIRS), _thinned(theirs).split(_PAIRS), strict=True)
    return torch.cat([_compare(*pair) for pair in pairs])


def filters_of(likeness: Tensor) -> Tensor:
    """The filter found forwards and backwards with its level, in dB: ``(batch, 2, 80)``."""
    shapes = torch.stack([likeness[:, place] for place in FILTERS], 1)
    middles = likeness[:, -N_SCALARS:][:, : len(FILTERS)]
    return shapes + middles.unsqueeze(2)


def filters_between(mine: Tensor, theirs: Tensor) -> Tensor:
    """`filters_of` the likeness of recordings, without what else belongs to one."""
    pairs = zip(_thinned(mine).split(_PAIRS), _thinned(theirs).split(_PAIRS), strict=True)
    return torch.cat([torch.cat([_register(*p), -_register(*p[::-1])], 1) for p in pairs])


def _thinned(frames: Tensor) -> Tensor:
    return frames[:, :: max(1, round(frames.shape[1] / _FRAMES))]


def _compare(mine: Tensor, theirs: Tensor) -> Tensor:
    there, back = _register(mine, theirs), -_register(theirs, mine)
    distance, weight, quality = _match(theirs - there, mine, _WIDTHS_DB[-1])
    rest = (theirs - there - weight @ mine).abs()
    apart = (quality.unsqueeze(2) * rest).sum(1) / quality.sum(1, keepdim=True).clamp_min(1e-6)
    filters = [f.squeeze(1) for f in (there, back)]
    middles = [f.median(1, keepdim=True).values for f in filters]
    shapes = [f - middle for f, middle in zip(filters, middles, strict=True)]
    doubt = (shapes[0] - shapes[1]).abs()
    padded = nn.functional.pad(doubt.unsqueeze(1), (4, 4), mode="replicate")
    around = nn.functional.avg_pool1d(padded, 9, 1).squeeze(1)
    nearest = distance.amin(2).sqrt()
    evidence = torch.logsumexp(distance * (-_SHARPNESS / 32.0), 2).mean(1).clamp_min(-60.0)
    scalars = [
        *(middle.squeeze(1) for middle in middles),
        (doubt.mean(1) + 0.3).log(),
        evidence / 20.0,
        (nearest.median(1).values + 0.3).log(),
        (nearest.quantile(0.2, 1) + 0.3).log(),
        quality.mean(1),
    ]
    levels = [frames.quantile(q, 1) for q in (0.9, 0.1) for frames in (mine, theirs)]
    gains = _gain_by_level(mine, theirs - there)
    stacked = torch.stack(scalars, 1)
    return torch.cat([*shapes, (around + 0.3).log(), apart, *levels, *gains, stacked], 1)


def _match(frames: Tensor, others: Tensor, width_db: float) -> tuple[Tensor, Tensor, Tensor]:
    """Mean square distances ``(batch, frame, other)``, weights of the others, and quality."""
    squares = frames.square().sum(2, keepdim=True) + others.square().sum(2).unsqueeze(1)
    distance = (squares - 2.0 * frames @ others.mT).clamp_min(0.0) / frames.shape[2]
    weight = torch.softmax(distance * (-0.5 * _SHARPNESS / width_db**2), 2)
    quality = torch.exp((weight * distance).sum(2) * (-0.5 / width_db**2))
    return distance, weight, quality


def _register(mine: Tensor, theirs: Tensor) -> Tensor:
    """The filter in dB ``(batch, 1, band)`` under which `mine` is most like `theirs`."""
    level = theirs.mean((1, 2)) - mine.mean((1, 2))
    found = level.view(-1, 1, 1).expand(-1, 1, mine.shape[2])
    for width_db in _WIDTHS_DB:
        for _ in range(_ROUNDS):
            _, weight, quality = _match(theirs - found, mine, width_db)
            rest = theirs - found - weight @ mine
            trust = quality.unsqueeze(2) / (1.0 + (rest / _OUTLIER_DB).square())
            total = trust.sum(1, keepdim=True).clamp_min(1e-6)
            found = found + (trust * rest).sum(1, keepdim=True) / total
    return found


def _gain_by_level(mine: Tensor, theirs: Tensor) -> tuple[Tensor, Tensor]:
    """Gain and level of frames matched by their shape alone, in classes from soft to loud."""
    levels = theirs.mean(2)
    own = mine.mean(2, keepdim=True)
    _, weight, quality = _match(theirs - levels.unsqueeze(2), mine - own, _WIDTHS_DB[-1])
    level = (weight @ own).squeeze(2)
    order = level.argsort(1)
    size = level.shape[1] // _LEVELS

    def classes(values: Tensor) -> Tensor:
        return values.gather(1, order)[:, : size * _LEVELS].reshape(-1, _LEVELS, size)

    trust = classes(quality) + 1e-3
    gain = (classes(levels - level) * trust).sum(2) / trust.sum(2)
    return gain, classes(level).mean(2)
