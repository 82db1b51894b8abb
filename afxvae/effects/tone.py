"""Tone controls with few knobs, and the graphic equaliser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..dsp import recursive, tone
from ..params import Param
from .base import Effect

if TYPE_CHECKING:
    from torch import Tensor

    from .base import Settings, State

__all__ = ["BASS_BOOST", "GRAPHIC_EQ", "TILT"]


def _filter(audio: Tensor, system: recursive.System, state: State | None) -> tuple[Tensor, State]:
    audio, memory = recursive.add_filtered(audio, system, None if state is None else state[0])
    return audio, (memory,)


def _tilt(
    audio: Tensor, settings: Settings, sample_rate: int, state: State | None = None
) -> tuple[Tensor, State]:
    return _filter(audio, tone.tilt(**settings, sample_rate=sample_rate), state)


def _bass_boost(
    audio: Tensor, settings: Settings, sample_rate: int, state: State | None = None
) -> tuple[Tensor, State]:
    return _filter(audio, tone.low_shelf(**settings, sample_rate=sample_rate), state)


def _graphic_eq(
    audio: Tensor, settings: Settings, sample_rate: int, state: State | None = None
) -> tuple[Tensor, State]:
    sliders_db = torch.stack([settings[param.name] for param in _SLIDERS], dim=1)
    return _filter(audio, tone.graphic(sliders_db, sample_rate), state)


def _slider(hz: float) -> Param:
    place = f"{hz:g}".replace(".", "_") + "hz" if hz < 1000.0 else f"{hz / 1000.0:g}khz"
    text = f"{hz:g} Hz" if hz < 1000.0 else f"{hz / 1000.0:g} kHz"
    return Param(f"gain_{place}_db", "dB", -12.0, 12.0, 0.0, "linear", f"Gain at {text}.", True)


_SLIDERS = tuple(_slider(hz) for hz in tone.OCTAVES_HZ)

TILT = Effect(
    "tilt",
    (
        Param("tilt_db", "dB", -12.0, 12.0, 0.0, "linear", "Treble over bass.", True),
        Param("pivot_hz", "Hz", 200.0, 5000.0, 1000.0, "log", "Where nothing changes."),
    ),
    _tilt,
    "One knob from dark to bright.",
)
BASS_BOOST = Effect(
    "bass_boost",
    (
        Param("gain_db", "dB", 0.0, 18.0, 0.0, "linear", "Gain of the bass.", True),
        Param("frequency_hz", "Hz", 30.0, 300.0, 100.0, "log", "Middle of the slope."),
        Param("q", "", 0.4, 2.0, 0.7, "log", "Steepness; above 0.71 with a bump and a dip."),
    ),
    _bass_boost,
    "Low shelf.",
)
GRAPHIC_EQ = Effect(
    "graphic_eq", _SLIDERS, _graphic_eq, "Ten octave bands that meet their sliders."
)
