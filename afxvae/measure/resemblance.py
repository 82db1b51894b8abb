"""How much a sound resembles its past along a path, by band of frequency and stretch of time.

A copy of the sound is in every band and all the time, with one and the same share. What content
repeats by itself it repeats here or there, and not to the sample.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import TYPE_CHECKING

import torch

from ..dsp.windows import windowed_sinc

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Resemblance"]

_STRETCHES = 8
_TAPS, _FINER = 8, 128  # of the interpolation, and parts of a sample that it tells apart
_KAISER_BETA = 5.0


class Resemblance:
    """Compares a sound with its past.

    Args:
        sound: A clip ``(time,)``, best with a flat spectrum, see `whiten`.
        sample_rate: Of it, Hz.
        window: Of the spectra, in samples.
        bands: Lowest and highest frequency in Hz, and how many bands lie between, evenly by the
            logarithm.
        longest: Lag in samples; what comes before is not compared.
    """

    def __init__(
        self,
        sound: Tensor,
        sample_rate: int,
        window: int,
        bands: tuple[float, float, int],
        longest: int,
    ) -> None:
        self.sound, self.sample_rate, self.window = sound, sample_rate, window
        low, high, count = bands
        hz = [low * (high / low) ** (index / count) for index in range(count + 1)]
        edges = [round(edge * window / sample_rate) for edge in hz]
        for index, (before, after) in enumerate(itertools.pairwise(edges)):
            edges[index + 1] = max(after, before + 1)
        self.edges = torch.tensor(edges)
        self.first = math.ceil(2 * longest / window)
        self.now = self._spectra(sound)
        self.power = self._summed(self.now.abs().square())

    def along(self, lag: Tensor) -> Tensor:
        """Correlations ``(stretch, band)`` with the sound so many samples ago, ``(time,)``."""
        then = self._spectra(_delayed(self.sound, lag.clamp_min(0.0)))
        both = self._summed((self.now * then.conj()).real)
        power = self.power * self._summed(then.abs().square())
        return both / power.clamp_min(1e-20).sqrt()

    def _spectra(self, sound: Tensor) -> Tensor:
        frames = sound.unfold(0, self.window, self.window // 2)
        spectra: Tensor = torch.fft.rfft(frames * torch.hann_window(self.window))
        return spectra

    def _summed(self, values: Tensor) -> Tensor:
        """``(frame, bin)`` over bands and stretches: ``(stretch, band)``."""
        sums = torch.nn.functional.pad(values.cumsum(1), (1, 0))
        bands = (sums[:, self.edges[1:]] - sums[:, self.edges[:-1]])[self.first :]
        whole = len(bands) // _STRETCHES * _STRETCHES
        summed: Tensor = bands[:whole].unflatten(0, (_STRETCHES, -1)).sum(1)
        return summed


def _delayed(sound: Tensor, lag: Tensor) -> Tensor:
    """A sound ``(time,)`` as it was `lag` samples before, by windowed sincs."""
    place = torch.arange(len(sound), dtype=lag.dtype) - lag
    whole = place.floor()
    frames = torch.nn.functional.pad(sound, (_TAPS // 2, _TAPS // 2)).unfold(0, _TAPS, 1)
    index = (whole.long() + 1).clamp(0, len(frames) - 1)
    kernels = _kernels()[((place - whole) * _FINER).round().long()]
    return (frames[index] * kernels).sum(1)


@functools.cache
@torch.inference_mode(False)
def _kernels() -> Tensor:
    """Windowed sincs for shares of a sample, ``(_FINER + 1, _TAPS)``."""
    share = torch.arange(_FINER + 1).unsqueeze(1) / _FINER
    apart = share - torch.arange(1 - _TAPS // 2, _TAPS // 2 + 1)
    return windowed_sinc(apart, (_TAPS + 1) / 2, _KAISER_BETA)
