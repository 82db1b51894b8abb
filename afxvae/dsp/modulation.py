"""Effects made of a delay line whose length moves."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from .units import per_item

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["chorus", "read_delayed"]


def read_delayed(audio: Tensor, delay: Tensor) -> Tensor:
    """Read a signal `delay` samples in the past with third-order Lagrange interpolation.

    Laakso et al., *Splitting the unit delay* (IEEE SP Magazine, 1996). Silence precedes the signal.

    Args:
        audio: ``(batch, channel, time)``.
        delay: ``(batch, channel, time)`` in samples, at least 1; gradients reach it. In float64
            if a thousandth of a sample matters.
    """
    length = audio.shape[-1]
    whole = delay.detach().floor()
    d = (delay - whole).to(audio.dtype)  # between the samples `whole` and `whole + 1` ago
    # index of the oldest of four neighbours
    first = torch.arange(-2, length - 2, device=audio.device) - whole.long()
    padding = max(0, -int(first.min()))
    padded = torch.nn.functional.pad(audio, (padding, 2))
    index = first + padding
    taps = (
        d * (d - 1.0) * (d + 1.0) / 6.0,
        -d * (d + 1.0) * (d - 2.0) / 2.0,
        (d + 1.0) * (d - 1.0) * (d - 2.0) / 2.0,
        -d * (d - 1.0) * (d - 2.0) / 6.0,
    )
    result = taps[0] * padded.gather(-1, index)
    for offset in (1, 2, 3):
        result = result + taps[offset] * padded.gather(-1, index + offset)
    return result


def chorus(
    audio: Tensor,
    rate_hz: Tensor,
    depth_ms: Tensor,
    delay_ms: Tensor,
    mix: Tensor,
    sample_rate: int,
) -> Tensor:
    """One voice whose delay swings sinusoidally around `delay_ms` by `depth_ms`.

    Odd channels swing a quarter period later, which widens a stereo signal.

    Args:
        audio: ``(batch, channel, time)``.
        rate_hz: ``(batch,)`` swings a second.
        depth_ms: ``(batch,)`` largest deviation; the delay never falls below two samples.
        delay_ms: ``(batch,)`` mean delay.
        mix: ``(batch,)`` share of the voice in [0, 1].
        sample_rate: In Hz.

    Returns:
        ``(batch, channel, time)``; at mix 0, `audio` bit for bit.
    """
    channels, length = audio.shape[1:]
    time = torch.arange(length, dtype=torch.float64, device=audio.device) / sample_rate
    side = torch.arange(channels, dtype=torch.float64, device=audio.device) % 2
    rate, depth, mean = (per_item(knob).double() for knob in (rate_hz, depth_ms, delay_ms))
    swing = torch.sin(2.0 * math.pi * rate * time - 0.5 * math.pi * side.view(1, -1, 1))
    delay = (mean + depth * swing) * (sample_rate / 1000.0)
    return audio + per_item(mix) * (read_delayed(audio, delay.clamp_min(2.0)) - audio)
