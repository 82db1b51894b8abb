"""Delay lines that feed one another: what echoes and rooms are made of.

Line i holds ``v_i`` and gives ``s_i[n] = sum_k f_i[k] v_i[n - first_i - k]``: a delay of any
length, not only of whole samples, and a filter in one. What the lines give goes back into them,
``v = x + M s``. As no line is shorter than some hundred samples, so many are computed at once.

The gradient is the same network run backwards in time with the transposed matrix, so nothing of
the loop is kept but its signals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import pad

from .units import fast_length
from .windows import windowed_sinc

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["HALF_WIDTH", "fractional_delay", "run_lines"]

HALF_WIDTH = 16
"""Samples on each side of the point between samples that an interpolation looks at."""
_KAISER_BETA = 8.0
_SEGMENT = 8192


def fractional_delay(delay: Tensor) -> tuple[Tensor, Tensor]:
    """Sinc interpolator, with an error of less than -75 dB to .4 of the sample rate.

    Shorter than that of `afxvae.dsp.delay`, so that lines of a few milliseconds can have it at low
    sample rates. Whole delays are exact.

    Args:
        delay: ``(...)`` in samples, in float64; gradients reach it.

    Returns:
        Delay of the first tap ``(...)`` as integers, and taps ``(..., 2 * HALF_WIDTH)``.
    """
    whole = delay.detach().floor()
    step = torch.arange(1 - HALF_WIDTH, HALF_WIDTH + 1, dtype=delay.dtype, device=delay.device)
    offset = step - (delay - whole).unsqueeze(-1)
    taps = windowed_sinc(offset, HALF_WIDTH, _KAISER_BETA)
    return whole.long() + (1 - HALF_WIDTH), taps / taps.sum(-1, keepdim=True)


class _Reader:
    """Reads spans of lines ``(batch, line, time)``, each late by its own delay."""

    def __init__(self, first: Tensor, past: int, taps: int, size: int) -> None:
        self.n_fft = fast_length(size + taps - 1)
        span = torch.arange(size + taps - 1, device=first.device)
        self.index = span + (past + 1 - taps - first).unsqueeze(-1)

    def spectrum(self, lines: Tensor, start: int) -> Tensor:
        """Of what outputs from `start` on need: the oldest sample for the last tap comes first."""
        index = (self.index + start).clamp_max(lines.shape[-1] - 1)
        spectrum: Tensor = torch.fft.rfft(lines.gather(-1, index), self.n_fft)
        return spectrum


def _recur(
    drive: Tensor, filters: Tensor, first: Tensor, mixing: Tensor, history: Tensor
) -> tuple[Tensor, Tensor]:
    """What the lines give ``(batch, line, time)``, and `history` followed by what went in."""
    length, past, taps = drive.shape[-1], history.shape[-1], filters.shape[-1]
    size = max(1, min(int(first.min()), length))
    reader = _Reader(first, past, taps, size)
    response = torch.fft.rfft(filters, reader.n_fft)
    lines = torch.cat([history, drive], dim=-1)
    given = torch.empty_like(drive)
    for start in range(0, length, size):
        end = min(start + size, length)
        read = torch.fft.irfft(reader.spectrum(lines, start) * response, reader.n_fft)
        part = read[..., taps - 1 : taps - 1 + end - start]
        given[..., start:end] = part
        lines[..., past + start : past + end] += mixing @ part
    return given, lines


def _correlate(wanted: Tensor, lines: Tensor, first: Tensor, taps: int) -> Tensor:
    """``sum_n wanted[n] lines[n - first - k]`` for every tap k: ``(batch, line, tap)``."""
    length = wanted.shape[-1]
    size = max(1, min(_SEGMENT, length))
    reader = _Reader(first, lines.shape[-1] - length, taps, size)
    total = torch.zeros((), dtype=wanted.dtype, device=wanted.device)
    for start in range(0, length, size):
        part = torch.fft.rfft(wanted[..., start : start + size], reader.n_fft)
        total = total + part.conj() * reader.spectrum(lines, start)
    correlation: Tensor = torch.fft.irfft(total, reader.n_fft)[..., :taps].flip(-1)
    return correlation


class _Lines(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, drive: Tensor, filters: Tensor, first: Tensor, mixing: Tensor, history: Tensor
    ) -> tuple[Tensor, Tensor]:
        given, lines = _recur(drive, filters, first, mixing, history)
        ctx.save_for_backward(given, lines, filters, first, mixing)
        return given, lines[..., drive.shape[-1] :].clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        by_given, by_history = gradients
        given, lines, filters, first, mixing = ctx.saved_tensors
        length, past = given.shape[-1], by_history.shape[-1]
        by_lines = pad(by_history, (length, 0)).flip(-1)  # from here on time runs backwards
        drive = by_given.flip(-1) + mixing.mT @ by_lines[..., :length]
        rest = torch.zeros_like(by_history)
        back, wanted = _recur(drive, filters, first, mixing.mT, rest)
        by_drive = (back + by_lines[..., :length]).flip(-1)
        by_filters = by_mixing = by_past = None
        if ctx.needs_input_grad[1]:
            by_filters = _correlate(wanted[..., past:].flip(-1), lines, first, filters.shape[-1])
        if ctx.needs_input_grad[3]:
            by_mixing = by_drive @ given.mT
        if ctx.needs_input_grad[4]:
            recent = wanted[..., length:]
            older, _ = _recur(rest, filters, first, torch.zeros_like(mixing), recent)
            by_past = (older + by_lines[..., length:]).flip(-1)
        return by_drive, by_filters, None, by_mixing, by_past


def run_lines(
    drive: Tensor, filters: Tensor, first: Tensor, mixing: Tensor, history: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Run a network of delay lines.

    Args:
        drive: ``(batch, line, time)``, what goes into the lines from outside.
        filters: ``(batch, line, tap)``.
        first: ``(batch, line)`` integers, the delay of each line's first tap, at least 1.
        mixing: ``(batch, line, line)``, from what lines give to what goes into them.
        history: What went into the lines before, ``(batch, line, past)``; None for silence.

    Returns:
        What the lines give, ``(batch, line, time)``, and the new history. Differentiable in all
        but `first`.
    """
    needed = int(first.max()) + filters.shape[-1] - 1
    if history is None:
        history = drive.new_zeros(*drive.shape[:2], needed)
    history = pad(history, (needed - history.shape[-1], 0))
    given, history = _Lines.apply(drive, filters, first, mixing, history)
    return given, history
