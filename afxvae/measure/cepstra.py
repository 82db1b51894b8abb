"""Responses fitted to the cepstrum of a recording: what rooms and delays have in common.

A response that follows the direct sound adds itself, in the first order, to the cepstrum (Bogert,
Healy and Tukey, 1963). Clips are faded at both ends: where sustained sounds are cut, they leak over
the whole spectrum and fill the notches that an echo leaves. A recording shorter than a clip is one
that is silent from its end on; what it misses of late echoes beside a whole clip is made up for.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from ..dsp import spectral
from ..dsp.features import CLIP_SAMPLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

__all__ = [
    "N_FFT",
    "cepstrum_of",
    "clip_cepstrum",
    "clip_spectrum",
    "delayed",
    "evened",
    "frequencies",
    "heard",
    "refine",
    "sounding",
]

N_FFT = 65_536
"""Of the transforms."""
_FLOOR = 1e-2  # no clip shows deeper notches
_FADED = 12_000  # samples at either end
_SOFTEST = 1e-6  # of the mean magnitude
_SHORTEST = 7_200  # samples that count as sound; fewer can not be cut into stretches
_LEAST_HEARD = 0.3  # share of an echo below which it is not raised to what a whole clip has
_SMOOTH = 301  # samples over which the level of a cepstrum is evened out
_EVENED_MOST = 4.0


@functools.lru_cache(maxsize=8)
@torch.inference_mode(False)
def _fade(length: int = CLIP_SAMPLES) -> Tensor:
    """For clips that sound for so many samples."""
    faded = _FADED * length // CLIP_SAMPLES
    fade, hann = torch.ones(length), torch.hann_window(2 * faded)
    fade[:faded], fade[length - faded :] = hann[:faded], hann[faded:]
    return functional.pad(fade, (0, CLIP_SAMPLES - length))


@functools.lru_cache(maxsize=8)
@torch.inference_mode(False)
def heard(length: int = CLIP_SAMPLES) -> Tensor:
    """Share of an echo that a faded clip has of it, by its time in samples: ``(131072,)``.

    Double precision.

    Args:
        length: Samples for which the clip sounds.
    """
    power = torch.fft.rfft(_fade(length).double(), 2 * CLIP_SAMPLES).abs().square()
    likeness = torch.fft.irfft(power)[:CLIP_SAMPLES]
    share: Tensor = (likeness / likeness[0]).clamp_min(1e-3)
    return share


def sounding(audio: Tensor) -> int:
    """Samples for which clips ``(..., time)`` sound: up to the last that is not 0, or .3 s."""
    last = audio.reshape(-1, audio.shape[-1]).count_nonzero(0).nonzero()
    return max(int(last[-1]) + 1 if len(last) else 0, _SHORTEST)


def clip_spectrum(audio: Tensor) -> Tensor:
    """Natural logarithms of the magnitudes of faded clips: ``(clip, 131072)`` to ``(clip, bin)``.

    The floor lies 120 dB below the mean magnitude. Of clips that end in silence, that of what
    sounds, with echoes as tall as a whole clip would have them.
    """
    length = sounding(audio)
    spectrum = spectral.log_magnitude(audio * _fade(length).to(audio), _SOFTEST)
    if length == CLIP_SAMPLES:
        return spectrum
    half = (heard() / heard(length).clamp_min(_LEAST_HEARD)).to(audio)[: CLIP_SAMPLES // 2 + 1]
    whole = torch.cat([half, half[1:-1].flip(0)])
    raised: Tensor = torch.fft.rfft(torch.fft.irfft(spectrum, CLIP_SAMPLES) * whole).real
    return raised


def clip_cepstrum(audio: Tensor) -> Tensor:
    """Real cepstrum of faded clips, doubled: ``(clip, 131072)`` to ``(clip, 65536)``.

    An echo of gain g after T samples adds g at quefrency T, less what is not `heard` of it.
    """
    cepstrum: Tensor = torch.fft.irfft(clip_spectrum(audio), CLIP_SAMPLES)
    return 2.0 * cepstrum[:, : CLIP_SAMPLES // 2]


def evened(cepstrum: Tensor) -> tuple[Tensor, Tensor]:
    """A cepstrum ``(quefrency,)`` whose level is 1 everywhere, outliers clipped, and what it was.

    Content is louder than any room in the first hundredth of a second, and for longer where notes
    are held; evened out, it is no more than noise.
    """
    power = cepstrum.square()[None, None]
    power = functional.pad(power, (_SMOOTH // 2, _SMOOTH // 2), mode="reflect")
    level = functional.avg_pool1d(power, _SMOOTH, 1)[0, 0].sqrt() + 1e-6
    return (cepstrum / level).clamp(-_EVENED_MOST, _EVENED_MOST), level


@functools.lru_cache(maxsize=1)
@torch.inference_mode(False)
def frequencies() -> Tensor:
    """Of the bins, ``(bin,)`` in radians per sample, double precision."""
    return 2.0 * math.pi * torch.arange(N_FFT // 2 + 1, dtype=torch.float64) / N_FFT


def delayed(samples: float) -> Tensor:
    """Spectrum of a delay, ``(bin,)``."""
    angle = -frequencies() * samples
    return torch.polar(torch.ones_like(angle), angle)


def cepstrum_of(spectrum: Tensor, mix: Tensor | float) -> Tensor:
    """Of the direct sound with a share `mix` of a response, as `clip_cepstrum` has it.

    Args:
        spectrum: Of the response, ``(bin,)``.
        mix: In [0, 1].

    Returns:
        ``(N_FFT,)``
    """
    magnitude = (1.0 - mix + mix * spectrum).abs()
    cepstrum: Tensor = 2.0 * torch.fft.irfft(torch.log(magnitude + _FLOOR), N_FFT)
    return cepstrum


def refine(
    model: Callable[[Tensor], Tensor],
    knobs: Tensor,
    observed: Tensor,
    limits: tuple[Tensor, Tensor],
    steps: Tensor,
    largest: Tensor,
    rounds: int,
    tries: int = 3,
) -> tuple[Tensor, float]:
    """Least squares by Levenberg-Marquardt, with derivatives from differences.

    Args:
        model: From knobs ``(knob,)`` to what is to be observed, ``(number,)``.
        knobs: Where to start.
        observed: What was.
        limits: The least and the largest values of the knobs.
        steps: Of the differences, ``(knob,)``.
        largest: Steps that are taken at most.
        rounds: Steps that are taken at most.
        tries: Of the damping, each ten times the one before, until a step is better.

    Returns:
        Knobs, and the sum of squares that they leave.
    """
    low, high = limits
    damping, knobs = 1e-3, knobs.clamp(low, high)
    made = model(knobs)
    error = float((observed - made).square().sum())
    for _ in range(rounds):
        moved = [model(knobs + step) for step in torch.diag(steps)]
        slopes = torch.stack([(m - made) / s for m, s in zip(moved, steps, strict=True)], dim=1)
        curvature, descent = slopes.mT @ slopes, slopes.mT @ (observed - made)
        for _ in range(tries):
            damped = curvature + damping * torch.diag(curvature.diag() + 1e-6)
            step = torch.linalg.solve(damped, descent).clamp(-largest, largest)
            there = (knobs + step).clamp(low, high)
            tried = model(there)
            reached = float((observed - tried).square().sum())
            if reached < error:
                break
            damping *= 10.0
        else:
            return knobs, error
        finished = (error - reached) < 1e-4 * error
        knobs, made, error, damping = there, tried, reached, damping / 5.0
        if finished:
            break
    return knobs, error
