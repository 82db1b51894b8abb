"""Recursive filters of any order, in blocks, without a loop over samples.

A filter is a state space ``s[n+1] = A s[n] + B x[n], y[n] = C s[n] + D x[n]``. Frames of 128
samples are products with matrices; the states between frames follow by doubling. In float64.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["StateSpace", "bilinear", "chain", "recurse"]

_FRAME = 128


class StateSpace(NamedTuple):
    """A linear filter; the first axis of all four is the batch, which may be 1.

    Attributes:
        a: ``(batch, order, order)``.
        b: ``(batch, order)``.
        c: ``(batch, order)``.
        d: ``(batch,)``.
    """

    a: Tensor
    b: Tensor
    c: Tensor
    d: Tensor


def bilinear(numerator: Tensor, denominator: Tensor, half_step: Tensor) -> StateSpace:
    """Digital filter of an analogue one, by the trapezoidal rule (bilinear transform).

    Args:
        numerator: ``(batch, order + 1)`` coefficients of falling powers of s.
        denominator: The same; the first is not 0.
        half_step: ``(batch,)`` half the sample period in the time unit of s:
            ``tan(pi f / sample_rate)`` when s is relative to a frequency f that is to be kept.
    """
    leading = denominator[:, :1]
    poles, zeros = denominator[:, 1:] / leading, numerator / leading
    order = poles.shape[1]
    direct = zeros[:, 0]
    c = zeros[:, 1:] - direct.unsqueeze(1) * poles
    one = torch.eye(order, dtype=poles.dtype, device=poles.device)
    shift = torch.cat([torch.zeros_like(poles), one[:-1].expand(len(poles), -1, -1).flatten(1)], 1)
    a = shift.view(-1, order, order) - one[0].unsqueeze(1) * poles.unsqueeze(1)
    step = half_step.view(-1, 1, 1)
    inverse = torch.linalg.inv(one - step * a)
    first = inverse[:, :, 0] * half_step.unsqueeze(1)
    return StateSpace(
        inverse @ (one + step * a),
        2.0 * first,
        (c.unsqueeze(1) @ inverse).squeeze(1),
        direct + (c * first).sum(1),
    )


def chain(first: StateSpace, second: StateSpace) -> StateSpace:
    """Both filters after one another, as one."""
    upper = torch.cat([first.a, first.a.new_zeros(*first.b.shape, second.b.shape[1])], 2)
    passed = second.b.unsqueeze(2) * first.c.unsqueeze(1)
    lower = torch.cat([passed, second.a.expand(len(passed), -1, -1)], 2)
    return StateSpace(
        torch.cat([upper.expand(len(lower), -1, -1), lower], 1),
        torch.cat([first.b.expand(len(lower), -1), second.b * first.d.unsqueeze(1)], 1),
        torch.cat([second.d.unsqueeze(1) * first.c, second.c.expand(len(lower), -1)], 1),
        second.d * first.d,
    )


def _unroll(system: StateSpace) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """``C A^i`` and ``A^i B`` within a frame, its Toeplitz matrix, and ``A`` to its length."""
    power = system.a
    rows, columns = system.c.unsqueeze(1), system.b.unsqueeze(2)
    while rows.shape[1] < _FRAME:
        rows = torch.cat([rows, rows @ power], 1)
        columns = torch.cat([columns, power @ columns], 2)
        power = power @ power
    response = (rows[:, :-1] @ system.b.unsqueeze(2)).squeeze(2)
    response = torch.cat([system.d.unsqueeze(1), response], 1)
    index = torch.arange(_FRAME, device=power.device)
    lag = index.unsqueeze(1) - index
    toeplitz = torch.where(lag >= 0, response[:, lag.clamp_min(0)], 0.0)
    return rows, columns, toeplitz, power


def recurse(
    audio: Tensor, system: StateSpace, state: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Run a filter over a block.

    Args:
        audio: ``(batch, channel, time)``.
        system: In float64.
        state: ``(batch, channel, order)`` as the block before left it; None is silence.

    Returns:
        ``(batch, channel, time)`` in the audio's precision, and the state.
    """
    batch, channels, length = audio.shape
    order = system.b.shape[1]
    if state is None:
        state = system.a.new_zeros(batch, channels, order)
    rows, columns, toeplitz, power = (part.unsqueeze(1) for part in _unroll(system))
    whole = length - length % _FRAME
    frames = audio[..., :whole].double().reshape(batch, channels, -1, _FRAME)
    states = torch.cat([state.unsqueeze(2), frames @ columns.flip(-1).mT], 2)
    step = 1
    while step < states.shape[2]:
        states = torch.cat(
            [states[:, :, :step], states[:, :, step:] + states[:, :, :-step] @ power.mT], 2
        )
        power, step = power @ power, 2 * step
    done = frames @ toeplitz.mT + states[:, :, :-1] @ rows.mT
    state = states[:, :, -1]
    rest = audio[..., whole:].double().unsqueeze(2)  # as a frame of its own
    size = length - whole
    last = rest @ toeplitz[..., :size, :size].mT + state.unsqueeze(2) @ rows[..., :size, :].mT
    reached = rest @ columns[..., :size].flip(-1).mT
    advance = torch.linalg.matrix_power(system.a, size).unsqueeze(1)
    state = (reached + state.unsqueeze(2) @ advance.mT).squeeze(2)
    return torch.cat([done.flatten(2), last.flatten(2)], -1).to(audio.dtype), state
