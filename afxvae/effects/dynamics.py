"""Effects that act on level over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..dsp import dynamics
from ..params import Param
from .base import Effect

if TYPE_CHECKING:
    from torch import Tensor

    from .base import Settings, State

__all__ = ["COMPRESSOR"]

_PARAMS = (
    Param("threshold_db", "dB", -60.0, 0.0, -20.0, "linear", "Level above which it acts."),
    Param("ratio", ":1", 1.0, 20.0, 1.0, "log", "dB in for one dB out above the threshold.", True),
    Param("knee_db", "dB", 0.0, 24.0, 6.0, "linear", "Width of the soft transition."),
    Param("attack_ms", "ms", 0.1, 100.0, 10.0, "log", "Time to cover 63 % of a rising step."),
    Param("release_ms", "ms", 10.0, 1000.0, 100.0, "log", "Time to cover 63 % of a falling step."),
    Param("makeup_db", "dB", 0.0, 24.0, 0.0, "linear", "Gain behind the compressor.", True),
)


def _compressor(
    audio: Tensor, settings: Settings, sample_rate: int, state: State | None = None
) -> tuple[Tensor, State]:
    return dynamics.compress(audio, **settings, sample_rate=sample_rate, state=state)


COMPRESSOR = Effect("compressor", _PARAMS, _compressor, "Feed-forward compressor, linked channels.")
