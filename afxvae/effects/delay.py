"""Effects that repeat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..dsp import delay
from ..params import Param
from .base import Effect

if TYPE_CHECKING:
    from torch import Tensor

    from .base import Settings, State

__all__ = ["DELAY"]

_PARAMS = (
    Param("time_ms", "ms", 20.0, 1000.0, 250.0, "log", "Time from one echo to the next."),
    Param("feedback", "", 0.0, 0.9, 0.3, "linear", "Level of an echo relative to the one before."),
    Param("mix", "", 0.0, 1.0, 0.0, "linear", "Share of the echoes.", True),
)


def _delay(
    audio: Tensor, settings: Settings, sample_rate: int, state: State | None = None
) -> tuple[Tensor, State]:
    return delay.echo(audio, **settings, sample_rate=sample_rate, state=state)


DELAY = Effect("delay", _PARAMS, _delay, "Echoes with feedback.")
