"""What lasts and what comes and goes: reverberation, decay, modulation."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from ..dsp.envelopes import sliding_max
from ..dsp.units import fast_length
from .onsets import HOP
from .sound import Sound
from .spectra import power_of
from .zwicker import RATE

__all__ = ["decay", "modulation", "reverberation"]

# Of reverberation, in samples at half the rate.
_PART, _SHIFT = round(RATE / 24000 * 700 / 2), round(RATE / 24000 * 200 / 2) // 2
_PARTS = 7
_TIMES_S = [0.1 * tenth for tenth in range(2, 12)]
_START_S, _SMOOTHING = 0.3, 0.995

_LEVEL_S, _FALL_STEPS = 0.01, 10
_QUIETEST_DB, _STEEPEST = -50.0, 0.1
_LONGEST_S = 20.0
_PIECE_FRAMES, _PIECE_FFT = 4 * RATE // HOP, 1024


def reverberation(sound: Sound) -> Tensor:
    """Probability of sounding reverberant: ``1 / (1 + exp(1.450830 - 2.971265 T))``.

    T is a blind estimate of the reverberation time in s. Stretches of three or four parts of 29 ms
    that become quieter each are taken for decays of noise with a Laplace distribution, and the most
    likely of 0.2, 0.3, ... 1.1 s goes into a histogram; the mode of it so far, smoothed over
    frames, is averaged over those where there was such a decay (Jan and Wang, *Blind reverberation
    time estimation based on Laplace distribution*, EUSIPCO 2012). No gradient. It stays near 0.5
    unless clips are minutes long, and answers little to reverberation: see `decay`.
    """
    decays = _decays(sound.audio.detach())
    estimates = [_reverberation_time(*rows) for rows in zip(*decays, strict=True)]
    return torch.sigmoid(2.97126461 * torch.stack(estimates) - 1.45082989)


def _reverberation_time(likely: Tensor, times: Tensor) -> Tensor:
    """Of one clip in s, from what is most likely in each frame."""
    found = likely >= 0
    if not bool(found.any()):
        return times[0]
    votes = functional.one_hot(likely.clamp_min(0), len(times)) * found[:, None]
    mode = times[votes.cumsum(0).argmax(1)]
    mode[: int(found.to(torch.uint8).argmax())] = _START_S
    return _smoothed(mode)[found].mean()


def _smoothed(values: Tensor) -> Tensor:
    """One-pole smoothing of ``(frame,)``, from `_START_S` on."""
    taps = min(len(values), 4096)
    falling = _SMOOTHING ** torch.arange(taps, dtype=torch.float64, device=values.device)
    n_fft = fast_length(len(values) + taps)
    spectrum = torch.fft.rfft(values.double() - _START_S, n_fft) * torch.fft.rfft(falling, n_fft)
    raised = (1.0 - _SMOOTHING) * torch.fft.irfft(spectrum, n_fft)[: len(values)]
    smooth: Tensor = (raised + _START_S).to(values)
    return smooth


def _decays(audio: Tensor) -> tuple[Tensor, Tensor]:
    """Index of the likeliest time in every frame, ``(batch, frame)``, -1 where nothing decays."""
    audio = audio[:, ::2]
    times = audio.new_tensor(_TIMES_S).expand(len(audio), -1)
    room = max(0, audio.shape[1] - _PARTS * _PART)
    starts = torch.arange(0, room, _SHIFT, device=audio.device)
    result = torch.full((len(audio), len(starts)), -1, device=audio.device)
    if not len(starts):
        return result, times
    falls = _fainter(audio, starts).cumprod(2).sum(2)  # parts in a row that are fainter
    rates = 3.0 * math.log(10.0) / (times[0].double() * (RATE // 2))  # of decays, per sample
    for count in (3, 4):
        clip, frame = (falls == count).nonzero(as_tuple=True)
        place = torch.arange(count * _PART, device=audio.device)
        frames = audio[clip[:, None], starts[frame][:, None] + place].abs()
        grown = frames.double() @ torch.exp(place[:, None] * rates)
        likelihood = rates * (len(place) - 1) / 2 - torch.log(grown.clamp_min(1e-30) / len(place))
        result[clip, frame] = likelihood.argmax(1)
    return result, times


def _fainter(audio: Tensor, starts: Tensor) -> Tensor:
    """Whether parts 2 to 6 have less variance and range than before, ``(batch, frame, 5)``."""
    sums = functional.pad(torch.stack([audio, audio.square()]).double().cumsum(-1), (1, 0))
    places = starts[:, None] + _PART * torch.arange(_PARTS - 1, device=audio.device)
    ends = places + _PART + (places > starts[:, None])  # all but the first are longer by a sample
    mean, square = (sums[:, :, ends] - sums[:, :, places]) / (ends - places)
    power = square - mean.square()
    high, low = sliding_max(audio, _PART), -sliding_max(-audio, _PART)
    highest = torch.maximum(high[:, places], high[:, ends - _PART])
    lowest = torch.minimum(low[:, places], low[:, ends - _PART])
    fainter: Tensor = (power.diff() < 0.0) & (highest.diff() < 0.0) & (lowest.diff() > 0.0)
    return fainter


def decay(sound: Sound) -> Tensor:
    """Seconds in which the level would fall by 60 dB, as fast as it falls in its steepest moments.

    Of all falls over 0.1 s that end less than 50 dB below the loudest 10 ms, the tenth that is
    steepest begins at the slope that counts. Reverberation and echo fill these moments: no level
    falls much faster than the room's. Between 0 and 20 s; 20 s where nothing falls. Differentiable
    where the falls that count stay the same. Own definition.
    """
    step = round(_LEVEL_S * RATE)
    audio = functional.pad(sound.audio, (0, -sound.audio.shape[1] % step))
    power = audio.unflatten(1, (-1, step)).square().mean(-1)
    level = 10.0 * torch.log10(power.clamp_min(1e-12))
    level = torch.maximum(level, level.detach().amax(1, keepdim=True) + 2 * _QUIETEST_DB)
    if level.shape[1] <= _FALL_STEPS:
        return level[:, 0] * 0.0 + _LONGEST_S
    falls = (level[:, :-_FALL_STEPS] - level[:, _FALL_STEPS:]) / (_FALL_STEPS * _LEVEL_S)
    counts = level[:, _FALL_STEPS:] > level.detach().amax(1, keepdim=True) + _QUIETEST_DB
    counts = counts & (falls > 0.0)
    sloped = torch.where(counts, falls, 0.0).sort(1, descending=True)[0]
    place = (counts.sum(1) * _STEEPEST).long().unsqueeze(1)
    return 60.0 / sloped.gather(1, place)[:, 0].clamp_min(60.0 / _LONGEST_S)


def modulation(sound: Sound) -> Tensor:
    """How far the most regular fluctuation of mel bands stands out, in dB.

    Levels of 128 bands, no lower than 80 dB below the highest, are transformed in pieces of 4 s,
    with a Hann window. Powers are averaged over bands, so that what moves in all of them at once
    counts as what moves in each at another time. The value is the largest distance, from 1.2 to 15
    Hz, to the mean level of what is 0.6 to 2 Hz away. Clips should last 2 s. Differentiable where
    the strongest stays the same. Own definition.
    """
    level = sound.mel_level.mT
    length = min(level.shape[-1], _PIECE_FRAMES)
    window = torch.hann_window(length + 2, periodic=False, dtype=level.dtype, device=level.device)[
        1:-1
    ]
    pieces = level.unfold(-1, length, _PIECE_FRAMES // 4)
    centred = (pieces - pieces.mean(-1, keepdim=True)) * (2.0 * window / window.sum())
    power = power_of(centred, _PIECE_FFT).mean((1, 2))
    hz = torch.arange(power.shape[1], dtype=level.dtype, device=level.device)
    hz = hz * (RATE / HOP / _PIECE_FFT)
    apart = (hz - hz.unsqueeze(1)).abs()
    around = ((apart > 0.6) & (apart < 2.0) & (hz > 0.5)).to(level.dtype)
    shape = 10.0 * torch.log10(power.clamp_min(1e-6))
    prominence = shape - shape @ (around / around.sum(1, keepdim=True)).T
    return prominence[:, (hz >= 1.2) & (hz <= 15.0)].amax(1)
