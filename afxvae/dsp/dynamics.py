"""Dynamics: the static curve and the exact attack/release smoother, without a loop over samples.

The smoother is the branching one-pole of Giannoulis, Massberg and Reiss, *Digital Dynamic Range
Compressor Design* (JAES 60(6), 2012, eq. 16)::

    y[n] = a y[n-1] + (1 - a) x[n],    a = attack pole while x[n] > y[n-1], else release pole

The signal is cut into blocks that run side by side. Where each has to start is found by Newton's
method: run them all from a guess, note what each ends with as a line in its start, go from block to
block along these lines, and repeat with those whose start moved. The faster pole holds for rises,
else all is turned upside down; so what a block ends with is a convex function of its start and lies
above all such lines. Starts come from below, and the line of a block that only falls may stand
beside the last one. A handful of rounds makes the result the exact sequential one, to rounding;
as each round makes at least one more block right, it ends with any signal.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import pad

from . import sequential
from .units import db_to_gain, gain_to_db, per_item, time_constant_to_pole

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["attack_release", "compress", "compression_curve"]

_SHORTEST_BLOCK = 16
_STEPS_PER_ROW = 20
_TOLERANCE = 1e-14  # of the highest sample
_PIECE = 1 << 22  # long blocks go in pieces, which a processor's cache can hold


def compression_curve(
    level_db: Tensor, threshold_db: Tensor, ratio: Tensor, knee_db: Tensor
) -> Tensor:
    """Static gain in dB (at most 0) of a downward compressor with a quadratic knee.

    Giannoulis et al. 2012, eq. 4. Ratio 4 turns 8 dB over the threshold into 2.

    Returns:
        Gain of the shape to which the arguments broadcast.
    """
    over = level_db - threshold_db
    half = 0.5 * knee_db
    beyond = torch.relu(over - half)
    inside = torch.relu(over + half) - beyond  # progress through the knee
    bent = inside.square() * (0.5 / knee_db.clamp_min(1e-3)) + beyond
    return (1.0 / ratio - 1.0) * bent


class _Blocks:
    """Signals ``(batch, time)`` as ``(block, batch * blocks)``: blocks side by side.

    Going through a row takes about as long as going from block to block twenty times or more.
    """

    def __init__(self, batch: int, length: int) -> None:
        self.batch, self.length = batch, length
        self.block = max(_SHORTEST_BLOCK, math.isqrt(batch * length // _STEPS_PER_ROW))
        self.count = -(-length // self.block)
        row = length - 1 - (self.count - 1) * self.block
        self.last = (row, slice(None), self.count - 1)  # of an item: row, batch, block

    def split(self, x: Tensor) -> Tensor:
        padded = pad(x, (0, self.block * self.count - self.length))
        return padded.view(self.batch * self.count, self.block).t().contiguous()

    def join(self, x: Tensor) -> Tensor:
        return x.t().reshape(self.batch, -1)[:, : self.length]

    def widen(self, x: Tensor) -> Tensor:
        """``(batch,)`` to ``(batch * blocks,)``."""
        return x.repeat_interleave(self.count)

    def chain(
        self, first: Tensor, a: Tensor, b: Tensor, *tangent: Tensor, back: bool = False
    ) -> Tensor:
        """States between blocks: `first`, and behind a block ``max(a s + b, e + c (s - s0))``.

        Args:
            first: ``(batch,)``, the state before the first block, or with `back` the last.
            a: ``(batch * blocks,)``, as all that follows.
            b: Offset of the first line.
            *tangent: c, e, s0: gives e itself where s is s0. The first line if omitted.
            back: Whether to go from the last block to the first.
        """
        lines = (a, b, *(tangent or (a, b, torch.zeros_like(b))))
        rows = [line.view(self.batch, self.count).tolist() for line in lines]
        way = -1 if back else 1
        states = []
        for state, *own in zip(first.tolist(), *rows, strict=True):
            found = []
            for slope, offset, c, e, s0 in zip(*(line[::way] for line in own), strict=True):
                found.append(state)
                one, other = slope * state + offset, e + c * (state - s0)
                state = one if one > other else other
            states += found[::way]
        return torch.tensor(states, dtype=first.dtype, device=first.device)


def _follow(
    x: Tensor, fast: Tensor, slow: Tensor, start: Tensor, y: Tensor
) -> tuple[Tensor, Tensor]:
    """Smooth all blocks side by side into `y`, each from its own start, the `fast` pole for rises.

    Returns:
        What each block ends with, and its derivative by the start: the latter first.
    """
    before, slope = start, torch.ones_like(start)
    rises, pole = torch.empty_like(start), torch.empty_like(start)
    for now, out in zip(x.unbind(), y.unbind(), strict=True):
        torch.gt(now, before, out=rises)  # numbers, as booleans are slow
        torch.lerp(slow, fast, rises, out=pole)
        before = torch.lerp(now, before, pole, out=out)
        slope.mul_(pole)
    return slope, before


def _settle(
    blocks: _Blocks, x: Tensor, fast: Tensor, slow: Tensor, first: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Find where the blocks start, by Newton's method from below.

    Returns:
        The output, and for each block its start and the derivative of its end by it.
    """
    tolerance = _TOLERANCE * torch.stack([*torch.aminmax(x), *torch.aminmax(first)]).abs().max()
    falling = torch.zeros_like(slow)
    for now in x.unbind():
        torch.lerp(now, falling, slow, out=falling)
    lowest = slow**blocks.block, falling
    start = blocks.chain(first, *lowest)
    y, slope, end = torch.empty_like(x), torch.empty_like(start), torch.empty_like(start)
    moved = torch.arange(len(start), device=x.device)
    for _ in range(blocks.count + 1):
        few = 2 * len(moved) < len(start)
        at: Any = moved if few else slice(None)
        part = y[:, at]
        slope[at], end[at] = _follow(x[:, at], fast[at], slow[at], start[at], part)
        if few:
            y[:, at] = part
        better = blocks.chain(first, *lowest, slope, end, start)
        moves = (better - start).abs() > tolerance
        moved = moves.nonzero().squeeze(1)
        if not len(moved):
            break
        start = torch.where(moves, better, start)
    return y, start, slope


class _AttackRelease(torch.autograd.Function):
    """Output, of the precision of `x`, and the last of it in double."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, attack: Tensor, release: Tensor, initial: Tensor
    ) -> tuple[Tensor, Tensor]:
        blocks = _Blocks(*x.shape)
        sign = torch.where(attack > release, -1.0, 1.0).double()  # upside down, rises are fast
        fast, slow = (f(attack, release).double() for f in (torch.minimum, torch.maximum))
        fast, slow, signs = (blocks.widen(v) for v in (fast, slow, sign))
        signal = blocks.split(x).double().mul_(signs)
        y, start, slope = _settle(blocks, signal, fast, slow, initial.double() * sign)
        ctx.save_for_backward(signal, y, start, slope, fast, slow, sign)
        ctx.dtypes = [v.dtype for v in (x, attack, release, initial)]
        last = y.view(-1, blocks.batch, blocks.count)[blocks.last] * sign
        return blocks.join((y * signs).to(x.dtype)), last

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        x, y, start, slope, fast, slow, sign = ctx.saved_tensors
        blocks = _Blocks(*gradients[0].shape)
        grad = blocks.split(gradients[0]).double()
        grad.view(-1, blocks.batch, blocks.count)[blocks.last] += gradients[1]
        rises, pole = torch.empty_like(start), torch.empty_like(start)
        rows = list(zip(x.unbind(), [start, *y[:-1].unbind()], grad.unbind(), strict=True))[::-1]
        # adjoint: carried[n-1] = pole[n] (grad[n] + carried[n]), a recursion backwards in time
        carried = torch.zeros_like(start)
        for now, before, total in rows:
            torch.lerp(slow, fast, torch.gt(now, before, out=rises), out=pole)
            carried.add_(total).mul_(pole)
        carried = blocks.chain(torch.zeros_like(sign), slope, carried, back=True)
        by_fast, by_slow = torch.zeros_like(start), torch.zeros_like(start)
        for now, before, total in rows:
            torch.lerp(slow, fast, torch.gt(now, before, out=rises), out=pole)
            by_pole = (before - now).mul_(total.add_(carried))
            by_fast.addcmul_(by_pole, rises)
            by_slow.add_(by_pole)
            torch.mul(pole, total, out=carried)
            total.sub_(carried)  # the gradient in x
        by_fast, by_slow = (v.view(blocks.batch, -1).sum(1) * sign for v in (by_fast, by_slow))
        poles = by_fast, by_slow - by_fast
        up, down = (torch.where(sign > 0, *pair) for pair in (poles, poles[::-1]))
        by_x = blocks.join(grad.to(ctx.dtypes[0]))
        found = by_x, up, down, carried[:: blocks.count]
        return tuple(v.to(dtype) for v, dtype in zip(found, ctx.dtypes, strict=True))


def _smooth(x: Tensor, attack: Tensor, release: Tensor, initial: Tensor) -> tuple[Tensor, Tensor]:
    """Output ``(batch, time)`` and its end ``(batch,)`` in double; see `attack_release`."""
    if sequential.can_run(x):
        return sequential.attack_release(x, attack, release, initial)
    result: tuple[Tensor, Tensor] = _AttackRelease.apply(x, attack, release, initial)
    return result


def attack_release(
    x: Tensor, attack: Tensor, release: Tensor, initial: Tensor | None = None
) -> Tensor:
    """Branching one-pole smoother: `attack` pole while `x` lies above the output, else `release`.

    Args:
        x: ``(batch, time)``.
        attack: ``(batch,)`` pole in [0, 1), see `time_constant_to_pole`.
        release: ``(batch,)`` pole in [0, 1).
        initial: ``(batch,)`` state before the first sample, zero if omitted.

    Returns:
        ``(batch, time)``, with exact gradients to all four arguments.
    """
    start = torch.zeros_like(x[:, 0]) if initial is None else initial
    return _smooth(x, attack, release, start)[0]


def compress(
    audio: Tensor,
    threshold_db: Tensor,
    ratio: Tensor,
    knee_db: Tensor,
    attack_ms: Tensor,
    release_ms: Tensor,
    makeup_db: Tensor,
    sample_rate: int,
    state: tuple[Tensor, ...] | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Feed-forward peak compressor with linked channels.

    The gain that `compression_curve` asks for is smoothed in dB as by `attack_release`: after a
    step, the attack has covered 63 % of the way in `attack_ms`, the release in `release_ms`.

    Args:
        audio: ``(batch, channel, time)``; the loudest channel steers all of them.
        threshold_db: ``(batch,)`` in dB full scale.
        ratio: ``(batch,)`` at least 1.
        knee_db: ``(batch,)`` width of the soft knee.
        attack_ms: ``(batch,)``.
        release_ms: ``(batch,)``.
        makeup_db: ``(batch,)`` gain behind the compressor.
        sample_rate: In Hz.
        state: As returned with the block before; None at the start.

    Returns:
        ``(batch, channel, time)``; at ratio 1 and no make-up gain, `audio` bit for bit. Then the
        ``(batch,)`` gain in dB at its end, without the make-up gain, in double.
    """
    last = state[0] if state else torch.zeros_like(release_ms).double()
    attack = time_constant_to_pole(attack_ms.double(), sample_rate)
    release = time_constant_to_pole(release_ms.double(), sample_rate)
    way = sequential.compress if sequential.can_run(audio) else _compress_in_blocks
    output, last = way(audio, threshold_db, ratio, knee_db, attack, release, makeup_db, last)
    return output, (last,)


def _compress_in_blocks(
    audio: Tensor,
    threshold_db: Tensor,
    ratio: Tensor,
    knee_db: Tensor,
    attack: Tensor,
    release: Tensor,
    makeup_db: Tensor,
    last: Tensor,
) -> tuple[Tensor, Tensor]:
    curve = [knob.unsqueeze(1) for knob in (threshold_db, ratio, knee_db)]
    done = []
    for piece in audio.split(max(1, _PIECE // len(audio)), dim=-1):
        if piece.shape[-1]:
            peak = functools.reduce(torch.maximum, piece.abs().unbind(1))
            wanted = compression_curve(gain_to_db(peak), *curve)
            smooth, last = _smooth(wanted, release, attack, last)  # upside down
            piece = piece * db_to_gain(per_item(makeup_db) + smooth.unsqueeze(1))
        done.append(piece)
    return torch.cat(done, dim=-1), last
