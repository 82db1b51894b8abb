"""Where sounds begin: onset strength, envelope, and onsets traced back to where they rise.

Peaks of the spectral flux of mel bands in dB (Boeck and Widmer, *Maximum filter vibrato suppression
for onset detection*, DAFx 2013, with the settings that are common for music) are traced back along
an envelope to the start of the rise, as Pearce, Brookes and Mason do (*Modelling timbral hardness*,
Applied Sciences 9(3), 2019). Nothing here has gradients but `magnitude` and `strength`.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..dsp.envelopes import sliding_max
from ..dsp.spectral import mel_filterbank
from .spectra import magnitude_of
from .zwicker import RATE

__all__ = ["HOP", "Signal", "envelope", "find_onsets", "magnitude", "mel_level", "strength"]

Signal: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]

HOP = 512
"""Samples from one value of the onset strength to the next."""

_BLOCK = 64  # samples that count as one where onsets are traced back
_N_FFT, _MELS = 2048, 128
_HOLD, _DECAY_S = RATE // 100, 0.1  # samples, and seconds from the peak of the clip to 0
_MAX_BEFORE, _MEAN_REACH, _DELTA, _WAIT = 2, 8, 0.07, 2  # frames, and share of the largest
_LOOK_BACK, _HYSTERESIS = 20 * RATE // (1000 * _BLOCK), 300 * RATE // (1000 * _BLOCK)
_START, _APART = 4096 // _BLOCK, RATE // (10 * _BLOCK)
_SHARE = 0.1  # of the dynamic range that a rise must have
_LEAST_STRENGTH = 3.0  # dB of strength in the segment of an onset


def magnitude(audio: Tensor) -> Tensor:
    """Magnitudes of a centred STFT of ``(batch, time)``: ``(batch, frame, 1025)``."""
    window = torch.hann_window(_N_FFT, dtype=audio.dtype, device=audio.device)
    padded = functional.pad(audio, (_N_FFT // 2, _N_FFT // 2))
    return magnitude_of(padded.unfold(1, _N_FFT, HOP) * window, _N_FFT)


def mel_level(magnitudes: Tensor) -> Tensor:
    """Level of 128 mel bands in dB, at least 80 dB below the highest: ``(batch, frame, mel)``."""
    filters = mel_filterbank(_N_FFT, _MELS, RATE, 0.0).to(magnitudes)
    filters = filters / (filters.sum(0) * (RATE / _N_FFT))  # of unit area, as Slaney has them
    level = 10.0 * torch.log10((magnitudes.square() @ filters).clamp_min(1e-10))
    return torch.maximum(level, level.detach().amax((1, 2), keepdim=True) - 80.0)


def strength(level: Tensor) -> Tensor:
    """Mean rise of mel bands in dB from frame to frame, ``(batch, frame)``, two frames late."""
    rise = level.diff(dim=1).clamp_min(0.0).mean(-1)
    return functional.pad(rise, (3, 0))[:, : level.shape[1]]


def envelope(audio: Tensor) -> Tensor:
    """Magnitude of ``(batch, time)`` held for 10 ms that then falls linearly; as long.

    The fall from the peak of the clip to zero would take 100 ms.
    """
    level = audio.detach().abs()
    held = sliding_max(functional.pad(level, (_HOLD, 0)), _HOLD + 1).double()
    ramp = torch.arange(held.shape[1], dtype=held.dtype, device=held.device)
    ramp = ramp / (_DECAY_S * RATE) * level.amax(1, keepdim=True)
    return (torch.cummax(held + ramp, 1)[0] - ramp).to(audio.dtype)


def find_onsets(strengths: Tensor, envelopes: Tensor) -> list[list[int]]:
    """Onsets of each clip in samples, at least one: 0 where none is clear.

    Args:
        strengths: ``(batch, frame)``, see `strength`.
        envelopes: ``(batch, time)``, see `envelope`.
    """
    short = functional.pad(envelopes, (0, -envelopes.shape[1] % _BLOCK))
    rows = zip(
        strengths.detach().double().cpu().numpy(),
        short.unflatten(1, (-1, _BLOCK)).amax(-1).double().cpu().numpy(),
        strict=True,
    )
    return [[_BLOCK * block for block in _onsets(flux, rise)] for flux, rise in rows]


def _onsets(flux: Signal, rise: Signal) -> list[int]:
    threshold = _SHARE * float(rise.max() - rise.min())
    starts: list[int] = []
    for frame in _backtracked(flux):
        block = frame * HOP // _BLOCK
        if starts and block + HOP // _BLOCK >= len(rise):
            continue
        start = _trace_back(rise, min(block, len(rise) - 1), threshold)
        if start not in starts and (start or not starts):
            starts.append(start)
    starts = _apart(_rising(starts, rise, threshold))
    return _strong(starts, flux) or [0]


def _backtracked(flux: Signal) -> list[int]:
    """Peaks of the onset strength, moved to the minimum before each."""
    flux = flux - flux.min()
    if not flux.max() > 0.0:
        return []
    flux = flux / flux.max()
    minima = 1 + np.flatnonzero((flux[1:-1] <= flux[:-2]) & (flux[1:-1] < flux[2:]))
    minima = np.concatenate([[0], minima])
    peaks: list[int] = []
    free = 0
    for frame, value in enumerate(flux):
        near = flux[max(0, frame - _MAX_BEFORE) : frame + 1]
        around = flux[max(0, frame - _MEAN_REACH) : frame + _MEAN_REACH + 1]
        if frame >= free and value >= near.max() and value >= around.mean() + _DELTA:
            peaks.append(int(minima[np.searchsorted(minima, frame, "right") - 1]))
            free = frame + _WAIT + 1
    return peaks


def _trace_back(rise: Signal, at: int, threshold: float) -> int:
    """Where the rise that leads to a block began; 0 if that is near the start of the clip."""
    while at > 0:
        first = max(0, at - _LOOK_BACK)
        before = rise[first:at]
        if before.min() <= rise[at]:
            at = first + int(before.argmin())
        else:
            first = max(0, at - _HYSTERESIS)
            lower = np.flatnonzero(rise[first:at] < rise[at])
            if not len(lower):
                return at
            between = rise[first + lower[-1] : at]
            if between.max() - between.min() >= threshold:
                return at
            at = first + int(lower[-1])
        if at <= _START:
            return 0
    return 0


def _rising(starts: list[int], rise: Signal, threshold: float) -> list[int]:
    """Those after which the envelope rises by `threshold` before the next."""
    if len(starts) < 2:
        return starts
    kept = []
    for start, end in zip(starts, [*starts[1:], len(rise)], strict=True):
        part = rise[start:end]
        peak = int(part.argmax()) if len(part) > 1 else 0
        if peak and part[peak] - part[:peak].min() >= threshold:
            kept.append(start)
    return kept


def _apart(starts: list[int]) -> list[int]:
    """Those that are at least 100 ms after the one before."""
    kept: list[int] = []
    for start in starts:
        if not kept or start - kept[-1] >= _APART:
            kept.append(start)
    return kept


def _strong(starts: list[int], flux: Signal) -> list[int]:
    """Those with 3 dB of onset strength before the next."""
    frames = [start * _BLOCK // HOP for start in starts]
    ends = [*frames[1:], len(flux)][: len(starts)]
    pairs = zip(starts, frames, ends, strict=True)
    return [s for s, a, b in pairs if flux[a : max(b, a + 1)].max(initial=0.0) >= _LEAST_STRENGTH]
