"""Effects made of a delay line whose length moves."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from .convolution import continued
from .units import per_item

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["chorus", "read_delayed"]

_NEIGHBOURS = 2  # samples before the delayed one that `read_delayed` looks at


def read_delayed(line: Tensor, delay: Tensor) -> Tensor:
    """Read a signal `delay` samples in the past with third-order Lagrange interpolation.

    Laakso et al., *Splitting the unit delay* (IEEE SP Magazine, 1996). Silence precedes the line.

    Args:
        line: ``(batch, channel, before + time)``: a signal, behind what came before it if anything.
        delay: ``(batch, channel, time)`` in samples, at least 1; gradients reach it. In float64
            if a thousandth of a sample matters.

    Returns:
        ``(batch, channel, time)``.
    """
    whole = delay.detach().floor()
    d = (delay - whole).to(line.dtype)  # between the samples `whole` and `whole + 1` ago
    # index of the oldest of four neighbours
    end = line.shape[-1] - 2
    first = torch.arange(end - delay.shape[-1], end, device=line.device) - whole.long()
    padding = max(0, -int(first.min())) if first.numel() else 0
    padded = torch.nn.functional.pad(line, (padding, 0))
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
    state: tuple[Tensor, ...] | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """One voice whose delay swings sinusoidally around `delay_ms` by `depth_ms`.

    Odd channels swing a quarter period later, which widens a stereo signal.

    Args:
        audio: ``(batch, channel, time)``.
        rate_hz: ``(batch,)`` swings a second.
        depth_ms: ``(batch,)`` largest deviation; the delay never falls below two samples.
        delay_ms: ``(batch,)`` mean delay.
        mix: ``(batch,)`` share of the voice in [0, 1].
        sample_rate: In Hz.
        state: As returned with the block before; None at the start.

    Returns:
        ``(batch, channel, time)``; at mix 0, `audio` bit for bit. Then the inputs to remember and
        the number of samples so far.
    """
    channels, length = audio.shape[1:]
    device = audio.device
    history, passed = state or (None, torch.zeros((), dtype=torch.int64, device=device))
    time = (passed + torch.arange(length, device=device)).double() / sample_rate
    side = torch.arange(channels, dtype=torch.float64, device=device) % 2
    rate, depth, mean = (per_item(knob).double() for knob in (rate_hz, depth_ms, delay_ms))
    swing = torch.sin(2.0 * math.pi * rate * time - 0.5 * math.pi * side.view(1, -1, 1))
    delay = (mean + depth * swing) * (sample_rate / 1000.0)
    longest = float((mean + depth).detach().max()) * (sample_rate / 1000.0)
    line = continued(audio, history, math.ceil(longest) + _NEIGHBOURS)
    voice = read_delayed(line, delay.clamp_min(2.0))
    return audio + per_item(mix) * (voice - audio), (line[..., length:], passed + length)
