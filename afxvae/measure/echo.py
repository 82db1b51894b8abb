"""The feedback delay, found in the cepstrum of a whole clip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ..dsp.features import SAMPLE_RATE
from .cepstra import clip_spectrum, heard

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Echo", "echo_at", "echo_level", "measure_echo", "measure_echoes"]

_NEAR = 720  # samples, within which content that repeats itself has several peaks


@dataclass(frozen=True)
class Echo:
    """A feedback delay as measured from a recording.

    Attributes:
        time_ms: From one echo to the next.
        level: Of the first echo against the direct sound, a ratio.
        feedback: Each echo against the one before, a ratio.
    """

    time_ms: float
    level: float
    feedback: float

    def places(self, longest: int) -> list[float]:
        """Where its echoes come, in samples at 24 kHz, up to `longest`."""
        step = self.time_ms * SAMPLE_RATE / 1000.0
        return [multiple * step for multiple in range(1, int(longest / step) + 1)]


def measure_echo(audio: Tensor, low_ms: float = 45.0, high_ms: float = 1000.0) -> Echo:
    """Find the strongest echo by the cepstrum and measure it.

    A delay of T samples, level g and feedback f puts ``g`` at quefrency T and ``f g - g^2 / 2`` at
    2 T, less the share of the clip that the echo misses. The time is found to a tenth of a sample.
    Material without echo has peaks of about 0.03, rarely above 0.1; exact repetition echoes too.

    Args:
        audio: ``(clip, 131072)`` mono at 24 kHz; log spectra of several clips are averaged.
        low_ms: Shortest time looked for.
        high_ms: Longest time looked for.
    """
    return measure_echoes(audio, 1, low_ms, high_ms)[0]


def measure_echoes(
    audio: Tensor, count: int, low_ms: float = 45.0, high_ms: float = 1000.0
) -> list[Echo]:
    """The same of so many of the strongest, as content that repeats itself may be stronger.

    They are 30 ms or more apart; the arguments are those of `measure_echo`.
    """
    length = audio.shape[-1]
    log_magnitude = clip_spectrum(audio).mean(0)
    low, high = (round(ms * SAMPLE_RATE / 1000.0) for ms in (low_ms, high_ms))
    cepstrum = torch.fft.irfft(log_magnitude, length)[:high]
    cepstrum[:low] = -torch.inf
    found = []
    for _ in range(count):
        peak = int(cepstrum.argmax())
        cepstrum[max(0, peak - _NEAR) : peak + _NEAR + 1] = -torch.inf
        found.append(echo_at(log_magnitude, peak))
    return found


def echo_at(log_magnitude: Tensor, peak: int) -> Echo:
    """The echo whose peak in the cepstrum is within a sample of `peak`.

    Args:
        log_magnitude: ``(bin,)`` of a whole clip.
        peak: In samples.
    """
    places = peak + torch.linspace(-1.0, 1.0, 21, dtype=torch.float64)
    values = echo_level(log_magnitude, places)
    best = int(values.argmax())
    place, level = float(places[best]), float(values[best])
    second = float(echo_level(log_magnitude, 2.0 * places[best : best + 1]))
    feedback = second / max(level, 1e-6) + 0.5 * level
    return Echo(place * 1000.0 / SAMPLE_RATE, level, min(max(feedback, 0.0), 0.9))


def echo_level(log_magnitude: Tensor, places: Tensor) -> Tensor:
    """Cepstrum at fractional quefrencies, made up for what a clip misses of its echoes.

    Args:
        log_magnitude: ``(bin,)`` of a whole clip, see `clip_spectrum`.
        places: ``(place,)`` in samples, double precision.
    """
    bins = torch.arange(len(log_magnitude), dtype=torch.float64, device=log_magnitude.device)
    length = 2 * (len(log_magnitude) - 1)
    weights = torch.full_like(bins, 4.0 / length)
    weights[0] = weights[-1] = 2.0 / length
    waves = torch.cos(bins * (places.to(bins).unsqueeze(1) * (2.0 * torch.pi / length)))
    return (waves @ (weights * log_magnitude.double())) / heard().to(bins)[places.round().long()]
