"""First-order all-passes in series whose frequency moves, with feedback around all of them.

Each stage is the bilinear transform of ``(1 - s) / (1 + s)`` by the trapezoidal rule, its state the
voltage of the circuit's capacitor, which stays when the frequency moves (Zavalishin, *The Art of VA
Filter Design*, 2018, chapter 3)::

    z[n+1] = a z[n] + b u[n]        a = (1 - g) / (1 + g),  b = 1 - a,  c = 1 + a,
    y[n]   = c z[n] - a u[n]        g = tan(pi f[n] / sample_rate)

The first stage gets ``u = x + feedback y`` with the last stage's y at the same sample, as in an
analogue circuit: an equation linear in y, solved exactly.

Time is cut into blocks that run side by side: once from rest and from each unit state, which tells
what a block makes of any state; then, with the states handed on from block to block, once more. The
transpose of the system is the same run backwards in time, with the order of its stages reversed and
b and c exchanged; that gives the gradient.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch.nn.functional import pad

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Coefficients", "allpass_cascade", "allpass_coefficients"]

_HIGHEST_FREQUENCY = 0.49  # of the sample rate
_STEP_COST = 12  # a step of all blocks takes so much longer than handing on one block's state


class Coefficients(NamedTuple):
    """What a stage does at a sample; see the top of this module."""

    a: Tensor
    b: Tensor
    c: Tensor


def allpass_coefficients(frequency_hz: Tensor, sample_rate: int) -> Coefficients:
    """Of all-passes that turn the phase by 90 degrees at `frequency_hz`."""
    limited = frequency_hz.clamp(max=_HIGHEST_FREQUENCY * sample_rate)
    g = torch.tan(math.pi / sample_rate * limited)
    share = 1.0 / (1.0 + g)
    return Coefficients((1.0 - g) * share, 2.0 * g * share, 2.0 * share)


def _blocks(x: Tensor, size: int, value: float = 0.0) -> Tensor:
    """``(lane, time)`` to ``(size, lane * blocks)``; what lacks at the end is `value`."""
    missing = -x.shape[-1] % size
    return pad(x, (0, missing), value=value).view(-1, size).t().contiguous()


def _series(z: Tensor, u: Tensor, stage: Coefficients) -> list[Tensor]:
    """Inputs of all stages, the first of which is `u`, and last the output of the last stage."""
    signals = [u]
    for state in z.unbind(0):
        signals.append(torch.addcmul(stage.c * state, stage.a, signals[-1], value=-1.0))
    return signals


def _loop_input(x: Tensor, z: Tensor, stage: Coefficients, feedback: Tensor) -> Tensor:
    """Input of the first stage: what solves ``u = x + feedback y``."""
    rest = _series(z, torch.zeros_like(z[0]), stage)[-1]
    return (x + feedback * rest) / (1.0 - feedback * (-stage.a) ** len(z))


class _Steps:
    """The loop over the samples of a block, for many blocks side by side."""

    def __init__(self, x: Tensor, stage: Coefficients, feedback: Tensor, stages: int) -> None:
        self.x, self.stage = x, stage
        self.gain = 1.0 / (1.0 - feedback * (-stage.a) ** stages)
        self.back = feedback * self.gain

    def run(self, z: Tensor, trace: Tensor | None = None) -> Tensor:
        """Go through all samples.

        Args:
            z: ``(stage, run, lane)`` first states, overwritten; only run 0 gets x.
            trace: ``(sample, stage, lane)``, filled with the states of run 0 before each sample.

        Returns:
            The last states.
        """
        held, inputs = torch.empty_like(z), torch.empty_like(z)
        stages, into = held.unbind(0), inputs.unbind(0)
        first = into[0][0]
        parts = (part.unbind(0) for part in (self.x, *self.stage, self.gain, self.back))
        for n, (x, a, b, c, gain, back) in enumerate(zip(*parts, strict=True)):
            if trace is not None:
                trace[n] = z[:, 0]
            torch.mul(z, c, out=held)
            rest = stages[0]
            for stage in stages[1:]:
                rest = torch.addcmul(stage, a, rest, value=-1.0)
            torch.mul(rest, back, out=into[0])
            first.addcmul_(x, gain)
            for stage, u, after in zip(stages[:-1], into[:-1], into[1:], strict=True):
                torch.addcmul(stage, a, u, value=-1.0, out=after)
            z.mul_(a).addcmul_(inputs, b)
        return z


def _solve(
    x: Tensor, stage: Coefficients, feedback: Tensor, start: Tensor
) -> tuple[Tensor, Tensor]:
    """States before every sample ``(stage, lane, time)``, and the last ``(stage, lane)``."""
    stages, lanes = start.shape
    length = x.shape[-1]
    size = max(1, math.isqrt(length // _STEP_COST))
    count = -(-length // size)
    wide = feedback.repeat_interleave(count)
    # a = 1 and b = 0 behind the end leave the states alone
    cut = Coefficients(_blocks(stage.a, size, 1.0), *(_blocks(part, size) for part in stage[1:]))
    steps = _Steps(_blocks(x, size), cut, wide, stages)
    z = x.new_zeros(stages, stages + 1, lanes * count)
    z[torch.arange(stages), torch.arange(1, stages + 1)] = 1.0
    ends = steps.run(z).view(stages, stages + 1, lanes, count).permute(3, 2, 0, 1)
    states = [start.t().unsqueeze(-1)]
    for rest, reach in zip(ends[..., :1].unbind(0), ends[..., 1:].unbind(0), strict=True):
        states.append(torch.baddbmm(rest, reach, states[-1]))
    begin = torch.stack(states[:-1], -1).squeeze(-2).movedim(1, 0).reshape(stages, 1, -1)
    trace = x.new_empty(size, stages, lanes * count)
    steps.run(begin.contiguous(), trace)
    joined = trace.permute(1, 2, 0).reshape(stages, lanes, count * size)
    return joined[..., :length], states[-1].squeeze(-1).t()


class _Cascade(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, a: Tensor, b: Tensor, c: Tensor, feedback: Tensor, start: Tensor
    ) -> tuple[Tensor, Tensor]:
        stage = Coefficients(a, b, c)
        z, end = _solve(x, stage, feedback, start)
        u = _loop_input(x, z, stage, feedback.unsqueeze(1))
        y = _series(z, u, stage)[-1]
        ctx.save_for_backward(z, u, a, b, c, feedback, y)
        ctx.mark_non_differentiable(end)
        return y, end

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        z, u, a, b, c, feedback, y = ctx.saved_tensors
        grad = gradients[0].flip(-1)
        stage = Coefficients(a.flip(-1), c.flip(-1), b.flip(-1))
        z_back, _ = _solve(grad, stage, feedback, torch.zeros_like(z[..., 0]))
        u_back = _loop_input(grad, z_back, stage, feedback.unsqueeze(1))
        *v_back, by_x = _series(z_back, u_back, stage)
        by_state, by_output = z_back.flip(0, -1), torch.stack(v_back[::-1]).flip(-1)
        by_x = by_x.flip(-1)
        inputs = torch.stack(_series(z, u, Coefficients(a, b, c))[:-1])
        by_a = (by_state * z - by_output * inputs).sum(0)
        by_b, by_c = (by_state * inputs).sum(0), (by_output * z).sum(0)
        return by_x, by_a, by_b, by_c, (by_x * y).sum(1), None


def allpass_cascade(
    audio: Tensor,
    coefficients: Coefficients,
    feedback: Tensor,
    stages: int,
    state: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Filter with `stages` equal all-passes and feedback around them.

    At a constant frequency, ``H = A^stages / (1 - feedback A^stages)``. Gradients reach all but the
    state.

    Args:
        audio: ``(batch, channel, time)``.
        coefficients: See `allpass_coefficients`; each broadcasts to the audio.
        feedback: ``(batch,)`` between -1 and 1.
        stages: Number of all-passes.
        state: ``(stage, batch, channel)`` from the block before, None at the start.

    Returns:
        ``(batch, channel, time)`` and the state.
    """
    batch, channels, length = audio.shape
    if state is None:
        state = audio.new_zeros(stages, batch, channels)
    if length == 0:
        return audio, state
    done, end = _Cascade.apply(
        audio.flatten(0, 1),
        *(part.to(audio.dtype).expand_as(audio).flatten(0, 1) for part in coefficients),
        feedback.repeat_interleave(channels),
        state.flatten(1),
    )
    return done.view_as(audio), end.reshape(stages, batch, channels)
