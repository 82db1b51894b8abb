"""Responses of digital filters from their analogue prototypes, and impulse responses of them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..dsp.units import fast_length

__all__ = ["butterworth_band", "butterworth_power", "chebyshev_low", "high_pass", "impulse"]


def butterworth_power(
    hz: Tensor, corner_hz: float, sample_rate: int, side: str, sections: int = 1
) -> Tensor:
    """Power response of second-order Butterworth filters in series, as `hz`.

    Args:
        hz: Frequencies.
        corner_hz: Where one section is at -3 dB.
        sample_rate: In Hz.
        side: ``"low"`` or ``"high"``: what passes.
        sections: How many.
    """
    ratio = torch.tan(math.pi * hz / sample_rate) / math.tan(math.pi * corner_hz / sample_rate)
    if side == "high":
        ratio = 1.0 / ratio.clamp_min(1e-30)
    return (1.0 + ratio.square().square()) ** -float(sections)


def high_pass(audio: Tensor, corner_hz: float, sample_rate: int, sections: int) -> Tensor:
    """``(batch, time)`` through second-order Butterworth high-passes in series, by its spectrum.

    Room for a tail of 20 periods of the corner is left, after which it is below -200 dB.
    """
    n_fft = fast_length(audio.shape[1] + math.ceil(20 * sample_rate / corner_hz))
    ratio = _tangent(n_fft) / math.tan(math.pi * corner_hz / sample_rate)
    square = ratio.square()
    response = (-square / (1.0 - square + 1j * math.sqrt(2.0) * ratio)) ** sections
    spectrum = torch.fft.rfft(audio, n_fft)
    spectrum = spectrum * response.to(spectrum)
    filtered: Tensor = torch.fft.irfft(spectrum, n_fft)[:, : audio.shape[1]]
    return filtered


def butterworth_band(n_fft: int, low: float, high: float, order: int) -> Tensor:
    """Complex response of a Butterworth band-pass of twice the order on `n_fft` bins.

    The corners are given as shares of the sample rate, and bent as the bilinear transform asks.
    """
    tangent = _tangent(n_fft)
    lower, upper = math.tan(math.pi * low), math.tan(math.pi * high)
    position = (tangent.square() - lower * upper) / ((upper - lower) * tangent)
    angles = math.pi * (2 * torch.arange(order, dtype=torch.float64) + order + 1) / (2 * order)
    return _all_pole(position, torch.exp(1j * angles))


def chebyshev_low(n_fft: int, corner: float, order: int, ripple_db: float) -> Tensor:
    """Complex response of a Chebyshev low-pass (type 1) on `n_fft` bins.

    `corner` is where the ripple ends, as a share of the sample rate.
    """
    epsilon = math.sqrt(10 ** (ripple_db / 10) - 1)
    mu = math.asinh(1 / epsilon) / order
    angles = math.pi * (2 * torch.arange(order, dtype=torch.float64) + 1) / (2 * order)
    poles = -math.sinh(mu) * angles.sin() + 1j * math.cosh(mu) * angles.cos()
    gain = 1.0 if order % 2 else 1 / math.sqrt(1 + epsilon**2)
    return gain * _all_pole(_tangent(n_fft) / math.tan(math.pi * corner), poles)


def impulse(response: Tensor, taps: int) -> Tensor:
    """First `taps` samples of the impulse response of a filter that decays within its bins."""
    whole: Tensor = torch.fft.irfft(response, 2 * (len(response) - 1))
    return whole[:taps]


def _tangent(n_fft: int) -> Tensor:
    """The analogue frequency of every bin; 0 and infinity are nearly reached."""
    half = math.pi * torch.arange(n_fft // 2 + 1, dtype=torch.float64) / n_fft
    return torch.tan(half.clamp(1e-12, math.pi / 2 - 1e-12))


def _all_pole(position: Tensor, poles: Tensor) -> Tensor:
    """Response of poles to ``s = j position``, with a gain of 1 at 0."""
    factors = 1j * position.unsqueeze(1) - poles
    response: Tensor = torch.prod(-poles) / torch.prod(factors, dim=1)
    return response
