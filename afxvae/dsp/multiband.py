"""Three-band compressor with linear-phase crossovers whose bands sum to the input exactly."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from .convolution import continued, convolve
from .dynamics import compression_curve
from .envelopes import smooth
from .units import db_to_gain, gain_to_db
from .windows import kaiser

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "LOWEST_CROSSOVER_HZ",
    "compress_bands",
    "crossover_response",
    "multiband_latency",
    "split_bands",
]

LOWEST_CROSSOVER_HZ = 80.0
_PERIODS = 2.75  # of the crossover on either side of the filter's middle
_KAISER_BETA = 8.0  # with so many periods, the low-pass never passes 1
_HIGHEST = 0.49  # of the sample rate
_KNEE_DB = 6.0


def multiband_latency(sample_rate: int) -> int:
    """Samples by which the bands are late: 2.75 periods of the lowest crossover, 34 ms."""
    return math.ceil(_PERIODS / LOWEST_CROSSOVER_HZ * sample_rate)


def crossover_response(crossover_hz: Tensor, sample_rate: int) -> Tensor:
    """Symmetric low-pass: a sinc under a Kaiser window of 5.5 periods of the crossover.

    -6 dB at `crossover_hz` and -86 dB from an octave above on; what it leaves over is 76 dB down
    from an octave below on, and in phase: a compressor takes off 57 dB at most, and what other
    bands have of a tone does not cancel the rest. In octaves the slope is the same at any
    frequency, and the pre-echo is never longer than 2.75 periods.

    Returns:
        ``(batch, 2 multiband_latency + 1)`` with a sum of 1.
    """
    late = multiband_latency(sample_rate)
    time = torch.arange(-late, late + 1, dtype=torch.float64, device=crossover_hz.device)
    frequency = crossover_hz.double().clamp_max(_HIGHEST * sample_rate).unsqueeze(1)
    periods = time * frequency / sample_rate
    window = kaiser(periods / _PERIODS, _KAISER_BETA) * (periods.abs() < _PERIODS)
    taps: Tensor = torch.sinc(2.0 * periods) * window
    return taps / taps.sum(1, keepdim=True)


def split_bands(
    audio: Tensor,
    low_hz: Tensor,
    high_hz: Tensor,
    sample_rate: int,
    state: tuple[Tensor, ...] | None = None,
) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """Low, middle and high band, which sum to the input.

    Args:
        audio: ``(batch, channel, time)``.
        low_hz: ``(batch,)`` between the low and the middle band.
        high_hz: ``(batch,)`` between the middle and the high band.
        sample_rate: In Hz.
        state: As the block before left it.

    Returns:
        The input ``(batch, channel, time)`` and the bands ``(batch, 3, channel, time)``, late by
        `multiband_latency`, and the state.
    """
    late = multiband_latency(sample_rate)
    history = state[0] if state else None
    below = [
        convolve(audio, crossover_response(hz, sample_rate).to(audio.dtype).unsqueeze(1), history)
        for hz in (low_hz, high_hz)
    ]
    (low, history), (not_high, _) = below
    delayed = continued(audio, state[0] if state else None, late)[..., : audio.shape[-1]]
    bands = torch.stack([low, not_high - low, delayed - not_high], dim=1)
    return delayed, bands, (history,)


def compress_bands(
    audio: Tensor,
    crossovers_hz: tuple[Tensor, Tensor],
    threshold_db: Tensor,
    ratio: Tensor,
    makeup_db: Tensor,
    attack_ms: Tensor,
    release_ms: Tensor,
    sample_rate: int,
    state: tuple[Tensor, ...] | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The law of `afxvae.dsp.dynamics.compress` in every band, with a knee of 6 dB.

    Args:
        audio: ``(batch, channel, time)``; in a band the loudest channel steers all of them.
        crossovers_hz: Two ``(batch,)``.
        threshold_db: ``(batch, 3)``, as all that is per band: low, middle, high.
        ratio: ``(batch, 3)`` at least 1.
        makeup_db: ``(batch, 3)`` gain behind the compressor.
        attack_ms: ``(batch,)``.
        release_ms: ``(batch,)``.
        sample_rate: In Hz.
        state: As the block before left it.

    Returns:
        ``(batch, channel, time)``, late by `multiband_latency`, and the state; where ratios are 1
        and gains 0 dB, the input bit for bit.
    """
    delayed, bands, split = split_bands(audio, *crossovers_hz, sample_rate, state)
    level = gain_to_db(bands.abs().amax(dim=2).double())
    threshold, slope = (setting.double().unsqueeze(2) for setting in (threshold_db, ratio))
    wanted = compression_curve(level, threshold, slope, level.new_tensor(_KNEE_DB))
    last = level.new_zeros(3 * len(audio)) if state is None else state[1]
    attack, release = (ms.repeat_interleave(3) for ms in (attack_ms, release_ms))
    reduction, last = smooth(-wanted.flatten(0, 1), attack, release, sample_rate, last)
    gain_db = makeup_db.unsqueeze(2) - reduction.unflatten(0, (-1, 3))
    gain = db_to_gain(gain_db).to(audio.dtype).unsqueeze(2)
    return delayed + ((gain - 1.0) * bands).sum(1), (*split, last)
