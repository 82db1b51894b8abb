"""A room with walls and a reverberation behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..dsp import room
from ..params import Param
from .base import Effect

if TYPE_CHECKING:
    from torch import Tensor

    from .base import Settings, State

__all__ = ["ROOM"]

_PARAMS = (
    Param("size_m", "m", 4.0, 40.0, 10.0, "log", "Length of the room."),
    Param("decay_s", "s", 0.2, 6.0, 1.2, "log", "Time in which the mids fall by 60 dB (RT60)."),
    Param("bass_ratio", "", 0.5, 1.5, 1.1, "log", "RT60 of the bass relative to the mids."),
    Param("treble_ratio", "", 0.2, 1.0, 0.5, "log", "RT60 of the treble relative to the mids."),
    Param("pre_delay_ms", "ms", 0.0, 100.0, 10.0, "linear", "Time before the room answers."),
    Param("balance", "", 0.0, 1.0, 0.6, "linear", "0 early reflections only, 1 only what follows."),
    Param("mix", "", 0.0, 1.0, 0.0, "linear", "Share of the room.", True),
)


def _room(
    audio: Tensor, settings: Settings, sample_rate: int, state: State | None = None
) -> tuple[Tensor, State]:
    memory = None if state is None else (state[0], state[1], state[2])
    return room.reverberate(audio, **settings, sample_rate=sample_rate, memory=memory)


ROOM = Effect("room", _PARAMS, _room, "Early reflections and a reverberation with RT60 by band.")
