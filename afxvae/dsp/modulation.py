"""The chorus."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from .convolution import continued
from .lfo import lag_odd_channels, phase, start_clock
from .moving import NEIGHBOURS, read_line
from .units import per_item

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["chorus"]

_SHORTEST_DELAY = 2.0  # samples


def chorus(
    audio: Tensor,
    rate_hz: Tensor,
    depth_ms: Tensor,
    delay_ms: Tensor,
    mix: Tensor,
    phase_deg: Tensor | None = None,
    *,
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
        phase_deg: ``(batch,)`` where the swing stands at sample 0; 0 if omitted.
        sample_rate: In Hz.
        state: As returned with the block before; None at the start.

    Returns:
        ``(batch, channel, time)``; at mix 0, `audio` bit for bit. Then the inputs to remember and
        the number of samples so far.
    """
    channels, length = audio.shape[1:]
    history, clock = state or (None, start_clock(audio))
    quarter = torch.full_like(rate_hz, 90.0)
    angle = lag_odd_channels(phase(rate_hz, clock, length, sample_rate), quarter, channels)
    if phase_deg is not None:
        angle = angle + per_item(phase_deg).double() * (math.pi / 180.0)
    mean, depth = (
        per_item(knob).double() * (sample_rate / 1000.0) for knob in (delay_ms, depth_ms)
    )
    delay = (mean + depth * torch.sin(angle)).clamp_min(_SHORTEST_DELAY)
    reach = math.ceil(max(_SHORTEST_DELAY, float((mean + depth).detach().max()))) + NEIGHBOURS
    line = continued(audio, history, reach)
    voice = read_line(line, delay)
    return audio + per_item(mix) * (voice - audio), (line[..., length:], clock + length)
