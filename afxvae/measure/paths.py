"""Sinusoidal paths ``delay + depth sin(2 pi rate t + phase)`` through pictures of lag over time."""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from ..dsp.features import CLIP_SAMPLES, SAMPLE_RATE
from ..dsp.units import fast_length
from .copies import earlier

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "PER_MS",
    "Picture",
    "Region",
    "along",
    "blurred",
    "cepstra",
    "frame_times",
    "moving",
    "path",
    "phase_at_start_deg",
    "refine",
    "search",
    "sharpen",
]

PER_MS = SAMPLE_RATE / 1000.0

_CLIPPED = 4.0  # outliers, in standard deviations
_SLOWEST_HZ, _FASTEST_HZ = 0.08, 5.3
_PARTS = 8  # of the clip, each of which needs only every eighth rate
_KEPT = 40  # of each depth
_ROUGH = 3  # rounds of the refinement for which every second frame will do
_DRAWN, _ELITE = 160, 12
_SPARSE = (15, 15, 15, 15, 5, 5, 5, 5)  # samples between those that are followed, by round
_FOLLOWED, _BEST = 32, 7  # paths that are drawn, and kept


@dataclass(frozen=True)
class Region:
    """Where paths are searched, and how finely.

    Attributes:
        step: Samples between the delays that are tried.
        blur: Deviation in samples of the Gaussian that the picture is blurred with for that.
        delays: First and last, in steps.
        depths_ms: That are tried.
        tolerance_ms: By which a path may miss.
        alike_ms: Mean distance below which two paths count as one.
        blurs: Of the rounds of the refinement, in samples.
        spread_ms: Deviation of the first depths and delays that are drawn.
        spread_turn_ms: The same of rate and phase, at their worst.
        depth_ms: Least and largest that the refinement allows.
        delay_ms: The same.
        fastest_ms_s: Speed above which no swing is searched.
    """

    step: int
    blur: float
    delays: tuple[int, int]
    depths_ms: tuple[float, ...]
    tolerance_ms: float
    alike_ms: float
    blurs: tuple[float, ...]
    spread_ms: float
    spread_turn_ms: float
    depth_ms: tuple[float, float]
    delay_ms: tuple[float, float]
    fastest_ms_s: float = math.inf

    @property
    def reach(self) -> int:
        """Steps that a swing may take to either side."""
        return math.ceil(self.depths_ms[-1] * PER_MS / self.step) + 1


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


def cepstra(audio: Tensor, window: int, hop: int, lags: int) -> Picture:
    """Cepstra of the frames of a clip ``(131072,)``, in which a copy of level r rises by r."""
    frames = audio.unfold(0, window, hop) * torch.hann_window(window)
    magnitude = torch.fft.rfft(frames, 2 * window).abs()
    floor = 1e-2 * magnitude.mean(dim=1, keepdim=True) + 1e-7
    values: Tensor = 2.0 * torch.fft.irfft(torch.log(magnitude + floor))[:, :lags]
    return Picture(values, frame_times(len(values), hop, window / 2))


def frame_times(frames: int, hop: int, middle: float) -> Tensor:
    """Seconds from the middle of the clip, of frames whose first has its middle at a sample."""
    return (torch.arange(frames) * hop + middle - CLIP_SAMPLES / 2) / SAMPLE_RATE


def moving(
    picture: Picture, standing_s: float, shortest: int, most: float, width: float
) -> Picture:
    """A picture less what stands still for so long, with unit spread.

    Args:
        picture: To look at.
        standing_s: In which what is content does not move.
        shortest: Lag below which everything resembles itself.
        most: Value above which there is no copy.
        width: Of the blur of the spread, in samples.
    """
    values = picture.values.clone()
    values[:, :shortest] = 0.0
    values = values.clamp(-most, most)
    step = float(picture.time[1] - picture.time[0])
    values = values - _standing(values, round(0.5 * standing_s / step))
    spread = blurred(values.square().mean(0, keepdim=True), width)[0].clamp_min(0.0).sqrt()
    spread = spread + 0.2 * spread[int(5 * width) :].mean() + 1e-6
    return Picture((values / spread).clamp(-_CLIPPED, _CLIPPED), picture.time)


def phase_at_start_deg(knobs: Tensor) -> float:
    """Where the swing of a path ``(4,)`` stands when the clip begins."""
    turns = float(knobs[3]) / (2.0 * math.pi)
    turns -= float(knobs[0].exp()) * 0.5 * CLIP_SAMPLES / SAMPLE_RATE
    return 360.0 * (turns % 1.0)


def _standing(values: Tensor, half: int) -> Tensor:
    """Mean of ``(frame, lag)`` over `half` frames to either side, as far as there are."""
    half = min(half, len(values) // 2)
    sums = functional.pad(values.cumsum(0), (0, 0, 1, 0))
    frame = torch.arange(len(values))
    first, last = (frame - half).clamp_min(0), (frame + half + 1).clamp_max(len(values))
    return (sums[last] - sums[first]) / (last - first).unsqueeze(1)


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


@functools.lru_cache(maxsize=128)
@torch.inference_mode(False)
def _grid(region: Region, depth: float) -> tuple[Tensor, Tensor, int]:
    """Rates for a whole clip, rates for a part of it, and the number of phases."""
    spacing = region.tolerance_ms / (2.0 * math.pi * depth)
    fastest = min(_FASTEST_HZ, region.fastest_ms_s / (2.0 * math.pi * depth))
    rates = torch.arange(_SLOWEST_HZ, fastest, spacing)
    count = -(-len(rates) // _PARTS)
    coarse = rates[0] + spacing * (_PARTS * torch.arange(count) + (_PARTS - 1) / 2.0)
    return rates, coarse, max(4, int(math.pi * depth / region.tolerance_ms))


@functools.lru_cache(maxsize=512)
@torch.inference_mode(False)
def _rows(region: Region, depth: float, frames: int, hop_s: float) -> Tensor:
    """Row of a part's table of shifted frames that each path takes at each frame of it."""
    _, coarse, turns = _grid(region, depth)
    time = hop_s * (torch.arange(frames) - 0.5 * (frames - 1))
    phase = 2.0 * math.pi * torch.arange(turns) / turns
    angle = 2.0 * math.pi * coarse[:, None, None] * time + phase[:, None]
    shift = (depth * torch.sin(angle) * (PER_MS / region.step)).round().int() + region.reach
    return (shift + torch.arange(frames).int() * (2 * region.reach + 1)).flatten(0, 1)


@functools.lru_cache(maxsize=256)
@torch.inference_mode(False)
def _joined(region: Region, depth: float, middles: tuple[float, ...]) -> Tensor:
    """Rows of the sums of all parts, one after the other, that each path is made of.

    They are those of the phases that its rate has reached in the middles of the parts.
    """
    rates, coarse, turns = _grid(region, depth)
    reached = (rates.unsqueeze(1) * torch.tensor(middles) * turns).round().long()
    turn = (torch.arange(turns).view(-1, 1) + reached.unsqueeze(1)) % turns  # (rate, phase, part)
    nearest = (torch.arange(len(rates)) // _PARTS).view(-1, 1, 1)
    row = (torch.arange(_PARTS) * len(coarse) + nearest) * turns + turn
    return row.int().flatten(0, 1)


def _scores(region: Region, table: Tensor, time: Tensor, depth: float) -> Tensor:
    """Sum along every path of one depth, less that of all its phases: ``(rate, phase, delay)``.

    Parts of the clip are summed along paths of every eighth rate first, and then put together with
    the phases that each rate has reached in them.

    Args:
        region: That is searched.
        table: Shifted frames, ``(frame, shift, delay)``.
        time: Middles of the frames in seconds from the middle of the clip, ``(frame,)``.
        depth: In ms.
    """
    rates, _, turns = _grid(region, depth)
    hop_s = round(float(time[-1] - time[0]) / (len(time) - 1), 6)
    edges = torch.linspace(0, len(time), _PARTS + 1).round().long().tolist()
    parts, middles = [], []
    for first, last in itertools.pairwise(edges):
        middles.append(sum(time[first:last].tolist()) / (last - first))
        rows = _rows(region, depth, last - first, hop_s)
        parts.append(functional.embedding_bag(rows, table[first:last].flatten(0, 1), mode="sum"))
    joined = _joined(region, depth, tuple(middles))
    sums = functional.embedding_bag(joined, torch.cat(parts), mode="sum")
    scores = sums.view(len(rates), turns, -1)
    return scores.sub_(scores.mean(dim=1, keepdim=True))  # what all phases share is content


def search(region: Region, picture: Picture, count: int) -> Tensor:
    """The `count` best paths of a grid that differ, ``(path, 4)``."""
    time = picture.time[::2]
    coarse = blurred(picture.values, region.blur)[::2, :: region.step]
    (first, last), reach = region.delays, region.reach
    width = last - first
    padded = functional.pad(coarse, (reach, reach + width))
    shifts = [padded[:, first + s : first + s + width] for s in range(2 * reach + 1)]
    table = torch.stack(shifts, dim=1)
    heights, found = [], []
    for depth in region.depths_ms:
        rates, _, turns = _grid(region, depth)
        scores = _scores(region, table, time, depth).flatten(0, 1)
        height, best = scores.amax(dim=1).topk(_KEPT)
        place = scores[best].argmax(dim=1)
        knobs = torch.stack(
            [
                rates[best // turns].log(),
                torch.full_like(height, depth),
                (place + first) * (region.step / PER_MS),
                2.0 * math.pi * (best % turns) / turns,
            ],
            dim=1,
        )
        heights.append(height)
        found.append(knobs)
    candidates = torch.cat(found)[torch.cat(heights).argsort(descending=True)]
    return _distinct(candidates, time, count, region.alike_ms)


def _distinct(candidates: Tensor, time: Tensor, count: int, alike_ms: float) -> Tensor:
    """The first `count` of ``(path, 4)`` that are none of those before them."""
    paths = path(candidates, time)
    alive = torch.ones(len(paths), dtype=torch.bool)
    kept: list[int] = []
    while len(kept) < count and bool(alive.any()):
        first = int(alive.nonzero()[0])
        kept.append(first)
        alive &= (paths - paths[first]).abs().mean(1) > alike_ms
    return candidates[kept]


def refine(region: Region, picture: Picture, starts: Tensor, generator: torch.Generator) -> Tensor:
    """The best paths near each of ``(path, 4)``, by the cross-entropy method (Rubinstein, 1999)."""
    sharp = {w: Picture(blurred(picture.values, w), picture.time) for w in set(region.blurs)}
    rough = {w: Picture(p.values[::2], p.time[::2]) for w, p in sharp.items()}
    centre = starts
    swing = 4.0 * math.pi * starts[:, 0].exp() * starts[:, 1]
    spread = torch.stack(
        [
            (region.spread_turn_ms / swing).clamp_max(0.4),
            torch.full_like(swing, region.spread_ms),
            torch.full_like(swing, region.spread_ms),
            (region.spread_turn_ms / starts[:, 1]).clamp_max(1.0),
        ],
        dim=1,
    )
    for number, width in enumerate(region.blurs):
        noise = torch.randn(len(centre), _DRAWN, 4, generator=generator)
        drawn = centre.unsqueeze(1) + spread.unsqueeze(1) * noise
        drawn[:, 0] = centre
        drawn[..., 1] = drawn[..., 1].abs().clamp(*region.depth_ms)
        drawn[..., 2] = drawn[..., 2].clamp(*region.delay_ms)
        seen = rough[width] if number < _ROUGH else sharp[width]
        score = along(seen, drawn.flatten(0, 1)).mean(1).view(len(centre), -1)
        best = score.topk(_ELITE, dim=1).indices
        elite = drawn.gather(1, best.unsqueeze(2).expand(-1, -1, 4))
        centre, spread = elite.mean(1), 1.2 * elite.std(1).clamp_min(1e-4)
    return centre


def sharpen(
    white: Tensor, knobs: Tensor, lags: tuple[float, float], generator: torch.Generator
) -> Tensor:
    """Better knobs ``(4,)`` of a path that is right to a few samples, along the waveform.

    Args:
        white: A whitened clip ``(time,)``.
        knobs: Of the path.
        lags: Least and most that are looked at, in samples.
        generator: Of what is drawn.
    """
    swing = 2.0 * math.pi * float(knobs[0].exp()) * float(knobs[1]) * PER_MS
    spread = torch.tensor(
        [min(0.8 / (2.0 * swing), 0.1), 0.06, 0.04, min(1.0 / (float(knobs[1]) * PER_MS), 0.3)]
    )
    for sparse in _SPARSE:
        place = torch.arange(int(lags[1]) + 8, len(white), sparse)
        time = (place - len(white) / 2) / SAMPLE_RATE
        drawn = knobs + spread * torch.randn(_FOLLOWED, 4, generator=generator)
        drawn[0] = knobs
        voice = earlier(white, place, (path(drawn, time) * PER_MS).clamp(*lags))
        correlation = (white[place] * voice).mean(1)
        correlation = correlation / voice.square().mean(1).clamp_min(1e-20).sqrt()
        best = correlation.topk(_BEST).indices
        knobs, spread = drawn[best].mean(0), 1.3 * drawn[best].std(0).clamp_min(1e-5)
    return knobs
