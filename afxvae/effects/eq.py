"""Effects on tone: parametric and graphic equaliser, tilt, bass boost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..dsp import filters, recursive, tone
from ..params import Param
from .base import Effect

if TYPE_CHECKING:
    from torch import Tensor

    from .base import Settings, State

__all__ = ["BASS_BOOST", "EQ", "GRAPHIC_EQ", "TILT", "eq_response", "process"]

# parametric equaliser: low cut, low shelf, four peaks, high shelf, high cut

_TAIL_S = 1.0
_PEAK_RANGES = ((60.0, 600.0, 200.0), (200.0, 2000.0, 600.0), (600.0, 6000.0, 2000.0),
                (2000.0, 16000.0, 6000.0))  # fmt: skip


def _gain(name: str, what: str) -> Param:
    return Param(name, "dB", -15.0, 15.0, 0.0, "linear", f"Gain of {what}.", amount=True)


def _peak_params(index: int) -> tuple[Param, ...]:
    low, high, default = _PEAK_RANGES[index]
    prefix = f"peak{index + 1}"
    return (
        Param(f"{prefix}_hz", "Hz", low, high, default, "log", f"Centre of peak {index + 1}."),
        _gain(f"{prefix}_gain_db", f"peak {index + 1}"),
        Param(f"{prefix}_q", "", 0.3, 5.0, 0.8, "log", f"Narrowness of peak {index + 1}."),
    )


_LOW_CUT = Param("low_cut_hz", "Hz", 20.0, 1000.0, 20.0, "log",
                 "Below it the sound falls by 12 dB per octave; off at 20 Hz.", True)  # fmt: skip
_HIGH_CUT = Param("high_cut_hz", "Hz", 1000.0, 20000.0, 20000.0, "log",
                  "Above it the sound falls by 12 dB per octave; off at 20 kHz.", True)  # fmt: skip

PARAMS = (
    _LOW_CUT,
    Param("low_shelf_hz", "Hz", 40.0, 500.0, 120.0, "log", "Middle of the low shelf's slope."),
    _gain("low_shelf_gain_db", "the low shelf"),
    *(param for index in range(4) for param in _peak_params(index)),
    Param(
        "high_shelf_hz", "Hz", 1500.0, 16000.0, 6000.0, "log", "Middle of the high shelf's slope."
    ),
    _gain("high_shelf_gain_db", "the high shelf"),
    _HIGH_CUT,
)


def _sections(settings: Settings, grid_hz: Tensor, sample_rate: int) -> tuple[Tensor, Tensor]:
    s, grid, rate = settings, grid_hz, sample_rate
    sections = [
        filters.cut(s["low_cut_hz"], _LOW_CUT.minimum, grid, rate, "low"),
        filters.shelf(s["low_shelf_hz"], s["low_shelf_gain_db"], grid, rate, "low"),
    ]
    for peak in ("peak1", "peak2", "peak3", "peak4"):
        knobs = (s[f"{peak}_hz"], s[f"{peak}_gain_db"], s[f"{peak}_q"])
        sections.append(filters.peak(*knobs, grid, rate))
    sections.append(filters.shelf(s["high_shelf_hz"], s["high_shelf_gain_db"], grid, rate, "high"))
    sections.append(filters.cut(s["high_cut_hz"], _HIGH_CUT.maximum, grid, rate, "high"))
    return filters.multiply(sections)


def eq_response(settings: Settings, grid_hz: Tensor, sample_rate: int) -> Tensor:
    """Complex frequency response ``(batch, frequency)`` at the frequencies `grid_hz`."""
    numerator, denominator = _sections(settings, grid_hz, sample_rate)
    return numerator / denominator


def process(
    audio: Tensor, settings: Settings, sample_rate: int, state: State | None = None
) -> tuple[Tensor, State]:
    """Filter ``(batch, channel, time)``; see `afxvae.dsp.filters` for the sections."""

    def difference(grid_hz: Tensor) -> Tensor:
        numerator, denominator = _sections(settings, grid_hz, sample_rate)
        return (numerator - denominator) / denominator

    return filters.add_filtered_difference(
        audio, settings.values(), difference, _TAIL_S, sample_rate, state
    )


EQ = Effect("eq", PARAMS, process, "Parametric equaliser with low and high cut.")


# tone controls with few knobs, and the graphic equaliser


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
