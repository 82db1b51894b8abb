"""Roughness: beating of neighbouring partials.

Vassilakis, *SRA: a web-based research tool for spectral and roughness analysis of sound signals*,
SMC 2007, with the regression of *timbral_models* 0.4. There the amplitude that the difference of
amplitudes is measured by is the larger of two instead of the smaller; the regression was fitted to
that, so it stays.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from .peaks import pick_peaks, refine_peaks
from .sound import Sound
from .spectra import magnitude_of
from .zwicker import RATE

__all__ = ["roughness"]

_FRAME, _N_FFT = RATE // 20, 4096
_LEAD = 512
_CONTRAST = 0.01  # of the highest value of the clip
_LEAST = 0.01  # below it nothing is rough
_FARTHEST = 2.5  # s d; pairs beyond have less than a thousandth of the beating


def roughness(sound: Sound) -> Tensor:
    """Mean roughness of frames of 50 ms, ``13.987796 lg(R) + 48.976066``, 0 if R is below 0.01.

    For every pair of partials ``(a1 a2)^0.1 / 2 (2 a / (a1 + a2))^3.11 (exp(-3.51 s d) - exp(-5.75
    s d))`` with the larger amplitude a, the distance d in Hz and ``s = 0.24 / (0.0207 f + 18.96)``
    of the lower frequency. Differentiable where the set of partials stays the same.
    """
    audio = functional.pad(sound.audio, (_LEAD, max(0, _FRAME - _LEAD - sound.audio.shape[1])))
    window = torch.hamming_window(_FRAME + 2, periodic=False, dtype=audio.dtype)[1:-1]
    count = int(audio.shape[1] / (_FRAME / 2))
    starts = (torch.arange(count, device=audio.device) * _FRAME).div(2, rounding_mode="floor")
    starts = starts[starts + _FRAME <= audio.shape[1]]
    index = starts.unsqueeze(1) + torch.arange(_FRAME, device=audio.device)
    magnitude = magnitude_of(audio[:, index] * window.to(audio.device), _N_FFT)
    low, high = magnitude.detach().amin((1, 2)), magnitude.detach().amax((1, 2))
    height = (magnitude.detach() - low[:, None, None]) / (high - low).clamp_min(1e-20)[
        :, None, None
    ]
    peaks = pick_peaks(height.flatten(0, 1), _CONTRAST)
    rough = _of_partials(magnitude.flatten(0, 1), peaks).reshape(len(audio), -1).sum(1) / count
    scaled = torch.log10(rough.clamp_min(_LEAST)) * 13.98779569 + 48.97606571545886
    return torch.where(rough < _LEAST, 0.0, scaled)


def _of_partials(magnitude: Tensor, peaks: Tensor) -> Tensor:
    """Sum over pairs of the `peaks` of each spectrum, ``(spectrum,)``."""
    rows, bins = peaks.nonzero(as_tuple=True)
    amplitude, hz = refine_peaks(magnitude, rows, bins)
    amplitude = amplitude.clamp_min(1e-12)
    tenth = amplitude**0.1
    total = torch.zeros_like(magnitude[:, 0])
    lower = torch.arange(len(rows), device=rows.device)
    for step in range(1, len(rows)):  # pairs of neighbours, of every other one, ...
        lower = lower[lower < len(rows) - step]
        lower = lower[rows[lower] == rows[lower + step]]
        distance = 0.24 / (0.0207 * hz[lower] + 18.96) * (hz[lower + step] - hz[lower])
        near = distance.detach() < _FARTHEST  # those that are not will not be again
        lower, distance = lower[near], distance[near]
        if not len(lower):
            break
        one, two = amplitude[lower], amplitude[lower + step]
        unlike = 0.5 * (2.0 * torch.maximum(one, two) / (one + two)) ** 3.11
        beating = torch.exp(-3.51 * distance) - torch.exp(-5.75 * distance)
        rough = tenth[lower] * tenth[lower + step] * unlike * beating
        total = total.index_add(0, rows[lower], rough)
    return total
