"""Specific loudness of short frames, after Zwicker (ISO 532 B, DIN 45631).

Tables and procedure are those of Zwicker, Fastl, Widmann, Kurakata, Kuwano and Namba, *Program for
calculating loudness according to DIN 45631 (ISO 532B)*, J. Acoust. Soc. Jpn. (E) 12, 1991. The
third-octave levels come from Butterworth filters that start from rest in every frame, four bands at
the full rate and then three at each half of it, as in the AudioCommons models.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from .analogue import butterworth_band, chebyshev_low, impulse

__all__ = ["BARK_STEPS", "FRAME", "RATE", "specific_loudness"]

RATE = 44100
"""Sample rate of what is analysed, Hz."""
FRAME = 4096
"""Samples in a frame."""
BARK_STEPS = 240
"""Values of specific loudness, 0.1 to 24 Bark in steps of 0.1."""

_FULL_SCALE_DB = 100.0
_OCTAVES = 8
_RESPONSE = 1 << 15
_TOP_HZ = [1000 * 2 ** (third / 3) for third in (8, 9, 10, 11)]
# Levels up to which each row of reductions holds, and reductions of the 11 bands below 280 Hz.
_RANGES = [45.0, 55.0, 65.0, 71.0, 80.0, 90.0, 100.0, 120.0]
_REDUCTIONS = [
    [-32.0, -24, -16, -10, -5, 0, -7, -3, 0, -2, 0],
    [-29.0, -22, -15, -10, -4, 0, -7, -2, 0, -2, 0],
    [-27.0, -19, -14, -9, -4, 0, -6, -2, 0, -2, 0],
    [-25.0, -17, -12, -9, -3, 0, -5, -2, 0, -2, 0],
    [-23.0, -16, -11, -7, -3, 0, -4, -1, 0, -1, 0],
    [-20.0, -14, -10, -6, -3, 0, -4, -1, 0, -1, 0],
    [-18.0, -12, -9, -6, -2, 0, -3, -1, 0, -1, 0],
    [-15.0, -10, -8, -4, -2, 0, -3, -1, 0, -1, 0],
]
# Of the 20 critical bands: threshold in quiet, transmission of the ear, width correction, in dB.
_QUIET = [30.0, 18, 12, 8, 7, 6, 5, 4] + [3.0] * 12
_EAR = [0.0] * 10 + [-0.5, -1.6, -3.2, -5.4, -5.6, -4, -1.5, 2, 5, 12]
_WIDTH = [-0.25, -0.6, -0.8, -0.8, -0.5, 0, 0.5, 1.1, 1.5, 1.7, 1.8, 1.8, 1.7, 1.6, 1.4, 1.2, 0.8]
_WIDTH += [0.5, 0, -0.5]
# Upper limits of 21 critical bands in tenths of a Bark.
_LIMITS = [9, 18, 28, 35, 44, 54, 66, 79, 92, 106, 123, 138, 152, 167, 181, 193, 206, 218, 227]
_LIMITS += [236, 240]
# Loudness down to which each row of slopes holds, and slopes in sone per Bark per Bark.
_STEPS = [21.5, 18, 15.1, 11.5, 9, 6.1, 4.4, 3.1, 2.13, 1.36, 0.82, 0.42, 0.3, 0.22, 0.15, 0.1]
_STEPS += [0.035, 0.0]
_SLOPES = [
    [13.0, 8.2, 6.3, 5.5, 5.5, 5.5, 5.5, 5.5],
    [9.0, 7.5, 6.0, 5.1, 4.5, 4.5, 4.5, 4.5],
    [7.8, 6.7, 5.6, 4.9, 4.4, 3.9, 3.9, 3.9],
    [6.2, 5.4, 4.6, 4.0, 3.5, 3.2, 3.2, 3.2],
    [4.5, 3.8, 3.6, 3.2, 2.9, 2.7, 2.7, 2.7],
    [3.7, 3.0, 2.8, 2.35, 2.2, 2.2, 2.2, 2.2],
    [2.9, 2.3, 2.1, 1.9, 1.8, 1.7, 1.7, 1.7],
    [2.4, 1.7, 1.5, 1.35, 1.3, 1.3, 1.3, 1.3],
    [1.95, 1.45, 1.3, 1.15, 1.1, 1.1, 1.1, 1.1],
    [1.5, 1.2, 0.94, 0.86, 0.82, 0.82, 0.82, 0.82],
    [0.72, 0.67, 0.64, 0.63, 0.62, 0.62, 0.62, 0.62],
    [0.59, 0.53, 0.51, 0.5, 0.42, 0.42, 0.42, 0.42],
    [0.4, 0.33, 0.26, 0.24, 0.24, 0.22, 0.22, 0.22],
    [0.27, 0.21, 0.2, 0.18, 0.17, 0.17, 0.17, 0.17],
    [0.16, 0.15, 0.14, 0.12, 0.11, 0.11, 0.11, 0.11],
    [0.12, 0.11, 0.1, 0.08, 0.08, 0.08, 0.08, 0.08],
    [0.09, 0.08, 0.07, 0.06, 0.06, 0.06, 0.06, 0.05],
    [0.06, 0.05, 0.03, 0.02, 0.02, 0.02, 0.02, 0.02],
]


def specific_loudness(frames: Tensor) -> Tensor:
    """Specific loudness, ``(frame, 4096)`` at 44.1 kHz to ``(frame, 240)`` sone per Bark.

    A full-scale sine stands for 97 dB. Differentiable but for steps where a table's next row begins
    and where a slope is rounded to a tenth of a Bark; it has no gradient where nothing is heard.
    """
    return _spread(_core_loudness(_third_octave_levels(frames)))


def _third_octave_levels(frames: Tensor) -> Tensor:
    """Levels in dB of the bands from 25 Hz to 12.5 kHz, ``(frame, 28)``."""
    bands, low = _filters(frames.dtype, str(frames.device))
    powers = [_power(frames, bands)]
    for _ in range(_OCTAVES):
        length = frames.shape[1]
        spectrum = torch.fft.rfft(frames, 2 * length)
        response = torch.fft.rfft(low[:length], 2 * length)
        frames = torch.fft.irfft(spectrum * response, 2 * length)[:, 1:length:2]
        powers.insert(0, _power(frames, bands[:3]))
    return 10.0 * torch.log10(torch.cat(powers, 1).clamp_min(1e-30)) + _FULL_SCALE_DB


def _power(frames: Tensor, impulses: Tensor) -> Tensor:
    """Mean power of frames behind each filter that starts from rest, ``(frame, filter)``."""
    length = frames.shape[1]
    spectrum = torch.fft.rfft(frames, 2 * length).unsqueeze(1)
    filtered = torch.fft.irfft(spectrum * torch.fft.rfft(impulses[:, :length], 2 * length))
    power: Tensor = filtered[..., :length].square().mean(-1)
    return power


@functools.lru_cache(maxsize=4)
@torch.inference_mode(False)  # what stays in the cache must also serve where gradients are wanted
def _filters(dtype: torch.dtype, device: str) -> tuple[Tensor, Tensor]:
    """Impulse responses of the four highest bands, and of what comes before halving the rate."""
    edge = 2 ** (1 / 6)
    bands = [
        impulse(butterworth_band(_RESPONSE, hz / edge / RATE, hz * edge / RATE, 4), FRAME)
        for hz in _TOP_HZ
    ]
    low = impulse(chebyshev_low(_RESPONSE, 0.2, 2, 0.1), FRAME)
    return torch.stack(bands).to(device, dtype), low.to(device, dtype)


def _core_loudness(levels: Tensor) -> Tensor:
    """Main loudness of the critical bands and a last one of nothing, ``(frame, 21)``."""
    quiet, ear, width = (levels.new_tensor(row) for row in (_QUIET, _EAR, _WIDTH))
    low = levels[:, :11]
    reductions = levels.new_tensor(_REDUCTIONS)
    limits = levels.new_tensor(_RANGES)[:7, None] - reductions[:7]
    row = (low.unsqueeze(1) > limits).sum(1)
    power = 10.0 ** (0.1 * (low + reductions.gather(0, row)))
    lumped = [power[:, :6].sum(1), power[:, 6:9].sum(1), power[:, 9:].sum(1)]
    joined = 10.0 * torch.log10(torch.stack(lumped, 1).clamp_min(1e-30))
    level = torch.cat([joined, levels[:, 11:]], 1)
    excitation = 10.0 ** (0.1 * (level - ear - width - quiet))
    loudness = (0.75 + 0.25 * excitation) ** 0.25 - 1.0
    loudness = 0.0635 * 10.0 ** (0.025 * quiet) * loudness.clamp_min(0.0)
    loudness = torch.where(level > quiet, loudness, 0.0)
    lowest = loudness[:, :1]
    correction = (0.4 + 0.32 * lowest.clamp_min(1e-12) ** 0.2).clamp_max(1.0)
    return torch.cat([lowest * correction, loudness[:, 1:], torch.zeros_like(lowest)], 1)


def _spread(core: Tensor) -> Tensor:
    """Add what each band masks above itself, step by step along the Bark scale."""
    steps, slopes = core.new_tensor(_STEPS), core.new_tensor(_SLOPES)
    now = core.new_zeros(len(core))  # loudness where the last flat part or slope ended
    begin, goal, slope = now, now, now  # of the slope that is followed
    passed, left = now, now  # of it, in Bark and in tenths of a Bark
    row = torch.full((len(core),), len(_STEPS) - 1, device=core.device)
    found = []
    band = 0
    for position in range(BARK_STEPS + 1):
        if position == _LIMITS[band] < BARK_STEPS:  # a slope that is cut goes on from where it is
            now = torch.where(left > 0, begin - slope * passed, now)
            left, band = torch.zeros_like(left), band + 1
        main = core[:, band]
        row = torch.where(now < main, (steps[:, None] > main).sum(0), row)
        falls = (left == 0) & (now > main)
        now = torch.where((left == 0) & ~falls, main, now)
        target = torch.maximum(steps[row], main)
        steep = slopes[row, min(band - 1, 7)]
        length = torch.round((now - target).detach() / steep * 10.0).clamp_min(1.0)
        begin, goal = torch.where(falls, now, begin), torch.where(falls, target, goal)
        slope, passed = torch.where(falls, steep, slope), torch.where(falls, 0.0, passed)
        left = torch.where(falls, length, left)
        found.append(torch.where(left > 0, begin - slope * passed, now))
        passed = passed + 0.1
        ends = left == 1
        now = torch.where(ends, goal, now)
        row = (row + (ends & (goal == steps[row]))).clamp_max(len(_STEPS) - 1)
        left = (left - 1.0).clamp_min(0.0)
    return torch.stack(found[1:], 1)
