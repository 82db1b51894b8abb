"""Tone controls: tilt, bass boost, graphic equaliser, as systems for `afxvae.dsp.recursive`.

The shelf and the peaks are the biquads of the Audio EQ Cookbook (Bristow-Johnson, *Cookbook
formulae for audio equalizer biquad filter coefficients*).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from .recursive import System, first_order, second_order, series
from .units import db_to_gain

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["OCTAVES_HZ", "band_gains_db", "graphic", "low_shelf", "tilt"]

_HIGHEST_FREQUENCY = 0.49  # of the sample rate
_HIGHEST_BAND = 0.45  # of the sample rate
_LEAKAGE = 0.3
_NEWTON_STEPS = 4  # error below 1e-9 dB from any sliders

OCTAVES_HZ = (31.5, 63.0, 125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0, 16000.0)
"""Band centres of the graphic equaliser."""


def _corner(frequency_hz: Tensor, sample_rate: int) -> Tensor:
    frequency = frequency_hz.double().clamp(max=_HIGHEST_FREQUENCY * sample_rate)
    return torch.tan(math.pi * frequency / sample_rate)


def tilt(tilt_db: Tensor, pivot_hz: Tensor, sample_rate: int) -> System:
    """First-order tilt ``H(s) = (A s + 1) / (s + A)``, ``A = 10^(tilt/40)``, s = j at the pivot.

    The bass ends `tilt_db` / 2 below, the treble as much above; at `pivot_hz` nothing changes.

    Args:
        tilt_db: ``(batch,)`` treble over bass.
        pivot_hz: ``(batch,)``.
        sample_rate: In Hz.
    """
    a = db_to_gain(0.5 * tilt_db.double())
    return first_order(_corner(pivot_hz, sample_rate) * a, a, 1.0 / a - a)


def low_shelf(gain_db: Tensor, frequency_hz: Tensor, q: Tensor, sample_rate: int) -> System:
    """Low shelf ``H(s) = A (s^2 + s sqrt(A)/Q + A) / (A s^2 + s sqrt(A)/Q + 1)``.

    Args:
        gain_db: ``(batch,)`` far below the corner; half of it at the corner.
        frequency_hz: ``(batch,)``.
        q: ``(batch,)``; above 0.71 the shelf overshoots on both sides of the corner.
        sample_rate: In Hz.
    """
    a = db_to_gain(0.5 * gain_db.double())
    damping = 1.0 / q.double()
    corner = _corner(frequency_hz, sample_rate) / torch.sqrt(a)
    return second_order(corner, damping, torch.ones_like(a), damping * (a - 1.0), a * a - 1.0)


def _bands(sample_rate: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Corners ``tan(w/2)`` and Q of the bands that the rate can carry, and how bands overlap.

    The overlap is ``(1 - s^2)^2 / (s/Q)^2`` at the centre of every band j for band i, ``(j, i)``.
    Q is such that a small gain leaks by the same share into the band below, at every rate.
    """
    centres = [hz for hz in OCTAVES_HZ if hz < _HIGHEST_BAND * sample_rate]
    frequency = torch.tensor([centres[0] / 2.0, *centres], dtype=torch.float64, device=device)
    corner = _corner(frequency, sample_rate)
    below = corner[:-1] / corner[1:]
    q = below / (1.0 - below.square()) * math.sqrt(1.0 / _LEAKAGE - 1.0)
    corner = corner[1:]
    place = (corner.unsqueeze(1) / corner).square()
    return corner, q, (1.0 - place).square() * q.square() / place


def _overall_db(gains_db: Tensor, overlap: Tensor) -> tuple[Tensor, Tensor]:
    """Gain of all bands together at their centres, and its Jacobian ``(batch, centre, band)``."""
    boost = db_to_gain(gains_db).unsqueeze(1)
    upper, lower = overlap + boost, overlap + 1.0 / boost
    total = 10.0 * torch.log10(upper / lower).sum(-1)
    return total, 0.5 * (boost / upper + 1.0 / (boost * lower))


def band_gains_db(sliders_db: Tensor, sample_rate: int) -> Tensor:
    """Gains of the peaking filters whose cascade meets the sliders at every band centre.

    Bands leak into one another (Välimäki and Liski, *Accurate cascade graphic equalizer*, IEEE
    Signal Processing Letters 24(2), 2017, who solve it to first order and allow 1 dB). Here
    Newton's method solves it exactly; the derivative is that of the solution.

    Args:
        sliders_db: ``(batch, band)`` in float64.
        sample_rate: In Hz.
    """
    overlap = _bands(sample_rate, sliders_db.device)[2]
    wanted = sliders_db.detach()
    gains = wanted
    for _ in range(_NEWTON_STEPS):
        total, slope = _overall_db(gains, overlap)
        gains = gains + torch.linalg.solve(slope, wanted - total)
    total, slope = _overall_db(gains, overlap)
    solved: Tensor = gains + torch.linalg.solve(slope, sliders_db - total)
    return solved


def graphic(sliders_db: Tensor, sample_rate: int) -> System:
    """Cascade of a peaking filter for each octave; see `band_gains_db`.

    Args:
        sliders_db: ``(batch, 10)``; those of bands that the sample rate cannot carry do nothing.
        sample_rate: In Hz.
    """
    corners, qs, _ = _bands(sample_rate, sliders_db.device)
    gains_db = band_gains_db(sliders_db[:, : len(corners)].double(), sample_rate)
    peaks = []
    for corner, q, gain_db in zip(corners, qs, gains_db.unbind(1), strict=True):
        a = db_to_gain(0.5 * gain_db)
        damping = 1.0 / (q * a)
        zero = torch.zeros_like(a)
        band = damping * (a * a - 1.0)
        peaks.append(second_order(corner.expand_as(a), damping, zero + 1.0, band, zero))
    return series(peaks)
