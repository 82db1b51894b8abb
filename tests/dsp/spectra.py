"""Sines and the lines of their spectra, for the tests of what bends a waveform."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.signal.windows import blackmanharris

RATE = 44100


def sine(frequency: float, seconds: float = 0.5, rate: int = RATE) -> torch.Tensor:
    """``(1, 1, time)`` in float64."""
    time = torch.arange(round(seconds * rate), dtype=torch.float64) / rate
    return torch.sin(2.0 * math.pi * frequency * time + 0.3).view(1, 1, -1)


def spectrum_db(x: torch.Tensor, rate: int = RATE) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies and levels in dB of the middle of a signal; leaks fall below -92 dB."""
    middle = x[0, 0, rate // 20 : -rate // 20].double().numpy()
    window = blackmanharris(len(middle), sym=False)
    magnitude = np.abs(np.fft.rfft(middle * window)) * 2.0 / window.sum()
    return np.fft.rfftfreq(len(middle), 1.0 / rate), 20.0 * np.log10(magnitude + 1e-12)


def level_at(x: torch.Tensor, frequency: float, rate: int = RATE) -> float:
    """In dB, of the highest line within 20 Hz."""
    frequencies, levels = spectrum_db(x, rate)
    return float(levels[np.abs(frequencies - frequency) < 20.0].max())


def alias_db(y: torch.Tensor, frequency: float, rate: int = RATE) -> float:
    """Loudest line that is no harmonic, relative to the fundamental.

    From 48 kHz on, of those below 20 kHz: 25 kHz, the fifth harmonic of 5, lies on the slope of the
    filters behind an oversampled curve, and comes back at 23.
    """
    frequencies, levels = spectrum_db(y, rate)
    nearest = np.round(frequencies / frequency) * frequency
    foreign = np.abs(frequencies - nearest) > 60.0
    heard = frequencies < (20000.0 if rate >= 48000 else rate / 2.0)
    return float(levels[foreign & heard].max()) - level_at(y, frequency, rate)
