"""Clippers from soft to hard, oversampled, with the filters of a pedal behind them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from .convolution import continued
from .oversampling import OVERSAMPLING_LATENCY, oversampled
from .recursive import System, add_filtered, bilinear, series
from .units import db_to_gain, per_item

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

__all__ = [
    "clip",
    "distort",
    "distortion_curve",
    "keep_reference_level",
    "one_pole",
]

_FACTOR = 8  # a hard clipper's harmonics fall by 12 dB an octave only
_REFERENCE_LEVEL = 0.1
_SMALLEST_KNEE = 1e-3
_COUPLING_HZ = 10.0
_HIGHEST = 0.49  # of the sample rate


def keep_reference_level(curve: Callable[[Tensor], Tensor], gain: Tensor) -> Tensor:
    """Factor behind ``curve(gain * x)`` for which an amplitude of -20 dBFS keeps its level.

    Of an asymmetric curve the mean of both half waves counts.
    """
    driven = gain * _REFERENCE_LEVEL
    return _REFERENCE_LEVEL / (0.5 * (curve(driven) - curve(-driven)))


def clip(x: Tensor, hardness: Tensor) -> Tensor:
    """Clip at +-1, with a parabola for a knee.

    Linear up to `hardness`, flat from ``2 - hardness`` on, and between them
    ``|x| - (|x| - hardness)^2 / (4 (1 - hardness))``. At 1 the corner is sharp, at 0 all is knee.

    Returns:
        Amplitudes of the shape to which the arguments broadcast.
    """
    knee = (1.0 - hardness).clamp_min(_SMALLEST_KNEE)
    end = 1.0 + knee
    into = torch.minimum(torch.relu(x.abs() - (1.0 - knee)), 2.0 * knee)
    return torch.maximum(torch.minimum(x, end), -end) - x.sign() * into.square() / (4.0 * knee)


def distortion_curve(x: Tensor, drive_db: Tensor, hardness: Tensor, fuzz: Tensor) -> Tensor:
    """``clip(k (x + b)) - clip(k b)`` with ``k = 10^(drive/20)``, scaled to keep -20 dBFS.

    `fuzz` in [0, 1] shifts the working point by ``b = 0.1 fuzz``, as the bias of a fuzz does: the
    half waves last differently long, which makes even harmonics, and when the clipper is driven
    hard, what is softer than b is cut off.

    Returns:
        Amplitudes of the shape to which the arguments broadcast.
    """
    gain = db_to_gain(drive_db)
    rest = gain * _REFERENCE_LEVEL * fuzz

    def shifted(driven: Tensor) -> Tensor:
        return clip(driven + rest, hardness) - clip(rest, hardness)

    return keep_reference_level(shifted, gain) * shifted(gain * x)


def one_pole(frequency_hz: Tensor, sample_rate: int, *, high: bool) -> System:
    """High- or low-pass of 6 dB per octave, -3 dB at `frequency_hz`, for `add_filtered`."""
    frequency = frequency_hz.double().clamp_max(_HIGHEST * sample_rate)
    one, zero = torch.ones_like(frequency), torch.zeros_like(frequency)
    numerator = torch.stack([one, zero] if high else [zero, one], dim=1)
    half_step = torch.tan(math.pi * frequency / sample_rate)
    return bilinear(numerator, torch.stack([one, one], dim=1), half_step)


def distort(
    audio: Tensor,
    drive_db: Tensor,
    hardness: Tensor,
    fuzz: Tensor,
    tone_hz: Tensor,
    level_db: Tensor,
    mix: Tensor,
    sample_rate: int,
    state: tuple[Tensor, ...] | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """`distortion_curve` at eight times the rate, an output capacitor and a tone knob.

    Args:
        audio: ``(batch, channel, time)``.
        drive_db: ``(batch,)`` gain into the clipper.
        hardness: ``(batch,)`` in [0, 1], from soft to hard.
        fuzz: ``(batch,)`` shift of the working point in [0, 1]; what DC it makes, a high-pass at
            10 Hz takes off.
        tone_hz: ``(batch,)`` corner of a low-pass of 6 dB per octave.
        level_db: ``(batch,)`` gain behind it.
        mix: ``(batch,)`` share of the distorted signal in [0, 1].
        sample_rate: In Hz.
        state: As the block before left it.

    Returns:
        ``(batch, channel, time)``, late by `OVERSAMPLING_LATENCY`, and the state; at mix 0, the
        input bit for bit.
    """
    length = audio.shape[-1]
    knobs = [per_item(setting) for setting in (drive_db, hardness, fuzz)]
    bent, bends = oversampled(
        audio,
        lambda wide: distortion_curve(wide, *knobs),
        _FACTOR,
        state[1:3] if state else None,
    )
    coupling = one_pole(torch.full_like(tone_hz, _COUPLING_HZ), sample_rate, high=True)
    tone = series([coupling, one_pole(tone_hz, sample_rate, high=False)])
    wet, filters = add_filtered(bent, tone, state[3] if state else None)
    wet = wet * db_to_gain(per_item(level_db))
    joined = continued(audio, state[0] if state else None, OVERSAMPLING_LATENCY)
    dry = joined[..., :length]
    return dry + per_item(mix) * (wet - dry), (joined[..., length:], *bends, filters)
