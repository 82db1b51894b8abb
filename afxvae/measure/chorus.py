"""The chorus, found as a sinusoid along which a recording resembles its past."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ..dsp import spectral
from ..dsp.features import CLIP_SAMPLES, SAMPLE_RATE
from ..dsp.resampling import change_rate
from ..dsp.units import fast_length
from ..effects.modulation import CHORUS
from .cepstra import sounding
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
from .resemblance import Resemblance

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["N_SWINGING", "Chorus", "measure_chorus", "swinging"]

N_SWINGING = 6

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
_SLOW_REGION = Region(
    step=2,
    blur=1.5,
    delays=(54, 312),
    depths_ms=(0.2, 0.32, 0.44, 0.56, 0.68, 0.82, *(0.96 + 0.14 * step for step in range(24))),
    tolerance_ms=0.09,
    alike_ms=0.15,
    blurs=(1.5, 1.0, 1.0),
    spread_ms=0.08,
    spread_turn_ms=0.12,
    depth_ms=_REGION.depth_ms,
    delay_ms=_REGION.delay_ms,
    fastest_ms_s=8.0,
)
"""Nothing is as sharp as a copy; content drowns it in a blur that fast swings need."""
_LAGS = 880  # samples into the past that are looked at
_SHORTEST = int(_DELAY.minimum * PER_MS)
_MOST, _WIDTH = 0.4, 20.0  # of what a voice can be, and of its surroundings
_CONTENT = 14.0  # width in samples of what is content
_STANDING_S = (1.0, 12.0)  # what has stood still for so long is content
_SURVIVORS = 8  # paths of each search
_FINALISTS = 4  # by either measure
_APART_MS = 0.05  # of paths that count as two
_SLOW = (2048, 512)  # window and hop of the cepstra
_FAST = (512, 256)  # of the correlations
_SWEPT = (256, 256)  # of those with a past that runs at another speed
_SLOPES = tuple(0.008 * step for step in range(-9, 10))  # of the lag, samples per sample
_MARGIN = 80  # samples that such a past may reach farther at either end

_WINDOW, _BANDS = 1024, (200.0, 7000.0, 12)  # in which the waveform is compared
_LOW_RATE, _LOW_WINDOW, _LOW_BANDS = 6000, 256, (200.0, 2600.0, 6)  # the same, of paths still rough
_TREBLE = 8  # bands from this one on tell a copy from content, which is never as exact
_BESIDE_MS = (-1.3, -0.9, 0.9, 1.3)
_NEXT_MS = _BESIDE_MS[1:3]  # for rough paths
_FAINT = 0.03  # of the spread of correlations
_USUAL = 0.16  # contrast of the waveform that one held note in a hundred reaches
_LEAST_CONTRAST = 1.5
_STEADY = 2.0  # what steadiness counts beside contrast
_STANDING_MS_S, _LEAST_STANDING = 0.8, 3.0
"""What moves more slowly than this needs so much contrast."""
_STILL_MS_S = 0.1  # what moves more slowly than this is content
_HIGH = 0.65  # quantile of bands and stretches: some have noise, or another path
_SEEN = 1.04  # of the correlation, such a quantile shows


@dataclass(frozen=True)
class Chorus:
    """A chorus as measured from a recording; the knobs are those of the effect.

    Attributes:
        rate_hz: Swings a second.
        depth_ms: Largest deviation of the delay.
        delay_ms: Mean delay.
        mix: Share of the voice, below one half: it can not be told from the dry sound.
        phase_deg: Where the swing stands when the clip begins.
        contrast: How much the recording resembles its past along the path and not beside it, in
            the treble, against how unlike that is in different bands and stretches of the clip; 1
            is what one held note without chorus in a hundred reaches.
        steadiness: How far the ridge rises in cepstra, in deviations, in all of the clip but its
            worst eighth; less so in a shorter recording, where content rises as far more easily.
    """

    rate_hz: float
    depth_ms: float
    delay_ms: float
    mix: float
    phase_deg: float
    contrast: float
    steadiness: float

    @property
    def swings(self) -> bool:
        """Whether the recording has a chorus, by its contrast and its steadiness.

        Content that stands still has combs that hardly move, so a slow one needs more of them.
        """
        speed = 2.0 * math.pi * self.rate_hz * self.depth_ms  # ms a second
        least = _LEAST_CONTRAST if speed > _STANDING_MS_S else _LEAST_STANDING
        return speed > _STILL_MS_S and self.contrast + _STEADY * self.steadiness > least


def measure_chorus(audio: Tensor, seed: int = 0) -> Chorus:
    """Find the path ``delay + depth sin(2 pi rate t + phase)`` at which a voice follows the sound.

    A voice adds a ridge along its path to pictures of lag over time: short-time cepstra, where a
    share m stands at ``m / (1 - m)`` and pitch is weak, and short-time correlations of the whitened
    sound, which a swing too fast for long windows does not blur; those with a past that runs faster
    or slower see a swing that is faster still. Ridges are searched in all, blurred, and those of
    slow swings in the first two once more as sharp as they are; the best are followed sample by
    sample, and the one counts along which all bands and stretches of the clip resemble
    their past alike, and more than beside it. The share of the voice follows from how much they do.

    Args:
        audio: ``(131072,)`` mono at 24 kHz, best without echoes and reverberation (see `peel`). Of
            a stereo recording, the left channel.
        seed: Of the refinement's draws.
    """
    audio, length = audio.cpu(), sounding(audio)
    generator = torch.Generator().manual_seed(seed)
    white = spectral.whiten_frames(audio)
    correlations = _correlations(white)
    moved = [
        [moving(picture, standing_s, _SHORTEST, _MOST, _WIDTH) for standing_s in _STANDING_S]
        for picture in (_cepstra(audio), correlations, _swept(white))
    ]
    searched = [(_REGION, seen) for each in moved for seen in each]
    searched += [(_SLOW_REGION, each[0]) for each in moved[:2]]
    found = [
        refine(region, seen, search(region, seen, _SURVIVORS), generator)
        for region, seen in searched
    ]
    knobs = torch.cat(found)
    flat = spectral.whiten(audio)
    slower = change_rate(flat, SAMPLE_RATE, _LOW_RATE)
    low = Resemblance(
        slower[: length * _LOW_RATE // SAMPLE_RATE],
        _LOW_RATE,
        _LOW_WINDOW,
        _LOW_BANDS,
        _LAGS * _LOW_RATE // SAMPLE_RATE,
    )
    whole = Resemblance(flat[:length], SAMPLE_RATE, _WINDOW, _BANDS, _LAGS)
    rough = torch.stack([_beyond(low, one, _NEXT_MS)[1].median() for one in knobs])
    within = (2.0, float(_LAGS))
    finalists = [
        sharpen(white, start, within, generator)
        for start in _best(knobs, _agreement(_until(correlations, length), knobs), rough)
    ]
    heard = [_beyond(whole, finalist) for finalist in finalists]
    contrasts = [_contrast(*one) for one in heard]
    chosen = max(range(len(contrasts)), key=contrasts.__getitem__)
    mix = _mix(float(heard[chosen][0].flatten().quantile(_HIGH)))
    steadiness = float(_ridges(_until(moved[0][0], length), finalists[chosen][None])[1])
    steadiness *= math.sqrt(length / CLIP_SAMPLES)
    return _chorus(finalists[chosen], mix, max(contrasts[chosen] / _USUAL, 0.0), steadiness)


def swinging(audio: Tensor, seed: int = 0) -> Tensor:
    """How clear the best ridges are that a voice may have left, ``(6,)``, in a quarter of the time.

    Of those of three searches in cepstra (blurred after what stands still for 1 s or for 12 s has
    been taken off, and sharp after the former), how far the highest rises, in deviations, and how
    far the steadiest does in all of the clip but its worst eighth.

    Args:
        audio: See `measure_chorus`.
        seed: The same.
    """
    audio, length = audio.cpu(), sounding(audio)
    generator = torch.Generator().manual_seed(seed)
    picture = _cepstra(audio)
    soon, late = (moving(picture, s, _SHORTEST, _MOST, _WIDTH) for s in _STANDING_S)
    told = []
    for region, seen in ((_REGION, soon), (_REGION, late), (_SLOW_REGION, soon)):
        paths = refine(region, seen, search(region, seen, _SURVIVORS), generator)
        told.append(_ridges(_until(seen, length), paths).amax(1))
    return torch.cat(told)


def _until(picture: Picture, length: int) -> Picture:
    """Frames whose middle is among the first `length` samples of the clip."""
    frames = int((picture.time < (length - CLIP_SAMPLES / 2) / SAMPLE_RATE).sum())
    return Picture(picture.values[:frames], picture.time[:frames])


def _contrast(correlations: Tensor, beyond: Tensor) -> float:
    """Of what `_beyond` gives: content differs from band to band and time to time, a copy hardly.

    On 170 clips of held notes, equalised and compressed or not, it is .2 at most; of 76 with a
    chorus among other effects, where the path was right, it is 1.8 in the middle, and 2 have less
    than .24.
    """
    lower, upper = correlations.flatten().quantile(torch.tensor([0.25, 0.75])).tolist()
    contrast: float = float(beyond[:, _TREBLE:].median()) / (_FAINT + upper - lower)
    return contrast


def _best(knobs: Tensor, *scores: Tensor) -> Tensor:
    """The best of the paths ``(path, 4)`` that differ by each of the scores ``(path,)``."""
    time = torch.linspace(-0.5, 0.5, 100) * (CLIP_SAMPLES / SAMPLE_RATE)
    paths = path(knobs, time)
    kept: list[int] = []
    for score in scores:
        wanted = len(kept) + _FINALISTS
        for index in score.argsort(descending=True).tolist():
            apart = (paths[kept] - paths[index]).abs().mean(1)
            if len(kept) < wanted and bool((apart > _APART_MS).all()):
                kept.append(index)
    return knobs[kept]


def _beyond(
    sound: Resemblance, knobs: Tensor, beside_ms: tuple[float, ...] = _BESIDE_MS
) -> tuple[Tensor, Tensor]:
    """Correlations along a path ``(4,)``, and by how much they are beyond those beside it.

    Both are ``(stretch, band)``.
    """
    count, per_ms = len(sound.sound), sound.sample_rate / 1000.0
    time = torch.arange(count) / sound.sample_rate - 0.5 * CLIP_SAMPLES / SAMPLE_RATE
    lag_ms = path(knobs.unsqueeze(0), time)[0]
    along = sound.along(lag_ms * per_ms)
    beside = [sound.along((lag_ms + offset) * per_ms) for offset in beside_ms]
    return along, along - torch.stack(beside).amax(0)


def _ridges(seen: Picture, knobs: Tensor) -> Tensor:
    """How far ridges at ``(path, 4)`` rise, and in all of the clip but its worst eighth.

    What content leaves in a path's way it leaves here or there. ``(2, path)``
    """
    height = along(Picture(blurred(seen.values, 1.0), seen.time), knobs)
    stretches = height[:, : height.shape[1] // 8 * 8].unflatten(1, (8, -1)).mean(2)
    return torch.stack([height.mean(1), stretches.sort(1).values[:, 1]])


def _chorus(knobs: Tensor, mix: float, contrast: float, steadiness: float) -> Chorus:
    """Of a path ``(4,)``, whose phase is that of the middle of the clip."""
    rate_hz, phase_deg = float(knobs[0].exp()), phase_at_start_deg(knobs)
    return Chorus(rate_hz, float(knobs[1]), float(knobs[2]), mix, phase_deg, contrast, steadiness)


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


def _mix(correlation: float) -> float:
    """Share m of the voice from its correlation with the rest, m (1 - m) / ((1 - m)^2 + m^2)."""
    seen = min(max(correlation / _SEEN, 0.0), 0.5)
    return 0.5 - 0.5 * math.sqrt((1.0 - 2.0 * seen) / (1.0 + 2.0 * seen))
