"""Effects that multiply a sound by an oscillator."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from .lfo import lag_odd_channels, phase, start_clock
from .units import per_item

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ring_modulate", "squared_cosine", "tremolo"]

_STEEPEST = 400.0


def squared_cosine(angle: Tensor, shape: Tensor) -> Tensor:
    """A cosine at shape 0, nearly a square wave at 1, always between -1 and 1.

    ``cos(t) sqrt((1 + q) / (1 + q cos(t)^2))`` with ``q = 401^shape - 1``. At 1, a change of sides
    takes 3 % of a period between 90 % of both: quick, but no click.

    Args:
        angle: ``(batch, channel, time)`` in radians.
        shape: ``(batch,)`` in [0, 1].
    """
    steepness = torch.expm1(per_item(shape).to(angle.dtype) * math.log1p(_STEEPEST))
    cosine = torch.cos(angle)
    return cosine * torch.sqrt((1.0 + steepness) / (1.0 + steepness * cosine.square()))


def tremolo(
    audio: Tensor,
    rate_hz: Tensor,
    depth: Tensor,
    shape: Tensor,
    stereo_phase_deg: Tensor,
    sample_rate: int,
    state: tuple[Tensor, ...] | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Level that swings between 1 and ``1 - depth``, full at sample 0.

    ``y = x - depth x (1 - w) / 2``, w from `squared_cosine`.

    Args:
        audio: ``(batch, channel, time)``.
        rate_hz: ``(batch,)`` swings a second.
        depth: ``(batch,)`` in [0, 1].
        shape: ``(batch,)`` 0 for a sine, 1 for a square.
        stereo_phase_deg: ``(batch,)`` by which odd channels are late; at 180 the sound goes from
            side to side.
        sample_rate: In Hz.
        state: As returned with the block before; None at the start.

    Returns:
        ``(batch, channel, time)``; at depth 0, `audio` bit for bit. Then the samples so far.
    """
    channels, length = audio.shape[1:]
    (clock,) = state or (start_clock(audio),)
    angle = lag_odd_channels(phase(rate_hz, clock, length, sample_rate), stereo_phase_deg, channels)
    dip = (0.5 - 0.5 * squared_cosine(angle, shape)).to(audio.dtype)
    return audio - per_item(depth) * (dip * audio), (clock + length,)


def ring_modulate(
    audio: Tensor,
    carrier_hz: Tensor,
    mix: Tensor,
    sample_rate: int,
    state: tuple[Tensor, ...] | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Product with a sine: partials at f go to ``carrier - f`` and ``carrier + f``, half as strong.

    The sine is at 0 and rising at sample 0. Nothing is oversampled: what the sum brings above half
    the sample rate is folded back, as in any multiplication of samples.

    Args:
        audio: ``(batch, channel, time)``.
        carrier_hz: ``(batch,)`` frequency of the sine.
        mix: ``(batch,)`` share of the product in [0, 1].
        sample_rate: In Hz.
        state: As returned with the block before; None at the start.

    Returns:
        ``(batch, channel, time)``; at mix 0, `audio` bit for bit. Then the samples so far.
    """
    length = audio.shape[-1]
    (clock,) = state or (start_clock(audio),)
    carrier = torch.sin(phase(carrier_hz, clock, length, sample_rate)).to(audio.dtype)
    return audio + per_item(mix) * (audio * carrier - audio), (clock + length,)
