"""Conversions between units, and the shapes of per-item settings."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "NEPERS_PER_DB",
    "POWER_NEPERS_PER_DB",
    "SILENCE_DB",
    "db_to_gain",
    "fast_length",
    "gain_to_db",
    "per_item",
    "time_constant_to_pole",
]

NEPERS_PER_DB = math.log(10.0) / 20.0
POWER_NEPERS_PER_DB = 2.0 * NEPERS_PER_DB
SILENCE_DB = -120.0
"""Level that stands for silence, which has none."""


def db_to_gain(db: Tensor) -> Tensor:
    """Decibels to amplitude ratio; 0 dB is exactly 1."""
    return torch.exp(db * NEPERS_PER_DB)


def gain_to_db(gain: Tensor, floor_db: float = SILENCE_DB) -> Tensor:
    """Amplitude to decibels, at least `floor_db`."""
    return torch.log(gain.abs().clamp_min(10.0 ** (floor_db / 20.0))) / NEPERS_PER_DB


def time_constant_to_pole(time_ms: Tensor, sample_rate: int) -> Tensor:
    """Pole of the one-pole smoother that covers 63 % (1 - 1/e) of a step in `time_ms`."""
    return torch.exp(-1000.0 / (time_ms * sample_rate))


def per_item(setting: Tensor) -> Tensor:
    """Reshape a ``(batch,)`` setting so that it broadcasts over ``(batch, channel, time)``."""
    return setting.reshape(-1, 1, 1)


def fast_length(length: int) -> int:
    """Smallest even 5-smooth number that is at least `length`: a quick FFT size.

    >>> fast_length(1001)
    1024
    """
    best = 1 << max(1, (length - 1).bit_length())
    five = 1
    while five < best:
        three = five
        while three < best:
            quotient = -(-length // three)
            candidate = three << max(1, (quotient - 1).bit_length())
            if candidate >= length:
                best = min(best, candidate)
            three *= 3
        five *= 5
    return best
