"""Recursive filters with a state, without a loop over samples.

A filter is a linear system ``s[n+1] = A s[n] + b x[n]``, ``y[n] = c s[n] + d x[n]``. Its sections
come from the trapezoidal state-variable filter (Zavalishin, *The Art of VA Filter Design*, 2018,
chapter 4), which has the transfer function of the cookbook's biquads, and whose states are signals
of the size of the input at every frequency: rounding in float32 does no harm, not even at 20 Hz.

A signal is cut into frames. Inside a frame the filter is a product with the matrix of its impulse
response; the states between the frames follow from a parallel scan (Hillis and Steele, *Data
parallel algorithms*, 1986). What depends on the coefficients alone is computed in float64.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch.nn.functional import pad

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["System", "add_filtered", "bilinear", "first_order", "second_order", "series"]

_FRAME = 128


class System(NamedTuple):
    """A filter of `n` states in float64; one for each item of a batch, or one for all."""

    a: Tensor
    """``(batch, n, n)``: state to next state."""
    b: Tensor
    """``(batch, n)``: input to next state."""
    c: Tensor
    """``(batch, n)``: state to output."""
    d: Tensor
    """``(batch,)``: input to output."""


def bilinear(numerator: Tensor, denominator: Tensor, half_step: Tensor) -> System:
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
    return System(
        inverse @ (one + step * a),
        2.0 * first,
        (c.unsqueeze(1) @ inverse).squeeze(1),
        direct + (c * first).sum(1),
    )


def first_order(corner: Tensor, direct: Tensor, low: Tensor) -> System:
    """``H(s) = direct + low / (s + 1)`` with ``s = j tan(w/2) / corner``.

    Args:
        corner: ``(batch,)``, ``tan(w0/2)``.
        direct: ``(batch,)`` share of the input.
        low: ``(batch,)`` share of the low-passed input.
    """
    step = corner / (1.0 + corner)
    a = (1.0 - 2.0 * step).reshape(-1, 1, 1)
    c = low * (1.0 - step)
    return System(a, 2.0 * step.unsqueeze(-1), c.unsqueeze(-1), direct + low * step)


def second_order(
    corner: Tensor, damping: Tensor, direct: Tensor, band: Tensor, low: Tensor
) -> System:
    """``H(s) = direct + (band s + low) / (s^2 + damping s + 1)``, ``s = j tan(w/2) / corner``.

    Args:
        corner: ``(batch,)``, ``tan(w0/2)``.
        damping: ``(batch,)``, 1/Q.
        direct: ``(batch,)`` share of the input.
        band: ``(batch,)`` share of the band-passed input.
        low: ``(batch,)`` share of the low-passed input.
    """
    a1 = 1.0 / (1.0 + corner * (corner + damping))
    a2 = corner * a1
    a3 = corner * a2
    rows = [torch.stack(row, dim=-1) for row in ((2 * a1 - 1, -2 * a2), (2 * a2, 1 - 2 * a3))]
    b = torch.stack([2.0 * a2, 2.0 * a3], dim=-1)
    c = torch.stack([band * a1 + low * a2, low * (1.0 - a3) - band * a2], dim=-1)
    return System(torch.stack(rows, dim=-2), b, c, direct + band * a2 + low * a3)


def series(systems: list[System]) -> System:
    """One filter behind the other."""
    most = max(len(system.d) for system in systems)
    whole, *others = (
        System(*(part.expand(most, *part.shape[1:]) for part in system)) for system in systems
    )
    for after in others:
        corner = after.b.unsqueeze(-1) * whole.c.unsqueeze(-2)
        upper = pad(whole.a, (0, after.a.shape[-1]))
        whole = System(
            torch.cat([upper, torch.cat([corner, after.a], dim=-1)], dim=-2),
            torch.cat([whole.b, after.b * whole.d.unsqueeze(-1)], dim=-1),
            torch.cat([whole.c * after.d.unsqueeze(-1), after.c], dim=-1),
            whole.d * after.d,
        )
    return whole


def _powers(a: Tensor, highest: int) -> Tensor:
    """``a^0`` to ``a^highest`` of ``(batch, n, n)``: ``(batch, highest + 1, n, n)``."""
    result = torch.eye(a.shape[-1], dtype=a.dtype, device=a.device).expand(len(a), 1, -1, -1)
    while result.shape[1] <= highest:
        result = torch.cat([result, (result[:, -1] @ a).unsqueeze(1) @ result], dim=1)
    return result[:, : highest + 1]


def _scan(a: Tensor, drive: Tensor) -> Tensor:
    """``s[j] = a s[j-1] + drive[j]`` along the third axis of ``(batch, channel, time, n)``."""
    step = 1
    while step < drive.shape[2]:
        carried = drive[:, :, :-step] @ a.mT.unsqueeze(1).to(drive.dtype)
        drive = drive + pad(carried, (0, 0, step, 0))
        a = a @ a
        step *= 2
    return drive


def add_filtered(
    audio: Tensor, system: System, state: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Filter by adding ``(H - 1) * audio``; a system with c = 0 and d = 1 changes no bit.

    Args:
        audio: ``(batch, channel, time)``, any length.
        system: The filter H.
        state: ``(batch, channel, n)`` from the block before, None for rest.

    Returns:
        ``(batch, channel, time)`` and the new state, differentiable in everything.
    """
    batch, channels, length = audio.shape
    if state is None:
        state = audio.new_zeros(batch, channels, system.b.shape[-1], dtype=torch.float64)
    if length == 0:
        return audio, state
    size = min(_FRAME, length)
    count = -(-length // size)
    left = length - (count - 1) * size  # samples in the last frame
    powers = _powers(system.a, size)
    reached = (powers[:, :-1] @ system.b[:, None, :, None]).squeeze(-1)  # (batch, size, n)
    seen = (system.c[:, None, None, :] @ powers[:, :-1]).squeeze(-2)
    response = torch.cat(
        [system.d.unsqueeze(-1) - 1.0, (reached[:, :-1] * system.c.unsqueeze(1)).sum(-1)], dim=-1
    )
    toeplitz = pad(response.flip(-1), (0, size - 1)).unfold(-1, size, 1)  # last sample first
    into_state = reached.flip(1).unsqueeze(1)
    frames = pad(audio, (0, count * size - length)).view(batch, channels, count, size)
    drive = torch.cat([state.unsqueeze(2), frames[:, :, :-1].double() @ into_state], dim=2)
    starts = _scan(powers[:, -1], drive)
    inside = frames.reshape(batch, -1, size) @ toeplitz.flip(1).mT.to(audio.dtype)
    change = inside.view_as(frames) + (starts @ seen.mT.unsqueeze(1)).to(audio.dtype)
    end = starts[:, :, -1] @ powers[:, left].mT
    end = end + frames[:, :, -1, :left].double() @ into_state[:, 0, size - left :]
    return audio + change.reshape(batch, channels, -1)[..., :length], end
