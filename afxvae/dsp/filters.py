"""Second-order filters of the Audio EQ Cookbook, as exact frequency responses.

With ``s = j tan(w/2) / tan(w0/2)`` the cookbook's digital filters equal their analogue prototypes
(Bristow-Johnson, *Cookbook formulae for audio equalizer biquad filter coefficients*). Writing
``tan(w0/2) = k``, ``sin(w/2) = t``, ``cos(w/2) = c`` and dividing by ``(c k)^2 + t^2`` gives
numbers between -1 and 1 at every frequency, so float32 suffices even at 20 Hz, where the difference
equation loses its digits; only what cancels near the corner is computed in float64. The sampled
response makes an FIR filter longer than the response lasts; the result equals the recursive filter
to below -120 dB of the louder of input and output.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import torch

from .convolution import convolve, kept
from .units import db_to_gain, fast_length

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from torch import Tensor

__all__ = ["add_filtered_difference", "cut", "multiply", "peak", "shelf"]

_BUTTERWORTH_Q = math.sqrt(0.5)
_HIGHEST_FREQUENCY = 0.49  # of the sample rate


def _bilinear(
    frequency_hz: Tensor, grid_hz: Tensor, sample_rate: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """``(s^2, s, 1)`` without j and signs, then ``1 + s^2``, each ``(batch, bin)``."""
    frequency = frequency_hz.double().clamp(max=_HIGHEST_FREQUENCY * sample_rate).unsqueeze(-1)
    k = torch.tan(math.pi * frequency / sample_rate)
    half = grid_hz.double() * (math.pi / sample_rate)
    t, c = torch.sin(half), torch.cos(half)
    ck = c * k
    tt = t * t
    norm = 1.0 / (ck * ck + tt)
    w2 = tt * norm
    dtype = frequency_hz.dtype
    return w2.to(dtype), (ck * t * norm).to(dtype), (1.0 - w2).to(dtype), (1.0 - 2.0 * w2).to(dtype)


def peak(
    frequency_hz: Tensor, gain_db: Tensor, q: Tensor, grid_hz: Tensor, sample_rate: int
) -> tuple[Tensor, Tensor]:
    """Peaking filter, whose gain at the centre frequency is `gain_db`.

    ``H(s) = (s^2 + s A/Q + 1) / (s^2 + s/(A Q) + 1)``, ``A = 10^(gain/40)``. At 0 dB numerator and
    denominator are the same numbers.

    Returns:
        Complex numerator and denominator on `grid_hz`, each ``(batch, bin)``.
    """
    _, wq, _, real = _bilinear(frequency_hz, grid_hz, sample_rate)
    a = db_to_gain(0.5 * gain_db).unsqueeze(-1)
    width = wq / q.unsqueeze(-1)
    return torch.complex(real, width * a), torch.complex(real, width / a)


def shelf(
    frequency_hz: Tensor,
    gain_db: Tensor,
    grid_hz: Tensor,
    sample_rate: int,
    side: Literal["low", "high"],
) -> tuple[Tensor, Tensor]:
    """Shelving filter of slope 1 (Q = 1/sqrt 2).

    Low shelf ``H(s) = A (s^2 + s sqrt(A)/Q + A) / (A s^2 + s sqrt(A)/Q + 1)``; the high shelf has
    ``s^2`` and ``1`` exchanged. The gain at `frequency_hz` is half of `gain_db`.

    Returns:
        Complex numerator and denominator on `grid_hz`, each ``(batch, bin)``.
    """
    w2, wq, one, _ = _bilinear(frequency_hz, grid_hz, sample_rate)
    a = db_to_gain(0.5 * gain_db).unsqueeze(-1)
    width = wq * torch.sqrt(a) / _BUTTERWORTH_Q
    if side == "low":
        return torch.complex(a * (a * one - w2), a * width), torch.complex(one - a * w2, width)
    return torch.complex(a * (one - a * w2), a * width), torch.complex(a * one - w2, width)


def cut(
    frequency_hz: Tensor,
    off_hz: float,
    grid_hz: Tensor,
    sample_rate: int,
    side: Literal["low", "high"],
) -> tuple[Tensor, Tensor]:
    """Butterworth cut, 12 dB per octave, -3 dB at `frequency_hz`; no effect at `off_hz`.

    ``H(s) = s^2 / (s^2 + s/Q + 1)`` for ``side="low"`` (what lies below goes), ``1 / (...)`` for
    ``"high"``.

    Returns:
        Complex numerator and denominator on `grid_hz`, each ``(batch, bin)``.
    """
    w2, wq, one, real = _bilinear(frequency_hz, grid_hz, sample_rate)
    denominator = torch.complex(real, wq / _BUTTERWORTH_Q)
    kept = -w2 if side == "low" else one
    numerator = torch.complex(kept, torch.zeros_like(kept))
    off = (frequency_hz == off_hz).unsqueeze(-1)
    return torch.where(off, denominator, numerator), denominator


def multiply(sections: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Cascade of sections: product of the numerators and of the denominators."""
    numerator, denominator = sections[0]
    for upper, lower in sections[1:]:
        numerator = numerator * upper
        denominator = denominator * lower
    return numerator, denominator


def add_filtered_difference(
    audio: Tensor,
    settings: Collection[Tensor],
    difference_of: Callable[[Tensor], Tensor],
    tail_s: float,
    sample_rate: int,
    state: tuple[Tensor, ...] | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Return ``audio + (H - 1) * audio``.

    ``H - 1`` is sampled finely enough for a response of `tail_s` seconds, which makes it an FIR
    filter of that length; the convolution is by FFT.

    Args:
        audio: ``(batch, channel, time)``.
        settings: What `difference_of` depends on, each ``(batch,)``.
        difference_of: Called with frequencies in Hz ``(bin,)`` in float64; returns ``H - 1`` as a
            complex tensor ``(batch, bin)`` of the audio's precision.
        tail_s: How long the response lasts until it is negligible, in seconds.
        sample_rate: In Hz.
        state: As returned with the block before; None at the start.

    Returns:
        ``(batch, channel, time)``; where ``H - 1`` is zero, `audio` bit for bit. Then the inputs to
        remember, the response and the settings that it stands for.
    """

    def response() -> Tensor:
        taps = fast_length(math.ceil(tail_s * sample_rate))
        grid = torch.arange(taps // 2 + 1, dtype=torch.float64, device=audio.device)
        impulse: Tensor = torch.fft.irfft(difference_of(grid * (sample_rate / taps)), taps)
        return impulse.unsqueeze(1)

    history, *known = state or (None,)
    own = kept(settings, response, tuple(known))
    change, history = convolve(audio, own[0], history)
    return audio + change, (history, *own)
