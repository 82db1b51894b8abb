"""Reverberations, found by their own responses: this package's, and Freeverb."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ..dsp.features import SAMPLE_RATE
from ..dsp.freeverb import feedback, freeverb_response
from ..dsp.space import BAND_CENTRES_HZ, reverb_impulse_response
from ..effects.reverb import FREEVERB, REVERB
from .rooms import LENGTH, LENGTH_S, Rooms, find_room, room_cepstrum

if TYPE_CHECKING:
    from torch import Tensor

    from .echo import Echo

__all__ = ["Freeverb", "Reverb", "measure_freeverb", "measure_reverb"]

_DECAY, _RATIO, *_ = REVERB.params
_, _DAMPING, *_ = FREEVERB.params
_USUAL_RATES = (44_100, 48_000)  # at which a recording may have been treated, besides its own


@dataclass(frozen=True)
class Reverb:
    """A reverb as measured from a recording; the knobs are those of the effect.

    Attributes:
        decay_s: RT60 of the low band.
        treble_ratio: RT60 of the high band relative to it.
        pre_delay_ms: Before the first reflection.
        mix: Share of the reverberation; one above one half comes back as about its complement.
        contrast: Height of the match at the best pre-delay over the best elsewhere; about 1 where
            there is no such reverb.
    """

    decay_s: float
    treble_ratio: float
    pre_delay_ms: float
    mix: float
    contrast: float


@dataclass(frozen=True)
class Freeverb:
    """Freeverb as measured from a recording; the knobs are those of the effect.

    Attributes:
        decay_s: RT60 of the bass.
        treble_ratio: RT60 of the treble relative to it, where `Reverb` has its high band.
        damping_hz: Cutoff in the loops.
        pre_delay_ms: In whole samples at 24 kHz.
        mix: As of `Reverb`.
        contrast: As of `Reverb`.
    """

    decay_s: float
    treble_ratio: float
    damping_hz: float
    pre_delay_ms: float
    mix: float
    contrast: float


def measure_reverb(audio: Tensor, echo: Echo | None = None, least_contrast: float = 0.0) -> Reverb:
    """Find the response of `reverb_impulse_response` in the cepstrum and fit its settings.

    Its noise is known. Another room than this package's does not correlate and is not found.

    Args:
        audio: ``(clip, 131072)`` mono at 24 kHz; log spectra of several clips are averaged. Of a
            stereo recording, the left channel.
        echo: Of the same recording; its multiples are left out.
        least_contrast: Below this the refinement is not worth its time and is left out.
    """
    found = find_room(*room_cepstrum(audio, echo), _velvet(), least_contrast)
    return Reverb(found.first, found.second, found.pre_delay_ms, found.mix, found.contrast)


def measure_freeverb(
    audio: Tensor, sample_rate: int, echo: Echo | None = None, least_contrast: float = 0.0
) -> Freeverb:
    """Find the response of `freeverb_response` in the cepstrum and fit its settings.

    Its loops have whole samples at the rate of the treatment: that of the recording, 44.1 or 48
    kHz, whichever fits best.

    Args:
        audio: See `measure_reverb`.
        sample_rate: Of the recording before it came to 24 kHz, Hz.
        echo: See `measure_reverb`.
        least_contrast: The same.
    """
    known = room_cepstrum(audio, echo)
    rates = dict.fromkeys((sample_rate, *_USUAL_RATES))
    contrasts = {rate: find_room(*known, _freeverbs(rate), math.inf).contrast for rate in rates}
    rate = max(contrasts, key=contrasts.__getitem__)
    found = find_room(*known, _freeverbs(rate), least_contrast)
    samples = round(found.pre_delay_ms * SAMPLE_RATE / 1000.0)
    ratio = _treble_ratio(found.first, found.second, rate)
    pre_delay_ms = samples * 1000.0 / SAMPLE_RATE
    return Freeverb(found.first, ratio, found.second, pre_delay_ms, found.mix, found.contrast)


@functools.cache
def _velvet() -> Rooms:
    def respond(decay_s: float, treble_ratio: float) -> Tensor:
        knobs = (torch.tensor([decay_s]), torch.tensor([treble_ratio]))
        response = reverb_impulse_response(*knobs, SAMPLE_RATE, 1)[0, 0, :LENGTH]
        return torch.nn.functional.pad(response, (0, LENGTH - len(response)))

    grid = tuple((s, ratio) for s in (0.25, 0.5, 1.0, 2.0, 4.0) for ratio in (0.25, 0.5, 0.9))
    lowest = (math.log(_DECAY.minimum), math.log(_RATIO.minimum))
    highest = (math.log(_DECAY.maximum), math.log(_RATIO.maximum))
    return Rooms(respond, grid, (0, 4, 7, 11), lowest, highest)


@functools.lru_cache(maxsize=8)
def _freeverbs(sample_rate: int) -> Rooms:
    def respond(decay_s: float, damping_hz: float) -> Tensor:
        """As it sounds at another rate, below 12 kHz: transfer functions are the same."""
        knobs = (torch.tensor([value]) for value in (decay_s, damping_hz, 1.0))
        own = freeverb_response(*knobs, sample_rate, 1, round(LENGTH_S * sample_rate))[0, 0]
        spectrum = torch.fft.rfft(own)[: LENGTH // 2 + 1]
        spectrum = torch.nn.functional.pad(spectrum, (0, LENGTH // 2 + 1 - len(spectrum)))
        return torch.fft.irfft(spectrum, LENGTH)

    grid = tuple((s, hz) for s in (0.3, 0.6, 1.2, 2.4, 4.8) for hz in (3000.0, 6000.0, 12000.0))
    lowest = (math.log(_DECAY.minimum), math.log(_DAMPING.minimum))
    highest = (math.log(_DECAY.maximum), math.log(_DAMPING.maximum))
    return Rooms(respond, grid, (1, 4, 8, 10), lowest, highest)


def _treble_ratio(decay_s: float, damping_hz: float, sample_rate: int) -> float:
    """RT60 at the centre of the reverb's high band relative to that of the bass."""
    pole = math.exp(-2.0 * math.pi * damping_hz / sample_rate)
    turn = 2.0 * math.pi * min(BAND_CENTRES_HZ[-1], sample_rate / 2.0) / sample_rate
    lowpass = (1.0 - pole) / abs(1.0 - pole * complex(math.cos(turn), -math.sin(turn)))
    bass = math.log(float(feedback(torch.tensor([decay_s]), torch.ones(1))))
    return bass / (bass + math.log(lowpass))
