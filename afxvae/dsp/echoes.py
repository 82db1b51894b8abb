"""Echoes that grow darker, change sides, or come from two taps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from .lines import fractional_delay, run_lines
from .units import fast_length, per_item

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ping_pong", "two_taps"]

_HIGHEST_FREQUENCY = 0.49  # of the sample rate
_PERIODS = 2.5  # of a low-pass' corner, in which it falls by 130 dB


def _low_pass(frequency_hz: Tensor, sample_rate: int, lowest_hz: float) -> Tensor:
    """Impulse response ``(batch, tap)`` of ``H(s) = 1 / (s + 1)``, -3 dB at `frequency_hz`."""
    corner = frequency_hz.double().clamp(max=_HIGHEST_FREQUENCY * sample_rate).unsqueeze(-1)
    k = torch.tan(math.pi * corner / sample_rate)
    share, pole = k / (1.0 + k), (1.0 - k) / (1.0 + k)
    power = torch.arange(
        math.ceil(_PERIODS / lowest_hz * sample_rate), dtype=k.dtype, device=k.device
    )
    return torch.cat([share, share * (1.0 + pole) * pole**power], dim=-1)


def _line_filters(taps: Tensor, tone: Tensor, like: Tensor) -> Tensor:
    """Interpolation ``(batch, [line,] tap)`` and tone ``(batch, tap)`` in one filter."""
    count = fast_length(taps.shape[-1] + tone.shape[-1])
    tone = tone if taps.dim() == tone.dim() else tone.unsqueeze(1)
    spectrum = torch.fft.rfft(taps, count) * torch.fft.rfft(tone, count)
    filters: Tensor = torch.fft.irfft(spectrum, count).to(like.dtype)
    return filters


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
    low_pass = _low_pass(tone_hz, sample_rate, lowest_hz=500.0)
    filters = _line_filters(taps, low_pass, audio).unsqueeze(1)
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


def two_taps(
    audio: Tensor,
    left_ms: Tensor,
    right_ms: Tensor,
    feedback: Tensor,
    tone_db: Tensor,
    tone_hz: Tensor,
    mix: Tensor,
    sample_rate: int,
    state: tuple[Tensor, ...] | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """One delay line with a tap for each side, both of which feed back into it.

    ``w = (v[n - left] + v[n - right]) / 2`` and ``v = shelf(x + feedback w)``, with the mean of all
    channels for x. Two channels hear a tap each, any other number the mean of both.

    Args:
        audio: ``(batch, channel, time)``.
        left_ms: ``(batch,)`` to the first echo on the left.
        right_ms: ``(batch,)`` on the right.
        feedback: ``(batch,)`` in [0, 1).
        tone_db: ``(batch,)`` gain of treble against bass, for every way through the line.
        tone_hz: ``(batch,)`` at least 150 Hz, the corner of the bass; a first-order shelf.
        mix: ``(batch,)`` share of the echoes in [0, 1].
        sample_rate: In Hz.
        state: As returned with the block before; None at the start.

    Returns:
        ``(batch, channel, time)``, at mix 0 `audio` bit for bit, and the state.
    """
    times = torch.stack([left_ms, right_ms], 1).double()
    first, taps = fractional_delay(times * (sample_rate / 1000.0))
    low_pass = _low_pass(tone_hz, sample_rate, lowest_hz=150.0)
    treble = 10.0 ** (tone_db.double().unsqueeze(1) / 20.0)
    direct = torch.zeros_like(low_pass)
    direct[:, 0] = 1.0
    shelf = low_pass + treble * (direct - low_pass)
    sent = audio.mean(1, keepdim=True).expand(-1, 2, -1)
    wet, history = run_lines(
        sent,
        _line_filters(taps, shelf, audio),
        first,
        0.5 * per_item(feedback).expand(-1, 2, 2),
        state[0] if state else None,
    )
    if audio.shape[1] != 2:
        wet = wet.mean(1, keepdim=True)
    return audio + per_item(mix) * (wet - audio), (history,)
