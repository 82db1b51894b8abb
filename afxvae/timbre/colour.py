"""Attributes of the spectrum's balance: brightness, sharpness, boominess, warmth.

Regressions are those of Pearce, Brookes and Mason for AudioCommons (*timbral_models* 0.4, 2019).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .analogue import butterworth_power
from .peaks import lowest_peak
from .sound import Sound
from .spectra import bark_bell, bin_hz, power_frames, power_of, tukey, weighted_mean
from .zwicker import BARK_STEPS, RATE

__all__ = ["boominess", "brightness", "sharpness", "warmth"]

_TINY = 1e-12
_SEGMENT = 8192


def brightness(sound: Sound) -> Tensor:
    """Share of power above 2 kHz, and centroid above 100 Hz.

    ``4.613128 lg(P_2000 / P) + 17.378889 lg(centroid_100) + 17.434734``, of the mean power spectrum
    in frames of 2048 samples, high-passed at 20 Hz. Differentiable everywhere.
    """
    heard = power_frames(sound.high_passed, 2048, 512).mean(1)
    hz = bin_hz(heard)
    high = heard * butterworth_power(hz, 2000.0, RATE, "high", 3)
    above = heard * butterworth_power(hz, 100.0, RATE, "high", 3)
    ratio = high.sum(-1) / heard.sum(-1).clamp_min(_TINY**2)
    centroid = (above * hz).sum(-1) / above.sum(-1).clamp_min(_TINY**2)
    levels = _lg(ratio), _lg(centroid.clamp_min(20.0))
    return 4.613128018020465 * levels[0] + 17.378889309312974 * levels[1] + 17.434733750553022


def sharpness(sound: Sound) -> Tensor:
    """Centre of gravity of specific loudness on the Bark scale, the highest bands weighing more.

    ``102.505089 lg(S) + 34.432655`` with ``S = 0.11 sum(N g z) / sum(N)`` of frames of 93 ms, which
    weigh as their power (Zwicker and Fastl, *Psychoacoustics*, 1999, chapter 9). Differentiable as
    `afxvae.timbre.zwicker.specific_loudness` is.
    """
    loudness = sound.specific_loudness
    step = torch.arange(1, BARK_STEPS + 1, dtype=loudness.dtype, device=loudness.device)
    z = 0.1 * step
    weight = ((0.00012 * z - 0.0056) * z + 0.1) * z - 0.81
    weight = torch.where(step > 140, weight * z + 3.5, 1.0)
    total = loudness.sum(-1)
    sharp = 0.11 * (loudness * (weight * z)).sum(-1) / total.clamp_min(_TINY)
    mean = weighted_mean(torch.where(_heard(total), sharp, 0.0), sound.rms.square())
    return 102.50508921364404 * _lg(mean) + 34.432655185001735


def boominess(sound: Sound) -> Tensor:
    """Booming index, and loudness below 7 Bark.

    ``43.674027 lg(B) - 10.900547 lg(L) + 26.836531``. B is 10 lg of the sum of ``10^(N W / 10)``
    over the Bark scale times the share of loudness below 280 Hz, in frames that weigh as their
    power (Hatano and Hashimoto, *Booming index*, Inter-Noise 2000; Shin and others, Applied
    Acoustics 70, 2009). Differentiable as `afxvae.timbre.zwicker.specific_loudness` is.
    """
    loudness = sound.specific_loudness
    z = 0.1 * torch.arange(1, BARK_STEPS + 1, dtype=loudness.dtype, device=loudness.device)
    hz = 600.0 * torch.sinh(z / 6.0)
    third = torch.log10(hz / 25.0) / math.log10(31.5 / 25.0) + 1.0
    weight = 2.13 * torch.exp(-0.151 * third)
    weight[:4] = weight.new_tensor([0.8, 1.05, 1.1, 1.18])
    total = loudness.sum(-1)
    low = (loudness * (hz < 280.0)).sum(-1) / total.clamp_min(_TINY)
    index = 10.0 * torch.log10((10.0 ** (0.1 * loudness * weight)).sum(-1)) * low
    mean = weighted_mean(torch.where(_heard(total), index, 0.0), sound.rms.square())
    level = (loudness @ bark_bell(0, 70, loudness)).mean(-1)
    return 43.67402696195865 * _lg(mean) - 10.90054738389845 * _lg(level) + 26.836530575185435


def warmth(sound: Sound) -> Tensor:
    """Loudness of 1-4 and 8-24 Bark, centroid, energy up to 260 Hz, and how even the decay is.

    ``-4.464258 lg(centroid) - 0.088193 N_high + 0.291565 N_warm + 17.274734 R2 + 8.403340 low +
    45.212121``. From onset to onset, R2 is that of a line through lg power over lg frequency above
    3.5 times the lowest partial, and `low` the share of power between that partial and 260 Hz.
    Differentiable where onsets and lowest partials stay the same.
    """
    loudness = sound.specific_loudness
    warm = (loudness @ bark_bell(10, 40, loudness)).mean(-1)
    high = weighted_mean(loudness @ bark_bell(80, 240, loudness), sound.rms)
    power, rms, clip = _segments(sound)
    hz = bin_hz(power)
    total = power.sum(-1).clamp_min(_TINY)
    lowest, partial = lowest_peak(power.detach(), 0.2)
    between = (torch.arange(len(hz), device=hz.device) >= lowest[:, None]) & (hz <= 260.0)
    low = torch.where(partial < 260.0, (power * between).sum(-1) / total, 0.0)
    fit = _line_fit(power, hz, (3.5 * partial).clamp_max(12000.0).unsqueeze(1))
    centroid = (power * hz).sum(-1) / total
    columns = torch.stack([torch.ones_like(total), centroid, rms, low * rms, fit], 1)
    sums = columns.new_zeros(len(warm), 5).index_add(0, clip, columns)
    count, centroids, weights, lows, fits = sums.unbind(1)
    return (
        -4.464258317026696 * _lg(centroids / count)
        - 0.08819320850778556 * high
        + 0.29156539973575546 * warm
        + 17.274733561081554 * fits / count
        + 8.403340066029507 * lows / weights
        + 45.21212125085579
    )


def _segments(sound: Sound) -> tuple[Tensor, Tensor, Tensor]:
    """From onset to onset: power spectra with peaks of 1, root mean squares, and their clip.

    Spectra are sums over frames of 8192 samples with an eighth of overlap, or of one shorter frame:
    ``(segment, bin)``, ``(segment,)``, ``(segment,)``.
    """
    total = sound.audio.shape[1]
    clips: list[int] = []
    rms, frames = [], []
    for number, onsets in enumerate(sound.onsets):
        begins = onsets if len(onsets) > 1 else [0]
        for begin, end in zip(begins, [*begins[1:], total], strict=True):
            length = min(_SEGMENT, end - begin)
            rms.append(sound.audio[number, begin:end].square().mean().clamp_min(1e-20).sqrt())
            places = range(begin, end - length + 1, _SEGMENT - _SEGMENT // 8)
            frames += [(number, first, length, len(clips)) for first in places]
            clips.append(number)
    table = torch.tensor(frames, device=sound.audio.device)
    clip, start, lengths, segment = table.unsqueeze(-1).unbind(1)
    place = torch.arange(_SEGMENT, device=table.device)
    inside = (place < lengths).to(sound.audio)
    audio = sound.audio[clip, (start + place).clamp_max(total - 1)] * inside
    audio = (audio - audio.sum(-1, keepdim=True) / lengths) * inside * tukey(place / lengths)
    power = power_of(audio, _SEGMENT)
    power = power.new_zeros(len(clips), power.shape[1]).index_add(0, segment[:, 0], power)
    power = power / power.detach().amax(-1, keepdim=True).clamp_min(1e-30)
    return power, torch.stack(rms), torch.tensor(clips, device=table.device)


def _line_fit(power: Tensor, hz: Tensor, above_hz: Tensor) -> Tensor:
    """Share of the variance of lg power that a line over lg frequency explains, ``(batch,)``."""
    weight = (hz > above_hz).to(power)
    x, y = torch.log10(hz.clamp_min(1.0)), torch.log10(power.clamp_min(1e-30))
    x = x - weighted_mean(x, weight).unsqueeze(-1)
    y = y - weighted_mean(y, weight).unsqueeze(-1)
    common = (weight * x * y).sum(-1)
    squares = (weight * x.square()).sum(-1) * (weight * y.square()).sum(-1)
    return common.square() / squares.clamp_min(_TINY)


def _heard(total: Tensor) -> Tensor:
    """Whether the sum over tenths of a Bark comes to more than 0.0005 sone."""
    return total > 0.005


def _lg(value: Tensor) -> Tensor:
    return torch.log10(value.clamp_min(_TINY))
