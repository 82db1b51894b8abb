"""The overdrive: a soft clipper, oversampled against aliasing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from .convolution import continued
from .oversampling import OVERSAMPLING_LATENCY, oversampled
from .units import db_to_gain, per_item

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["overdrive", "overdrive_curve"]

_FACTOR = 4
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
    driven = torch.addcmul(k * x, k * bias, x.abs())
    makeup = torch.sqrt(1.0 + (_REFERENCE_LEVEL * k).square())
    return makeup * x * torch.rsqrt(torch.addcmul(torch.ones_like(k), driven, driven))


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
        late `audio` bit for bit. Then the state.
    """
    length = audio.shape[-1]
    drive, asymmetry = per_item(drive_db), per_item(bias)
    change, filters = oversampled(
        audio,
        lambda wide: overdrive_curve(wide, drive, asymmetry) - wide,
        _FACTOR,
        state[1:3] if state else None,
    )
    joined = continued(audio, state[0] if state else None, OVERSAMPLING_LATENCY)
    return joined[..., :length] + per_item(mix) * change, (joined[..., length:], *filters)
