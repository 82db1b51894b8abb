"""The way from nothing to a treatment: measured starts, refinement, second thoughts, pruning."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from ..data.treatments import USUAL_RANGES
from .alignment import best_gain, impulse_response, residual_db
from .chorus import start_chorus
from .equalizer import start_eq
from .reflections import start_delay, start_reverb
from .solver import State, loudest, solve

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from torch import Tensor

    from ..effects import Chain
    from .solver import Problem

__all__ = ["Search", "prune"]

Copies = dict[str, tuple[dict[str, float], float]]
"""By effect, settings as measured and their salience."""

_FOUND = {"delay": 12.0, "reverb": 14.0, "chorus": 8.0}
"""Salience above which what was measured is taken for granted at first; pruning comes later."""
_PERHAPS = 7.0  # salience above which it is worth a try where something is missing
_BENT = ("compressor", "overdrive")  # effects that bend the waveform: no response shows them
_BENDINGS = (("compressor",), ("overdrive",), ("compressor", "overdrive"))
_DRAWS, _BATCH = {1: 32, 2: 64}, 8
_HEARD = 1 << 15  # samples on which draws are judged
_FIRST, _LONG, _AGAIN = 2, 15, 5  # rounds
_ENOUGH = 1e-4  # of the loss: -40 dB
_NEARLY = 3e-3  # of the loss: nothing is bent
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
        whole: A longer one without weight, on which reflections are measured.
        estimate: Controls ``(control,)`` that a model proposes, or None.
        seed: Of draws.
    """

    problem: Problem
    whole: Problem | None = None
    estimate: Tensor | None = None
    seed: int = 0

    @property
    def chain(self) -> Chain:
        """Whose knobs are sought."""
        return self.problem.chain

    def run(self) -> State:
        """The best state that was found."""
        generator = torch.Generator().manual_seed(self.seed)
        start = self._measured()
        plain = solve(self.problem, start, _FIRST)
        if plain.loss > _NEARLY:  # what hides behind what was found
            more = self._missing(plain, _FOUND)
            if more:
                start = self._levelled(_copied(start, more, self.chain))
                again = solve(self.problem, _copied(plain, more, self.chain), _FIRST)
                plain = min(plain, again, key=lambda state: state.loss)
        found = [plain]
        for bent in _BENDINGS:
            if found[-1].loss < _ENOUGH or plain.loss < _NEARLY or self.problem.is_late():
                break
            begun = self._drawn(self._switched(start, bent), bent, generator)
            found.append(solve(self.problem, begun, _FIRST))
        found.sort(key=lambda state: state.loss)
        best = solve(self.problem, found[0], _LONG)
        return self._second_thoughts(best, found[1:2], generator)

    # -- starts

    def _measured(self) -> State:
        """What the response from one sound to the other shows, at the right level."""
        problem, whole = self.problem, self.whole or self.problem
        response = impulse_response(whole.dry, whole.wet, problem.sample_rate)
        knobs = {"eq": start_eq(self.chain["eq"], response, problem.sample_rate)}
        on = {"eq", "gain"} | ({"width"} if len(whole.dry) == 2 else set())
        copies = self._reflections(response, ("delay", "reverb"))
        copies["chorus"] = start_chorus(
            whole.dry[0], whole.wet[0], problem.sample_rate, whole.start
        )
        for effect, (own, salience) in copies.items():
            if salience > _FOUND[effect]:
                knobs[effect] = own
                on.add(effect)
        state = _with(State(self.chain.default_controls(), self._on(())), knobs, self.chain)
        return self._levelled(replace(state, switches=self._on(on)))

    def _reflections(self, response: Tensor, wanted: Iterable[str]) -> Copies:
        """Delay and reverb as a response shows them, with their salience."""
        ways = {"delay": start_delay, "reverb": start_reverb}
        return {effect: ways[effect](response, self.problem.sample_rate) for effect in wanted}

    def _missing(self, state: State, least: Mapping[str, float]) -> Copies:
        """Reflections that are off, from what is rendered to the wet sound, the clearest first.

        Args:
            state: What is rendered.
            least: By effect, the salience above which it counts.
        """
        problem = self.problem
        on = dict(zip(self.chain.names, state.switches.tolist(), strict=True))
        rendered, wet = problem.render(state), problem.wet[:, problem.run_in :]
        response = impulse_response(rendered, wet, problem.sample_rate)
        off = [effect for effect in ("delay", "reverb") if not on[effect]]
        copies = self._reflections(response, off)
        ranked = sorted(copies.items(), key=lambda one: -one[1][1] / _FOUND[one[0]])
        return {effect: copy for effect, copy in ranked if copy[1] > least[effect]}

    def _on(self, effects: Iterable[str]) -> Tensor:
        return torch.tensor([name in set(effects) for name in self.chain.names])

    def _switched(self, state: State, more: Iterable[str], on: bool = True) -> State:
        switches = state.switches.clone()
        for name in more:
            switches[self.chain.names.index(name)] = on
        return replace(state, switches=switches)

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
        return replace(_with(state, level, self.chain), loss=loss)

    def _drawn(self, state: State, bent: tuple[str, ...], generator: torch.Generator) -> State:
        """The best of some draws of compressor and overdrive, by a part of the sound."""
        part = loudest(self.problem, _HEARD)
        controls = state.controls.repeat(_DRAWS[len(bent)], 1)
        for place, (effect, param) in enumerate(self.chain.knobs):
            if effect in bent:
                ends = USUAL_RANGES.get((effect, param.name), (param.minimum, param.maximum))
                low, high = (param.to_control(end) for end in ends)
                draws = torch.rand(len(controls), generator=generator)
                controls[:, place] = low + (high - low) * draws
                if self.estimate is not None:
                    controls[0, place] = self.estimate[place]
        wet = part.wet[:, part.run_in :]
        best, least = controls[0], math.inf
        for batch in controls.split(_BATCH):
            for row, rendered in zip(batch, part.variants(state, batch, bent[0]), strict=True):
                left = residual_db(best_gain(rendered, wet) * rendered, wet)
                if left < least:
                    best, least = row, left
            if self.problem.is_late():
                break
        return self._levelled(replace(state, controls=best))

    # -- second thoughts

    def _second_thoughts(
        self, best: State, others: list[State], generator: torch.Generator
    ) -> State:
        """Leave a valley for another while there is time and the sound is not explained."""
        while best.loss > _ENOUGH and not self.problem.is_late():
            before = best.loss
            for kick in self._kicks(best, others, generator):
                tried = solve(self.problem, replace(kick, damping=1e-2), _AGAIN)
                if tried.loss < _BETTER * best.loss:
                    best = solve(self.problem, tried, _LONG)
                    break
                if self.problem.is_late():
                    break
            if best.loss >= before:
                break
        return best

    def _kicks(
        self, best: State, others: list[State], generator: torch.Generator
    ) -> Iterator[State]:
        """Other places to start from: what is missing, cuts, another equaliser, other bending."""
        on = dict(zip(self.chain.names, best.switches.tolist(), strict=True))
        missing = self._missing(best, dict.fromkeys(_FOUND, _PERHAPS))
        for effect, copy in missing.items():
            yield _copied(best, {effect: copy}, self.chain)
        yield from others
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


def _with(state: State, knobs: Mapping[str, Mapping[str, float]], chain: Chain) -> State:
    """The state with some settings in units, as far as ranges go."""
    controls = state.controls.clone()
    for place, (effect, param) in enumerate(chain.knobs):
        if param.name in knobs.get(effect, {}):
            value = min(max(knobs[effect][param.name], param.minimum), param.maximum)
            controls[place] = param.to_control(value)
    return replace(state, controls=controls)


def _copied(state: State, copies: Copies, chain: Chain) -> State:
    """The state with some copies of the sound switched on."""
    on = torch.tensor([name in copies for name in chain.names])
    state = replace(state, switches=state.switches | on, damping=State.damping)
    return _with(state, {effect: knobs for effect, (knobs, _) in copies.items()}, chain)


def prune(problem: Problem, best: State) -> State:
    """Switch effects off, and bands flat, that are not missed.

    Args:
        problem: The stretch, best without weight.
        best: What was found.

    Returns:
        A state whose residual is at most `_NOTICED_DB` above that of `best`, or unheard.
    """
    best = replace(best, loss=problem.loss(best))
    most = max(best.loss * 10.0 ** (_NOTICED_DB / 10.0), 10.0 ** (_UNHEARD_DB / 10.0))
    while bool(best.switches.any()) and not problem.is_late():
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
            if problem.is_late() or without.loss > 100.0 * most:
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
