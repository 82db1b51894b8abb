"""Low-frequency oscillators: phases counted from sample 0, whatever blocks the sound comes in.

The gradient to a rate is exact, but it grows with time: two rates are told apart by the phase they
have gathered at the end, so over a sound of T seconds a fit by gradient finds the right rate only
from less than about 1/(2 T) Hz away. A start that near comes from measuring the swing over time
(level, pitch, notch) and taking the highest line of its spectrum, whose lines are 1/T apart; from
there the gradient is worth having, as it finds the rate far more finely than the spectrum.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from .units import per_item

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["lag_odd_channels", "phase", "start_clock"]


def start_clock(audio: Tensor) -> Tensor:
    """Number of samples so far, none: an integer, exact for as long as anybody listens."""
    return torch.zeros((), dtype=torch.int64, device=audio.device)


def phase(rate_hz: Tensor, clock: Tensor, length: int, sample_rate: int) -> Tensor:
    """Phase of an oscillator that stood at 0 at sample 0.

    Args:
        rate_hz: ``(batch,)`` turns a second.
        clock: Number of samples before the block; may be negative.
        length: Of the block.
        sample_rate: In Hz.

    Returns:
        ``(batch, 1, time)`` in radians from 0 to 2 pi, in float64.
    """
    samples = clock + torch.arange(length, device=clock.device)
    turns = per_item(rate_hz).double() * (samples.double() / sample_rate)
    return 2.0 * math.pi * (turns - turns.detach().floor())


def lag_odd_channels(angle: Tensor, stereo_phase_deg: Tensor, channels: int) -> Tensor:
    """Phases ``(batch, channel, time)``, those of odd channels (right) late by so many degrees."""
    odd = torch.arange(channels, device=angle.device) % 2
    lag = per_item(stereo_phase_deg).double() * (math.pi / 180.0)
    return angle - lag * odd.view(1, -1, 1)
