"""Waveshaping, oversampled against aliasing."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import torch

from .convolution import continued
from .units import db_to_gain, per_item

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

__all__ = [
    "OVERSAMPLING_LATENCY",
    "downsample",
    "overdrive",
    "overdrive_curve",
    "oversampled_change",
    "upsample",
]

OVERSAMPLING_LATENCY = 32
"""Samples by which `oversampled_change` is late: half of each of its two filters."""

_FACTOR = 4
_TAPS = 32  # samples at the low rate that one interpolated sample depends on
_FRAME = 64
_KAISER_BETA = 9.0
_CUTOFF = 0.94  # of the low rate's Nyquist frequency
_REFERENCE_LEVEL = 0.1  # -20 dBFS keeps its level whatever the drive


def overdrive_curve(x: Tensor, drive_db: Tensor, bias: Tensor) -> Tensor:
    """Soft clipper ``y = x sqrt((1 + r^2 k^2) / (1 + (k x)^2))``, ``k = 10^(drive/20) - 1``.

    A half wave saturates at about ``1/k``; ``r = 0.1`` is the input level that keeps its amplitude.
    `bias` in [0, 1] drives the positive half wave more and the negative less, which adds even
    harmonics. At 0 dB the curve is the identity.

    Returns:
        Amplitudes of the shape to which the arguments broadcast.
    """
    k = db_to_gain(drive_db) - 1.0
    driven = k * x + (k * bias) * x.abs()
    makeup = torch.sqrt(1.0 + (_REFERENCE_LEVEL * k).square())
    return makeup * x * torch.rsqrt(1.0 + driven.square())


def _taps(distance: Tensor) -> Tensor:
    """Kaiser-windowed sinc at `distance` samples of the low rate."""
    reach = (1.0 - (2.0 * distance / _TAPS).square()).clamp_min(0.0).sqrt()
    beta = torch.tensor(_KAISER_BETA, dtype=distance.dtype)
    window: Tensor = torch.special.i0(beta * reach) / torch.special.i0(beta)
    return _CUTOFF * torch.sinc(_CUTOFF * distance) * window * (distance.abs() < _TAPS // 2)


@functools.lru_cache(maxsize=8)
@torch.inference_mode(False)  # what stays in the cache must also serve where gradients are wanted
def _matrices(dtype: torch.dtype, device: str) -> tuple[Tensor, Tensor]:
    """Interpolation and decimation of one frame with its neighbours, as matrices."""
    low = torch.arange(-_TAPS // 2, _FRAME + _TAPS // 2, dtype=torch.float64).unsqueeze(1)
    high = torch.arange(_FRAME * _FACTOR, dtype=torch.float64) / _FACTOR
    up = _taps(high - low)
    high = torch.arange(-_TAPS // 2 * _FACTOR, (_FRAME + _TAPS // 2) * _FACTOR, dtype=torch.float64)
    low = torch.arange(_FRAME, dtype=torch.float64)
    down = _taps(high.unsqueeze(1) / _FACTOR - low) / _FACTOR
    return up.to(device, dtype), down.to(device, dtype)


def _frames(audio: Tensor, size: int, around: int) -> Tensor:
    """Overlapping frames ``(batch, channel, frame, size + 2 around)``, one every `size` samples."""
    missing = -audio.shape[-1] % size
    padded = torch.nn.functional.pad(audio, (around, around + missing))
    return padded.unfold(-1, size + 2 * around, size)


def upsample(audio: Tensor) -> Tensor:
    """``(batch, channel, time)`` to ``(batch, channel, 4 time)``, without delay."""
    matrix = _matrices(audio.dtype, str(audio.device))[0]
    frames = _frames(audio, _FRAME, _TAPS // 2) @ matrix
    return frames.flatten(-2)[..., : audio.shape[-1] * _FACTOR]


def downsample(audio: Tensor) -> Tensor:
    """``(batch, channel, 4 time)`` to ``(batch, channel, time)``, without delay."""
    matrix = _matrices(audio.dtype, str(audio.device))[1]
    frames = _frames(audio, _FRAME * _FACTOR, _TAPS // 2 * _FACTOR) @ matrix
    return frames.flatten(-2)[..., : audio.shape[-1] // _FACTOR]


def oversampled_change(
    audio: Tensor, curve: Callable[[Tensor], Tensor], history: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """What a waveshaper adds to a block, found at four times the sample rate.

    Args:
        audio: ``(batch, channel, time)``.
        curve: The waveshaper, from any amplitude to another, which leaves 0 at 0.
        history: What came before the block, as returned with the last one; None at the start.

    Returns:
        The dry signal and its change, both ``(batch, channel, time)`` and late by
        `OVERSAMPLING_LATENCY`, and the inputs to remember.
    """
    late = OVERSAMPLING_LATENCY
    joined = continued(audio, history, 2 * late)
    wide = upsample(joined)
    change = downsample(curve(wide) - wide)[..., late:-late]
    return joined[..., late:-late], change, joined[..., audio.shape[-1] :]


def overdrive(
    audio: Tensor,
    drive_db: Tensor,
    bias: Tensor,
    mix: Tensor,
    state: tuple[Tensor, ...] | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """`overdrive_curve` at four times the sample rate, blended with the dry signal.

    Args:
        audio: ``(batch, channel, time)``.
        drive_db: ``(batch,)``, 0 does nothing.
        bias: ``(batch,)`` asymmetry in [0, 1].
        mix: ``(batch,)`` share of the driven signal in [0, 1].
        state: As returned with the block before; None at the start.

    Returns:
        ``(batch, channel, time)``, late by `OVERSAMPLING_LATENCY`; at drive 0 dB or mix 0, the
        late `audio` bit for bit. Then the inputs to remember.
    """
    dry, change, history = oversampled_change(
        audio,
        lambda x: overdrive_curve(x, per_item(drive_db), per_item(bias)),
        state[0] if state else None,
    )
    return dry + per_item(mix) * change, (history,)
