"""Flanger and vibrato: a voice whose delay swings, beside the sound or in its place."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from .convolution import continued
from .lfo import lag_odd_channels, phase, start_clock
from .moving import NEIGHBOURS, SHORTEST_LOOP, read_line, recirculate
from .units import per_item

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["LOOK_AHEAD_MS", "VIBRATO_LATENCY", "flanger", "flanger_latency", "vibrato"]

LOOK_AHEAD_MS = 5.0
"""How far the flanger's voice may come before the dry sound."""
VIBRATO_LATENCY = 1
"""Samples; the interpolation looks at one sample after the one it reads."""
_SHORTEST_LOOP_MS = 0.5
_CENTS_TO_LOG = math.log(2.0) / 1200.0


def flanger_latency(sample_rate: int) -> int:
    """Samples by which the flanger is late, so that the voice can come before the dry sound."""
    return math.ceil(LOOK_AHEAD_MS * sample_rate / 1000.0) + 1


def flanger(
    audio: Tensor,
    rate_hz: Tensor,
    depth_ms: Tensor,
    delay_ms: Tensor,
    feedback: Tensor,
    stereo_phase_deg: Tensor,
    mix: Tensor,
    phase_deg: Tensor | None = None,
    step_us: Tensor | None = None,
    *,
    sample_rate: int,
    state: tuple[Tensor, ...] | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """A voice whose delay against the dry sound swings, also through zero.

    With ``d(t) = delay + depth sin(2 pi rate t + phase)`` the voice is ``v(t) = u(t - d(t))``,
    where ``u(t) = x(t) + feedback u(t - |d(t)|)``. So that d can be negative, all is late by
    `flanger_latency`: where `depth_ms` is above `delay_ms`, the voice overtakes the dry sound as
    the second tape machine did. In the feedback, delays below .5 ms count as .5 ms (a loop must
    have some length), so resonances rise up to 2 kHz and stay there while d passes through zero.

    Args:
        audio: ``(batch, channel, time)``.
        rate_hz: ``(batch,)`` swings a second.
        depth_ms: ``(batch,)`` largest deviation of the delay, at most `LOOK_AHEAD_MS`.
        delay_ms: ``(batch,)`` mean delay against the dry sound, at least 0.
        feedback: ``(batch,)`` between -1 and 1.
        stereo_phase_deg: ``(batch,)`` by which the swing of odd channels is late.
        mix: ``(batch,)`` share of the voice in [0, 1].
        phase_deg: ``(batch,)`` where the swing stands at sample 0; 0 if omitted.
        step_us: ``(batch,)`` steps in which the delay moves; it moves smoothly at 0 and if omitted.
            Gradients to the other knobs are those of the smooth swing.
        sample_rate: In Hz.
        state: As returned with the block before; None at the start.

    Returns:
        ``(batch, channel, time)``; at mix 0, `audio` bit for bit, but late. Then the state: what is
        in the loop, the latest inputs, the samples so far.
    """
    channels, length = audio.shape[1:]
    late = flanger_latency(sample_rate)
    looped, inputs, clock = state or (None, None, start_clock(audio))
    angle = lag_odd_channels(
        phase(rate_hz, clock - late, late + length, sample_rate), stereo_phase_deg, channels
    )
    if phase_deg is not None:
        angle = angle + per_item(phase_deg).double() * (math.pi / 180.0)
    mean, depth = (
        per_item(knob).double() * (sample_rate / 1000.0) for knob in (delay_ms, depth_ms)
    )
    delay = mean + depth * torch.sin(angle)  # from the time of the first output to the last input
    if step_us is not None:
        step = per_item(step_us).double() * (sample_rate * 1e-6)
        stepped = step * (delay / step.clamp_min(1e-9)).round()
        delay = torch.where(step > 0.0, stepped + (delay - delay.detach()), delay)
    reach = late + math.ceil(float((mean + depth).detach().max())) + NEIGHBOURS
    shortest = max(SHORTEST_LOOP, _SHORTEST_LOOP_MS * sample_rate / 1000.0)
    loop = delay[..., late:].abs().clamp_min(shortest)
    line = recirculate(audio, loop, per_item(feedback), continued(audio[..., :0], looped, reach))
    voice = read_line(line, late + delay[..., :length])
    inputs = continued(audio, inputs, late)
    dry = inputs[..., :length]
    done = dry + per_item(mix) * (voice - dry)
    return done, (line[..., length:], inputs[..., length:], clock + length)


def vibrato(
    audio: Tensor,
    rate_hz: Tensor,
    depth_cents: Tensor,
    sample_rate: int,
    state: tuple[Tensor, ...] | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Pitch that swings over `depth_cents` to both sides.

    The delay ``d(t) = a (1 - cos(2 pi rate t))`` multiplies every frequency by ``1 - d'(t)``. With
    ``2 pi rate a = tanh(depth ln 2 / 1200)``, highest and lowest pitch are exactly twice the depth
    apart. The delay is 0 at sample 0 and ``2 a`` half a swing later (1.8 ms at 5 Hz, 50 cents).

    Args:
        audio: ``(batch, channel, time)``.
        rate_hz: ``(batch,)`` swings a second.
        depth_cents: ``(batch,)`` hundredths of a semitone.
        sample_rate: In Hz.
        state: As returned with the block before; None at the start.

    Returns:
        ``(batch, channel, time)``, late by `VIBRATO_LATENCY`; at depth 0 otherwise `audio` bit for
        bit. Then the latest inputs and the samples so far.
    """
    channels, length = audio.shape[1:]
    past, clock = state or (None, start_clock(audio))
    steepest = torch.tanh(per_item(depth_cents).double() * _CENTS_TO_LOG)
    swing = sample_rate * steepest / (2.0 * math.pi * per_item(rate_hz).double())
    angle = phase(rate_hz, clock - VIBRATO_LATENCY, length, sample_rate)
    delay = VIBRATO_LATENCY + swing * (1.0 - torch.cos(angle))
    reach = VIBRATO_LATENCY + math.ceil(float(2.0 * swing.detach().max())) + NEIGHBOURS
    line = continued(audio, past, reach)
    done = read_line(line, delay.expand(-1, channels, -1))
    return done, (line[..., length:], clock + length)
