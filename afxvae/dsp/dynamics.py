"""Dynamics: the static curve and the exact attack/release smoother, without a loop over samples.

The smoother is the branching one-pole of Giannoulis, Massberg and Reiss, *Digital Dynamic Range
Compressor Design* (JAES 60(6), 2012, eq. 16)::

    y[n] = a y[n-1] + (1 - a) x[n],    a = attack pole while x[n] > y[n-1], else release pole

For a known choice of branches this is a linear recursion, which blocks solve in parallel. The
choice is found by policy iteration: solve, compare ``x[n]`` with ``y[n-1]``, repeat until nothing
changes; at that point the result is the exact sequential one. A handful of rounds suffices for most
signals. Every round makes at least one more sample right, and a slow sine behind an instant attack
hardly more than that; what has not settled in time is computed sample after sample. Where ``x[n]``
and ``y[n-1]`` agree to the last digits the choice makes no difference and need not settle.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from .units import db_to_gain, gain_to_db, per_item, time_constant_to_pole

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["attack_release", "compress", "compression_curve"]

_MAX_ROUNDS = 16  # sample after sample takes about as long as 8
_LAST_ROUNDS = 4  # in the signal's own precision, behind those in float32
_SHORTEST_BLOCK = 16
_ULPS = 8.0  # a difference of so many units in the last place is none


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
    inside = torch.minimum(torch.relu(over + half), knee_db)  # progress through the knee
    bent = inside.square() / (2.0 * knee_db.clamp_min(1e-3)) + torch.relu(over - half)
    return (1.0 / ratio - 1.0) * bent


class _Blocks:
    """Signals ``(batch, time)`` as ``(block, batch * blocks)``, in blocks of about time^(1/3).

    All blocks run side by side from zero; then each receives the state that the one before left.
    These states are such a recursion themselves, which is solved in the same way.
    """

    def __init__(self, batch: int, length: int) -> None:
        self.batch, self.length = batch, length
        self.block = max(_SHORTEST_BLOCK, math.ceil(length ** (1.0 / 3.0)))
        self.count = -(-length // self.block)

    def split(self, x: Tensor) -> Tensor:
        padded = torch.nn.functional.pad(x, (0, self.block * self.count - self.length))
        return padded.view(self.batch * self.count, self.block).t().contiguous()

    def join(self, x: Tensor) -> Tensor:
        return x.t().reshape(self.batch, -1)[:, : self.length]

    def widen(self, x: Tensor) -> Tensor:
        """``(batch,)`` to ``(batch * blocks,)``."""
        return x.repeat_interleave(self.count)

    def solve(self, pole: Tensor, drive: Tensor, initial: Tensor) -> tuple[Tensor, Tensor]:
        """Overwrite `drive` with ``y[n] = pole[n] y[n-1] + drive[n]``; also return ``y[n-1]``."""
        reach = pole.clone()
        for now, before, factor in zip(drive[1:], drive[:-1], pole[1:], strict=True):
            now.addcmul_(factor, before)
        for now, before in zip(reach[1:], reach[:-1], strict=True):
            now.mul_(before)
        carried = initial.unsqueeze(1)
        if self.count > 1:
            ends, decays = (x[-1].view(self.batch, self.count)[:, :-1] for x in (drive, reach))
            outer = _Blocks(self.batch, self.count - 1)
            states, _ = outer.solve(outer.split(decays), outer.split(ends), initial)
            carried = torch.cat([carried, outer.join(states)], dim=1)
        carried = carried.view(1, -1)
        drive.addcmul_(reach, carried)
        return drive, torch.cat([carried, drive[:-1]])


def _wrong(x: Tensor, before: Tensor, rising: Tensor, chosen: Tensor) -> Tensor:
    """Where choosing anew changes something; not where both poles give the same result."""
    differs = chosen != rising
    x, before = x[differs], before[differs]
    slack = _ULPS * torch.finfo(x.dtype).eps * x.abs()
    return differs.masked_scatter(differs, (x - before).abs() > slack)


def _rounds(
    blocks: _Blocks,
    x: Tensor,
    attack: Tensor,
    release: Tensor,
    initial: Tensor,
    rising: Tensor,
    most: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Policy iteration: the output, the choice of branches, and where it has not settled."""
    for _ in range(most):
        pole = torch.where(rising, attack, release)
        y, before = blocks.solve(pole, torch.addcmul(x, pole, x, value=-1.0), initial)
        chosen = x > before
        wrong = _wrong(x, before, rising, chosen)
        rising = chosen
        if not bool(wrong.any()):
            break
    return y, rising, wrong


def _in_order(x: Tensor, attack: Tensor, release: Tensor, initial: Tensor) -> Tensor:
    """One signal ``(time,)``, sample after sample."""
    up, down, y = float(attack), float(release), float(initial)
    done = []
    for value in x.tolist():
        y = value + (up if value > y else down) * (y - value)
        done.append(y)
    return x.new_tensor(done)


class _AttackRelease(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, attack: Tensor, release: Tensor, initial: Tensor) -> Tensor:
        blocks = _Blocks(*x.shape)
        wide = blocks.split(x)
        rising = wide > 0  # where the attack pole holds
        rounds = {torch.float32: _MAX_ROUNDS}  # most are the quicker ones
        rounds.setdefault(x.dtype, _LAST_ROUNDS)
        for dtype, most in rounds.items():
            signal, start, up, down = (v.to(dtype) for v in (wide, initial, attack, release))
            poles = blocks.widen(up), blocks.widen(down)
            y, rising, wrong = _rounds(blocks, signal, *poles, start, rising, most)
        done = blocks.join(y)
        for row in blocks.join(wrong).any(1).nonzero().flatten().tolist():
            done[row] = _in_order(x[row], attack[row], release[row], initial[row])
        ctx.save_for_backward(x, done, attack, release, initial)
        return done

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        (grad,) = gradients
        x, y, attack, release, initial = ctx.saved_tensors
        blocks = _Blocks(*grad.shape)
        before = torch.cat([initial.unsqueeze(1), y[:, :-1]], dim=1)
        rising = x > before
        pole = torch.where(rising, attack.unsqueeze(1), release.unsqueeze(1))
        # adjoint: g[n] = grad[n] + pole[n+1] g[n+1], a recursion backwards in time
        zero = torch.zeros_like(grad[:, 0])
        back = blocks.split(torch.cat([zero.unsqueeze(1), pole.flip(1)[:, :-1]], dim=1))
        g = blocks.join(blocks.solve(back, blocks.split(grad.flip(1)), zero)[0]).flip(1)
        by_pole = g * (before - x)
        by_attack = (rising * by_pole).sum(1)
        return (1.0 - pole) * g, by_attack, by_pole.sum(1) - by_attack, pole[:, 0] * g[:, 0]


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
    result: Tensor = _AttackRelease.apply(x, attack, release, start)
    return result


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

    The gain reduction that `compression_curve` asks for is smoothed in dB by `attack_release`:
    after a step, the attack has covered 63 % of the way in `attack_ms`, the release in
    `release_ms`.

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
        ``(batch,)`` gain reduction in dB at its end.
    """
    before = state[0] if state else torch.zeros_like(release_ms).double()
    if not audio.shape[-1]:
        return audio, (before,)
    level_db = gain_to_db(audio.abs().amax(dim=1))
    wanted = compression_curve(
        level_db, threshold_db.unsqueeze(1), ratio.unsqueeze(1), knee_db.unsqueeze(1)
    )
    reduction = attack_release(
        -wanted.double(),  # a slow release at a high rate has its pole within 1e-5 of 1
        time_constant_to_pole(attack_ms.double(), sample_rate),
        time_constant_to_pole(release_ms.double(), sample_rate),
        before,
    )
    gain = db_to_gain(per_item(makeup_db) - reduction.to(audio.dtype).unsqueeze(1))
    return audio * gain, (reduction[:, -1],)
