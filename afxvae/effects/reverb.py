"""Effects that put the sound into a room."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..dsp import space
from ..params import Param
from .base import Effect

if TYPE_CHECKING:
    from torch import Tensor

    from .base import Settings, State

__all__ = ["REVERB"]

_PARAMS = (
    Param("decay_s", "s", 0.1, 6.0, 1.0, "log", "Time in which the bass falls by 60 dB (RT60)."),
    Param("treble_ratio", "", 0.1, 1.0, 0.5, "log", "RT60 of the treble relative to the bass."),
    Param("pre_delay_ms", "ms", 0.0, 100.0, 10.0, "linear", "Time before the first reflection."),
    Param("mix", "", 0.0, 1.0, 0.0, "linear", "Share of the reverberation.", True),
)


def _reverb(
    audio: Tensor, settings: Settings, sample_rate: int, state: State | None = None
) -> tuple[Tensor, State]:
    return space.reverberate(audio, **settings, sample_rate=sample_rate, state=state)


REVERB = Effect("reverb", _PARAMS, _reverb, "Velvet-noise room with a decay time in three bands.")
