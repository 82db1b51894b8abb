"""Effects and their settings in words, for tables and summaries."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from ..params import Param
from .base import Effect

__all__ = ["describe_effect", "describe_setting"]

_UNITS = ("_db", "_hz", "_ms", "_us", "_deg", "_s")
"""That names of knobs may end with; a description has them behind the value."""


def describe_setting(param: Param, value: float) -> str:
    """A setting with its unit, in as many digits as an ear cares for.

    >>> describe_setting(Param("centre_hz", "Hz", 20.0, 20000.0, 1000.0, "log"), 2650.3)
    '2650 Hz'
    """
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    number = f"{value:.{digits}f}"
    if "." in number:
        number = number.rstrip("0").rstrip(".")
    return number + ("" if not param.unit or param.unit == ":1" else " ") + param.unit


def describe_effect(effect: Effect, knobs: Mapping[str, float]) -> list[str]:
    """What an effect does with its settings, in lines; an EQ has a line for each band that acts."""
    if effect.name != "eq":
        named = [
            (_label(param), describe_setting(param, knobs[param.name])) for param in effect.params
        ]
        return [
            ", ".join(text if name == effect.name else f"{name} {text}" for name, text in named)
        ]
    bands: dict[str, list[Param]] = {}
    for param in effect.params:
        bands.setdefault(_label(param, ("_gain_db", "_hz", "_q")), []).append(param)
    acting = {
        band: params
        for band, params in bands.items()
        if any(param.amount and knobs[param.name] != param.default for param in params)
    }
    return [
        f"{band} " + ", ".join(_band_setting(param, knobs[param.name]) for param in params)
        for band, params in acting.items()
    ] or ["flat"]


def _label(param: Param, suffixes: tuple[str, ...] = _UNITS) -> str:
    name = functools.reduce(str.removesuffix, suffixes, param.name)
    return name.replace("_", " ")


def _band_setting(param: Param, value: float) -> str:
    sign = "+" if param.unit == "dB" and value > 0 else ""
    return ("" if param.unit else "Q ") + sign + describe_setting(param, value)
