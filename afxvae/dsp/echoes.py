"""Echoes that grow darker and change sides."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from .lines import fractional_delay, run_lines
from .units import fast_length, per_item

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ping_pong"]

_HIGHEST_FREQUENCY = 0.49  # of the sample rate
_TAIL_S = 0.005  # in which the low-pass at 500 Hz falls by 130 dB


def _low_pass(frequency_hz: Tensor, sample_rate: int) -> Tensor:
    """Impulse response ``(batch, tap)`` of ``H(s) = 1 / (s + 1)``, -3 dB at `frequency_hz`."""
    corner = frequency_hz.double().clamp(max=_HIGHEST_FREQUENCY * sample_rate).unsqueeze(-1)
    k = torch.tan(math.pi * corner / sample_rate)
    share, pole = k / (1.0 + k), (1.0 - k) / (1.0 + k)
    power = torch.arange(math.ceil(_TAIL_S * sample_rate), dtype=k.dtype, device=k.device)
    return torch.cat([share, share * (1.0 + pole) * pole**power], dim=-1)


def ping_pong(
    audio: Tensor,
    time_ms: Tensor,
    feedback: Tensor,
    tone_hz: Tensor,
    ping_pong: Tensor,
    mix: Tensor,
    sample_rate: int,
    state: tuple[Tensor, ...] | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Feedback delay with a low-pass in the loop; on two channels, echoes can change sides.

    At `ping_pong` 1 the first echo, that of (L + R) / 2, comes from the left, the second from the
    right, and so on; at 0 every channel has its own echoes. In between the two blend: the share
    `ping_pong` of an echo goes over to the other side.

    Args:
        audio: ``(batch, channel, time)``; other than two channels ignore `ping_pong`.
        time_ms: ``(batch,)`` from one echo to the next.
        feedback: ``(batch,)`` level of an echo relative to the one before, in [0, 1).
        tone_hz: ``(batch,)`` where an echo has lost 3 dB against the one before, 6 dB per octave.
        ping_pong: ``(batch,)`` in [0, 1].
        mix: ``(batch,)`` share of the echoes in [0, 1].
        sample_rate: In Hz.
        state: As returned with the block before; None at the start.

    Returns:
        ``(batch, channel, time)``, at mix 0 `audio` bit for bit, and the state.
    """
    channels = audio.shape[1]
    first, taps = fractional_delay(time_ms.double() * (sample_rate / 1000.0))
    low_pass = _low_pass(tone_hz, sample_rate)
    count = fast_length(taps.shape[-1] + low_pass.shape[-1])
    spectrum = torch.fft.rfft(taps, count) * torch.fft.rfft(low_pass, count)
    filters = torch.fft.irfft(spectrum, count).to(audio.dtype).unsqueeze(1)
    mixing = torch.eye(channels, dtype=audio.dtype, device=audio.device)
    drive = audio
    if channels == 2:
        over = per_item(ping_pong)
        mixing = (1.0 - over) * mixing + over * mixing.flip(0)
        left, right = audio.chunk(2, dim=1)
        drive = torch.cat([left + 0.5 * over * (right - left), (1.0 - over) * right], dim=1)
    wet, history = run_lines(
        drive,
        filters.expand(-1, channels, -1),
        first.unsqueeze(1).expand(-1, channels),
        per_item(feedback) * mixing,
        state[0] if state else None,
    )
    return audio + per_item(mix) * (wet - audio), (history,)
