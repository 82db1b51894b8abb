"""Bit crusher: few bits and a low sample rate, held.

Both are staircases, whose true gradient is zero or missing. Gradients go straight through instead
(Bengio, Leonard and Courville, *Estimating or propagating gradients through stochastic neurons*,
2013): the quantiser counts as a line with the rounding error in units of its step as a constant,
and a held sample as one whose age is inversely proportional to the rate.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from .convolution import continued
from .units import per_item

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["LOWEST_RATE_HZ", "crush", "hold_samples", "quantise"]

LOWEST_RATE_HZ = 500.0
_CYCLE = 1 << 32  # of the phase counter, whose sums are exact


def quantise(x: Tensor, bits: Tensor) -> Tensor:
    """Round to multiples of ``2^(1 - bits)``: ``2^bits`` steps from -1 to 1; 0 is one of them.

    Returns:
        Amplitudes of the shape to which the arguments broadcast.
    """
    step = torch.exp2(1.0 - bits)
    wanted = x / step
    return step * (wanted + (wanted.round() - wanted).detach())


def hold_samples(
    audio: Tensor, rate_hz: Tensor, sample_rate: int, state: tuple[Tensor, ...] | None = None
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Take a sample `rate_hz` times a second and hold it until the next is taken.

    The moments are those of a phase counter, rounded up to whole samples.

    Args:
        audio: ``(batch, channel, time)``.
        rate_hz: ``(batch,)`` at least `LOWEST_RATE_HZ`; from `sample_rate` on nothing is held.
        sample_rate: In Hz.
        state: As the block before left it.

    Returns:
        ``(batch, channel, time)`` and the state.
    """
    history, phase = state or (None, torch.zeros_like(rate_hz, dtype=torch.int64))
    batch, channels, length = audio.shape
    ratio = (rate_hz.double() / sample_rate).clamp_max(1.0).unsqueeze(1)
    increment = (ratio.detach() * _CYCLE).round().long()
    time = torch.arange(length, device=audio.device)
    count = (phase.unsqueeze(1) + increment * time) % _CYCLE
    longest = math.ceil(sample_rate / LOWEST_RATE_HZ) + 1
    joined = continued(audio, history, longest)
    taken = (time + longest - count // increment).clamp_min(1)
    index = taken.unsqueeze(1).expand(batch, channels, length)
    held = joined.gather(-1, index)
    slope = (held - joined.gather(-1, index - 1)).detach()
    age = (count / _CYCLE / ratio).to(audio.dtype).unsqueeze(1)
    phase = (phase + increment.squeeze(1) * length) % _CYCLE
    return held - slope * (age - age.detach()), (joined[..., length:], phase)


def crush(
    audio: Tensor,
    bits: Tensor,
    rate_hz: Tensor,
    mix: Tensor,
    sample_rate: int,
    state: tuple[Tensor, ...] | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """`hold_samples`, then `quantise`, blended with the dry signal.

    Args:
        audio: ``(batch, channel, time)``.
        bits: ``(batch,)`` need not be whole.
        rate_hz: ``(batch,)``.
        mix: ``(batch,)`` share of the crushed signal in [0, 1].
        sample_rate: In Hz.
        state: As the block before left it.

    Returns:
        ``(batch, channel, time)`` and the state; at mix 0, `audio` bit for bit.
    """
    held, state = hold_samples(audio, rate_hz, sample_rate, state)
    crushed = quantise(held.double(), per_item(bits).double()).to(audio.dtype)
    return audio + per_item(mix) * (crushed - audio), state
