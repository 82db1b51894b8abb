"""`Preset`: effects with their settings, what `match` returns, what JSON holds, what `apply` runs.

The JSON is made to be read and edited: knobs carry their unit in their name, and whatever is wrong
with a file is said in one sentence.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from .effects import Chain, Stream
from .effects.describe import describe_effect, describe_setting
from .files import replacing
from .schema import (
    INPUT_GAIN,
    SCHEMA_VERSION,
    check_number,
    check_settings,
    check_switch,
    defaults,
    find,
    parse,
)
from .types import PathLike, PresetError, UsageError, check_shape

if TYPE_CHECKING:
    from .effects import ChainSettings, Switches

__all__ = ["BLOCK", "Preset"]

_DIGITS = 6
BLOCK = 1 << 18
"""Samples of a block in `Preset.apply`; whoever has files reads as many for the same samples."""


@dataclass(frozen=True)
class Preset:
    """Effects in the order in which they run, with their settings; `Preset()` changes nothing.

    Attributes:
        settings: Every knob of every effect in its unit, the effects in order. One that is left
            out, but has a switch, comes behind them at its defaults and has to be off.
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
        effects = [find(name) for name in dict.fromkeys((*self.settings, *self.switches))]
        switches = {e.name: check_switch(e, self.switches.get(e.name, False)) for e in effects}
        settings = {e.name: check_settings(e, self.settings, switches[e.name]) for e in effects}
        object.__setattr__(self, "switches", switches)
        object.__setattr__(self, "settings", settings)
        object.__setattr__(self, "input_gain_db", check_number(INPUT_GAIN, self.input_gain_db))
        for name in ("model", "model_checksum"):
            if not isinstance(getattr(self, name), str | None):
                raise PresetError(f"{name} is {getattr(self, name)!r}, but it must be text.")

    def __eq__(self, other: object) -> bool:
        """Whether both have the same effects in the same order, and all else alike."""
        return isinstance(other, Preset) and self.to_dict() == other.to_dict()

    @property
    def chain(self) -> Chain:
        """The effects in the order in which they run, those that are off too."""
        return Chain(find(name) for name in self.settings)

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
            settings: Knobs in units by effect, in order, tensors of one element, e.g. `(1,)`.
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

        An effect that the preset does not have yet comes last, its other knobs at their defaults.
        Values are rounded as by `from_tensors`.

        Raises:
            PresetError: see `Preset`.
        """
        before = self.settings.get(effect) or defaults(find(effect))
        rounded = {knob: _round(value) for knob, value in settings.items()}
        return replace(
            self,
            settings={**self.settings, effect: {**before, **rounded}},
            switches={**self.switches, effect: on},
        )

    @property
    def is_empty(self) -> bool:
        """True if `apply` gives back the input, bit for bit."""
        return self.input_gain_db == 0.0 and not any(self.switches.values())

    def apply(self, audio: Tensor | np.ndarray[Any, Any], sample_rate: int) -> Tensor:
        """Run the preset: input gain, then the effects in order.

        The result may exceed full scale; nothing is limited or clipped here. Beyond input and
        output, memory is that of a block.

        Args:
            audio: `(channel, time)`, full scale +-1, of any number of channels. Not altered.
            sample_rate: In Hz, any.

        Returns:
            `(channel, time)` float32, on the device of `audio`.

        Raises:
            UsageError: `audio` is not `(channel, time)`, or the rate is not positive.
        """
        if isinstance(audio, Tensor):
            sound = audio.detach().to(torch.float32)
        else:
            sound = torch.from_numpy(np.array(audio, np.float32))
        check_shape("audio", sound, "channel time")
        stream = self.stream(sample_rate, len(sound), sound.device)
        if self.is_empty or not sound.numel():
            return sound.clone()
        result, start = torch.empty_like(sound), 0
        for block in stream.render(sound.split(BLOCK, -1)):
            result[:, start : start + block.shape[1]] = block
            start += block.shape[1]
        return result

    def stream(self, sample_rate: int, channels: int, device: torch.device | str = "cpu") -> Stream:
        """The preset for a host that has one block after another; see `Stream`.

        Args:
            sample_rate: In Hz, any.
            channels: Of every block.
            device: Of the blocks.

        Raises:
            UsageError: the rate is not positive.
        """
        if sample_rate <= 0:
            raise UsageError(f"The sample rate must be positive, not {sample_rate} Hz.")
        gain = 10 ** (self.input_gain_db / 20)
        return Stream(self.chain, *self.to_tensors(device), sample_rate, channels, gain)

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
            "effects": [
                {"name": name, "on": self.switches[name], "settings": dict(knobs)}
                for name, knobs in self.settings.items()
            ],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preset:
        """Make a preset of what `to_dict` gives, or gave in schema version 1.

        An effect that is off needs no settings. Version 1 has an object of effects by name instead
        of a list; they run in the order of the default chain.

        Raises:
            PresetError: an unknown schema version or key, and see `Preset`.
        """
        return cls(**parse(values))

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
        for effect in self.chain.effects:
            if self.switches[effect.name]:
                knobs = self.settings[effect.name]
                rows += [(effect.name, text) for text in describe_effect(effect, knobs)]
        return rows


def _round(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}") + 0.0  # not -0.0
