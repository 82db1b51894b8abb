"""The chorus, found as a sinusoid along which a recording resembles its past."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ..dsp import spectral
from ..dsp.features import CLIP_SAMPLES, SAMPLE_RATE
from ..dsp.units import fast_length
from ..effects.modulation import CHORUS
from .copies import consistency, earlier
from .paths import (
    PER_MS,
    Picture,
    Region,
    along,
    blurred,
    cepstra,
    frame_times,
    moving,
    path,
    phase_at_start_deg,
    refine,
    search,
    sharpen,
)

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Chorus", "measure_chorus"]

_DEPTH, _DELAY = CHORUS.params[1:3]
_REGION = Region(
    step=6,
    blur=5.0,
    delays=(18, 104),
    depths_ms=(0.2, 0.45, 0.75, 1.05, 1.4, 1.8, 2.25, 2.75, 3.3, 4.0, 4.8, 5.7),
    tolerance_ms=0.22,
    alike_ms=0.3,
    blurs=(4.0, 3.0, 3.0, 2.0, 1.5, 1.0, 1.0),
    spread_ms=0.18,
    spread_turn_ms=0.25,
    depth_ms=(0.5 * _DEPTH.minimum, _DEPTH.maximum),  # a little outside of their ranges
    delay_ms=(_DELAY.minimum - 0.5, _DELAY.maximum),
)
_LAGS = 880  # samples into the past that are looked at
_SHORTEST = int(_DELAY.minimum * PER_MS)
_MOST, _WIDTH = 0.4, 20.0  # of what a voice can be, and of its surroundings
_CONTENT = 14.0  # width in samples of what is content
_STANDING_S = (1.0, 12.0)  # what has stood still for so long is content
_SURVIVORS = 8  # paths of each search
_FINALISTS = 4
_FAINT = 0.006  # agreement below which no path has turned out to be right
_COMPARABLE = 0.3  # share of the best agreement below which a path is not followed
_SLOW = (2048, 512)  # window and hop of the cepstra
_FAST = (512, 256)  # of the correlations
_SWEPT = (256, 256)  # of those with a past that runs at another speed
_SLOPES = tuple(0.008 * step for step in range(-9, 10))  # of the lag, samples per sample
_MARGIN = 80  # samples that such a past may reach farther at either end

_SPARSE = 5  # samples between those that are compared
_STRETCHES = 48  # of the clip
_USUAL = 0.01  # consistency that one recording without chorus in fifty reaches
_LEAST_CONTRAST = 1.5
_STANDING_MS_S, _LEAST_STANDING = 0.8, 8.0
"""What moves more slowly than this needs so much contrast: 16 of 17 false choruses, of sustained
notes, rooms and songs, were as slow and had less, and none of 76 right ones."""
_SEEN = 0.88  # share of the correlation that whitening and interpolation leave


@dataclass(frozen=True)
class Chorus:
    """A chorus as measured from a recording; the knobs are those of the effect.

    Attributes:
        rate_hz: Swings a second.
        depth_ms: Largest deviation of the delay.
        delay_ms: Mean delay.
        mix: Share of the voice, below one half: it can not be told from the dry sound.
        phase_deg: Where the swing stands when the clip begins.
        contrast: How consistently the recording resembles its past along the path; 1 is what one
            recording without chorus in fifty reaches, 0 where nothing was worth following.
    """

    rate_hz: float
    depth_ms: float
    delay_ms: float
    mix: float
    phase_deg: float
    contrast: float

    @property
    def swings(self) -> bool:
        """Whether the recording has a chorus, by its contrast.

        Content that stands still has combs that hardly move, so a slow one needs more of it.
        """
        speed = 2.0 * math.pi * self.rate_hz * self.depth_ms  # ms a second
        return self.contrast > (_LEAST_CONTRAST if speed > _STANDING_MS_S else _LEAST_STANDING)


def measure_chorus(audio: Tensor, seed: int = 0) -> Chorus:
    """Find the path ``delay + depth sin(2 pi rate t + phase)`` at which a voice follows the sound.

    A voice adds a ridge along its path to pictures of lag over time: short-time cepstra, where a
    share m stands at ``m / (1 - m)`` and pitch is weak, and short-time correlations of the whitened
    sound, which a swing too fast for long windows does not blur; those with a past that runs faster
    or slower see a swing that is faster still. Ridges are searched in all, the best are followed
    sample by sample, and the one counts along which most stretches of the clip resemble their past
    more than beside it: content does so here or there, a voice everywhere.

    Args:
        audio: ``(131072,)`` mono at 24 kHz, best without echoes and reverberation (see `peel`). Of
            a stereo recording, the left channel.
        seed: Of the refinement's draws.
    """
    audio = audio.cpu()
    generator = torch.Generator().manual_seed(seed)
    white = spectral.whiten_frames(audio)
    correlations = _correlations(white)
    found = []
    for picture in (_cepstra(audio), correlations, _swept(white)):
        for standing_s in _STANDING_S:
            seen = moving(picture, standing_s, _SHORTEST, _MOST, _WIDTH)
            found.append(refine(_REGION, seen, search(_REGION, seen, _SURVIVORS), generator))
    knobs = torch.cat(found)
    heights, best = _agreement(correlations, knobs).topk(_FINALISTS)
    worth = heights > max(_FAINT, _COMPARABLE * float(heights[0]))
    within = (2.0, float(_LAGS))
    finalists = [sharpen(white, knobs[index], within, generator) for index in best[worth]]
    place = torch.arange(_LAGS + 8, CLIP_SAMPLES - 8, _SPARSE)
    contrasts = [
        consistency(white, place, _lag(finalist.unsqueeze(0), place)[0], _STRETCHES)
        for finalist in finalists
    ]
    if not contrasts:
        return _chorus(knobs[best[0]], 0.0, 0.0)
    chosen = max(range(len(contrasts)), key=contrasts.__getitem__)
    mix = _mix(_level(spectral.whiten(audio), finalists[chosen]))
    return _chorus(finalists[chosen], mix, max(contrasts[chosen] / _USUAL, 0.0))


def _chorus(knobs: Tensor, mix: float, contrast: float) -> Chorus:
    """Of a path ``(4,)``, whose phase is that of the middle of the clip."""
    rate_hz, phase_deg = float(knobs[0].exp()), phase_at_start_deg(knobs)
    return Chorus(rate_hz, float(knobs[1]), float(knobs[2]), mix, phase_deg, contrast)


def _cepstra(audio: Tensor) -> Picture:
    """Cepstra of frames, less what is as wide as content."""
    seen = cepstra(audio, *_SLOW, _LAGS)
    return Picture(seen.values - blurred(seen.values, _CONTENT), seen.time)


def _correlations(white: Tensor) -> Picture:
    """Correlation of short frames with their past, less what is as wide as content."""
    window, hop = _FAST
    frames = white.unfold(0, _LAGS + window, hop)
    now = frames[:, _LAGS:]
    n_fft = 2 * (_LAGS + window) & ~1
    spectrum = torch.fft.rfft(frames, n_fft) * torch.fft.rfft(now, n_fft).conj()
    past: Tensor = torch.fft.irfft(spectrum, n_fft)[:, 1 : _LAGS + 1].flip(1)
    values = past / (now.square().sum(1, keepdim=True) + 1e-9)
    return Picture(
        values - blurred(values, _CONTENT), frame_times(len(values), hop, _LAGS + window / 2)
    )


def _swept(white: Tensor) -> Picture:
    """Correlation of frames with their past at several speeds, the highest at each lag.

    The copy in a voice whose delay shrinks by a slope s runs faster than the sound, by 1 + s.
    """
    window, hop = _SWEPT
    start = torch.arange(_LAGS + _MARGIN, CLIP_SAMPLES - window - _MARGIN, hop)
    now = white.unfold(0, window, 1)[start] * torch.hann_window(window)
    n_fft = fast_length(_LAGS + 2 * (window + _MARGIN))
    spectrum = torch.fft.rfft(now, n_fft).conj()
    middle = (start + window // 2).float().unsqueeze(1)
    lag = torch.arange(_LAGS, dtype=torch.float32)
    highest = torch.full((len(start), _LAGS), -math.inf)
    for slope in _SLOPES:
        speed = 1.0 - slope
        past = _at_speed(white, speed)
        first = ((middle - _LAGS) / speed - window / 2).floor()
        frames = past.unfold(0, _LAGS + window + _MARGIN, 1)[first.squeeze(1).long()]
        found = torch.fft.irfft(torch.fft.rfft(frames, n_fft) * spectrum, n_fft)
        place = (middle - lag) / speed - window / 2 - first
        whole = place.long()
        share = place - whole
        between = (1.0 - share) * found.gather(1, whole) + share * found.gather(1, whole + 1)
        highest = torch.maximum(highest, between)
    values = highest / (now.square().sum(1, keepdim=True) + 1e-9)
    time = frame_times(len(values), hop, _LAGS + _MARGIN + window / 2)
    return Picture(values - blurred(values, _CONTENT), time)


def _at_speed(sound: Tensor, speed: float) -> Tensor:
    """A sound ``(time,)`` read at another speed."""
    place = torch.arange(int((len(sound) - 2) / speed), dtype=torch.float64) * speed
    whole = place.long()
    share = (place - whole).float()
    return (1.0 - share) * sound[whole] + share * sound[whole + 1]


def _agreement(correlations: Picture, knobs: Tensor) -> Tensor:
    """A lower quartile over time of how far ridges at ``(path, 4)`` rise: ``(path,)``."""
    picture = Picture(blurred(correlations.values, 1.0), correlations.time)
    height = along(picture, knobs)
    for offset in (-7.0, -5.0, 5.0, 7.0):
        beside = knobs + torch.tensor([0.0, 0.0, offset / PER_MS, 0.0])
        height = height - 0.25 * along(picture, beside)
    stretches = height[:, : height.shape[1] // 8 * 8].unflatten(1, (-1, 8)).mean(2)
    lower: Tensor = stretches.quantile(0.25, dim=1)
    return lower


def _lag(knobs: Tensor, place: Tensor, offset: float = 0.0) -> Tensor:
    """Samples by which the voices of ``(path, 4)`` are late: ``(path, place)``."""
    time = (place - CLIP_SAMPLES / 2) / SAMPLE_RATE
    return (path(knobs, time) * PER_MS + offset).clamp(2.0, _LAGS)


def _level(white: Tensor, knobs: Tensor) -> float:
    """Correlation along a path ``(4,)``, less what the content does by itself beside it."""
    place = torch.arange(_LAGS + 8, CLIP_SAMPLES - 8, _SPARSE)
    now = white[place]

    def correlation(offset: float) -> float:
        voice = earlier(white, place, _lag(knobs.unsqueeze(0), place, offset)[0])
        power = now.square().mean() * voice.square().mean()
        return float((now * voice).mean() / power.clamp_min(1e-20).sqrt())

    offsets = (-31.2, -21.6, 21.6, 31.2)
    return correlation(0.0) - sum(correlation(offset) for offset in offsets) / len(offsets)


def _mix(correlation: float) -> float:
    """Share m of the voice from its correlation with the rest, m (1 - m) / ((1 - m)^2 + m^2)."""
    seen = min(max(correlation / _SEEN, 0.0), 0.5)
    return 0.5 - 0.5 * math.sqrt((1.0 - 2.0 * seen) / (1.0 + 2.0 * seen))
