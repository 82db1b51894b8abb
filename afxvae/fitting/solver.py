"""Levenberg-Marquardt on the knobs of a chain: the least power of what is left in a null test.

The residual is the waveform itself, so two sounds must be aligned to the sample. A knob moves what
comes behind it only, so that a derivative costs a run through the rest of the chain.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

    from ..effects import Chain, Effect

__all__ = ["Problem", "State", "loudest", "solve"]

_RUN_IN_S = 1.0
_STEP = 2e-3
_STEPS = {("delay", "time_ms"): 1e-5, ("chorus", "rate_hz"): 1e-5, ("chorus", "delay_ms"): 1e-4,
          ("chorus", "depth_ms"): 1e-3, ("reverb", "pre_delay_ms"): 1e-5}  # fmt: skip
"""Of a control, for its derivative; small where the waveform moves far."""
_BATCH = 8
_DAMPING, _LEAST_DAMPING, _MOST_DAMPING = 1e-2, 1e-8, 1e2
_RIDGE = 1e-5  # of the power of the wet sound, for a whole turn of a knob
_LONGEST = 0.25  # of a knob's way in one step
_WORTH = 0.8  # of the loss: what is less goes on without new derivatives


@dataclass(frozen=True)
class State:
    """Where the knobs stand.

    Attributes:
        controls: ``(control,)``.
        switches: ``(effect,)`` boolean.
        loss: Power of the weighted residual, relative to the wet sound's.
        damping: Of the next step.
    """

    controls: Tensor
    switches: Tensor
    loss: float = float("inf")
    damping: float = _DAMPING


@dataclass(frozen=True)
class Problem:
    """A stretch of both recordings.

    Attributes:
        chain: Whose knobs are sought.
        dry: ``(channel, time)``, with what precedes the stretch.
        wet: ``(channel, time)``, the same stretch, aligned.
        sample_rate: In Hz.
        start: Sample of the recording at which `dry` begins; modulation is counted from 0.
        run_in: Samples at the beginning that are not compared.
        weight: By frequency, ``(bin,)`` for `n_fft`, or None.
        deadline: Of `time.thread_time`: work, not waiting, counts.
    """

    chain: Chain
    dry: Tensor
    wet: Tensor
    sample_rate: int
    start: int = 0
    run_in: int = 0
    weight: Tensor | None = None
    deadline: float = float("inf")

    def is_late(self) -> bool:
        """Whether there is no time left."""
        return time.thread_time() > self.deadline

    def run(self, effect: Effect, audio: Tensor, controls: Tensor) -> Tensor:
        """One effect on ``(batch, channel, time)``, its knobs from ``(batch, control)``."""
        columns = [c for (name, _), c in zip(self.chain.knobs, controls.unbind(1), strict=True)
                   if name == effect.name]  # fmt: skip
        knobs = {
            p.name: p.to_setting(column) for p, column in zip(effect.params, columns, strict=True)
        }
        late = effect.latency(self.sample_rate)
        padded = functional.pad(audio, (0, late)) if late else audio
        state = None
        if effect.name == "chorus":
            state = (padded[..., :0], torch.tensor(self.start))
        return effect.run(padded, knobs, self.sample_rate, state)[0][..., late:]

    def stages(self, state: State) -> list[Tensor]:
        """What goes into every effect, and what comes out of the last, ``(1, channel, time)``."""
        found = [self.dry.unsqueeze(0)]
        for effect, on in zip(self.chain.effects, state.switches.tolist(), strict=True):
            audio = found[-1]
            found.append(self.run(effect, audio, state.controls.unsqueeze(0)) if on else audio)
        return found

    def render(self, state: State) -> Tensor:
        """``(channel, time)`` without the run-in."""
        return self.stages(state)[-1][0, :, self.run_in :]

    def variants(self, state: State, controls: Tensor, first: str) -> Tensor:
        """What other knobs make of it from the effect `first` on, ``(batch, channel, time)``.

        Args:
            state: What is on, and the knobs of all before `first`.
            controls: ``(batch, control)``.
            first: Name of an effect.
        """
        place = self.chain.names.index(first)
        on = state.switches.clone()
        on[place:] = False
        audio = self.stages(replace(state, switches=on))[place].expand(len(controls), -1, -1)
        for effect, switch in zip(self.chain.effects, state.switches.tolist(), strict=True):
            if switch and self.chain.names.index(effect.name) >= place:
                audio = self.run(effect, audio, controls)
        heard: Tensor = audio[..., self.run_in :]
        return heard

    def weighted(self, signals: Tensor) -> Tensor:
        """``(batch, channel, time)`` as it counts, flat ``(batch, number)``."""
        if self.weight is None:
            return signals.flatten(1)
        n_fft = 2 * (len(self.weight) - 1)
        spectrum = torch.fft.rfft(signals, n_fft) * self.weight
        parts: Tensor = torch.view_as_real(spectrum).flatten(1) * (2.0 / n_fft) ** 0.5
        return parts

    @property
    def power(self) -> float:
        """Of the wet sound, as it counts."""
        wet = self.wet[:, self.run_in :].unsqueeze(0)
        return float(self.weighted(wet).square().sum()) + 1e-20

    def residual(self, rendered: Tensor) -> Tensor:
        """Of ``(channel, time)`` without the run-in, ``(number,)``."""
        return self.weighted((rendered - self.wet[:, self.run_in :]).unsqueeze(0))[0]

    def loss(self, state: State) -> float:
        """Power of the residual relative to the wet sound's."""
        return float(self.residual(self.render(state)).square().sum()) / self.power


def loudest(problem: Problem, samples: int) -> Problem:
    """The loudest stretch of so many samples, and a run-in; all of it if it is no longer."""
    length = problem.dry.shape[1] - problem.run_in
    before = problem.run_in
    if length <= samples:
        return problem
    power = problem.wet[:, problem.run_in :].square().sum(0).double()
    sums = functional.pad(power.cumsum(0), (1, 0))
    steps = torch.arange(0, length - samples + 1, 1024)
    begin = int(steps[(sums[steps + samples] - sums[steps]).argmax()])
    run_in = min(before + begin, round(_RUN_IN_S * problem.sample_rate))
    first = before + begin - run_in
    rows = slice(first, before + begin + samples)
    return replace(
        problem,
        dry=problem.dry[:, rows],
        wet=problem.wet[:, rows],
        start=problem.start + first,
        run_in=run_in,
    )


def _jacobian(problem: Problem, state: State, stages: list[Tensor], free: list[int]) -> Tensor:
    """Derivatives of what is rendered by the free controls, weighted: ``(free, number)``."""
    chain = problem.chain
    places = {name: place for place, name in enumerate(chain.names)}
    on = state.switches.tolist()
    base = stages[-1][..., problem.run_in :]
    rows = []
    for name in chain.names:
        own = [c for c in free if chain.knobs[c][0] == name]
        for part in range(0, len(own), _BATCH):
            chosen = own[part : part + _BATCH]
            controls = state.controls.repeat(len(chosen), 1)
            steps = []
            for row, column in enumerate(chosen):
                effect, param = chain.knobs[column]
                step = _STEPS.get((effect, param.name), _STEP)
                step = -step if float(controls[row, column]) > 0.5 else step
                before = float(controls[row, column])
                controls[row, column] += step
                steps.append(float(controls[row, column]) - before)
            audio = stages[places[name]].expand(len(chosen), -1, -1)
            for place in range(places[name], len(chain.effects)):
                if on[place]:
                    audio = problem.run(chain.effects[place], audio, controls)
            change = (audio[..., problem.run_in :] - base) / torch.tensor(steps).view(-1, 1, 1)
            rows.append(problem.weighted(change))
    return torch.cat(rows)


def _free(chain: Chain, state: State) -> list[int]:
    """Controls that a derivative can move: of effects that are on, but for cuts that are open.

    A cut of an equaliser that opens entirely jumps, so that this is a choice and no way.
    """
    on = dict(zip(chain.names, state.switches.tolist(), strict=True))
    return [
        place
        for place, (effect, param) in enumerate(chain.knobs)
        if on[effect]
        and not (
            param.name.endswith("cut_hz") and float(state.controls[place]) == param.default_control
        )
    ]


@torch.no_grad()
def solve(
    problem: Problem,
    state: State,
    rounds: int,
    *,
    enough: float = 1e-6,
    slow: float = 0.02,
) -> State:
    """Improve the knobs of the effects that are on.

    Args:
        problem: What is compared.
        state: Where to start.
        rounds: Most derivatives that are taken.
        enough: Loss at which nothing needs to be improved any more.
        slow: Share by which two rounds must lower the loss, else they were the last.
    """
    free = _free(problem.chain, state)
    power, run_in = problem.power, problem.run_in
    stages = problem.stages(state)
    residual = problem.residual(stages[-1][0, :, run_in:])
    loss = float(residual.square().sum()) / power
    damping, history = state.damping, [loss]
    for _ in range(rounds if free else 0):
        if loss < enough or problem.is_late():
            break
        rows = _jacobian(problem, state, stages, free)
        fresh = True
        while not problem.is_late():
            gram = (rows @ rows.mT).double() / power
            slope = (rows @ residual).double() / power
            controls = _step(state.controls, gram, slope, damping, free)
            move = (controls - state.controls)[free]
            tried = replace(state, controls=controls)
            stages_tried = problem.stages(tried)
            residual_tried = problem.residual(stages_tried[-1][0, :, run_in:])
            after = float(residual_tried.square().sum()) / power
            if after < loss:
                missed = residual_tried - residual - move @ rows  # Broyden's update
                rows = rows + torch.outer(move / move.square().sum(), missed)
                better = after < _WORTH * loss
                state, stages, residual, loss = tried, stages_tried, residual_tried, after
                damping = max(damping * 0.3, _LEAST_DAMPING)
                fresh = False
                if not better:
                    break
            elif not fresh or damping > _MOST_DAMPING:
                break
            else:
                damping *= 4.0
        history.append(loss)
        if fresh or (len(history) > 2 and loss > (1.0 - slow) * history[-3]):
            break
    return replace(state, loss=loss, damping=min(max(damping, _LEAST_DAMPING), _DAMPING))


def _step(controls: Tensor, gram: Tensor, slope: Tensor, damping: float, free: list[int]) -> Tensor:
    """One damped step; controls that would leave [0, 1] stay at its end."""
    here = controls[free].double()
    inside = torch.ones(len(free), dtype=torch.bool)
    step = torch.zeros_like(here)
    for _ in range(4):
        index = inside.nonzero().flatten()
        if not len(index):
            break
        own = gram[index][:, index]
        ridge = torch.diag(damping * own.diagonal() + damping * _RIDGE + 1e-12)
        step = torch.zeros_like(here)
        step[index] = -torch.linalg.solve(own + ridge, slope[index])
        outside = inside & (((here <= 0.0) & (step < 0.0)) | ((here >= 1.0) & (step > 0.0)))
        if not bool(outside.any()):
            break
        inside &= ~outside
    step = step.clamp(-_LONGEST, _LONGEST)
    found = controls.clone()
    found[free] = (here + step).clamp(0.0, 1.0).float()
    return found
