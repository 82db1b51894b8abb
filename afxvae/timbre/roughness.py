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
from .sound import Sound, bin_hz
from .zwicker import RATE

__all__ = ["roughness"]

_FRAME, _N_FFT = RATE // 20, 4096
_LEAD = 512
_CONTRAST = 0.01  # of the highest value of the clip
_LEAST = 0.01  # below it nothing is rough
_ONE_GO = 1 << 22  # pairs


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
    spectrum = torch.fft.rfft(audio[:, index] * window.to(audio.device), _N_FFT)
    magnitude = (spectrum.real.square() + spectrum.imag.square()).clamp_min(1e-24).sqrt()
    low, high = magnitude.detach().amin((1, 2)), magnitude.detach().amax((1, 2))
    height = (magnitude.detach() - low[:, None, None]) / (high - low)[:, None, None]
    peaks = pick_peaks(height.flatten(0, 1), _CONTRAST)
    level, hz = refine_peaks(magnitude.flatten(0, 1), peaks, bin_hz(magnitude))
    rough = _of_partials(level, hz, peaks).reshape(len(audio), -1).sum(1) / count
    scaled = torch.log10(rough.clamp_min(_LEAST)) * 13.98779569 + 48.97606571545886
    return torch.where(rough < _LEAST, 0.0, scaled)


def _of_partials(level: Tensor, hz: Tensor, peaks: Tensor) -> Tensor:
    """Sum over pairs of the `peaks` of each spectrum, ``(spectrum,)``; alike numbers together."""
    counts = peaks.sum(1)
    order = counts.argsort(descending=True)
    order = order[counts[order] > 1]
    result = torch.zeros_like(level[:, 0])
    done = 0
    while done < len(order):
        most = int(counts[order[done]])
        rows = order[done : done + max(1, _ONE_GO // most**2)]
        rows = rows[counts[rows] > most // 2]
        places = peaks[rows].to(torch.uint8).topk(most, dim=1)[1]
        there = peaks[rows].gather(1, places)
        amplitude = torch.where(there, level[rows].gather(1, places), 0.0).clamp_min(1e-12)
        rough = _pairs(amplitude, hz[rows].gather(1, places), there)
        result = result.index_put((rows,), rough)
        done += len(rows)
    return result


def _pairs(amplitude: Tensor, hz: Tensor, there: Tensor) -> Tensor:
    """Sum over the pairs of each row, ``(row, partial)`` to ``(row,)``."""
    one, two = torch.triu_indices(hz.shape[1], hz.shape[1], 1, device=hz.device)
    a1, a2, f1, f2 = amplitude[:, one], amplitude[:, two], hz[:, one], hz[:, two]
    tenth = amplitude**0.1 * there
    scale = (-0.24 * (f2 - f1).abs()) / (0.0207 * torch.minimum(f1, f2) + 18.96)
    depth = 0.5 * (2.0 * torch.maximum(a1, a2) / (a1 + a2)) ** 3.11
    beating = torch.exp(3.51 * scale) - torch.exp(5.75 * scale)
    return (tenth[:, one] * tenth[:, two] * depth * beating).sum(1)
