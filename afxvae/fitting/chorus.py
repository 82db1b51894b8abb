"""The chorus between two recordings: a swinging path along which one follows the other.

The effect's oscillator stands at phase 0 at the first sample, so that a path is rate, depth and
mean delay. All are tried on a coarse picture of lag over time, and the best followed sample by
sample.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from ..dsp.units import fast_length

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["start_chorus"]

Knobs = dict[str, float]

_FRAME, _HOP = 512, 512  # samples at 24 kHz
_WINDOW = 1024
_COARSE_MS = 0.25
_LAGS_MS = 37.0
_DELAYS_MS = (3.0, 31.0)
_RATES_HZ = (0.05, 8.0)
_DEPTHS_MS = (0.1, 0.3, 0.6, 1.0, 1.5, 2.0, 2.6, 3.2, 4.0, 5.0, 6.0)
_SPACING = 0.35  # turns by which neighbouring rates differ at the end
_SEEDS, _FOLLOWED = 40, 4
_SPARSE = 13
_ROUNDS, _DRAWN, _ELITE = 10, 48, 8


def start_chorus(dry: Tensor, wet: Tensor, sample_rate: int, start: int = 0) -> tuple[Knobs, float]:
    """Knobs of the chorus, and how surely there is one.

    Args:
        dry: ``(time,)``.
        wet: ``(time,)``, aligned.
        sample_rate: Of both, in Hz.
        start: Samples of the recording before them.

    Returns:
        Settings, and the correlation along their path in standard deviations.
    """
    original, voice = _whitened(dry), _whitened(wet)
    picture, time = _picture(original, voice, sample_rate)
    knobs = _search(picture, time + start / sample_rate)
    place = torch.arange(round(40e-3 * sample_rate), len(original), _SPARSE)
    if not len(place):
        return {}, 0.0
    seconds = (place + start) / sample_rate
    best, correlation = _sharpen(knobs, original, voice, place, seconds, sample_rate)
    rate, depth, delay = best.tolist()
    found = {
        "rate_hz": math.exp(rate),
        "depth_ms": math.exp(depth),
        "delay_ms": delay,
        "mix": min(max(correlation, 0.1), 0.5),
    }
    return found, correlation * len(place) ** 0.5


def _whitened(signal: Tensor) -> Tensor:
    """The signal with a flat spectrum in every frame."""
    hop, window = _WINDOW // 4, torch.hann_window(_WINDOW)
    frames = functional.pad(signal, (_WINDOW, _WINDOW)).unfold(0, _WINDOW, hop) * window
    spectrum = torch.fft.rfft(frames)
    level = spectrum.abs()
    smooth = functional.avg_pool1d(level.unsqueeze(1), 9, 1, 4, count_include_pad=False).squeeze(1)
    spectrum = spectrum / (level + 0.2 * smooth + 0.02 * level.mean(1, keepdim=True) + 1e-6)
    parts = torch.fft.irfft(spectrum) * window
    size = (1, hop * (len(parts) - 1) + _WINDOW)
    whole: Tensor = functional.fold(parts.mT.unsqueeze(0), size, (1, _WINDOW), stride=(1, hop))
    return whole.flatten()[_WINDOW : _WINDOW + len(signal)]


def _picture(original: Tensor, voice: Tensor, sample_rate: int) -> tuple[Tensor, Tensor]:
    """Correlation ``(frame, lag)`` of frames with the past, coarse, and the frames' times in s."""
    frame, hop, lags = (round(n * sample_rate / 24_000) for n in (_FRAME, _HOP, 24.0 * _LAGS_MS))
    past = functional.pad(original, (lags, 0)).unfold(0, lags + frame, hop)
    now = voice.unfold(0, frame, hop)
    n_fft = fast_length(lags + frame)
    spectrum = torch.fft.rfft(now, n_fft) * torch.fft.rfft(past, n_fft).conj()
    values = torch.fft.irfft(spectrum, n_fft)[:, (torch.arange(lags + 1) - lags) % n_fft]
    share = frame / (lags + frame)
    power = (now.square().sum(1) * past.square().sum(1) * share).sqrt()
    values = values / (power + 0.1 * power.mean() + 1e-12).unsqueeze(1)
    values = values - values.mean(0)  # what stands still is an echo
    width = max(1, round(_COARSE_MS * sample_rate / 1000.0))
    coarse = functional.avg_pool1d(values.unsqueeze(1), width, width).squeeze(1)
    return coarse, (torch.arange(len(coarse)) * hop + frame / 2) / sample_rate


def _search(picture: Tensor, time: Tensor) -> Tensor:
    """The best paths of a grid: log rate, log depth and delay in ms, ``(path, 3)``."""
    frames, lags = picture.shape
    flat, rows = picture.flatten(), lags * torch.arange(frames).unsqueeze(1)
    low, high = (round(ms / _COARSE_MS) for ms in _DELAYS_MS)
    delays = torch.arange(low, high)
    duration = float(time[-1]) + 0.1
    rates = torch.arange(*_RATES_HZ, max(_SPACING / duration, 0.01)).tolist()
    scores = []
    for rate in rates:
        swing = torch.sin(2.0 * math.pi * rate * time)
        for depth in _DEPTHS_MS:
            offset = (swing * (depth / _COARSE_MS)).round().long().unsqueeze(1)
            place = rows + (delays + offset).clamp(0, lags - 1)
            scores.append(flat[place].mean(0))
    best = torch.stack(scores).flatten().topk(_SEEDS).indices
    combination, delay = best // len(delays), best % len(delays)
    best_rates = torch.tensor(rates)[combination // len(_DEPTHS_MS)]
    best_depths = torch.tensor(_DEPTHS_MS)[combination % len(_DEPTHS_MS)]
    middle = (delays[delay] + 0.5) * _COARSE_MS
    return torch.stack([best_rates.log(), best_depths.log(), middle], 1)


def _sharpen(
    starts: Tensor,
    original: Tensor,
    voice: Tensor,
    place: Tensor,
    seconds: Tensor,
    sample_rate: int,
) -> tuple[Tensor, float]:
    """The best path ``(3,)`` near some, and the correlation along it (cross-entropy method)."""
    now = voice[place]

    def score(knobs: Tensor) -> Tensor:
        rate, depth, delay = knobs.unsqueeze(2).unbind(1)
        swing = torch.sin(2.0 * math.pi * rate.exp() * seconds)
        lag = ((delay + depth.exp() * swing) * (sample_rate / 1000.0)).clamp_min(2.0)
        whole = lag.floor()
        share, index = lag - whole, (place - whole.long()).clamp_min(1)
        then = (1.0 - share) * original[index] + share * original[index - 1]
        power = then.square().mean(1) * now.square().mean()
        return (then * now).mean(1) / (power + 1e-20).sqrt()

    generator = torch.Generator().manual_seed(0)
    heights = score(starts)
    best, height = starts[int(heights.argmax())], float(heights.max())
    for begin in heights.topk(_FOLLOWED).indices.tolist():
        knobs = starts[begin]
        rate, depth = knobs[:2].exp().tolist()
        duration = float(seconds[-1])
        spread = torch.tensor(
            [min(0.15 / (duration * rate), 0.1), min(0.15 / depth, 0.3), 0.6 * _COARSE_MS]
        )
        for _ in range(_ROUNDS):
            drawn = knobs + spread * torch.randn(_DRAWN, 3, generator=generator)
            drawn[0] = knobs
            values = score(drawn)
            elite = values.topk(_ELITE).indices
            knobs, spread = drawn[elite].mean(0), 1.2 * drawn[elite].std(0).clamp_min(1e-6)
            if float(values.max()) > height:
                height, best = float(values.max()), drawn[int(values.argmax())]
    return best, height
