"""The flanger, found as a sinusoid along which cepstra rise at lags shorter than a chorus has."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ..dsp import spectral
from ..dsp.features import CLIP_SAMPLES, SAMPLE_RATE
from ..effects.modulation import FLANGER
from .cepstra import sounding
from .copies import consistency, earlier
from .paths import (
    PER_MS,
    Picture,
    Region,
    blurred,
    cepstra,
    moving,
    path,
    phase_at_start_deg,
    refine,
    search,
    sharpen,
)

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Flanger", "measure_flanger"]

_DEPTH, _DELAY = FLANGER.params[1:3]
_REGION = Region(
    step=2,
    blur=1.7,
    delays=(3, 60),
    depths_ms=(0.2, 0.3, 0.42, 0.56, 0.72, 0.9, 1.1, 1.32, 1.56, 1.82, 2.1, 2.4),
    tolerance_ms=0.09,
    alike_ms=0.1,
    blurs=(1.5, 1.2, 1.0, 0.8, 0.6),
    spread_ms=0.07,
    spread_turn_ms=0.1,
    depth_ms=(_DEPTH.minimum, 3.0),
    delay_ms=(_DELAY.minimum + 0.1, 6.0),
)
_LAGS = 200  # samples into the past that are looked at
_SHORTEST = 8  # samples: nearer to now, everything resembles itself
_MOST, _WIDTH = 0.6, 4.0  # of what a voice can be, and of its surroundings
_SEARCHED = (768, 256)  # window and hop of the cepstra in which paths are searched
_WEIGHED = (512, 256)  # of those that tell how loud the voice is
_STANDING_S = (1.0, 12.0)  # what has stood still for so long is content
_SURVIVORS = 6  # paths of each search
_FINALISTS = 3
_WORTH = 0.003  # contrast above which a path is followed
_SPARSE = 5  # samples between those that are compared
_STRETCHES = 48  # of the clip
_FEWEST = 0.12  # of the clip, that have to be compared
_LEAST_CONTRAST = 0.02
_STILL_MS_S = 0.4
"""What moves more slowly than this is none: equalised notes that are held have such combs."""
_STANDING_MS_S, _LEAST_STANDING = 0.8, 0.1
"""What moves more slowly than this needs so much contrast."""
_FINER = 8  # times as many samples as there are, between which the voice is read
_FOLLOWED = 3  # samples between those that are followed to the end
_ROUNDS, _DRAWN, _ELITE = 8, 24, 6
_CLEARLY = 1.002  # times as alike have to be what moves in steps
_TRIED = 0.6  # level of the voice that tells how much of one is seen
_LEAST_SEEN = 0.3
_LEAST_FEEDBACK, _MOST_FEEDBACK = 0.15, 0.9


@dataclass(frozen=True)
class Flanger:
    """A flanger as measured from a recording; the knobs are those of the effect.

    Attributes:
        rate_hz: Swings a second.
        depth_ms: Largest deviation of the delay.
        delay_ms: Mean delay.
        feedback: Share of the voice that goes in again; 0 where there is little.
        mix: Share of the voice, below one half: it can not be told from the dry sound.
        phase_deg: Where the swing stands when the clip begins.
        step_us: Steps in which the delay moves, those of the recording's samples; 0 if smoothly.
        contrast: How consistently the recording resembles its past along the path.
    """

    rate_hz: float
    depth_ms: float
    delay_ms: float
    feedback: float
    mix: float
    phase_deg: float
    step_us: float
    contrast: float

    @property
    def swings(self) -> bool:
        """Whether the recording has a flanger, by its contrast."""
        return self.contrast > _least_contrast(self.rate_hz, self.depth_ms)


def measure_flanger(audio: Tensor, sample_rate: int = SAMPLE_RATE, seed: int = 0) -> Flanger:
    """Find the path ``delay + depth sin(2 pi rate t + phase)`` of a voice just behind the sound.

    A voice of level r with feedback f multiplies the spectrum by ``1 + r z / (1 - f z)``, where
    ``z = exp(-j w d(t))``. So the cepstrum has r at the lag d, ``r f - r^2 / 2`` at twice that, and
    both swing, which neither formants nor pitch do so steadily. The path is searched as that of a
    chorus; it is believed if the waveform, too, resembles its past along it all the time. How much
    of a voice is seen, as windows blur a swing and some content hides it, is measured with one that
    is added to the same recording, half a swing later. Whether the voice moves smoothly or by whole
    samples, as SoX's does, is told by which of both follows the waveform better.

    Args:
        audio: ``(131072,)`` mono at 24 kHz, best without echoes and reverberation (see `peel`). Of
            a stereo recording, the left channel.
        sample_rate: Of the recording before it came to 24 kHz, Hz.
        seed: Of the refinement's draws.
    """
    audio, length = audio.cpu(), sounding(audio)
    generator = torch.Generator().manual_seed(seed)
    white = spectral.whiten_frames(audio)
    picture = cepstra(audio, *_SEARCHED, _LAGS)
    found = []
    for standing_s in _STANDING_S:
        seen = moving(picture, standing_s, _SHORTEST, _MOST, _WIDTH)
        found.append(refine(_REGION, seen, search(_REGION, seen, _SURVIVORS), generator))
    paths = torch.cat(found)
    contrasts = [_contrast(white[:length], knobs) for knobs in paths]
    heights, best = torch.tensor(contrasts).topk(_FINALISTS)
    within = (float(_SHORTEST), float(_LAGS))
    worth = best[heights > _WORTH]
    finalists = [sharpen(white, paths[index], within, generator) for index in worth]
    contrasts = [_contrast(white[:length], finalist) for finalist in finalists]
    contrast = max(contrasts, default=0.0)
    knobs = finalists[contrasts.index(contrast)] if finalists else paths[best[0]]
    level, feedback, step_us = 0.0, 0.0, 0.0
    if contrast > _least_contrast(float(knobs[0].exp()), float(knobs[1])):
        knobs, step_us = _followed(white, knobs, sample_rate, generator)
        level, feedback = _voice(audio[:length], knobs)
    return Flanger(
        float(knobs[0].exp()),
        float(knobs[1]),
        float(knobs[2]),
        feedback,
        level / (1.0 + level),
        phase_at_start_deg(knobs),
        step_us,
        contrast,
    )


def _least_contrast(rate_hz: float, depth_ms: float) -> float:
    """Infinite for what hardly moves."""
    speed = 2.0 * math.pi * rate_hz * depth_ms  # ms a second
    if speed < _STILL_MS_S:
        return math.inf
    return _LEAST_CONTRAST if speed > _STANDING_MS_S else _LEAST_STANDING


def _followed(
    white: Tensor, knobs: Tensor, sample_rate: int, generator: torch.Generator
) -> tuple[Tensor, float]:
    """Better knobs ``(4,)`` of a path, by the cross-entropy method, and the steps that it takes."""
    finer = torch.nn.functional.pad(torch.fft.rfft(white), (0, (_FINER - 1) * len(white) // 2))
    fine = torch.fft.irfft(finer, _FINER * len(white))
    place = torch.arange(2 * _LAGS, len(white) - _SHORTEST, _FOLLOWED)
    time = (place - len(white) / 2) / SAMPLE_RATE
    now = white[place]

    def likeness(drawn: Tensor, step: float) -> Tensor:
        lag = path(drawn, time) * PER_MS
        if step:
            lag = step * (lag / step).round()
        apart = (lag > _SHORTEST).to(now.dtype)
        then = fine[((place - lag.clamp_min(0.0)) * _FINER).round().long()]
        power = (apart * now.square()).sum(1) * (apart * then.square()).sum(1)
        alike: Tensor = (apart * now * then).sum(1) / power.clamp_min(1e-30).sqrt()
        return alike

    found = []
    for step in (0.0, SAMPLE_RATE / sample_rate):
        centre, spread = (
            knobs,
            torch.tensor([0.004 / (1.0 + float(knobs[0].exp())), 0.012, 0.012, 0.03]),
        )
        for _ in range(_ROUNDS):
            drawn = centre + spread * torch.randn(_DRAWN, 4, generator=generator)
            drawn[0] = centre
            best = likeness(drawn, step).topk(_ELITE).indices
            centre, spread = drawn[best].mean(0), 1.2 * drawn[best].std(0).clamp_min(1e-5)
        found.append((float(likeness(centre.unsqueeze(0), step)), centre))
    (smooth, plain), (stepped, moved) = found
    if stepped > _CLEARLY * smooth:
        return moved, 1e6 / sample_rate
    return plain, 0.0


def _contrast(white: Tensor, knobs: Tensor) -> float:
    """How consistently a whitened clip resembles its past along a path ``(4,)``."""
    place = torch.arange(2 * _LAGS, len(white) - _SHORTEST, _SPARSE)
    time = (place - CLIP_SAMPLES / 2) / SAMPLE_RATE
    lag = path(knobs.unsqueeze(0), time)[0] * PER_MS
    apart = lag > _SHORTEST
    if float(knobs[1]) < _DEPTH.minimum or int(apart.sum()) < _FEWEST * len(place):
        return 0.0
    return consistency(white, place[apart], lag[apart], _STRETCHES)


def _voice(audio: Tensor, knobs: Tensor) -> tuple[float, float]:
    """Level of the voice against the dry sound, and its feedback, along a path ``(4,)``."""
    heights = _heights(cepstra(audio, *_WEIGHED, _LAGS), knobs)
    later = knobs + torch.tensor([0.0, 0.0, 0.0, math.pi])
    place = torch.arange(len(audio))
    time = (place - CLIP_SAMPLES / 2) / SAMPLE_RATE
    lag = (path(later.unsqueeze(0), time)[0] * PER_MS).clamp_min(0.0)
    past = torch.nn.functional.pad(audio, (2 * _LAGS, 0))
    tried = audio + _TRIED * earlier(past, place + 2 * _LAGS, lag)
    seen = [_heights(cepstra(sound, *_WEIGHED, _LAGS), later) for sound in (tried, audio)]
    first, second = (seen[0] - seen[1]) / torch.tensor([_TRIED, -0.5 * _TRIED**2])
    level = float(heights[0] / first.clamp_min(_LEAST_SEEN))
    if level <= 0.0:
        return 0.0, 0.0
    level = min(level, 1.0)
    feedback = (float(heights[1] / second.clamp_min(_LEAST_SEEN)) + 0.5 * level**2) / level
    if abs(feedback) < _LEAST_FEEDBACK:
        return level, 0.0
    return level, max(-_MOST_FEEDBACK, min(feedback, _MOST_FEEDBACK))


def _heights(picture: Picture, knobs: Tensor) -> Tensor:
    """Of ridges along a path ``(4,)`` and along twice its delay, by least squares: ``(2,)``."""
    values = blurred(picture.values.clamp(-1.0, 1.0), 1.0)
    values = values - values.mean(0)
    lag = path(knobs.unsqueeze(0), picture.time)[0] * PER_MS
    ridges = torch.stack([_ridge(picture, times * lag) for times in (1.0, 2.0)])
    weight = 1.0 / (values.square().mean(0) + 1e-4)
    weight[:_SHORTEST] = 0.0
    flat = (weight * ridges).flatten(1)
    normal = flat @ ridges.flatten(1).mT + 1e-3 * torch.eye(2)
    solved: Tensor = torch.linalg.solve(normal, flat @ values.flatten())
    return solved


def _ridge(picture: Picture, lag: Tensor) -> Tensor:
    """What 1 at ``(frame,)`` lags looks like, less what of it stands still."""
    values = torch.zeros_like(picture.values)
    inside = ((lag > _SHORTEST) & (lag < _LAGS - 3)).nonzero().flatten()
    whole = lag[inside].floor().long()
    share = lag[inside] - whole
    values[inside, whole] = 1.0 - share
    values[inside, whole + 1] = share
    values = blurred(values, 1.0)
    return values - values.mean(0)
