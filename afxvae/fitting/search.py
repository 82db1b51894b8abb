"""The way from nothing to a treatment: measured starts, refinement, second thoughts, pruning."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from .alignment import best_gain, impulse_response
from .chorus import start_chorus
from .solver import State, solve
from .starts import start_delay, start_eq, start_reverb

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from torch import Tensor

    from ..effects import Chain
    from .solver import Problem

__all__ = ["Search", "prune"]

_FOUND = {"delay": 12.0, "reverb": 14.0, "chorus": 9.0}
"""Salience above which what was measured is taken for granted at first; pruning comes later."""
_PERHAPS = 7.0  # salience above which it is worth a try where something is missing
_BENT = ("compressor", "overdrive")  # effects that bend the waveform: no response shows them
_BENDINGS = ((), ("compressor",), ("overdrive",), ("compressor", "overdrive"))
_DRAWS = {0: 0, 1: 24, 2: 40}
_USUAL = {
    "threshold_db": (-45.0, -12.0), "ratio": (1.5, 12.0), "knee_db": (0.0, 18.0),
    "attack_ms": (0.3, 80.0), "release_ms": (20.0, 600.0), "makeup_db": (0.0, 12.0),
    "drive_db": (6.0, 36.0), "mix": (0.4, 1.0),
}  # fmt: skip
"""Where compressors and overdrives are looked for."""
_FIRST, _LONG, _AGAIN = 2, 15, 5  # rounds
_ENOUGH = 1e-5  # of the loss: -50 dB
_BETTER = 0.98
_HALF_CUT = {"low_cut_hz": (0.4, 0.65), "high_cut_hz": (0.35, 0.7)}
_EQ_SPREAD = 0.2
_NOTICED_DB = 0.2
_UNHEARD_DB = -55.0


@dataclass(frozen=True)
class Search:
    """Finds the knobs that make one stretch of sound of another.

    Attributes:
        problem: The stretch.
        estimate: Controls ``(control,)`` that a model proposes, or None.
        seed: Of draws.
    """

    problem: Problem
    estimate: Tensor | None = None
    seed: int = 0

    @property
    def chain(self) -> Chain:
        """Whose knobs are sought."""
        return self.problem.chain

    def run(self) -> State:
        """The best state that was found."""
        generator = torch.Generator().manual_seed(self.seed)
        found: list[State] = []
        start = self._measured()
        for bent in _BENDINGS:
            begun = self._drawn(self._switched(start, bent), bent, generator)
            found.append(solve(self.problem, begun, _FIRST))
            if found[-1].loss < _ENOUGH or self.problem.late:
                break
        found.sort(key=lambda state: state.loss)
        refined = []
        for state in found[:2]:
            refined.append(solve(self.problem, state, _LONG))
            if refined[-1].loss < _ENOUGH:
                break
        best = min(refined, key=lambda state: state.loss)
        return self._second_thoughts(best, generator)

    # -- starts

    def _measured(self) -> State:
        """What the response from one sound to the other shows, at the right level."""
        problem = self.problem
        dry, wet = problem.dry, problem.wet
        response = impulse_response(dry, wet, problem.sample_rate)
        knobs = {"eq": start_eq(self.chain, response, problem.sample_rate)}
        on = {"eq", "gain"} | ({"width"} if len(dry) == 2 else set())
        for effect, (own, salience) in self._copies(dry, wet, response, _FOUND).items():
            if salience > _FOUND[effect]:
                knobs[effect] = own
                on.add(effect)
        state = self._with(State(self.chain.default_controls(), self._on(())), knobs)
        return self._levelled(replace(state, switches=self._on(on)))

    def _copies(
        self, dry: Tensor, wet: Tensor, response: Tensor, wanted: Iterable[str]
    ) -> dict[str, tuple[dict[str, float], float]]:
        """Delay, reverb and chorus as measured, with their salience."""
        rate = self.problem.sample_rate
        ways = {
            "delay": lambda: start_delay(response, rate),
            "reverb": lambda: start_reverb(response, rate),
            "chorus": lambda: start_chorus(dry[0], wet[0], rate, self.problem.start),
        }
        return {effect: ways[effect]() for effect in wanted}

    def _on(self, effects: Iterable[str]) -> Tensor:
        return torch.tensor([name in set(effects) for name in self.chain.names])

    def _switched(self, state: State, more: Iterable[str], on: bool = True) -> State:
        switches = state.switches.clone()
        for name in more:
            switches[self.chain.names.index(name)] = on
        return replace(state, switches=switches)

    def _with(self, state: State, knobs: Mapping[str, Mapping[str, float]]) -> State:
        """The state with some settings in units, as far as ranges go."""
        controls = state.controls.clone()
        for place, (effect, param) in enumerate(self.chain.knobs):
            if param.name in knobs.get(effect, {}):
                value = min(max(knobs[effect][param.name], param.minimum), param.maximum)
                controls[place] = param.to_control(value)
        return replace(state, controls=controls)

    def _levelled(self, state: State) -> State:
        """The state with the output gain that suits it best, and its loss."""
        problem = self.problem
        rendered = problem.render(state)
        gain = best_gain(rendered, problem.wet[:, problem.run_in :])
        loss = float(problem.residual(gain * rendered).square().sum()) / problem.power
        place = next(k for k, (effect, _) in enumerate(self.chain.knobs) if effect == "gain")
        param = self.chain.knobs[place][1]
        before = float(param.to_setting(state.controls[place]))
        level = {"gain": {"gain_db": before + 20.0 * math.log10(max(gain, 1e-3))}}
        return replace(self._with(state, level), loss=loss)

    def _drawn(self, state: State, bent: tuple[str, ...], generator: torch.Generator) -> State:
        """The best of some draws of the knobs of compressor and overdrive."""
        if not bent:
            return state
        best = replace(state, loss=math.inf)
        for count in range(_DRAWS[len(bent)]):
            controls = state.controls.clone()
            for place, (effect, param) in enumerate(self.chain.knobs):
                if effect not in bent:
                    continue
                if count == 0 and self.estimate is not None:
                    controls[place] = self.estimate[place]
                    continue
                low, high = (param.to_control(end) for end in
                             _USUAL.get(param.name, (param.minimum, param.maximum)))  # fmt: skip
                controls[place] = low + (high - low) * float(torch.rand((), generator=generator))
            tried = self._levelled(replace(state, controls=controls))
            best = min(best, tried, key=lambda one: one.loss)
            if self.problem.late:
                break
        return best

    # -- second thoughts

    def _second_thoughts(self, best: State, generator: torch.Generator) -> State:
        """Leave a valley for another while there is time and the sound is not explained."""
        while best.loss > _ENOUGH and not self.problem.late:
            before = best.loss
            for kick in self._kicks(best, generator):
                tried = solve(self.problem, replace(kick, damping=1e-2), _AGAIN)
                if tried.loss < _BETTER * best.loss:
                    best = solve(self.problem, tried, _LONG)
                    break
                if self.problem.late:
                    break
            if best.loss >= before:
                break
        return best

    def _kicks(self, best: State, generator: torch.Generator) -> Iterator[State]:
        """Other places to start from: what is missing, cuts, another equaliser, other bending."""
        names, problem = self.chain.names, self.problem
        on = dict(zip(names, best.switches.tolist(), strict=True))
        rendered, wet = problem.render(best), problem.wet[:, problem.run_in :]
        missing = [effect for effect in _FOUND if not on[effect]]
        response = impulse_response(rendered, wet, problem.sample_rate)
        copies = self._copies(rendered, wet, response, missing)
        for effect, (own, salience) in sorted(copies.items(), key=lambda one: -one[1][1]):
            if salience > _PERHAPS:
                yield self._with(self._switched(best, [effect]), {effect: own})
        for place, (effect, param) in enumerate(self.chain.knobs):
            if effect == "eq" and param.name in _HALF_CUT:
                here = float(best.controls[place])
                for control in (*_HALF_CUT[param.name], param.default_control):
                    if abs(control - here) > 0.1:
                        yield replace(best, controls=best.controls.index_fill(
                            0, torch.tensor([place]), control))  # fmt: skip
        for effect in _BENT:
            if not on[effect]:
                switched = self._switched(best, [effect])
                yield self._drawn(switched, (effect,), generator)
        knobs = self.chain.knobs_of("eq")
        cuts = torch.tensor([param.name in _HALF_CUT for _, param in self.chain.knobs])
        defaults = self.chain.default_controls()
        yield replace(best, controls=torch.where(knobs & ~cuts, defaults, best.controls))
        bent = tuple(effect for effect in _BENT if on[effect])
        if bent:
            yield self._drawn(best, bent, generator)
        for _ in range(8):
            away = _EQ_SPREAD * torch.randn(len(knobs), generator=generator)
            controls = torch.where(knobs & ~cuts, best.controls + away, best.controls)
            yield replace(best, controls=controls.clamp(0.0, 1.0))


def prune(problem: Problem, best: State) -> State:
    """Switch effects off, and bands flat, that are not missed.

    Args:
        problem: The stretch, best without weight.
        best: What was found.

    Returns:
        A state whose residual is at most `_NOTICED_DB` above that of `best`, or unheard.
    """
    chain = problem.chain
    best = replace(best, loss=problem.loss(best))
    most = max(best.loss * 10.0 ** (_NOTICED_DB / 10.0), 10.0 ** (_UNHEARD_DB / 10.0))
    while bool(best.switches.any()) and not problem.late:
        tried = []
        for place in best.switches.nonzero().flatten().tolist():
            switches = best.switches.clone()
            switches[place] = False
            without = replace(best, switches=switches)
            without = replace(without, loss=problem.loss(without))
            tried.append(without)
        tried.sort(key=lambda state: state.loss)
        for without in tried:
            if without.loss > most:
                without = solve(problem, without, 3, enough=most)
            if without.loss <= most:
                best = without
                break
            if problem.late or without.loss > 100.0 * most:
                return _flat(problem, best, most)
        else:
            return _flat(problem, best, most)
    return best


def _flat(problem: Problem, best: State, most: float) -> State:
    """Bands and cuts of the equaliser at their defaults if they are not missed."""
    chain = problem.chain
    if not bool(best.switches[chain.names.index("eq")]):
        return best
    amounts = [
        (abs(float(best.controls[place]) - param.default_control), place, param)
        for place, (effect, param) in enumerate(chain.knobs)
        if effect == "eq" and param.amount
    ]
    for _, place, param in sorted(amounts, key=lambda one: one[0]):
        controls = best.controls.clone()
        controls[place] = param.default_control
        tried = replace(best, controls=controls)
        loss = problem.loss(tried)
        if loss <= most:
            best = replace(tried, loss=loss)
    return best
