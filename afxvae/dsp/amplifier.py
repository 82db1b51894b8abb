"""Guitar amplifier: preamplifier, passive tone stack, power stage with sag, loudspeaker."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import torch

from .convolution import continued
from .envelopes import linked_peak, smooth
from .oversampling import OVERSAMPLING_LATENCY, oversampled
from .recursive import System, add_filtered, bilinear, series
from .shaping import keep_reference_level
from .units import db_to_gain, per_item

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["AMPLIFIER_LATENCY", "amplify", "speaker", "tone_stack", "tube_curve"]

AMPLIFIER_LATENCY = 2 * OVERSAMPLING_LATENCY
"""Samples by which `amplify` is late: two oversampled stages."""
_FACTOR = 8
_BIAS = 0.3  # of the preamplifier's tube
_R1, _R2, _R3, _R4 = 250e3, 1e6, 25e3, 56e3  # ohm: treble, bass and mid pots, slope resistor
_C1, _C2, _C3 = 0.25e-9, 20e-9, 20e-9  # farad
_BASS_TAPER = 3.4
_STACK_HZ = 500.0  # time unit in which the stack's coefficients are numbers near 1
_STACK_LOSS_DB = 8.0
_LARGEST_SAG = 0.5
_SAG_MS = (15.0, 150.0)
_HIGHEST = 0.49  # of the sample rate


def tube_curve(x: Tensor, bias: float) -> Tensor:
    """``c(x + bias) - c(bias)`` with ``c(x) = x / sqrt(1 + x^2)``: asymmetric unless bias is 0."""
    rest = bias / math.sqrt(1.0 + bias * bias)
    shifted = x + bias
    return shifted * torch.rsqrt(1.0 + shifted.square()) - rest


def _tone_coefficients(bass: Tensor, mid: Tensor, treble: Tensor) -> tuple[Tensor, Tensor]:
    """Numerator and denominator in falling powers of s: Yeh and Smith 2006, section 2."""
    low, m, t = bass, mid, treble
    c12, c13, c23, c123 = _C1 * _C2, _C1 * _C3, _C2 * _C3, _C1 * _C2 * _C3
    thirds = (c13 + c23) * _R3**2
    middle = c123 * _R3 * (_R1 * _R3 + _R3 * _R4)
    coupled = (c13 + c23) * _R2 * _R3
    all_low = c123 * _R2 * _R3 * (_R1 + _R4)
    b1 = t * _C1 * _R1 + m * _C3 * _R3 + low * (_C1 + _C2) * _R2 + (_C1 + _C2) * _R3
    b2 = (
        t * (c12 + c13) * _R1 * _R4 - m.square() * thirds + m * (c13 * _R1 * _R3 + thirds)
        + low * (c12 * _R1 * _R2 + (c12 + c13) * _R2 * _R4) + low * m * coupled
        + c12 * _R1 * _R3 + (c12 + c13) * _R3 * _R4
    )  # fmt: skip
    b3 = (
        low * m * all_low + (m - m.square()) * middle
        + t * (1.0 - m) * c123 * _R1 * _R3 * _R4 + t * low * c123 * _R1 * _R2 * _R4
    )  # fmt: skip
    a1 = (
        _C1 * _R1 + (_C1 + _C2) * _R3 + (_C2 + _C3) * _R4
        + m * _C3 * _R3 + low * (_C1 + _C2) * _R2
    )  # fmt: skip
    a2 = (
        m * (c13 * _R1 * _R3 - c23 * _R3 * _R4 + thirds) + low * m * coupled
        - m.square() * thirds
        + low * ((c12 + c13 + c23) * _R2 * _R4 + c12 * _R1 * _R2)
        + (c12 + c13) * _R1 * _R4 + (c12 + c13 + c23) * _R3 * _R4 + c12 * _R1 * _R3
    )  # fmt: skip
    a3 = (
        low * m * all_low + (m - m.square()) * middle
        + (1.0 - m) * c123 * _R1 * _R3 * _R4 + low * c123 * _R1 * _R2 * _R4
    )  # fmt: skip
    zero, one = torch.zeros_like(a1), torch.ones_like(a1)
    return torch.stack([b3, b2, b1, zero], dim=1), torch.stack([a3, a2, a1, one], dim=1)


def tone_stack(bass: Tensor, mid: Tensor, treble: Tensor, sample_rate: int) -> System:
    """The tone stack of the '59 Bassman, discretised by the bilinear transform.

    Yeh and Smith, *Discretization of the '59 Fender Bassman tone stack* (DAFx 2006). All three
    knobs move all of the response, as they do in the circuit. The bass pot has an audio taper,
    ``exp(3.4 (bass - 1))``; 8 dB of the stack's loss are made up for.

    Args:
        bass: ``(batch,)`` in [0, 1], like the others.
        mid: ``(batch,)``.
        treble: ``(batch,)``.
        sample_rate: In Hz.
    """
    knobs = [knob.double() for knob in (bass, mid, treble)]
    taper = torch.exp(_BASS_TAPER * (knobs[0] - 1.0))
    numerator, denominator = _tone_coefficients(taper, *knobs[1:])
    unit = 2.0 * math.pi * _STACK_HZ
    powers = unit ** torch.arange(3.0, -1.0, -1.0, dtype=torch.float64, device=bass.device)
    gain = 10.0 ** (_STACK_LOSS_DB / 20.0)
    half_step = torch.full_like(taper, 0.5 * unit / sample_rate)
    return bilinear(gain * numerator * powers, denominator * powers, half_step)


def _second_order(
    zeros: tuple[float, float, float], damping: float, frequency_hz: float, sample_rate: int
) -> System:
    """``(z0 s^2 + z1 s + z2) / (s^2 + damping s + 1)`` with s relative to `frequency_hz`."""
    half_step = math.tan(math.pi * min(frequency_hz / sample_rate, _HIGHEST))
    coefficients = torch.tensor([zeros, (1.0, damping, 1.0), (half_step,) * 3], dtype=torch.float64)
    return bilinear(coefficients[:1], coefficients[1:2], coefficients[2, :1])


@functools.lru_cache(maxsize=8)
@torch.inference_mode(False)  # what stays in the cache must also serve where gradients are wanted
def speaker(sample_rate: int, device: str = "cpu") -> System:
    """A synthetic guitar cabinet, made after what measured ones have in common.

    Second-order high-pass at 80 Hz with the cone's resonance (Q 1.3), a dip of 4 dB at 450 Hz, a
    presence peak of 6 dB at 2.5 kHz, and a Butterworth low-pass of 24 dB per octave at 5 kHz.
    """
    dip, presence = 10.0 ** (-4.0 / 20.0), 10.0 ** (6.0 / 20.0)
    sections = [
        _second_order((1.0, 0.0, 0.0), 1.0 / 1.3, 80.0, sample_rate),
        _second_order((1.0, dip, 1.0), 1.0, 450.0, sample_rate),
        _second_order((1.0, presence / 1.4, 1.0), 1.0 / 1.4, 2500.0, sample_rate),
        _second_order((0.0, 0.0, 1.0), 2.0 * math.sin(math.pi / 8.0), 5000.0, sample_rate),
        _second_order((0.0, 0.0, 1.0), 2.0 * math.cos(math.pi / 8.0), 5000.0, sample_rate),
    ]
    return System(*(part.to(device) for part in series(sections)))


def _power_stage(
    driven: Tensor, sag: Tensor, sample_rate: int, state: tuple[Tensor, ...] | None
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """A symmetric stage whose headroom sags by up to 6 dB while it is driven hard."""
    length = driven.shape[-1]
    last = state[0] if state else driven.new_zeros(len(driven), dtype=torch.float64)
    rise, fall = (torch.full_like(sag, ms) for ms in _SAG_MS)
    current, last = smooth(linked_peak(tube_curve(driven, 0.0)), rise, fall, sample_rate, last)
    supply = (1.0 - _LARGEST_SAG * sag.unsqueeze(1) * current).to(driven.dtype).unsqueeze(1)
    bent, bends = oversampled(
        driven / supply, lambda x: tube_curve(x, 0.0), _FACTOR, state[1:3] if state else None
    )
    joined = continued(supply, state[3] if state else None, OVERSAMPLING_LATENCY)
    return bent * joined[..., :length], (last, *bends, joined[..., length:])


def amplify(
    audio: Tensor,
    drive_db: Tensor,
    bass: Tensor,
    mid: Tensor,
    treble: Tensor,
    master_db: Tensor,
    sag: Tensor,
    cabinet: Tensor,
    level_db: Tensor,
    mix: Tensor,
    sample_rate: int,
    state: tuple[Tensor, ...] | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Preamplifier, `tone_stack`, power stage and `speaker`, blended with the dry signal.

    Args:
        audio: ``(batch, channel, time)``; all channels draw on one power supply.
        drive_db: ``(batch,)`` gain into the preamplifier, which has the asymmetry of a tube.
        bass: ``(batch,)`` from 0 to 10, like `mid` and `treble`.
        mid: ``(batch,)``.
        treble: ``(batch,)``.
        master_db: ``(batch,)`` gain into the power stage.
        sag: ``(batch,)`` in [0, 1]: how far its headroom gives way.
        cabinet: ``(batch,)`` share of the speaker in [0, 1].
        level_db: ``(batch,)`` gain behind it all.
        mix: ``(batch,)`` share of the amplified signal in [0, 1].
        sample_rate: In Hz.
        state: As the block before left it.

    Returns:
        ``(batch, channel, time)``, late by `AMPLIFIER_LATENCY`, and the state; at mix 0, the input
        bit for bit.
    """
    length = audio.shape[-1]
    drive, master = (db_to_gain(per_item(knob)) for knob in (drive_db, master_db))
    joined = continued(audio, state[0] if state else None, AMPLIFIER_LATENCY)
    driven, first = oversampled(
        audio, lambda x: tube_curve(drive * x, _BIAS), _FACTOR, state[1:3] if state else None
    )
    driven = driven * keep_reference_level(lambda x: tube_curve(x, _BIAS), drive)
    stack = tone_stack(0.1 * bass, 0.1 * mid, 0.1 * treble, sample_rate)
    toned, tone = add_filtered(driven, stack, state[3] if state else None)
    loud, second = _power_stage(master * toned, sag, sample_rate, state[4:8] if state else None)
    loud = loud * keep_reference_level(lambda x: tube_curve(x, 0.0), master)
    heard, cone = add_filtered(
        loud, speaker(sample_rate, str(audio.device)), state[8] if state else None
    )
    wet = (loud + per_item(cabinet) * (heard - loud)) * db_to_gain(per_item(level_db))
    dry = joined[..., :length]
    return dry + per_item(mix) * (wet - dry), (joined[..., length:], *first, tone, *second, cone)
