"""Sinusoidal paths ``delay + depth sin(2 pi rate t + phase)`` through pictures of lag over time."""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from ..dsp.features import SAMPLE_RATE
from ..dsp.units import fast_length
from ..effects.modulation import CHORUS

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["PER_MS", "Picture", "along", "blurred", "path", "refine", "search"]

PER_MS = SAMPLE_RATE / 1000.0

_DEPTH, _DELAY = CHORUS.params[1:3]  # what is searched ends a little outside of their ranges

# the search
_STEP = 6  # samples between the delays that are tried
_BLUR = 5.0
_FIRST, _LAST = round(4.5 * PER_MS / _STEP), round(26.0 * PER_MS / _STEP)
_REACH = 24  # steps that a swing may take to either side
_DEPTHS_MS = (0.2, 0.45, 0.75, 1.05, 1.4, 1.8, 2.25, 2.75, 3.3, 4.0, 4.8, 5.7)
_SLOWEST_HZ, _FASTEST_HZ = 0.08, 5.3
_TOLERANCE_MS = 0.22
_PARTS = 8  # of the clip, each of which needs only every eighth rate
_KEPT = 40  # of each depth
_ALIKE_MS = 0.3  # mean distance below which two paths count as one

# the refinement
_BLURS = (4.0, 3.0, 3.0, 2.0, 1.5, 1.0, 1.0)
_ROUGH = 3  # rounds for which every second frame will do
_DRAWN, _ELITE = 160, 12


@dataclass(frozen=True)
class Picture:
    """How much a recording resembles its past.

    Attributes:
        values: ``(frame, lag)``, lags in samples from 0.
        time: Middles of the frames in seconds from the middle of the clip, ``(frame,)``.
    """

    values: Tensor
    time: Tensor


def blurred(values: Tensor, width: float) -> Tensor:
    """Gaussian blur of ``(frame, lag)`` over the lags; `width` is the deviation in samples."""
    reach = int(3 * width) + 1
    lags = values.shape[1]
    n_fft = fast_length(lags + reach)
    spectrum = torch.fft.rfft(values, n_fft) * _gaussian(width, reach, n_fft)
    result: Tensor = torch.fft.irfft(spectrum, n_fft)[:, :lags]
    return result


@functools.lru_cache(maxsize=32)
@torch.inference_mode(False)
def _gaussian(width: float, reach: int, n_fft: int) -> Tensor:
    """Spectrum of a Gaussian in the middle of a circle; real, as it is even."""
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / width).square())
    circle = functional.pad(kernel / kernel.sum(), (0, n_fft - len(kernel))).roll(-reach)
    spectrum: Tensor = torch.fft.rfft(circle).real
    return spectrum


def path(knobs: Tensor, time: Tensor) -> Tensor:
    """Delay in ms of ``(path, 4)``, log rate, depth, delay, phase: ``(path, time)``."""
    rate, depth, delay, phase = knobs.unsqueeze(2).unbind(1)
    return delay + depth * torch.sin(2.0 * math.pi * rate.exp() * time + phase)


def along(picture: Picture, knobs: Tensor) -> Tensor:
    """Values along the paths ``(path, 4)``: ``(path, frame)``."""
    frames, lags = picture.values.shape
    lag = (path(knobs, picture.time) * PER_MS).clamp(2.0, lags - 3.0)
    whole = lag.floor()
    share = lag - whole
    index = whole.long() + torch.arange(frames) * lags
    flat = picture.values.flatten()
    return (1.0 - share) * flat[index] + share * flat[index + 1]


@functools.lru_cache(maxsize=16)
@torch.inference_mode(False)
def _grid(depth: float) -> tuple[Tensor, Tensor, int]:
    """Rates for a whole clip, rates for a part of it, and the number of phases."""
    spacing = _TOLERANCE_MS / (2.0 * math.pi * depth)
    rates = torch.arange(_SLOWEST_HZ, _FASTEST_HZ, spacing)
    count = -(-len(rates) // _PARTS)
    coarse = rates[0] + spacing * (_PARTS * torch.arange(count) + (_PARTS - 1) / 2.0)
    return rates, coarse, max(4, int(math.pi * depth / _TOLERANCE_MS))


@functools.lru_cache(maxsize=128)
@torch.inference_mode(False)
def _rows(depth: float, frames: int, hop_s: float) -> Tensor:
    """Row of a part's table of shifted frames that each path takes at each frame of it."""
    _, coarse, turns = _grid(depth)
    time = hop_s * (torch.arange(frames) - 0.5 * (frames - 1))
    phase = 2.0 * math.pi * torch.arange(turns) / turns
    angle = 2.0 * math.pi * coarse[:, None, None] * time + phase[:, None]
    shift = (depth * torch.sin(angle) * (PER_MS / _STEP)).round().int() + _REACH
    return (shift + torch.arange(frames).int() * (2 * _REACH + 1)).flatten(0, 1)


@functools.lru_cache(maxsize=64)
@torch.inference_mode(False)
def _joined(depth: float, middles: tuple[float, ...]) -> Tensor:
    """Rows of the sums of all parts, one after the other, that each path is made of.

    They are those of the phases that its rate has reached in the middles of the parts.
    """
    rates, coarse, turns = _grid(depth)
    reached = (rates.unsqueeze(1) * torch.tensor(middles) * turns).round().long()
    turn = (torch.arange(turns).view(-1, 1) + reached.unsqueeze(1)) % turns  # (rate, phase, part)
    nearest = (torch.arange(len(rates)) // _PARTS).view(-1, 1, 1)
    row = (torch.arange(_PARTS) * len(coarse) + nearest) * turns + turn
    return row.int().flatten(0, 1)


def _scores(table: Tensor, time: Tensor, depth: float) -> Tensor:
    """Sum along every path of one depth, less that of all its phases: ``(rate, phase, delay)``.

    Parts of the clip are summed along paths of every eighth rate first, and then put together with
    the phases that each rate has reached in them.

    Args:
        table: Shifted frames, ``(frame, shift, delay)``.
        time: Middles of the frames in seconds from the middle of the clip, ``(frame,)``.
        depth: In ms.
    """
    rates, _, turns = _grid(depth)
    hop_s = round(float(time[-1] - time[0]) / (len(time) - 1), 6)
    edges = torch.linspace(0, len(time), _PARTS + 1).round().long().tolist()
    parts, middles = [], []
    for first, last in itertools.pairwise(edges):
        middles.append(sum(time[first:last].tolist()) / (last - first))
        rows = _rows(depth, last - first, hop_s)
        parts.append(functional.embedding_bag(rows, table[first:last].flatten(0, 1), mode="sum"))
    sums = functional.embedding_bag(_joined(depth, tuple(middles)), torch.cat(parts), mode="sum")
    scores = sums.view(len(rates), turns, -1)
    return scores.sub_(scores.mean(dim=1, keepdim=True))  # what all phases share is content


def search(picture: Picture, count: int) -> Tensor:
    """The `count` best paths of a grid that differ, ``(path, 4)``."""
    time = picture.time[::2]
    coarse = blurred(picture.values, _BLUR)[::2, ::_STEP]
    width = _LAST - _FIRST
    padded = functional.pad(coarse, (_REACH, _REACH + width))
    shifts = [padded[:, _FIRST + s : _FIRST + s + width] for s in range(2 * _REACH + 1)]
    table = torch.stack(shifts, dim=1)
    heights, found = [], []
    for depth in _DEPTHS_MS:
        rates, _, turns = _grid(depth)
        scores = _scores(table, time, depth).flatten(0, 1)
        height, best = scores.amax(dim=1).topk(_KEPT)
        place = scores[best].argmax(dim=1)
        knobs = torch.stack(
            [
                rates[best // turns].log(),
                torch.full_like(height, depth),
                (place + _FIRST) * (_STEP / PER_MS),
                2.0 * math.pi * (best % turns) / turns,
            ],
            dim=1,
        )
        heights.append(height)
        found.append(knobs)
    candidates = torch.cat(found)[torch.cat(heights).argsort(descending=True)]
    return _distinct(candidates, time, count)


def _distinct(candidates: Tensor, time: Tensor, count: int) -> Tensor:
    """The first `count` of ``(path, 4)`` that are none of those before them."""
    paths = path(candidates, time)
    alive = torch.ones(len(paths), dtype=torch.bool)
    kept: list[int] = []
    while len(kept) < count and bool(alive.any()):
        first = int(alive.nonzero()[0])
        kept.append(first)
        alive &= (paths - paths[first]).abs().mean(1) > _ALIKE_MS
    return candidates[kept]


def refine(picture: Picture, starts: Tensor, generator: torch.Generator) -> Tensor:
    """The best paths near each of ``(path, 4)``, by the cross-entropy method (Rubinstein, 1999)."""
    sharp = {width: Picture(blurred(picture.values, width), picture.time) for width in set(_BLURS)}
    rough = {w: Picture(p.values[::2], p.time[::2]) for w, p in sharp.items()}
    centre = starts
    swing = 4.0 * math.pi * starts[:, 0].exp() * starts[:, 1]
    spread = torch.stack(
        [
            (0.25 / swing).clamp_max(0.4),
            torch.full_like(swing, 0.18),
            torch.full_like(swing, 0.18),
            (0.25 / starts[:, 1]).clamp_max(1.0),
        ],
        dim=1,
    )
    for number, width in enumerate(_BLURS):
        noise = torch.randn(len(centre), _DRAWN, 4, generator=generator)
        drawn = centre.unsqueeze(1) + spread.unsqueeze(1) * noise
        drawn[:, 0] = centre
        drawn[..., 1] = drawn[..., 1].abs().clamp(0.5 * _DEPTH.minimum, _DEPTH.maximum)
        drawn[..., 2] = drawn[..., 2].clamp(_DELAY.minimum - 0.5, _DELAY.maximum)
        seen = rough[width] if number < _ROUGH else sharp[width]
        score = along(seen, drawn.flatten(0, 1)).mean(1).view(len(centre), -1)
        best = score.topk(_ELITE, dim=1).indices
        elite = drawn.gather(1, best.unsqueeze(2).expand(-1, -1, 4))
        centre, spread = elite.mean(1), 1.2 * elite.std(1).clamp_min(1e-4)
    return centre
