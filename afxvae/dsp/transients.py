"""Transient shaper: beginnings and tails of sounds louder or softer, whatever their level."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from .convolution import continued
from .envelopes import fall_back, linked_peak, moving_average, sliding_max, smooth
from .units import db_to_gain

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["shape_transients", "transient_latency"]

_HOLD_S = 0.01  # half a period of 50 Hz: a steady tone has a steady envelope
_FALL_MS = 5.0
_AVERAGE_S = 0.001
_SILENCE = 1e-6


def transient_latency(sample_rate: int) -> int:
    """Samples by which `shape_transients` is late: 1 ms, over which its gain is averaged."""
    return max(1, round(_AVERAGE_S * sample_rate))


def shape_transients(
    audio: Tensor,
    attack_db: Tensor,
    sustain_db: Tensor,
    attack_ms: Tensor,
    sustain_ms: Tensor,
    sample_rate: int,
    state: tuple[Tensor, ...] | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Gain by the relative difference of a fast envelope ``f`` and slow ones.

    ``u`` follows ``f`` slowly upwards, ``d`` follows it slowly downwards. Where ``u < f``, the
    gain is ``attack_db (1 - u/f)`` in dB, where ``f < d``, ``sustain_db (1 - f/d)``: a rise from
    silence begins with all of `attack_db`, a fall to silence ends with all of `sustain_db`, a
    steady tone is left as it is, and the level does not matter.

    Args:
        audio: ``(batch, channel, time)``; the loudest channel steers all of them.
        attack_db: ``(batch,)`` gain of beginnings.
        sustain_db: ``(batch,)`` gain of tails.
        attack_ms: ``(batch,)`` after which 37 % of a beginning's gain are left.
        sustain_ms: ``(batch,)`` in which ``d`` falls by 63 %: longer tails count less.
        sample_rate: In Hz.
        state: As the block before left it.

    Returns:
        ``(batch, channel, time)``, late by `transient_latency`, and the state; with both gains at
        0, `audio` bit for bit.
    """
    heard, peaks, falling, slow, long, gains = state or (None,) * 6
    length, late = audio.shape[-1], transient_latency(sample_rate)
    joined = continued(audio, heard, late)
    hold = round(_HOLD_S * sample_rate)
    levels = continued(linked_peak(audio), peaks, hold)
    start = levels.new_zeros(len(levels))
    fall = torch.full_like(start, _FALL_MS)
    falling, slow, long = (start if last is None else last for last in (falling, slow, long))
    fast, falling = fall_back(sliding_max(levels, hold + 1), fall, sample_rate, falling)
    up, slow = smooth(fast, attack_ms, fall, sample_rate, slow)
    down, long = fall_back(fast, sustain_ms, sample_rate, long)
    beginning = torch.relu(fast - up) / (fast + _SILENCE)
    tail = (down - fast) / (down + _SILENCE)
    gain_db = attack_db.unsqueeze(1) * beginning + sustain_db.unsqueeze(1) * tail
    recent = continued(gain_db, gains, late)
    gain = db_to_gain(moving_average(recent, late + 1)).to(audio.dtype).unsqueeze(1)
    state = (joined[..., length:], levels[:, length:], falling, slow, long, recent[:, length:])
    return joined[..., :length] * gain, state
