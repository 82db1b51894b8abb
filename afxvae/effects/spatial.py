"""Stereo image, position and level."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..dsp import panning, space
from ..dsp.units import db_to_gain, per_item
from ..params import Param
from .base import Effect

if TYPE_CHECKING:
    from torch import Tensor

    from .base import Settings, State

__all__ = ["GAIN", "PAN", "WIDTH"]


def _width(
    audio: Tensor, settings: Settings, sample_rate: int, state: State | None = None
) -> tuple[Tensor, State]:
    return space.widen(audio, **settings), ()


def _pan(
    audio: Tensor, settings: Settings, sample_rate: int, state: State | None = None
) -> tuple[Tensor, State]:
    return panning.pan(audio, **settings), ()


def _gain(
    audio: Tensor, settings: Settings, sample_rate: int, state: State | None = None
) -> tuple[Tensor, State]:
    return audio * db_to_gain(per_item(settings["gain_db"])), ()


WIDTH = Effect(
    "width",
    (Param("width", "", 0.0, 2.0, 1.0, "linear", "0 mono, 1 unchanged, 2 twice as wide.", True),),
    _width,
    "Stereo width; acts on two-channel audio.",
)

PAN = Effect(
    "pan",
    (Param("position", "", -1.0, 1.0, 0.0, "linear", "-1 left, 0 centre, 1 right.", True),),
    _pan,
    "Constant-power pan; acts on two-channel audio.",
)

GAIN = Effect(
    "gain",
    (Param("gain_db", "dB", -60.0, 60.0, 0.0, "linear", "Output gain.", True),),
    _gain,
    "Output gain.",
)
