"""Where a sound is between two loudspeakers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from .units import per_item

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["pan"]


def pan(audio: Tensor, position: Tensor) -> Tensor:
    """Constant-power pan: gains ``sqrt 2 cos`` and ``sqrt 2 sin`` of ``(position + 1) pi / 4``.

    The centre is the reference: there both gains are 1, at the ends one is +3 dB, the other 0.

    Args:
        audio: ``(batch, channel, time)``; other than two channels pass unchanged.
        position: ``(batch,)`` from -1 (left) to 1 (right).
    """
    if audio.shape[1] != 2:
        return audio
    angle = per_item(position) * (math.pi / 4.0)
    cosine, sine = torch.cos(angle), torch.sin(angle)
    return audio * torch.cat([cosine - sine, cosine + sine], dim=1)
