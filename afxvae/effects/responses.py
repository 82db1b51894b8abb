"""What settings do to sound, as curves: the space in which two presets are compared.

Different knobs can give the same curve (they are *equifinal*), so training and evaluation measure
errors of curves rather than of knobs.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import torch

from ..dsp.dynamics import compression_curve
from ..dsp.nonlinear import overdrive_curve
from ..dsp.units import gain_to_db
from .eq import eq_response

if TYPE_CHECKING:
    from torch import Tensor

    from .base import Settings

__all__ = ["compressor_curve_db", "curve_hz", "drive_curve_db", "eq_curve_db", "wet_level_db"]


@functools.lru_cache(maxsize=1)
@torch.inference_mode(False)  # what stays in the cache must also serve where gradients are wanted
def curve_hz() -> Tensor:
    """64 frequencies from 30 Hz to 11.6 kHz, between logarithmic and linear spacing (mel-like)."""
    low, high = (torch.asinh(torch.tensor(f) / 700.0) for f in (30.0, 11_600.0))
    return 700.0 * torch.sinh(low + (high - low) * torch.linspace(0.0, 1.0, 64))


def eq_curve_db(settings: Settings, sample_rate: int) -> Tensor:
    """Gain in dB at the 64 frequencies of `curve_hz`, ``(batch, 64)``, at least -60."""
    grid = curve_hz().to(settings["low_cut_hz"])
    return gain_to_db(eq_response(settings, grid, sample_rate).abs(), -60.0)


def compressor_curve_db(settings: Settings) -> Tensor:
    """Static gain in dB for 16 levels from -60 to 0 dBFS, relative to -60: ``(batch, 16)``."""
    levels = torch.linspace(-60.0, 0.0, 16).to(settings["ratio"])
    knobs = (settings[name].unsqueeze(1) for name in ("threshold_db", "ratio", "knee_db"))
    return compression_curve(levels, *knobs)


def drive_curve_db(settings: Settings) -> Tensor:
    """Gain in dB of 8 levels of each half wave relative to the smallest, ``(batch, 16)``."""
    size = torch.logspace(-2.0, 0.0, 8).to(settings["drive_db"])
    x = torch.cat([size, -size])
    mix = settings["mix"].unsqueeze(1)
    driven = overdrive_curve(x, settings["drive_db"].unsqueeze(1), settings["bias"].unsqueeze(1))
    gain_db = gain_to_db((1.0 - mix) + mix * driven / x)
    return gain_db - gain_db[:, :1]


def wet_level_db(mix: Tensor) -> Tensor:
    """Level of the wet signal against the dry, in dB between -40 and 40."""
    wet = mix.clamp(1e-2, 1.0 - 1e-2)
    return 20.0 * torch.log10(wet / (1.0 - wet))
