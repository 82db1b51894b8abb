"""Average spectra, as pictures show them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch

from ..dsp import spectral

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["average_power", "smoothed_db"]

_LEAST_BINS = 0.6  # standard deviation of a band that is narrower than the bins are apart


def average_power(blocks: Iterable[Tensor], n_fft: int) -> Tensor:
    """Mean power of all frames and channels of a sound that comes in blocks, ``(bin,)``.

    Args:
        blocks: Each ``(channel, time)``, of any length; a short one is padded with silence.
        n_fft: Samples of a frame; frames overlap by half.
    """
    total, frames = torch.zeros(n_fft // 2 + 1), 0
    for block in blocks:
        padded = torch.nn.functional.pad(block.float(), (0, max(0, n_fft - block.shape[1])))
        power = spectral.power_spectrogram(padded, n_fft, n_fft // 2).flatten(0, 1).cpu()
        total += power.sum(0)
        frames += len(power)
    return total / frames


def smoothed_db(
    power: Tensor, sample_rate: int, hz: Tensor, octaves: float, floor_db: float
) -> Tensor:
    """Power around some frequencies in dB, ``(band,)``.

    Args:
        power: See `average_power`, ``(bin,)``.
        sample_rate: In Hz.
        hz: The frequencies ``(band,)``.
        octaves: Standard deviation of the bell that power is weighed with; at least .6 of a bin.
        floor_db: What silence is at.
    """
    apart = 0.5 * sample_rate / (len(power) - 1)
    width = (hz * (2.0**octaves - 1.0)).clamp_min(_LEAST_BINS * apart).unsqueeze(1)
    near = torch.exp(-0.5 * ((apart * torch.arange(len(power)) - hz.unsqueeze(1)) / width).square())
    mean = (near @ power) / near.sum(1)
    return 10.0 * torch.log10(mean + 10.0 ** (floor_db / 10.0))
