"""What steers a gain: the loudest channel's level, held, smoothed, seen ahead of time.

Signals here are ``(batch, time)`` in float64: a pole of 0.999995 (a second at 192 kHz) leaves
float32 few digits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from .dynamics import attack_release
from .units import time_constant_to_pole

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["fall_back", "held_max", "linked_peak", "moving_average", "sliding_max", "smooth"]

_PIECE = 1 << 17  # long blocks go in pieces, which a processor's cache can hold
_NOTHING = 1e-9  # of what has a logarithm


def linked_peak(audio: Tensor) -> Tensor:
    """Magnitude of the loudest channel: ``(batch, channel, time)`` to ``(batch, time)``."""
    return audio.abs().amax(dim=1).double()


def smooth(
    x: Tensor, rise_ms: Tensor, fall_ms: Tensor, sample_rate: int, last: Tensor
) -> tuple[Tensor, Tensor]:
    """`attack_release` with times in which 63 % of a step are covered.

    Args:
        x: ``(batch, time)`` in float64.
        rise_ms: ``(batch,)`` while `x` lies above the result.
        fall_ms: ``(batch,)`` while it lies below.
        sample_rate: In Hz.
        last: ``(batch,)`` the result's sample before the block.

    Returns:
        ``(batch, time)`` and its last sample.
    """
    rise, fall = (time_constant_to_pole(ms.to(x.dtype), sample_rate) for ms in (rise_ms, fall_ms))
    done = []
    for piece in x.split(_PIECE, dim=1) if x.shape[1] else ():
        done.append(attack_release(piece, rise, fall, last))
        last = done[-1][:, -1]
    return torch.cat(done, dim=1) if done else x, last


def fall_back(x: Tensor, fall_ms: Tensor, sample_rate: int, last: Tensor) -> tuple[Tensor, Tensor]:
    """Follow a rise at once, else fall towards zero: ``y[n] = max(x[n], p y[n-1])``.

    In logarithms this is a running maximum under a constant slope, which needs no loop.

    Args:
        x: ``(batch, time)`` in float64, at least 0.
        fall_ms: ``(batch,)`` in which 63 % are gone.
        sample_rate: In Hz.
        last: ``(batch,)`` the result's sample before the block.

    Returns:
        ``(batch, time)`` and its last sample.
    """
    slope = 1000.0 / (fall_ms.to(x.dtype) * sample_rate).unsqueeze(1)
    line = slope * torch.arange(x.shape[-1] + 1, dtype=x.dtype, device=x.device)
    logarithm = torch.log(torch.cat([last.unsqueeze(1), x], dim=1) + _NOTHING)
    result = torch.exp(torch.cummax(logarithm + line, dim=1).values - line) - _NOTHING
    return result[:, 1:], result[:, -1]


def sliding_max(x: Tensor, window: int) -> Tensor:
    """Largest of every `window` successive samples; ``window - 1`` fewer than in `x`.

    Windows of twice the size are the larger of two, so their number does not matter much.
    """
    width = 1
    while 2 * width <= window:
        x = torch.maximum(x[..., : x.shape[-1] - width], x[..., width:])
        width *= 2
    rest = window - width
    return torch.maximum(x[..., : x.shape[-1] - rest], x[..., rest:]) if rest else x


def held_max(x: Tensor, hold: Tensor, longest: int) -> Tensor:
    """Largest of the last ``1 + hold`` samples, where `hold` need not be whole.

    Between two whole numbers the result lies between theirs, so that gradients reach `hold`.

    Args:
        x: ``(batch, longest + time)``: the block and what came before it.
        hold: ``(batch,)`` in samples, below `longest`.
        longest: Samples that came before the block.

    Returns:
        ``(batch, time)``.
    """
    held = []
    for signal, samples in zip(x, hold, strict=True):
        whole = int(samples)
        shorter = sliding_max(signal[longest - whole - 1 :], whole + 1)
        longer = torch.maximum(shorter[:-1], shorter[1:])
        held.append(torch.lerp(shorter[1:], longer, (samples - whole).to(x.dtype)))
    return torch.stack(held)


def moving_average(x: Tensor, window: int) -> Tensor:
    """Mean of every `window` successive samples of ``(batch, time)`` in float64."""
    total = torch.nn.functional.pad(x.cumsum(-1), (1, 0))
    return (total[..., window:] - total[..., : total.shape[-1] - window]) / window
