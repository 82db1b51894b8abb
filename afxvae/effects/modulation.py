"""Effects that swing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..dsp import modulation
from ..params import Param
from .base import Effect

if TYPE_CHECKING:
    from torch import Tensor

    from .base import Settings, State

__all__ = ["CHORUS"]

_PARAMS = (
    Param("rate_hz", "Hz", 0.05, 8.0, 0.8, "log", "Swings a second."),
    Param("depth_ms", "ms", 0.1, 6.0, 2.0, "log", "Largest deviation of the delay."),
    Param("delay_ms", "ms", 4.0, 30.0, 12.0, "log", "Mean delay of the voice."),
    Param("mix", "", 0.0, 1.0, 0.0, "linear", "Share of the voice.", True),
)


def _chorus(
    audio: Tensor, settings: Settings, sample_rate: int, state: State | None = None
) -> tuple[Tensor, State]:
    return modulation.chorus(audio, **settings, sample_rate=sample_rate, state=state)


CHORUS = Effect("chorus", _PARAMS, _chorus, "One voice with a swinging delay.")
