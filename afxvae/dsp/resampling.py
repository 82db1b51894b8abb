"""Band-limited change of the sample rate.

torchaudio has a function of this kind, but its wheels can only be imported beside the build of
torch they were made with, and everything here starts with a resampling.
"""

from __future__ import annotations

import functools
import math
from fractions import Fraction
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["change_rate"]

_ZERO_CROSSINGS = 64
_ROLLOFF = 0.9475937167399596  # -6 dB point relative to the lower Nyquist frequency
_KAISER_BETA = 14.769656459379492
_LARGEST_TERM = 5000


@functools.lru_cache(maxsize=8)
@torch.inference_mode(False)  # what stays in the cache must also serve where gradients are wanted
def _kernels(down: int, up: int, dtype: torch.dtype, device: str) -> tuple[Tensor, int]:
    """One filter for each of the `up` phases, ``(up, 1, tap)``, and the samples before time 0."""
    bandwidth = min(down, up) * _ROLLOFF
    before = math.ceil(_ZERO_CROSSINGS * down / bandwidth)
    seconds = torch.arange(-before, before + down, dtype=torch.float64) / down
    crossings = (seconds - torch.arange(up, dtype=torch.float64).unsqueeze(1) / up) * bandwidth
    reach = (1.0 - (crossings / _ZERO_CROSSINGS).square()).clamp_min(0.0).sqrt()
    beta = torch.tensor(_KAISER_BETA, dtype=torch.float64)
    window = torch.special.i0(beta * reach) / torch.special.i0(beta)
    window = window * (crossings.abs() < _ZERO_CROSSINGS)
    kernels = torch.sinc(crossings) * window * (bandwidth / down)
    return kernels.unsqueeze(1).to(device, dtype), before


def change_rate(audio: Tensor, from_rate: int, to_rate: int) -> Tensor:
    """Resample ``(..., time)``; time becomes ``round(time * to_rate / from_rate)``.

    Kaiser-windowed sinc of 64 zero crossings, -6 dB at .95 of the lower Nyquist frequency (Smith,
    *Digital Audio Resampling*, 2002). Ratios without small terms are taken to the nearest with a
    denominator below 5000, an error below 1e-7.
    """
    ratio = Fraction(to_rate, from_rate).limit_denominator(_LARGEST_TERM)
    length = round(audio.shape[-1] * to_rate / from_rate)
    kernels, before = _kernels(ratio.denominator, ratio.numerator, audio.dtype, str(audio.device))
    signals = audio.reshape(-1, 1, audio.shape[-1])
    padded = functional.pad(signals, (before, before + 2 * ratio.denominator))
    phases = functional.conv1d(padded, kernels, stride=ratio.denominator)
    return phases.mT.reshape(*audio.shape[:-1], -1)[..., :length]
