"""What a preset's JSON holds, in its two versions, and what is wrong with one in a sentence.

Version 2 has a list of effects in the order in which they run::

    {"schema_version": 2, "model": null, "model_checksum": null, "input_gain_db": 0.0,
     "effects": [{"name": "gain", "on": true, "settings": {"gain_db": -3.0}}]}

Version 1 had an object of effects by name, and ran them in the order of the default chain.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .effects import EFFECTS, Effect, default_chain
from .params import Param
from .types import PresetError

__all__ = [
    "INPUT_GAIN",
    "SCHEMA_VERSION",
    "check_number",
    "check_settings",
    "check_switch",
    "defaults",
    "find",
    "parse",
]

SCHEMA_VERSION = 2
INPUT_GAIN = Param("input_gain_db", "dB", -120.0, 120.0, 0.0, help="Gain before the first effect.")

_KEYS = ("schema_version", "model", "model_checksum", "input_gain_db", "effects")
_EFFECT_KEYS = ("name", "on", "settings")
_LATER = {"chorus": {"phase_deg": 0.0}}  # knobs that earlier presets do not have
_BY_NAME = {effect.name: effect for effect in EFFECTS}


def find(name: object) -> Effect:
    """The effect of that name.

    Raises:
        PresetError: there is none.
    """
    _check_known(name, tuple(_BY_NAME), "an effect")
    return _BY_NAME[str(name)]


def defaults(effect: Effect) -> dict[str, float]:
    """The defaults of its knobs."""
    return {param.name: param.default for param in effect.params}


def check_number(param: Param, value: object, where: str = "") -> float:
    """A knob's value, or a `PresetError`."""
    try:
        return param.check(value, where)
    except OverflowError:
        raise PresetError(f"{where}{param.name} is too large a number.") from None


def check_switch(effect: Effect, on: object) -> bool:
    """An effect's switch, or a `PresetError`."""
    if not isinstance(on, bool):
        raise PresetError(f"{effect.name}.on is {_short(on)}, but it must be true or false.")
    return on


def check_settings(effect: Effect, settings: Mapping[str, object], on: bool) -> dict[str, float]:
    """The knobs of an effect, one by one, out of those of a preset; its defaults if it is off.

    Raises:
        PresetError: an unknown or missing knob, or a value of a wrong type or out of range.
    """
    name = effect.name
    if name not in settings:
        if on:
            raise PresetError(f"{name} is on, but has no settings.")
        return defaults(effect)
    knobs = {**_LATER.get(name, {}), **_check_object(settings[name], f"{name}.settings")}
    names = tuple(param.name for param in effect.params)
    for knob in knobs:
        _check_known(knob, names, f"a knob of {name}")
    if missing := [knob for knob in names if knob not in knobs]:
        raise PresetError(f"{name} lacks a setting for {', '.join(missing)}.")
    return {
        param.name: check_number(param, knobs[param.name], f"{name}.") for param in effect.params
    }


def parse(values: object) -> dict[str, Any]:
    """The attributes of a preset out of the plain values of its JSON, not yet checked one by one.

    Raises:
        PresetError: an unknown version or key, or something that is not there or there twice.
    """
    values = _check_object(values, "a preset")
    if "schema_version" not in values:
        raise PresetError("There is no schema_version, so this is not a preset.")
    version = values["schema_version"]
    if isinstance(version, bool) or version not in (1, SCHEMA_VERSION):
        raise PresetError(
            f"schema_version is {version!r}; this version of afxvae reads 1 and {SCHEMA_VERSION}."
        )
    for key in values:
        _check_known(key, _KEYS, "a key of a preset")
    if "effects" not in values:
        raise PresetError('There are no "effects" in the preset.')
    settings: dict[str, object] = {}
    switches: dict[str, object] = {}
    for effect in (_version_1 if version == 1 else _version_2)(values["effects"]):
        name = find(effect["name"]).name
        if name in switches:
            raise PresetError(f"{name} is there twice, but an effect can be there only once.")
        for key in effect:
            _check_known(f"{name}.{key}", tuple(f"{name}.{key}" for key in _EFFECT_KEYS), "a key")
        if "on" not in effect:
            raise PresetError(f'{name} has no "on": it must be true or false.')
        switches[name] = effect["on"]
        if "settings" in effect:
            settings[name] = effect["settings"]
        elif effect["on"] is False:  # it keeps its place
            settings[name] = defaults(_BY_NAME[name])
    kept = {key: values[key] for key in _KEYS[1:4] if key in values}
    return {"settings": settings, "switches": switches, **kept}


def _version_2(effects: object) -> list[Mapping[str, Any]]:
    if not isinstance(effects, list):
        raise PresetError(f"effects must be a list of effects in order, not {_short(effects)}.")
    for place, effect in enumerate(effects, 1):
        if "name" not in _check_object(effect, f"effect {place}"):
            raise PresetError(f'Effect {place} has no "name".')
    return effects


def _version_1(effects: object) -> list[Mapping[str, Any]]:
    known = default_chain().names
    effects = _check_object(effects, "effects")
    for name in effects:
        _check_known(name, known, "an effect")
    return [
        {"name": name, **_check_object(effects[name], name)} for name in known if name in effects
    ]


def _check_known(name: object, known: tuple[str, ...], what: str) -> None:
    if name not in known:
        raise PresetError(f"{str(name)!r} is not {what}; known are {', '.join(known)}.")


def _check_object(value: object, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise PresetError(f"{name} must be an object with named values, not {_short(value)}.")
    return value


def _short(value: object) -> str:
    return text if len(text := repr(value)) <= 40 else text[:37] + "..."
