"""How a processed recording lies in time against the one it was made of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from ..dsp.units import fast_length

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Alignment", "align", "aligned", "best_gain", "impulse_response", "residual_db"]

LOWEST_DB = -120.0
_RAW, _LOCAL = 1e-9, 0.1  # regularisation: of the largest power, and of the power nearby
_BIN_HZ = 20.0  # what is nearby
_NEARLY = 0.6  # of the highest peak: what comes earlier and is so high is the direct sound
_EARLIER_S = 1.2
_ASIDE_S = 0.01
_PULSE_S = 0.008  # of the direct sound that is heard for the exact delay
_NEAR = 6  # samples from the highest peak to where the sound really begins
_EDGE = 64  # samples near a cut, that are not compared
_SURE = 13.0  # standard deviations above which a peak is no chance


@dataclass(frozen=True)
class Alignment:
    """How the processed recording lies against the original.

    Attributes:
        delay_s: By which it is late; negative if it is early.
        polarity: 1, or -1 if it is upside down.
        gain_db: The single gain of the original that comes nearest to it.
        salience: Height of the direct sound in standard deviations of what is beside it.
    """

    delay_s: float
    polarity: int
    gain_db: float
    salience: float

    @property
    def related(self) -> bool:
        """Whether one recording is at all heard in the other."""
        return self.salience > _SURE


def impulse_response(dry: Tensor, wet: Tensor, sample_rate: int) -> Tensor:
    """The response that makes `wet` of `dry` best, circular: lags below 0 are at its end.

    Cross-spectrum over power spectrum (the H1 estimate; Bendat and Piersol, *Random Data*, 6.1),
    regularised where the original has little power.

    Args:
        dry: ``(channel, time)``.
        wet: ``(channel, time)``, of any length.
        sample_rate: Of both, in Hz.

    Returns:
        ``(lag,)``, the channels taken together.
    """
    n_fft = fast_length(dry.shape[1] + wet.shape[1])
    original, processed = torch.fft.rfft(dry, n_fft), torch.fft.rfft(wet, n_fft)
    power = original.abs().square().sum(0)
    cross = (processed * original.conj()).sum(0)
    nearby = 2 * round(0.5 * _BIN_HZ * n_fft / sample_rate) + 1
    smooth = functional.avg_pool1d(
        power.view(1, 1, -1), nearby, 1, nearby // 2, count_include_pad=False
    ).flatten()
    floor = _LOCAL * smooth + _RAW * smooth.max()
    response: Tensor = torch.fft.irfft(cross / (power + floor), n_fft)
    return response


def align(dry: Tensor, wet: Tensor, sample_rate: int) -> Alignment:
    """Find delay, polarity and gain between a recording and what was made of it.

    The direct sound is the earliest of the highest peaks of the impulse response. Its delay is
    found to a part of a sample from its phase, less that of the minimum-phase filter with the same
    magnitude: an equaliser delays the sound too, but is no delay.

    Args:
        dry: ``(channel, time)``.
        wet: ``(channel, time)``, of any length.
        sample_rate: Of both, in Hz.
    """
    response = impulse_response(dry, wet, sample_rate)
    spread = float(response.square().mean().sqrt()) + 1e-20
    peak = _direct(response, dry.shape[1], wet.shape[1], sample_rate)
    reach = round(_PULSE_S * sample_rate)
    pulse = response.roll(reach - peak)[: 2 * reach + 1] * torch.hann_window(2 * reach + 1)
    more, polarity = _excess_delay(pulse)
    late = peak + more
    delay_s = late / sample_rate
    both = overlap(delay_s, dry.shape[1], wet.shape[1], sample_rate)
    target = aligned(wet, delay_s, polarity, sample_rate, dry.shape[1])
    gain = best_gain(dry[:, both], target[:, both])
    return Alignment(
        delay_s=delay_s,
        polarity=polarity,
        gain_db=20.0 * math.log10(max(abs(gain), 1e-6)),
        salience=abs(float(response[peak % len(response)])) / spread,
    )


def _direct(response: Tensor, before: int, after: int, sample_rate: int) -> int:
    """Lag in samples of the direct sound; `before`, `after`: lengths of the recordings."""
    height = response.abs()
    height = height.clone()
    height[after : len(height) - before] = 0.0
    highest = int(height.argmax())
    window = round(_EARLIER_S * sample_rate)
    earlier = height.roll(window - highest)[: window + 1]
    candidates = (earlier > _NEARLY * float(height[highest])).nonzero().flatten()
    first = int(candidates[0])
    aside = earlier[first : first + max(1, round(_ASIDE_S * sample_rate))]
    lag = highest - window + first + int(aside.argmax())
    lag %= len(response)
    return lag - len(response) if lag > after else lag


def _excess_delay(pulse: Tensor) -> tuple[float, int]:
    """Samples by which a pulse ``(2 reach + 1,)`` is late and its sign, but for minimum phase."""
    reach = len(pulse) // 2
    n_fft = 8 * fast_length(len(pulse))
    spectrum = torch.fft.rfft(pulse, n_fft)
    frequency = torch.arange(len(spectrum)) / n_fft
    spectrum = spectrum * torch.exp(2j * math.pi * frequency * reach)
    magnitude = spectrum.abs()
    log = torch.log(magnitude + 1e-3 * magnitude.max())
    cepstrum = torch.fft.irfft(log, n_fft)
    cepstrum[1 : n_fft // 2] *= 2.0
    cepstrum[n_fft // 2 + 1 :] = 0.0
    excess = spectrum * torch.exp(-1j * torch.fft.rfft(cepstrum, n_fft).imag)
    heard = (frequency < 0.45).float()
    weight = magnitude.square() * heard
    grid = torch.linspace(-_NEAR, _NEAR, 8 * _NEAR + 1)
    turns = torch.exp(2j * math.pi * frequency * grid.unsqueeze(1))
    agreement = (heard * (excess * turns).real).sum(1)
    place = int(agreement.abs().argmax())
    sign, late = (1 if float(agreement[place]) > 0.0 else -1), float(grid[place])
    for _ in range(4):  # phases are small once the delay found so far is taken off
        angle = torch.angle(sign * excess * torch.exp(2j * math.pi * frequency * late))
        slope = (weight * angle * frequency).sum() / (weight * frequency.square()).sum()
        late -= float(slope) / (2.0 * math.pi)
    return late if abs(late) < 2.0 * _NEAR else 0.0, sign


def aligned(wet: Tensor, delay_s: float, polarity: int, sample_rate: int, length: int) -> Tensor:
    """A recording ``(channel, time)`` earlier by `delay_s`, ``(channel, length)``.

    Between samples by the phase of its spectrum. What it has no sound for is silence.
    """
    late = delay_s * sample_rate
    whole = round(late)
    part = late - whole
    moved = polarity * wet
    if part:
        margin = 1024
        padded = functional.pad(moved, (margin, margin))
        n_fft = fast_length(padded.shape[1])
        turn = torch.arange(n_fft // 2 + 1, dtype=torch.float64) * (2.0 * math.pi * part / n_fft)
        phasor = torch.polar(torch.ones_like(turn), turn).to(torch.complex64)
        moved = torch.fft.irfft(torch.fft.rfft(padded, n_fft) * phasor.to(wet.device), n_fft)
        moved = moved[:, margin : margin + wet.shape[1]]
    moved = moved[:, max(whole, 0) :]
    moved = functional.pad(moved, (max(-whole, 0), 0))[:, :length]
    return functional.pad(moved, (0, length - moved.shape[1]))


def overlap(delay_s: float, before: int, after: int, sample_rate: int) -> slice:
    """Samples of a recording of length `before` that were processed into one of length `after`.

    Where the processed one is cut off there is nothing to compare, and close to a cut nothing
    between samples.
    """
    late = round(delay_s * sample_rate)
    first = _EDGE - late if late < 0 else 0
    last = before if after - late >= before else after - late - _EDGE
    return slice(first, max(first, last))


def best_gain(dry: Tensor, wet: Tensor) -> float:
    """The factor of one signal that comes nearest to another of its shape."""
    return float((dry * wet).sum() / dry.square().sum().clamp_min(1e-20))


def residual_db(rendered: Tensor, wet: Tensor) -> float:
    """Power of the difference relative to that of `wet`, in dB, at least -120."""
    ratio = float((rendered - wet).square().sum() / wet.square().sum().clamp_min(1e-20))
    return 10.0 * math.log10(max(ratio, 10.0 ** (LOWEST_DB / 10.0)))
