"""The compressor and its smoother sample by sample, in loops that numba compiles where it is.

`dynamics` has the same without loops over samples: that takes several times as long, but needs
nothing but torch, and runs on any device.
"""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import torch

from .units import NEPERS_PER_DB, SILENCE_DB

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

__all__ = ["attack_release", "can_run", "compress"]


@functools.cache
def _numba() -> Any:
    """The module, or None where it is missing or does not fit what else is installed."""
    try:
        import numba
    except ImportError:
        return None
    return numba


def can_run(x: Tensor) -> bool:
    """Whether `x` is where compiled loops can go through it."""
    return x.device.type == "cpu" and _numba() is not None


def _compiled(function: Callable[..., None]) -> Callable[..., None]:
    """Compile at the first call, and keep the result on disk if there is a place for it.

    What is compiled goes through items, the first axis of its tensors, one after another; torch's
    threads share them.
    """

    @functools.cache
    def build() -> Any:
        try:
            return _numba().njit(function, nogil=True, cache=True)
        except RuntimeError:  # no folder can be written to
            return _numba().njit(function, nogil=True)

    @functools.wraps(function)
    def run(*tensors: Tensor) -> None:
        loop = build()
        items, threads = len(tensors[0]), torch.get_num_threads()
        if min(items, threads) < 2:
            loop(*(tensor.numpy() for tensor in tensors))
            return
        size = -(-items // threads)
        parts = [
            [(t[first : first + size] if len(t) == items else t).numpy() for t in tensors]
            for first in range(0, items, size)
        ]
        list(_threads(threads).map(lambda part: loop(*part), parts))

    return run


@functools.lru_cache(maxsize=1)
def _threads(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count)


@_compiled
def _forward(x: Any, attack: Any, release: Any, initial: Any, y: Any, last: Any) -> None:
    for item in range(x.shape[0]):
        state, up, down = initial[item], attack[item], release[item]
        for n in range(x.shape[1]):
            now = x[item, n]
            pole = up if now > state else down
            state = now + pole * (state - now)
            y[item, n] = state
        last[item] = state


@_compiled
def _backward(
    x: Any, attack: Any, release: Any, initial: Any, y: Any, by_y: Any, carried: Any, by_x: Any,
    by_attack: Any, by_release: Any,
) -> None:  # fmt: skip
    for item in range(x.shape[0]):
        behind, up, down = carried[item], attack[item], release[item]
        rising, falling = 0.0, 0.0
        for n in range(x.shape[1] - 1, -1, -1):
            before = y[item, n - 1] if n else initial[item]
            now = x[item, n]
            total = by_y[item, n] + behind
            if now > before:
                behind = up * total
                rising += total * (before - now)
            else:
                behind = down * total
                falling += total * (before - now)
            by_x[item, n] = total - behind
        by_attack[item], by_release[item], carried[item] = rising, falling, behind


class _AttackRelease(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, attack: Tensor, release: Tensor, initial: Tensor
    ) -> tuple[Tensor, Tensor]:
        ctx.dtypes = [v.dtype for v in (x, attack, release, initial)]
        x, *knobs = x.contiguous(), *(v.double().contiguous() for v in (attack, release, initial))
        y, last = torch.empty_like(x), torch.empty_like(knobs[0])
        _forward(x, *knobs, y, last)
        ctx.save_for_backward(x, *knobs, y)
        return y, last

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        x, attack, release, initial, y = ctx.saved_tensors
        carried = gradients[1].double().clone()
        by_x, by_attack, by_release = (torch.empty_like(v) for v in (x, attack, release))
        by_y = gradients[0].to(x.dtype).contiguous()
        _backward(x, attack, release, initial, y, by_y, carried, by_x, by_attack, by_release)
        found = by_x, by_attack, by_release, carried
        return tuple(v.to(dtype) for v, dtype in zip(found, ctx.dtypes, strict=True))


@_compiled
def _levels(audio: Any, lowest: Any, level: Any) -> None:
    for item in range(audio.shape[0]):
        level[item, :] = lowest[0]
        for channel in range(audio.shape[1]):
            for n in range(audio.shape[2]):
                level[item, n] = max(level[item, n], abs(audio[item, channel, n]))


@_compiled
def _reduce(
    level: Any, threshold: Any, ratio: Any, knee: Any, attack: Any, release: Any, initial: Any,
    gain: Any, last: Any,
) -> None:  # fmt: skip
    """Level to the smoothed gain of the static curve, in dB; see `dynamics.compression_curve`."""
    for item in range(level.shape[0]):
        state, up, down = initial[item], release[item], attack[item]
        half, slope = 0.5 * knee[item], 1.0 / ratio[item] - 1.0
        bend = 0.5 / max(knee[item], 1e-3)
        for n in range(level.shape[1]):
            over = level[item, n] - threshold[item]
            beyond = max(over - half, 0.0)
            inside = max(over + half, 0.0) - beyond
            now = slope * (inside * inside * bend + beyond)
            pole = up if now > state else down
            state = now + pole * (state - now)
            gain[item, n] = state
        last[item] = state


@_compiled
def _reduce_back(
    level: Any, threshold: Any, ratio: Any, knee: Any, attack: Any, release: Any, initial: Any,
    gain: Any, adjoint: Any, carried: Any, by_knobs: Any,
) -> None:  # fmt: skip
    """Adjoint of `_reduce`: from the gradient in the gain to that in the level, in one place.

    `carried` starts as the gradient in the last state.
    """
    for item in range(level.shape[0]):
        behind, up, down = carried[item], release[item], attack[item]
        half, slope = 0.5 * knee[item], 1.0 / ratio[item] - 1.0
        width = max(knee[item], 1e-3)
        by_slope, by_knee, by_threshold, falling, rising = 0.0, 0.0, 0.0, 0.0, 0.0
        for n in range(level.shape[1] - 1, -1, -1):
            over = level[item, n] - threshold[item]
            beyond = max(over - half, 0.0)
            inside = max(over + half, 0.0) - beyond
            bent = 0.5 * inside * inside / width + beyond
            now = slope * bent
            before = gain[item, n - 1] if n else initial[item]
            total = adjoint[item, n] + behind
            if now > before:
                behind = up * total
                rising += total * (before - now)
            else:
                behind = down * total
                falling += total * (before - now)
            by_now = total - behind
            by_slope += by_now * bent
            steep = 1.0 if over > half else inside / width
            by_threshold -= by_now * slope * steep
            adjoint[item, n] = by_now * slope * steep
            if over > half:
                by_knee += by_now * slope * (inside / width - 0.5)
            elif over > -half:
                by_knee += by_now * slope * 0.5 * inside / width
            if knee[item] > 1e-3:
                by_knee -= by_now * slope * 0.5 * (inside / width) ** 2
        carried[item] = behind
        by_knobs[item, 0] = by_threshold
        by_knobs[item, 1] = -by_slope / ratio[item] ** 2
        by_knobs[item, 2] = by_knee
        by_knobs[item, 3] = falling
        by_knobs[item, 4] = rising


@_compiled
def _turn(audio: Any, gain: Any, output: Any) -> None:
    for item in range(audio.shape[0]):
        for channel in range(audio.shape[1]):
            for n in range(audio.shape[2]):
                output[item, channel, n] = audio[item, channel, n] * gain[item, n]


@_compiled
def _turn_back(audio: Any, by_output: Any, gain: Any, per_db: Any, by_gain: Any) -> None:
    """Gradient in the gain in dB."""
    for item in range(audio.shape[0]):
        by_gain[item, :] = 0.0
        for channel in range(audio.shape[1]):
            for n in range(audio.shape[2]):
                by_gain[item, n] += by_output[item, channel, n] * audio[item, channel, n]
        for n in range(audio.shape[2]):
            by_gain[item, n] *= gain[item, n] * per_db[0]


@_compiled
def _audio_back(
    audio: Any, by_output: Any, gain: Any, by_level: Any, lowest: Any, per_db: Any, by_audio: Any
) -> None:
    """Through the gain, and through the level of the loudest channel or of those that share it."""
    for item in range(audio.shape[0]):
        for n in range(audio.shape[2]):
            peak, sharing = 0.0, 0.0
            for channel in range(audio.shape[1]):
                size = abs(audio[item, channel, n])
                if size > peak:
                    peak, sharing = size, 1.0
                elif size == peak:
                    sharing += 1.0
            through = 0.0
            if by_level[item, n] != 0.0 and peak >= lowest[0]:
                through = by_level[item, n] / (per_db[0] * peak * sharing)
            for channel in range(audio.shape[1]):
                now = audio[item, channel, n]
                own = by_output[item, channel, n] * gain[item, n]
                if abs(now) == peak:
                    own += through if now > 0.0 else -through
                by_audio[item, channel, n] = own


_LOWEST = 10.0 ** (SILENCE_DB / 20.0)


class _Compress(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, audio: Tensor, *knobs: Tensor) -> tuple[Tensor, Tensor]:
        ctx.dtypes = [v.dtype for v in (audio, *knobs)]
        audio = audio.contiguous()
        threshold, ratio, knee, attack, release, makeup, initial = (
            knob.double().contiguous() for knob in knobs
        )
        curve = threshold, ratio, knee, attack, release, initial
        level, smooth = audio.new_empty(2, *audio[:, 0].shape)
        _levels(audio, audio.new_tensor([_LOWEST]), level)
        level.log_().div_(NEPERS_PER_DB)
        last = torch.empty_like(initial)
        _reduce(level, *curve, smooth, last)
        gain = (smooth + makeup.to(smooth).unsqueeze(1)).mul_(NEPERS_PER_DB).exp_()
        output = torch.empty_like(audio)
        _turn(audio, gain, output)
        ctx.save_for_backward(audio, *curve, level, smooth, gain)
        return output, last

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        audio, *curve, level, smooth, gain = ctx.saved_tensors
        by_output = gradients[0].contiguous()
        carried = gradients[1].double().clone()
        per_db, lowest = audio.new_tensor([NEPERS_PER_DB]), audio.new_tensor([_LOWEST])
        adjoint = torch.empty_like(level)
        by_knobs = carried.new_empty(len(carried), 5)
        _turn_back(audio, by_output, gain, per_db, adjoint)
        by_makeup = adjoint.sum(1, dtype=torch.float64)
        _reduce_back(level, *curve, smooth, adjoint, carried, by_knobs)
        by_audio = torch.empty_like(audio)
        _audio_back(audio, by_output, gain, adjoint, lowest, per_db, by_audio)
        found = by_audio, *by_knobs.unbind(1), by_makeup, carried
        return tuple(v.to(dtype) for v, dtype in zip(found, ctx.dtypes, strict=True))


def attack_release(
    x: Tensor, attack: Tensor, release: Tensor, initial: Tensor
) -> tuple[Tensor, Tensor]:
    """`dynamics.attack_release`, and its end ``(batch,)`` in double."""
    found: tuple[Tensor, Tensor] = _AttackRelease.apply(x, attack, release, initial)
    return found


def compress(
    audio: Tensor,
    threshold_db: Tensor,
    ratio: Tensor,
    knee_db: Tensor,
    attack: Tensor,
    release: Tensor,
    makeup_db: Tensor,
    initial: Tensor,
) -> tuple[Tensor, Tensor]:
    """`dynamics.compress` with poles for times, and its last gain ``(batch,)`` in dB in double."""
    curve = threshold_db, ratio, knee_db
    found: tuple[Tensor, Tensor] = _Compress.apply(
        audio, *curve, attack, release, makeup_db, initial
    )
    return found
