"""The reverb, found by its own response."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ..dsp import spectral
from ..dsp.features import CLIP_SAMPLES, SAMPLE_RATE
from ..dsp.space import reverb_impulse_response
from ..effects.reverb import REVERB

if TYPE_CHECKING:
    from torch import Tensor

    from .echo import Echo

__all__ = ["Reverb", "measure_reverb"]

_SHORTEST_MS = 3.0  # below this quefrency a cepstrum shows the content
_LENGTH = 31_200  # samples of the response that are compared
_N_FFT = 65_536
_CLIPPED = 12.0  # outliers, in standard deviations
_GRID = tuple((decay, ratio) for decay in (0.25, 0.5, 1.0, 2.0, 4.0) for ratio in (0.25, 0.5, 0.9))
_SEARCHED = (0, 4, 7, 11)  # of the grid, for the pre-delay
_APART = 24  # samples between a peak and what it is compared with
_ROUNDS = 5
_STEPS = (0.05, 0.1, 0.004, 0.01)
_LARGEST_STEP = (0.5, 0.5, 0.02, 0.1)
_DECAY, _RATIO, _PRE_DELAY, _ = REVERB.params
_LONGEST_PRE_DELAY = round(_PRE_DELAY.maximum * SAMPLE_RATE / 1000.0)
_LEAST_MIX, _MOST_MIX = 0.01, 0.8
_LOWEST = (math.log(_DECAY.minimum), math.log(_RATIO.minimum), _PRE_DELAY.minimum, _LEAST_MIX)
_HIGHEST = (math.log(_DECAY.maximum), math.log(_RATIO.maximum), _PRE_DELAY.maximum, _MOST_MIX)


@dataclass(frozen=True)
class Reverb:
    """A reverb as measured from a recording; the knobs are those of the effect.

    Attributes:
        decay_s: RT60 of the low band.
        treble_ratio: RT60 of the high band relative to it.
        pre_delay_ms: Before the first reflection.
        mix: Share of the reverberation; one above one half comes back as about its complement.
        contrast: Height of the match at the best pre-delay over the best elsewhere; about 1 where
            there is no such reverb.
    """

    decay_s: float
    treble_ratio: float
    pre_delay_ms: float
    mix: float
    contrast: float


def measure_reverb(audio: Tensor, echo: Echo | None = None, least_contrast: float = 0.0) -> Reverb:
    """Find the response of `reverb_impulse_response` in the cepstrum and fit its settings.

    A response that follows the direct sound adds itself, in the first order, to the cepstrum. Its
    noise is known, so the cepstrum is correlated with it over the pre-delay (a matched filter), and
    Gauss-Newton on the whole cepstrum then refines decay, treble ratio, pre-delay and mix. Another
    room than this package's does not correlate and is not found.

    Args:
        audio: ``(clip, 131072)`` mono at 24 kHz; log spectra of several clips are averaged. Of a
            stereo recording, the left channel.
        echo: Of the same recording; its multiples are left out.
        least_contrast: Below this the refinement is not worth its time and is left out.
    """
    cepstrum = spectral.real_cepstrum(audio).mean(0)[:_LENGTH]
    weights = _weights(echo, cepstrum.device)
    spread = float(cepstrum[_LONGEST_PRE_DELAY:].std())
    cepstrum = weights * cepstrum.clamp(-3.0 * _CLIPPED * spread, 3.0 * _CLIPPED * spread)
    clipped = cepstrum.clamp(-_CLIPPED * spread, _CLIPPED * spread)
    responses, energies, spectra = (part.to(audio.device) for part in _templates())
    correlation = torch.fft.irfft(torch.fft.rfft(clipped, _N_FFT) * spectra.conj(), _N_FFT)
    correlation = correlation[:, : _LONGEST_PRE_DELAY + 1]
    best = int(correlation.amax(0).argmax())
    elsewhere = correlation.clone()
    elsewhere[:, max(0, best - _APART) : best + _APART + 1] = 0.0
    contrast = float(correlation[:, best].max() / elsewhere.max().clamp_min(1e-9))
    kept = _LENGTH - best
    matches = responses[:, :kept] @ clipped[best:]
    chosen = int((matches / energies.sqrt()).argmax())
    gain = max(float(matches[chosen] / energies[chosen]), 0.02)
    decay, ratio = _GRID[chosen]
    start = torch.tensor(
        [math.log(decay), math.log(ratio), best * 1000.0 / SAMPLE_RATE, gain / (1.0 + gain)]
    )
    knobs = start
    if contrast >= least_contrast:
        knobs = _refine(
            start.clamp(torch.tensor(_LOWEST), torch.tensor(_HIGHEST)), cepstrum, weights
        )
    return Reverb(
        decay_s=float(knobs[0].exp()),
        treble_ratio=float(knobs[1].exp()),
        pre_delay_ms=float(knobs[2]),
        mix=float(knobs[3]),
        contrast=contrast,
    )


def _weights(echo: Echo | None, device: torch.device) -> Tensor:
    """0 where the cepstrum shows the content or an echo, 1 elsewhere: ``(quefrency,)``."""
    weights = torch.ones(_LENGTH, device=device)
    weights[: round(_SHORTEST_MS * SAMPLE_RATE / 1000.0)] = 0.0
    if echo is not None:
        place = echo.time_ms * SAMPLE_RATE / 1000.0
        for multiple in range(1, int(_LENGTH / place) + 1):
            weights[max(0, round(multiple * place) - 4) : round(multiple * place) + 5] = 0.0
    return weights


def _response(decay_s: float, treble_ratio: float) -> Tensor:
    """``(time,)``, less the share that a clip misses of what comes late."""
    knobs = (torch.tensor([decay_s]), torch.tensor([treble_ratio]))
    response = reverb_impulse_response(*knobs, SAMPLE_RATE, 1)[0, 0, :_LENGTH]
    response = torch.nn.functional.pad(response, (0, _LENGTH - len(response)))
    return response * (1.0 - torch.arange(_LENGTH) / CLIP_SAMPLES)


@functools.lru_cache(maxsize=1)
@torch.inference_mode(False)
def _templates() -> tuple[Tensor, Tensor, Tensor]:
    """Responses of the grid, their energies, and the spectra of those searched, normalised."""
    responses = torch.stack([_response(*settings) for settings in _GRID])
    energies = responses.square().sum(1)
    normalised = (responses / energies.sqrt().unsqueeze(1))[list(_SEARCHED)]
    return responses, energies, torch.fft.rfft(normalised, _N_FFT)


@functools.lru_cache(maxsize=1)
@torch.inference_mode(False)
def _frequencies() -> Tensor:
    return 2.0 * torch.pi * torch.arange(_N_FFT // 2 + 1, dtype=torch.float64) / _N_FFT


def _cepstrum(knobs: Tensor) -> Tensor:
    """Cepstrum of the direct sound with its reverb, for log decay, log ratio, pre-delay, mix."""
    spectrum = torch.fft.rfft(_response(float(knobs[0].exp()), float(knobs[1].exp())), _N_FFT)
    angle = -_frequencies() * (float(knobs[2]) * SAMPLE_RATE / 1000.0)
    spectrum = spectrum * torch.polar(torch.ones_like(angle), angle).to(spectrum)
    magnitude = (1.0 - knobs[3] + knobs[3] * spectrum).abs()
    cepstrum: Tensor = 2.0 * torch.fft.irfft(torch.log(magnitude + 1e-4), _N_FFT)[:_LENGTH]
    return cepstrum


def _refine(knobs: Tensor, cepstrum: Tensor, weights: Tensor) -> Tensor:
    """Levenberg-Marquardt on the cepstrum."""
    cepstrum, weights = cepstrum.cpu(), weights.cpu()
    steps, largest = torch.tensor(_STEPS), torch.tensor(_LARGEST_STEP)
    low, high = torch.tensor(_LOWEST), torch.tensor(_HIGHEST)
    damping = 1e-3
    model = weights * _cepstrum(knobs)
    error = float((cepstrum - model).square().sum())
    for _ in range(_ROUNDS):
        moved = [weights * _cepstrum(knobs + step) for step in torch.diag(steps)]
        slopes = torch.stack([(m - model) / s for m, s in zip(moved, steps, strict=True)], dim=1)
        curvature, descent = slopes.mT @ slopes, slopes.mT @ (cepstrum - model)
        for _ in range(3):
            damped = curvature + damping * torch.diag(curvature.diag() + 1e-6)
            step = torch.linalg.solve(damped, descent).clamp(-largest, largest)
            there = (knobs + step).clamp(low, high)
            tried = weights * _cepstrum(there)
            reached = float((cepstrum - tried).square().sum())
            if reached < error:
                break
            damping *= 10.0
        else:
            return knobs
        finished = (error - reached) < 1e-4 * error
        knobs, model, error, damping = there, tried, reached, damping / 5.0
        if finished:
            break
    return knobs
