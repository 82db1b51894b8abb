"""Echoes that grow darker and change sides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..dsp import echoes
from ..params import Param
from .base import Effect

if TYPE_CHECKING:
    from torch import Tensor

    from .base import Settings, State

__all__ = ["PING_PONG_DELAY"]

_PARAMS = (
    Param("time_ms", "ms", 20.0, 1000.0, 300.0, "log", "Time from one echo to the next."),
    Param("feedback", "", 0.0, 0.9, 0.4, "linear", "Level of an echo relative to the one before."),
    Param("tone_hz", "Hz", 500.0, 20000.0, 6000.0, "log", "Each echo loses treble above it."),
    Param("ping_pong", "", 0.0, 1.0, 1.0, "linear", "0 echoes stay on their side, 1 they change."),
    Param("mix", "", 0.0, 1.0, 0.0, "linear", "Share of the echoes.", True),
)


def _ping_pong_delay(
    audio: Tensor, settings: Settings, sample_rate: int, state: State | None = None
) -> tuple[Tensor, State]:
    history = None if state is None else state[0]
    audio, history = echoes.ping_pong(audio, **settings, sample_rate=sample_rate, history=history)
    return audio, (history,)


PING_PONG_DELAY = Effect(
    "ping_pong_delay", _PARAMS, _ping_pong_delay, "Darkening echoes that alternate between sides."
)
