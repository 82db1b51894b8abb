"""Delay lines whose length moves: reading between samples, and feeding back what was read.

Between samples is third-order Lagrange interpolation (Laakso et al., *Splitting the unit delay*,
IEEE SP Magazine, 1996). Its gain is never above 1, so that feedback below 1 dies away.
"""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import pad

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

__all__ = ["NEIGHBOURS", "SHORTEST_LOOP", "lagrange_taps", "read_line", "recirculate"]

NEIGHBOURS = 2
"""Samples before the delayed one at which an interpolation looks."""
SHORTEST_LOOP = 2.0
"""Samples that a delay in a feedback loop must have."""
_SEGMENT = 1 << 15  # samples for which the indices of a loop are held at once


def lagrange_taps(fraction: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Weights of four neighbours, the oldest first, `fraction` of a sample before the third."""
    d = fraction
    above, below, further = -1.0 - d, 1.0 - d, d - 2.0
    outer, inner = d * below * (1.0 / 6.0), above * further * 0.5
    return outer * above, d * inner, below * inner, outer * further


def _locate(line: Tensor, delay: Tensor) -> tuple[Tensor, Tensor]:
    """Index into `line` of the oldest of four neighbours, and the fraction of a sample."""
    whole = delay.detach().floor()
    end = line.shape[-1] - NEIGHBOURS
    places = torch.arange(end - delay.shape[-1], end, device=line.device)
    return places - whole.long(), (delay - whole).to(line.dtype)


def read_line(line: Tensor, delay: Tensor) -> Tensor:
    """Read a line `delay` samples in the past; whole samples are exact.

    Args:
        line: ``(batch, channel, before + time)``: a signal behind what came before it, which must
            be two samples more than the longest delay.
        delay: ``(batch, channel, time)`` in samples, at least 1, in float64; gradients reach it.

    Returns:
        ``(batch, channel, time)``.
    """
    index, fraction = _locate(line, delay)
    oldest, *taps = lagrange_taps(fraction)
    result = oldest * line.gather(-1, index)
    for offset, tap in enumerate(taps, 1):
        result = torch.addcmul(result, tap, line[..., offset:].gather(-1, index))
    return result


class _Loop:
    """The reads of a feedback loop, in steps no longer than the shortest delay in them."""

    def __init__(self, line: Tensor, delay: Tensor, feedback: Tensor) -> None:
        self.past = line.shape[-1] - delay.shape[-1]
        index, fraction = _locate(line, delay)
        self.index, self.fraction, self.feedback = index, fraction, feedback
        newest = (index + 3 - self.past).flatten(0, 1).amax(0)  # that a sample asks for
        self.newest = newest.cummax(0).values.tolist()

    def segments(self) -> list[tuple[int, list[int]]]:
        """Start of every segment, and the lengths of the steps in it."""
        found: list[tuple[int, list[int]]] = []
        start, length = 0, len(self.newest)
        while start < length:
            sizes: list[int] = []
            at = start
            while at < length and at - start < _SEGMENT:
                stop = bisect.bisect_left(self.newest, at, at + 1)
                sizes.append(stop - at)
                at = stop
            found.append((start, sizes))
            start = at
        return found

    def reads(self, line: Tensor, start: int, sizes: list[int]) -> Iterator[tuple[Tensor, ...]]:
        """For every step: its samples of the line, and where it reads with which weights."""
        span = slice(start, start + sum(sizes))
        lanes = line.flatten(0, 1)
        first = torch.arange(len(lanes), device=line.device).unsqueeze(1) * lanes.shape[1]
        index = self.index[..., span].flatten(0, 1) + first
        index = torch.stack([index, index + 1, index + 2, index + 3])
        weights = torch.stack(lagrange_taps(self.fraction[..., span]))
        weights = (weights * self.feedback).flatten(1, 2)
        own = lanes[:, self.past + span.start : self.past + span.stop]
        parts = (own.split(sizes, -1), index.split(sizes, -1), weights.split(sizes, -1))
        return zip(*parts, strict=True)

    def run(self, line: Tensor) -> Tensor:
        """Add to the line, in place, what feeds back."""
        flat = line.view(-1)
        for start, sizes in self.segments():
            for own, index, weights in self.reads(line, start, sizes):
                own += (flat.take(index) * weights).sum(0)
        return line

    def run_back(self, line: Tensor) -> Tensor:
        """The transpose of `run`, in place, from the end to the start."""
        flat = line.view(-1)
        for start, sizes in reversed(self.segments()):
            for own, index, weights in reversed(list(self.reads(line, start, sizes))):
                flat.put_(index, own * weights, accumulate=True)
        return line


class _Recirculated(torch.autograd.Function):
    """Hand on what is solved; backwards, pass a gradient through the loop."""

    @staticmethod
    def forward(ctx: Any, local: Tensor, loop: _Loop) -> Tensor:
        ctx.loop = loop
        return local.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        past = ctx.loop.past
        return ctx.loop.run_back(pad(gradients[0], (past, 0)))[..., past:], None


def recirculate(drive: Tensor, delay: Tensor, feedback: Tensor, past: Tensor) -> Tensor:
    """Solve ``u[n] = drive[n] + feedback u[n - delay[n]]``.

    Steps as long as the shortest delay are computed at once. Gradients reach all but `past`: at the
    solution they are those of one turn, passed through the transposed loop.

    Args:
        drive: ``(batch, channel, time)``.
        delay: ``(batch, channel, time)`` in samples, at least `SHORTEST_LOOP`, in float64.
        feedback: ``(batch, 1, 1)`` between -1 and 1.
        past: ``(batch, channel, before)`` of u, two samples more than the longest delay.

    Returns:
        ``(batch, channel, before + time)``: `past`, then u.
    """
    with torch.no_grad():
        line = torch.cat([past, drive], -1)
        loop = _Loop(line, delay, feedback)
        line = loop.run(line)
    if torch.is_grad_enabled():
        local = drive + feedback * read_line(line, delay)
        line = torch.cat([past.detach(), _Recirculated.apply(local, loop)], -1)
    return line
