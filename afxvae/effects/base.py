"""`Effect` (Params and one function) and `Chain` (effects in order, a switch each)."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import torch

from ..types import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from ..params import Param

__all__ = [
    "Chain",
    "ChainSettings",
    "ChainState",
    "Effect",
    "Make",
    "Run",
    "Settings",
    "State",
    "Switches",
    "run_of",
]

Settings = Mapping[str, "Tensor"]
"""Knob values of one effect in units, each ``(batch,)``."""
ChainSettings = Mapping[str, Settings]
"""Settings of every effect by its name."""
Switches = Mapping[str, "Tensor"]
"""On/off of every effect by its name, each boolean ``(batch,)``."""


State: TypeAlias = "tuple[Tensor, ...]"
"""What an effect remembers between two blocks; each effect has its own."""
ChainState: TypeAlias = "Mapping[str, tuple[State | None, int]]"
"""What the effects of a chain remember, by name, and how late each of them still is."""
Run: TypeAlias = "Callable[[Tensor, Settings, int, State | None], tuple[Tensor, State]]"
"""``run(audio, settings, sample_rate, state)`` to output and state; see `Effect`."""


def run_of(function: Callable[..., tuple[Tensor, State]]) -> Run:
    """The `run` of an effect whose knobs are the arguments of `function`, by name."""

    def run(
        audio: Tensor, settings: Settings, sample_rate: int, state: State | None = None
    ) -> tuple[Tensor, State]:
        return function(audio, **settings, sample_rate=sample_rate, state=state)

    return run


def _no_latency(sample_rate: int) -> int:
    return 0


@dataclass(frozen=True)
class Effect:
    """An audio effect: its knobs and one pure function.

    Attributes:
        name: Snake-case name, unique in a chain.
        params: The knobs, in the order a plug-in shows them.
        run: ``run(audio, settings, sample_rate, state)`` takes a block ``(batch, channel, time)``
            of any length and what it returned as state after the block before, None at the start.
            It returns a block of the same shape, late by `latency`, and the new state.
        help: One sentence.
        latency: Samples by which the output of `run` is late at a sample rate, whatever the
            settings.
    """

    name: str
    params: tuple[Param, ...]
    run: Run = field(repr=False, compare=False)
    help: str = ""
    latency: Callable[[int], int] = field(default=_no_latency, repr=False, compare=False)

    def process(self, audio: Tensor, settings: Settings, sample_rate: int) -> Tensor:
        """Run on a whole signal, without latency.

        Args:
            audio: ``(batch, channel, time)``.
            settings: In units, each ``(batch,)``.
            sample_rate: In Hz.

        Returns:
            ``(batch, channel, time)``, differentiable in `audio` and `settings`.
        """
        late = self.latency(sample_rate)
        padded = torch.nn.functional.pad(audio, (0, late)) if late else audio
        return self.run(padded, settings, sample_rate, None)[0][..., late:]

    def defaults(self, batch: int = 1, device: str = "cpu") -> dict[str, Tensor]:
        """Default settings, each ``(batch,)``."""
        return {p.name: torch.full((batch,), p.default, device=device) for p in self.params}

    def without(self, knob: str) -> Effect:
        """The same effect with a knob that is not seen and does nothing."""
        return replace(self, params=tuple(p for p in self.params if p.name != knob))


@dataclass(frozen=True)
class Make:
    """An effect in the place of one of a chain, with that one's settings where it has such knobs.

    Attributes:
        effect: What runs.
        others: Settings of knobs that the chain's effect has not, or that are to differ, in units.
    """

    effect: Effect
    others: Mapping[str, float]

    def settings(self, own: Settings, lead_s: float = 0.0) -> dict[str, Tensor]:
        """Settings of `effect`, each ``(batch,)``.

        Args:
            own: Of the chain's effect.
            lead_s: What is heard before the recording begins. A swing then stands at `phase_deg`.
        """
        like = next(iter(own.values()))
        found = {
            p.name: own[p.name]
            if p.name not in self.others
            else torch.full_like(like, self.others[p.name])
            for p in self.effect.params
        }
        if "phase_deg" in self.others:
            found["phase_deg"] = (found["phase_deg"] - 360.0 * lead_s * own["rate_hz"]) % 360.0
        return found


class Chain:
    """Effects in order. Switched-off effects cost nothing and leave the audio as it is."""

    def __init__(self, effects: Iterable[Effect]) -> None:
        self.effects = tuple(effects)
        names = [effect.name for effect in self.effects]
        if len(set(names)) != len(names):
            raise ValueError(f"effect names must differ: {names}")
        self.params = tuple(param for effect in self.effects for param in effect.params)
        self.knobs = tuple((e.name, p) for e in self.effects for p in e.params)

    def __getitem__(self, name: str) -> Effect:
        """The effect called `name`; `KeyError` if the chain has none."""
        for effect in self.effects:
            if effect.name == name:
                return effect
        raise KeyError(f"no effect {name!r} in the chain, which has {', '.join(self.names)}")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the effects in order."""
        return tuple(effect.name for effect in self.effects)

    def check_names(self, names: Iterable[str]) -> None:
        """Raise `UsageError` for the first name that no effect has, with those it resembles."""
        for name in names:
            if name not in self.names:
                near = difflib.get_close_matches(name, self.names) or self.names
                raise UsageError(f"There is no effect {name!r}; there are {', '.join(near)}.")

    def knobs_of(self, name: str) -> Tensor:
        """Which controls are those of the effect called `name`, ``(control,)`` boolean."""
        return torch.tensor([effect == name for effect, _ in self.knobs])

    def to_dict(self) -> list[dict[str, Any]]:
        """The chain's declaration as plain values: every effect with every Param."""
        return [
            {"name": effect.name, "params": [param.to_dict() for param in effect.params]}
            for effect in self.effects
        ]

    def default_controls(self) -> Tensor:
        """Knob positions of all defaults, ``(control,)``."""
        return torch.tensor([param.default_control for param in self.params])

    def scaled(self, controls: Tensor, share: float, but: Collection[str] = ()) -> Tensor:
        """Knob positions whose amounts have gone a share of their way from doing nothing.

        Args:
            controls: ``(..., control)``.
            share: 0 for the defaults of all knobs that are amounts, 1 for `controls` as they are;
                with more, they go on beyond until the end of their range.
            but: Effects to leave as they are.
        """
        if share == 1.0:
            return controls
        defaults = self.default_controls()
        amounts = torch.tensor([param.amount and effect not in but for effect, param in self.knobs])
        moved = (defaults + share * (controls - defaults)).clamp(0.0, 1.0)
        return torch.where(amounts, moved, controls)

    def to_settings(self, controls: Tensor) -> dict[str, dict[str, Tensor]]:
        """Knob positions ``(batch, control)`` in [0, 1] to settings in units, by effect."""
        if controls.dim() != 2 or controls.shape[1] != len(self.knobs):
            shape = tuple(controls.shape)
            raise ValueError(f"controls must be (batch, {len(self.knobs)}), not {shape}")
        settings: dict[str, dict[str, Tensor]] = {name: {} for name in self.names}
        for (name, param), control in zip(self.knobs, controls.unbind(1), strict=True):
            settings[name][param.name] = param.to_setting(control)
        return settings

    def to_controls(self, settings: ChainSettings) -> Tensor:
        """Settings in units to knob positions ``(batch, control)``."""
        return torch.stack([p.to_control(settings[name][p.name]) for name, p in self.knobs], dim=1)

    def process(
        self,
        audio: Tensor,
        settings: ChainSettings,
        switches: Switches,
        sample_rate: int,
        makes: Mapping[str, Make] | None = None,
        lead_s: float = 0.0,
    ) -> Tensor:
        """Run the chain.

        Args:
            audio: ``(batch, channel, time)``.
            settings: In units, each ``(batch,)``; see `to_settings`.
            switches: Boolean ``(batch,)`` by effect; an effect that is missing is off.
            sample_rate: In Hz.
            makes: What runs in the place of effects, by their names.
            lead_s: See `Make.settings`.

        Returns:
            ``(batch, channel, time)``, differentiable in `audio` and `settings`.
        """
        for effect in self.effects:
            if effect.name not in switches:
                continue
            on = switches[effect.name].nonzero().squeeze(1)
            if len(on) == 0:
                continue
            knobs = settings[effect.name]
            if makes and effect.name in makes:
                make = makes[effect.name]
                effect, knobs = make.effect, make.settings(knobs, lead_s)
            if len(on) == len(audio):
                audio = effect.process(audio, knobs, sample_rate)
            else:
                chosen = {name: value[on] for name, value in knobs.items()}
                done = effect.process(audio[on], chosen, sample_rate)
                audio = audio.index_copy(0, on, done)
        return audio

    def run(
        self,
        audio: Tensor,
        settings: ChainSettings,
        switches: Switches,
        sample_rate: int,
        state: ChainState | None = None,
        last: bool = False,
    ) -> tuple[Tensor, ChainState]:
        """Run the chain on a block, see `Effect`; all items have the same effects on.

        What an effect gives before it is through with its latency does not reach the next one, so
        every effect begins where the recording begins, and all blocks together are `process`.

        Args:
            audio: ``(batch, channel, time)`` of any length.
            settings: In units, each ``(batch,)``.
            switches: Boolean ``(batch,)`` by effect; an effect that is missing is off.
            sample_rate: In Hz.
            state: As returned with the block before; None at the start.
            last: Whether nothing follows this block.

        Returns:
            ``(batch, channel, time)``, late by `latency`, and by so much longer if it is the last;
            and the new state.

        Raises:
            ValueError: an effect is on for some items only.
        """
        before: ChainState = state or {}
        after: dict[str, tuple[State | None, int]] = {}
        skipped = 0
        for effect in self._running(switches):
            late = effect.latency(sample_rate)
            own, early = before.get(effect.name, (None, late))
            if last:
                audio = torch.nn.functional.pad(audio, (0, late))
            audio, own = effect.run(audio, settings[effect.name], sample_rate, own)
            skip = min(early, audio.shape[-1])
            after[effect.name] = (own, early - skip)
            audio, skipped = audio[..., skip:], skipped + skip
        return torch.nn.functional.pad(audio, (skipped, 0)), after

    def latency(self, switches: Switches, sample_rate: int) -> int:
        """Samples by which `run` is late: the sum over the effects that are on.

        Raises:
            ValueError: an effect is on for some items only.
        """
        return sum(effect.latency(sample_rate) for effect in self._running(switches))

    def _running(self, switches: Switches) -> list[Effect]:
        running = []
        for effect in self.effects:
            on = switches.get(effect.name)
            if on is None or not bool(on.any()):
                continue
            if not bool(on.all()):
                raise ValueError(f"{effect.name} is on for some items of the batch only")
            running.append(effect)
        return running
