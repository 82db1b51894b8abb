"""Parametric equaliser: low cut, low shelf, four peaks, high shelf, high cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..dsp import filters
from ..params import Param
from .base import Effect

if TYPE_CHECKING:
    from torch import Tensor

    from .base import Settings, State

__all__ = ["EQ", "eq_response", "process"]

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

    return filters.add_filtered_difference(audio, difference, _TAIL_S, sample_rate, state)


EQ = Effect("eq", PARAMS, process, "Parametric equaliser with low and high cut.")
