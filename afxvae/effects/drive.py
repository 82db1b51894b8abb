"""Effects that bend the waveform."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..dsp import nonlinear
from ..params import Param
from .base import Effect

if TYPE_CHECKING:
    from torch import Tensor

    from .base import Settings, State

__all__ = ["OVERDRIVE"]

_PARAMS = (
    Param("drive_db", "dB", 0.0, 40.0, 0.0, "linear", "How far the waveform is pushed.", True),
    Param("bias", "", 0.0, 1.0, 0.0, "linear", "Asymmetry: adds even harmonics."),
    Param("mix", "", 0.0, 1.0, 1.0, "linear", "Share of the driven signal."),
)


def _overdrive(
    audio: Tensor, settings: Settings, sample_rate: int, state: State | None = None
) -> tuple[Tensor, State]:
    return nonlinear.overdrive(audio, **settings, state=state)


OVERDRIVE = Effect(
    "overdrive",
    _PARAMS,
    _overdrive,
    "Soft clipper, four times oversampled.",
    lambda sample_rate: nonlinear.OVERSAMPLING_LATENCY,
)
