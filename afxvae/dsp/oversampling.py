"""A higher sample rate for what bends the waveform, in blocks.

Both directions are linear-phase filters of 32 samples of the low rate (Kaiser-windowed sinc), so
each makes a signal late by `DELAY` of them. Frames times a matrix do all phases at once.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import torch

from .convolution import continued
from .windows import kaiser

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

__all__ = ["DELAY", "MEMORY", "OVERSAMPLING_LATENCY", "downsample", "oversampled", "upsample"]

MEMORY = 32
"""Samples of the low rate that one sample of the result depends on."""
DELAY = MEMORY // 2
"""Samples of the low rate by which one direction is late."""
OVERSAMPLING_LATENCY = 2 * DELAY
"""Samples by which `oversampled` is late."""
_PIECE = 1 << 14  # long blocks go in pieces, which a processor's cache can hold
_FRAME = 32
_KAISER_BETA = 9.0
_CUTOFF = 0.94  # of the low rate's Nyquist frequency; -80 dB from 1.1 on


def _taps(distance: Tensor, cutoff: float) -> Tensor:
    """Kaiser-windowed sinc at `distance` samples of the low rate."""
    window = kaiser(distance / DELAY, _KAISER_BETA)
    return cutoff * torch.sinc(cutoff * distance) * window * (distance.abs() < DELAY)


@functools.lru_cache(maxsize=16)
@torch.inference_mode(False)  # what stays in the cache must also serve where gradients are wanted
def _up(factor: int, cutoff: float, dtype: torch.dtype, device: str) -> Tensor:
    low = torch.arange(-DELAY, _FRAME + DELAY, dtype=torch.float64).unsqueeze(1)
    high = torch.arange(_FRAME * factor, dtype=torch.float64) / factor
    return _taps(high - low, cutoff).to(device, dtype)


@functools.lru_cache(maxsize=16)
@torch.inference_mode(False)
def _down(factor: int, dtype: torch.dtype, device: str) -> Tensor:
    high = torch.arange(-DELAY * factor, (_FRAME + DELAY) * factor, dtype=torch.float64) / factor
    taps = _taps(high.unsqueeze(1) - torch.arange(_FRAME, dtype=torch.float64), _CUTOFF)
    return (taps / factor).to(device, dtype)


def _framewise(joined: Tensor, matrix: Tensor, step: int) -> Tensor:
    """Every frame of as many samples as `matrix` has rows, one each `step`, times the matrix."""
    overlap = len(matrix) - step
    frames = -(-(joined.shape[-1] - overlap) // step)
    padded = torch.nn.functional.pad(joined, (0, (frames + 1) * step - joined.shape[-1]))
    pieces: Tensor = padded.unflatten(-1, (-1, step))  # a frame is a piece and the next one's start
    product = pieces[..., :-1, :] @ matrix[:step]
    return (product + pieces[..., 1:, :overlap] @ matrix[step:]).flatten(-2)


def upsample(
    audio: Tensor, history: Tensor | None, factor: int, cutoff: float = _CUTOFF
) -> tuple[Tensor, Tensor]:
    """``(batch, channel, time)`` to ``(batch, channel, factor * time)``, late by `DELAY`.

    Args:
        audio: A block.
        history: At least the last `MEMORY` samples before it, or None at the start.
        factor: Samples for one.
        cutoff: -6 dB point relative to the Nyquist frequency of `audio`; at 1 every sample is
            found again in the result.

    Returns:
        The block at the high rate, and the history for the next.
    """
    joined = continued(audio, history, MEMORY)
    matrix = _up(factor, cutoff, audio.dtype, str(audio.device))
    wide = _framewise(joined, matrix, _FRAME)[..., : audio.shape[-1] * factor]
    return wide, joined[..., audio.shape[-1] :]


def downsample(wide: Tensor, history: Tensor | None, factor: int) -> tuple[Tensor, Tensor]:
    """``(batch, channel, factor * time)`` to ``(batch, channel, time)``, late by `DELAY`.

    Returns:
        The block at the low rate, and the history for the next.
    """
    joined = continued(wide, history, MEMORY * factor)
    matrix = _down(factor, wide.dtype, str(wide.device))
    audio = _framewise(joined, matrix, _FRAME * factor)[..., : wide.shape[-1] // factor]
    return audio, joined[..., wide.shape[-1] :]


def oversampled(
    audio: Tensor,
    curve: Callable[[Tensor], Tensor],
    factor: int,
    state: tuple[Tensor, ...] | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Apply a memoryless `curve` at `factor` times the rate.

    Returns:
        ``(batch, channel, time)``, late by `OVERSAMPLING_LATENCY`, and the state.
    """
    silence = audio[..., :0]
    before, after = state or (silence, silence)
    bent = []
    for piece in audio.split(_PIECE, dim=-1):
        wide, before = upsample(piece, before, factor)
        low, after = downsample(curve(wide), after, factor)
        bent.append(low)
    return torch.cat(bent, dim=-1), (before, after)
