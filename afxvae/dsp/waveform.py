"""How a waveform is shaped, and how its level moves: what a picture of its spectrum hardly shows.

A curve that bends a waveform (an overdrive, a clipper, a tape) acts on amplitudes. Of a stationary
Gaussian process, amplitude and slope at one moment are independent; behind a curve f, the slope is
f'(x) times as large. So slopes against amplitudes show the curve, its asymmetry and how much dry
sound was mixed to it, where a spectrum only shows harmonics that may as well be the sound's own.
Sounds are not stationary, so all is counted by the level of short frames too.

A compressor turns down what is loud, and takes its time for that: what comes a while after a loud
moment is softer than it was, in low and high bands alike. So levels now and a while later are
counted together. What both mean shows beside the same figures of another recording.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from .features import SAMPLE_RATE

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["N_WAVEFORM", "waveform_statistics"]

_AMPLITUDES, _AMPLITUDE_DB, _LOWEST_DB = 26, 2.5, -50.0  # of a half wave, from the rms
_FRAME = 512
_LEVELS, _LEVEL_DB, _LOWEST_LEVEL_DB = 8, 5.0, -30.0  # of frames, from the rms
_PARTS, _LOWEST_PART_DB = 12, -14.0  # amplitudes from the frame's level
_FEW = 20  # samples, of which a mean says nothing
_WINDOWS = (128, 512, 2048)
_MOMENTS = 5
_LOW_HZ = 1000.0
_TURNS = {128: (1, 4), 512: (1, 4, 16)}  # frames, and how many of them later
_STEPS, _STEP_DB, _LOWEST_STEP_DB = 12, 4.0, -36.0  # of levels that are counted together
N_WAVEFORM = (
    1
    + 4 * 2 * _AMPLITUDES
    + _LEVELS * (2 * _PARTS + 1)
    + sum(2 * (_STEPS * _STEPS * len(lags) + _STEPS) for lags in _TURNS.values())
    + _STEPS * _STEPS
    + 2 * len(_WINDOWS) * _LEVELS * (_MOMENTS + 1)
)
"""Number of values of `waveform_statistics`."""


def waveform_statistics(clips: Tensor) -> Tensor:
    """Statistics of the shape of waveforms, and of their levels.

    By amplitude, in steps of 2.5 dB of either half wave: how often it occurs, slope and curvature
    there (mean squares, and the mean curvature away from zero). By amplitude within frames of
    21 ms, and the level of those: how often, and the slope. By the level of frames and what it is
    up to a third of a second later, of the sound and of its treble: how often. By the level of
    frames of three lengths, of the sound and of what is below 1 kHz: peaks of either half wave,
    kurtosis, skewness, and the mean against the root mean square.

    Args:
        clips: ``(batch, time)`` mono at 24 kHz and the analysis loudness.

    Returns:
        ``(batch, N_WAVEFORM)``.
    """
    sound = _of_one_power(clips)
    low, high = _of_one_power(_below(sound, _LOW_HZ)), _of_one_power(_slopes(sound)[2])
    parts = [10.0 * torch.log10(clips.square().mean(1, keepdim=True) + 1e-12)]
    parts += [_by_amplitude(sound), _by_part(sound)]
    parts += [_by_turn(each, *turn) for each in (sound, high) for turn in _TURNS.items()]
    parts.append(_together(sound, high))
    parts += [_by_level(each, window) for each in (sound, low) for window in _WINDOWS]
    return torch.cat(parts, 1)


def _of_one_power(sound: Tensor) -> Tensor:
    return sound / (sound.square().mean(1, keepdim=True).sqrt() + 1e-6)


def _slopes(sound: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Amplitudes, slopes and curvatures of all samples but the first and the last."""
    here, before, after = sound[:, 1:-1], sound[:, :-2], sound[:, 2:]
    return here, (after - before) * 0.5, after - 2.0 * here + before


def _decibels(amplitude: Tensor) -> Tensor:
    return 20.0 * torch.log10(amplitude.abs() + 1e-6)


def _sums(place: Tensor, bins: int, *values: Tensor) -> list[Tensor]:
    """How many samples there are of each bin, and sums of values; bin `bins` is left out."""
    empty = torch.zeros(len(place), bins + 1, device=place.device)
    ones = torch.ones(1, device=place.device).expand(place.shape)
    return [empty.scatter_add(1, place, value)[:, :bins] for value in (ones, *values)]


def _by_amplitude(sound: Tensor) -> Tensor:
    here, slope, curvature = _slopes(sound)
    step = ((_decibels(here) - _LOWEST_DB) / _AMPLITUDE_DB).floor().long()
    known = (step >= 0) & (step < _AMPLITUDES)
    bins = 2 * _AMPLITUDES
    place = torch.where(known, torch.where(here > 0, step, step + _AMPLITUDES), bins)
    outward = curvature * here.sign()
    count, *sums = _sums(place, bins, slope.square(), curvature.square(), outward)
    slopes, curvatures, outwards = (total / (count + 3.0) for total in sums)
    return torch.cat(
        [
            torch.log10(count / sound.shape[1] + 1e-5),
            torch.log10(slopes + 1e-7),
            torch.log10(curvatures + 1e-7),
            outwards / (curvatures.sqrt() + 1e-4),
        ],
        1,
    )


def _by_part(sound: Tensor) -> Tensor:
    here, slope, _ = _slopes(sound)
    frames = here.unfold(1, _FRAME, _FRAME)
    power = frames.square().mean(2)
    level_db = 10.0 * torch.log10(power + 1e-8)
    level = ((level_db - _LOWEST_LEVEL_DB) / _LEVEL_DB).floor().long()
    level = torch.where((level >= 0) & (level < _LEVELS), level, _LEVELS).unsqueeze(2)
    part = (_decibels(frames) - level_db.unsqueeze(2) - _LOWEST_PART_DB) / _AMPLITUDE_DB
    part = part.floor().long().clamp(0, _PARTS - 1)
    bins = _LEVELS * _PARTS
    place = torch.where(level < _LEVELS, level * _PARTS + part, bins).flatten(1)
    slopes = slope.unfold(1, _FRAME, _FRAME).square()
    slopes = slopes / (slopes.mean(2, keepdim=True) + 1e-9)
    count, total = _sums(place, bins, slopes.flatten(1))
    each = count.unflatten(1, (_LEVELS, _PARTS))
    whole = each.sum(2, keepdim=True)
    density = torch.log10((each + 1.0) / (whole + _PARTS)) * (whole > 0)
    slopes = torch.log10(total / (count + 3.0) + 1e-3) * (count > _FEW)
    share = torch.log10(whole.squeeze(2) / here.shape[1] + 1e-4)
    return torch.cat([density.flatten(1), slopes, share], 1)


def _steps(sound: Tensor, window: int) -> Tensor:
    level_db = 10.0 * torch.log10(sound.unfold(1, window, window).square().mean(2) + 1e-8)
    return ((level_db - _LOWEST_STEP_DB) / _STEP_DB).floor().long().clamp(0, _STEPS - 1)


def _by_turn(sound: Tensor, window: int, lags: tuple[int, ...]) -> Tensor:
    """How often a level follows another, of all that follows it, and how often each occurs."""
    step, parts = _steps(sound, window), []
    for lag in lags:
        (count,) = _sums(step[:, :-lag] * _STEPS + step[:, lag:], _STEPS * _STEPS)
        each = count.unflatten(1, (_STEPS, _STEPS))
        whole = each.sum(2, keepdim=True)
        parts.append((torch.log10((each + 0.5) / (whole + 6.0)) * (whole > 0)).flatten(1))
    (count,) = _sums(step, _STEPS)
    return torch.cat([*parts, torch.log10(count / step.shape[1] + 1e-3)], 1)


def _together(sound: Tensor, high: Tensor) -> Tensor:
    """How often a level of the treble occurs with one of the whole."""
    one, other = _steps(sound, _FRAME), _steps(high, _FRAME)
    count = other.shape[1]  # which is two samples shorter
    (both,) = _sums(one[:, :count] * _STEPS + other[:, :count], _STEPS * _STEPS)
    return torch.log10(both / count + 1e-3)


def _by_level(sound: Tensor, window: int) -> Tensor:
    frames = sound.unfold(1, window, window)
    power = frames.square().mean(2) + 1e-8
    level_db = 10.0 * torch.log10(power)
    peaks = (frames.amax(2), -frames.amin(2))
    moments = [20.0 * torch.log10(peak.clamp_min(1e-4)) - level_db for peak in peaks]
    moments.append((frames.pow(4).mean(2) / power.square()).log())
    moments.append(frames.pow(3).mean(2) / power.pow(1.5))
    moments.append(5.0 * (frames.abs().mean(2).square() / power).clamp_min(1e-4).log())
    level = ((level_db - _LOWEST_LEVEL_DB) / _LEVEL_DB).floor().long()
    level = torch.where(level < 0, _LEVELS, level.clamp_max(_LEVELS - 1))
    count, *sums = _sums(level, _LEVELS, *moments)
    means = [total / (count + 1.0) for total in sums]
    return torch.cat([*means, torch.log10(count / frames.shape[1] + 1e-3)], 1)


def _below(sound: Tensor, highest_hz: float) -> Tensor:
    spectrum = torch.fft.rfft(sound)
    frequency = torch.linspace(0.0, SAMPLE_RATE / 2, spectrum.shape[1], device=sound.device)
    gain = 1.0 / (1.0 + (frequency / highest_hz) ** 4)
    low: Tensor = torch.fft.irfft(spectrum * gain, sound.shape[1])
    return low
