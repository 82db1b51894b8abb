"""`Preset`: a chain with its settings, what `match` returns, what JSON holds, what `apply` runs.

The JSON is made to be read and edited: knobs carry their unit in their name, and whatever is wrong
with a file is said in one sentence.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from .effects import Chain, Effect, default_chain
from .effects.describe import describe_effect, describe_setting
from .files import replacing
from .params import Param
from .types import PathLike, PresetError, UsageError, check_shape

if TYPE_CHECKING:
    from .effects import ChainSettings, Switches

__all__ = ["INPUT_GAIN", "SCHEMA_VERSION", "Preset"]

SCHEMA_VERSION = 1
INPUT_GAIN = Param("input_gain_db", "dB", -120.0, 120.0, 0.0, help="Gain before the first effect.")

_KEYS = ("schema_version", "model", "model_checksum", "input_gain_db", "effects")
_DIGITS = 6


@dataclass(frozen=True)
class Preset:
    """The default chain with its settings; `Preset()` changes nothing.

    Attributes:
        settings: Every knob of every effect in its unit. An effect that is left out stands at its
            defaults and has to be off.
        switches: Which effects are on; one that is left out is off.
        input_gain_db: Applied before the first effect, -120 to 120 dB.
        model: Identifier of the model that found the settings, if one did.
        model_checksum: Checksum of its weights.

    Raises:
        PresetError: an unknown effect, an unknown or missing knob, a value of a wrong type or out
            of its range.
    """

    settings: dict[str, dict[str, float]] = field(default_factory=dict)
    switches: dict[str, bool] = field(default_factory=dict)
    input_gain_db: float = 0.0
    model: str | None = None
    model_checksum: str | None = None

    def __post_init__(self) -> None:
        chain = _chain()
        for name in (*self.settings, *self.switches):
            _check_known(name, chain.names, "an effect")
        switches = {name: _check_switch(name, self.switches) for name in chain.names}
        settings = {e.name: _check_settings(e, self.settings, switches) for e in chain.effects}
        object.__setattr__(self, "switches", switches)
        object.__setattr__(self, "settings", settings)
        object.__setattr__(self, "input_gain_db", _check(INPUT_GAIN, self.input_gain_db))
        for name in ("model", "model_checksum"):
            if not isinstance(getattr(self, name), str | None):
                raise PresetError(f"{name} is {getattr(self, name)!r}, but it must be text.")

    @classmethod
    def from_tensors(
        cls,
        settings: ChainSettings,
        switches: Switches,
        *,
        input_gain_db: float | Tensor = 0.0,
        model: str | None = None,
        model_checksum: str | None = None,
    ) -> Preset:
        """Make a preset of what a network or an optimiser found for one recording.

        Values are rounded to 6 significant digits. Render from the preset, not from the tensors,
        to get the samples that the saved preset will give.

        Args:
            settings: Knobs in units by effect, tensors of one element, e.g. `(1,)`.
            switches: On or off by effect, tensors of one element.
            input_gain_db: Gain before the first effect.
            model: Identifier of the model.
            model_checksum: Checksum of its weights.

        Raises:
            PresetError: see `Preset`.
        """
        values = {
            effect: {knob: _round(float(value)) for knob, value in knobs.items()}
            for effect, knobs in settings.items()
        }
        on = {name: bool(switch) for name, switch in switches.items()}
        return cls(values, on, _round(float(input_gain_db)), model, model_checksum)

    def changed(self, effect: str, settings: Mapping[str, float], on: bool = True) -> Preset:
        """The same preset but for some knobs of an effect, which is switched on, or off.

        Values are rounded as by `from_tensors`.

        Raises:
            PresetError: see `Preset`.
        """
        _check_known(effect, _chain().names, "an effect")
        rounded = {knob: _round(value) for knob, value in settings.items()}
        return replace(
            self,
            settings={**self.settings, effect: {**self.settings[effect], **rounded}},
            switches={**self.switches, effect: on},
        )

    @property
    def is_empty(self) -> bool:
        """True if `apply` gives back the input, bit for bit."""
        return self.input_gain_db == 0.0 and not any(self.switches.values())

    def apply(self, audio: Tensor | np.ndarray[Any, Any], sample_rate: int) -> Tensor:
        """Run the preset: input gain, then the chain.

        The result may exceed full scale; nothing is limited or clipped here.

        Args:
            audio: `(channel, time)`, full scale +-1, of any number of channels. Not altered.
            sample_rate: In Hz, any.

        Returns:
            `(channel, time)` float32, on the device of `audio`.

        Raises:
            UsageError: `audio` is not `(channel, time)`, or the rate is not positive.
        """
        if isinstance(audio, Tensor):
            sound = audio.detach().to(torch.float32, copy=True)
        else:
            sound = torch.from_numpy(np.array(audio, np.float32))
        check_shape("audio", sound, "channel time")
        if sample_rate <= 0:
            raise UsageError(f"The sample rate must be positive, not {sample_rate} Hz.")
        if self.is_empty or not sound.numel():
            return sound
        settings, switches = self.to_tensors(sound.device)
        with torch.no_grad():
            if self.input_gain_db:
                sound = sound * 10 ** (self.input_gain_db / 20)
            return _chain().process(sound[None], settings, switches, sample_rate)[0]

    def to_tensors(
        self, device: torch.device | str = "cpu"
    ) -> tuple[dict[str, dict[str, Tensor]], dict[str, Tensor]]:
        """Settings and switches as `Chain.process` takes them, with a batch of one."""
        settings = {
            effect: {knob: torch.tensor([value], device=device) for knob, value in knobs.items()}
            for effect, knobs in self.settings.items()
        }
        return settings, {n: torch.tensor([on], device=device) for n, on in self.switches.items()}

    def to_dict(self) -> dict[str, Any]:
        """The preset as the plain values that its JSON holds."""
        return {
            "schema_version": SCHEMA_VERSION,
            "model": self.model,
            "model_checksum": self.model_checksum,
            "input_gain_db": self.input_gain_db,
            "effects": {
                name: {"on": self.switches[name], "settings": dict(self.settings[name])}
                for name in _chain().names
            },
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preset:
        """Make a preset of what `to_dict` gives.

        An effect that is left out is off, and one that is off needs no settings.

        Raises:
            PresetError: an unknown schema version or key, and see `Preset`.
        """
        values = _check_object(values, "a preset")
        if "schema_version" not in values:
            raise PresetError("There is no schema_version, so this is not a preset.")
        version = values["schema_version"]
        if isinstance(version, bool) or version != SCHEMA_VERSION:
            raise PresetError(
                f"schema_version is {version!r}; this version of afxvae reads {SCHEMA_VERSION}."
            )
        for key in values:
            _check_known(key, _KEYS, "a key of a preset")
        if "effects" not in values:
            raise PresetError('There are no "effects" in the preset.')
        settings, switches = {}, {}
        for name, effect in _check_object(values["effects"], "effects").items():
            _check_known(name, _chain().names, "an effect")
            for key in _check_object(effect, name):
                _check_known(f"{name}.{key}", (f"{name}.on", f"{name}.settings"), "a key")
            if "on" not in effect:
                raise PresetError(f'{name} has no "on": it must be true or false.')
            switches[name] = effect["on"]
            if "settings" in effect:
                settings[name] = dict(_check_object(effect["settings"], f"{name}.settings"))
        rest = {key: values[key] for key in _KEYS[1:4] if key in values}
        return cls(settings, switches, **rest)

    def save(self, path: PathLike, overwrite: bool = False) -> None:
        """Write the preset as JSON, so that `path` is either complete or untouched.

        Raises:
            UsageError: the file exists and `overwrite` is not set, or it cannot be written.
        """
        path = Path(path)
        if path.is_dir():
            raise UsageError(f"{path} is a folder: the preset must be a file.")
        if path.exists() and not overwrite:
            raise UsageError(f"{path} already exists and is not replaced unless asked to.")
        text = json.dumps(self.to_dict(), indent=2) + "\n"
        with replacing(path) as unfinished:
            unfinished.write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, path: PathLike) -> Preset:
        """Read a preset from JSON and check every value of it.

        Raises:
            PresetError: the file is missing or not a preset; the message names the file and what
                is wrong.
        """
        path = Path(path)
        try:
            values = json.loads(path.read_text(encoding="utf-8-sig"))
        except OSError as error:
            raise PresetError(f"{path} cannot be read as a preset: {error.strerror}.") from error
        except json.JSONDecodeError as error:
            where = f"line {error.lineno}, column {error.colno}"
            raise PresetError(f"{path} is not a preset: it is no JSON at {where}.") from error
        except (ValueError, RecursionError) as error:
            raise PresetError(f"{path} is not a preset: it is no JSON text.") from error
        try:
            return cls.from_dict(values)
        except PresetError as error:
            raise PresetError(f"{path}: {error}") from error

    def describe(self) -> list[tuple[str, str]]:
        """Rows for people, `(effect, its settings)`, of the effects that are on.

        >>> Preset(input_gain_db=-3.0).describe()
        [('input gain', '-3 dB')]
        """
        rows = []
        if self.input_gain_db:
            rows.append(("input gain", describe_setting(INPUT_GAIN, self.input_gain_db)))
        for effect in _chain().effects:
            if self.switches[effect.name]:
                knobs = self.settings[effect.name]
                rows += [(effect.name, text) for text in describe_effect(effect, knobs)]
        return rows


@functools.lru_cache(maxsize=1)
def _chain() -> Chain:
    return default_chain()


def _round(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}") + 0.0  # not -0.0


def _check(param: Param, value: object, where: str = "") -> float:
    try:
        return param.check(value, where)
    except OverflowError:
        raise PresetError(f"{where}{param.name} is too large a number.") from None


def _check_known(name: object, known: tuple[str, ...], what: str) -> None:
    if name not in known:
        raise PresetError(f"{str(name)!r} is not {what}; known are {', '.join(known)}.")


def _check_object(value: object, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise PresetError(f"{name} must be an object with named values, not {_short(value)}.")
    return value


def _check_switch(name: str, switches: Mapping[str, object]) -> bool:
    on = switches.get(name, False)
    if not isinstance(on, bool):
        raise PresetError(f"{name}.on is {_short(on)}, but it must be true or false.")
    return on


def _check_settings(
    effect: Effect, settings: Mapping[str, Mapping[str, object]], switches: Mapping[str, bool]
) -> dict[str, float]:
    if effect.name not in settings:
        if switches[effect.name]:
            raise PresetError(f"{effect.name} is on, but has no settings.")
        return {param.name: param.default for param in effect.params}
    knobs = _check_object(settings[effect.name], f"{effect.name}.settings")
    names = tuple(param.name for param in effect.params)
    for knob in knobs:
        _check_known(knob, names, f"a knob of {effect.name}")
    missing = [name for name in names if name not in knobs]
    if missing:
        raise PresetError(f"{effect.name} lacks a setting for {', '.join(missing)}.")
    return {
        param.name: _check(param, knobs[param.name], f"{effect.name}.") for param in effect.params
    }


def _short(value: object) -> str:
    return text if len(text := repr(value)) <= 40 else text[:37] + "..."
