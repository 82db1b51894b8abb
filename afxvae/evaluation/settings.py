"""Whether the right settings were found, judged by what they do to sound.

Different settings can sound the same, so curves are compared rather than knobs. Every error has
beside it the error of knowing nothing: of doing nothing, or of a setting that never changes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor

from ..dsp.features import SAMPLE_RATE
from ..effects import responses
from ..models.estimate import ESTIMATED

if TYPE_CHECKING:
    from ..effects import Chain, Settings

__all__ = ["QUANTITIES", "Quantity", "SettingsError", "settings_errors", "switched_on"]


class Quantity(NamedTuple):
    """What is compared.

    Attributes:
        effect: Whose it is.
        label: Name and unit, for tables.
        curve: An absent effect has a curve too, of zeros; otherwise the quantity is only compared
            where the effect is on and was found to be.
    """

    effect: str
    label: str
    curve: bool


class SettingsError(NamedTuple):
    """Error of the settings found, and of knowing nothing."""

    found: float
    blind: float


QUANTITIES = {
    "eq_curve_db": Quantity("eq", "EQ curve, dB", True),
    "compressor_curve_db": Quantity("compressor", "compressor curve, dB", True),
    "drive_curve_db": Quantity("overdrive", "drive curve, dB", True),
    "chorus_mix": Quantity("chorus", "chorus mix", True),
    "delay_mix": Quantity("delay", "delay mix", True),
    "reverb_mix": Quantity("reverb", "reverb mix", True),
    "chorus_wet_db": Quantity("chorus", "chorus level, dB", False),
    "delay_wet_db": Quantity("delay", "delay level, dB", False),
    "reverb_wet_db": Quantity("reverb", "reverb level, dB", False),
    "delay_time_ms": Quantity("delay", "delay time, ms", False),
    "rt60_ratio": Quantity("reverb", "RT60, factor", False),
}
"""The quantities of `settings_errors` by name."""


def switched_on(chain: Chain, switches: Tensor) -> dict[str, bool]:
    """By effect, switches ``(effect,)`` of those that are estimated: all but width and gain."""
    states = dict(zip(chain.names, switches.tolist(), strict=True))
    return {name: bool(states[name]) for name in ESTIMATED if name in states}


def settings_errors(
    chain: Chain,
    found: tuple[Tensor, Tensor],
    true: tuple[Tensor, Tensor],
    constant: Tensor,
) -> dict[str, SettingsError]:
    """Errors of one item's settings by the name of the quantity.

    Curves are compared with those of doing nothing: the mean absolute difference over frequency or
    level, the EQ's without its mean, which is a matter of loudness. The level of a wet signal, the
    delay time and RT60 are compared where the effect is on and was found to be, with the setting of
    a fixed preset. RT60 is a ratio, at least 1.

    Args:
        chain: Whose controls and switches these are.
        found: Controls ``(control,)`` and switches ``(effect,)`` that were found.
        true: The same as they were.
        constant: Controls ``(control,)`` of the fixed preset.
    """
    mine, wanted, fixed = (
        chain.to_settings(controls.unsqueeze(0)) for controls in (found[0], true[0], constant)
    )
    on, truly_on = switched_on(chain, found[1]), switched_on(chain, true[1])
    errors = {}
    for name, quantity in QUANTITIES.items():
        effect = quantity.effect
        if quantity.curve:
            curve = _CURVES.get(name, _mix)
            goal = curve(wanted[effect]) * truly_on[effect]
            reached = curve(mine[effect]) * on[effect]
            errors[name] = SettingsError(_mean_abs(reached - goal), _mean_abs(goal))
        elif on[effect] and truly_on[effect]:
            goal_value = _value(name, wanted[effect])
            values = (_value(name, settings[effect]) for settings in (mine, fixed))
            distances = [abs(value - goal_value) for value in values]
            if name == "rt60_ratio":
                distances = [math.exp(distance) for distance in distances]
            errors[name] = SettingsError(*distances)
    return errors


def _eq_curve_db(settings: Settings) -> Tensor:
    curve = responses.eq_curve_db(settings, SAMPLE_RATE).clamp_min(-30.0)
    return curve - curve.mean(1, keepdim=True)


def _mix(settings: Settings) -> Tensor:
    return settings["mix"].unsqueeze(1)


_CURVES: Mapping[str, Callable[[Settings], Tensor]] = {
    "eq_curve_db": _eq_curve_db,
    "compressor_curve_db": responses.compressor_curve_db,
    "drive_curve_db": responses.drive_curve_db,
}


def _value(name: str, settings: Settings) -> float:
    if name == "delay_time_ms":
        return float(settings["time_ms"])
    if name == "rt60_ratio":
        return math.log(float(settings["decay_s"]))
    return float(responses.wet_level_db(settings["mix"]))


def _mean_abs(curve: Tensor) -> float:
    return float(curve.abs().mean())
