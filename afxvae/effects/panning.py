"""Position between the loudspeakers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..dsp import panning
from ..params import Param
from .base import Effect

if TYPE_CHECKING:
    from torch import Tensor

    from .base import Settings, State

__all__ = ["PAN"]


def _pan(
    audio: Tensor, settings: Settings, sample_rate: int, state: State | None = None
) -> tuple[Tensor, State]:
    return panning.pan(audio, **settings), ()


PAN = Effect(
    "pan",
    (Param("position", "", -1.0, 1.0, 0.0, "linear", "-1 left, 0 centre, 1 right.", True),),
    _pan,
    "Constant-power pan; acts on two-channel audio.",
)
