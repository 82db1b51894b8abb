"""Freeverb: eight combs with a lowpass in their loops beside each other, then four all-passes.

Jezar's public-domain reverberator after Schroeder and Moorer, in the reverberations of SoX, JUCE
and so of pedalboard and many a plug-in. Whoever has its lengths has its room, so what went through
one of these can be made again.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from .convolution import convolve, kept
from .space import later
from .units import fast_length, per_item

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["LENGTHS_RATE", "feedback", "freeverb", "freeverb_response"]

LENGTHS_RATE = 44100.0
_COMBS = (1116, 1188, 1277, 1356, 1422, 1491, 1557, 1617)  # samples
_ALL_PASSES = (556, 441, 341, 225)
_ALL_PASS_GAIN = 0.5
_SPREAD = 23  # samples by which every channel's lengths are longer than those of the one before
_KEPT_DECAYS = 1.2  # the response is kept until it has fallen by 72 dB
_MOST_FEEDBACK = 0.995
_ALIASED = 1e-6  # level at which what comes after the response's end is folded into it
_EPS = 1e-6


def feedback(decay_s: Tensor, size: Tensor) -> Tensor:
    """Gain of the loops, ``(batch,)``, with which a comb of mean length falls by 60 dB in time."""
    loop_s = size * (sum(_COMBS) / len(_COMBS) / LENGTHS_RATE)
    return (10.0 ** (-3.0 * loop_s / decay_s)).clamp_max(_MOST_FEEDBACK)


def _whole(length: int, size: Tensor, sample_rate: int) -> Tensor:
    """A length in samples, ``(batch, 1)``, rounded down as JUCE does; the gradient is not."""
    exact = size * (length * sample_rate / LENGTHS_RATE)
    return (exact + ((exact.detach() + _EPS).floor() - exact.detach())).unsqueeze(1)


def freeverb_response(
    decay_s: Tensor, damping_hz: Tensor, size: Tensor, sample_rate: int, channels: int, length: int
) -> Tensor:
    """Impulse response without the direct sound.

    Its energy is about 1 where nothing is damped; damping takes from the treble.

    From the transfer function on a circle a little outside of the unit circle, on which the
    response decays within `length`.

    Args:
        decay_s: ``(batch,)`` time in which the bass falls by 60 dB (RT60).
        damping_hz: ``(batch,)`` cutoff of the lowpass that every way round goes through.
        size: ``(batch,)`` lengths of the loops relative to Freeverb's.
        sample_rate: In Hz.
        channels: Each channel's loops are 23 samples (at 44.1 kHz) longer than the last one's.
        length: Samples wanted.

    Returns:
        ``(batch, channel, length)``, in the precision of `decay_s`.
    """
    decay, damping, scale = (x.double() for x in (decay_s, damping_hz, size))
    n_fft = fast_length(length)
    radius = -math.log(_ALIASED) / n_fft  # its logarithm
    bins = torch.arange(n_fft // 2 + 1, dtype=torch.float64, device=decay.device)
    back = torch.complex(torch.full_like(bins, -radius), -2.0 * math.pi / n_fft * bins)
    pole = torch.exp(-2.0 * math.pi * damping / sample_rate).unsqueeze(1)
    loop = feedback(decay, scale).unsqueeze(1) * (1.0 - pole) / (1.0 - pole * torch.exp(back))
    responses = []
    for channel in range(channels):
        spectrum = torch.zeros_like(loop)
        for comb in _COMBS:
            late = torch.exp(_whole(comb + _SPREAD * channel, scale, sample_rate) * back)
            spectrum = spectrum + late / (1.0 - loop * late)
        for all_pass in _ALL_PASSES:
            late = torch.exp(_whole(all_pass + _SPREAD * channel, scale, sample_rate) * back)
            spectrum = spectrum * (-1.0 + (1.0 + _ALL_PASS_GAIN) * late)
            spectrum = spectrum / (1.0 - _ALL_PASS_GAIN * late)
        responses.append(torch.fft.irfft(spectrum, n_fft)[:, :length])
    time = torch.arange(length, dtype=torch.float64, device=decay.device)
    response = torch.stack(responses, 1) * torch.exp(radius * time)
    # of a comb, and of an all-pass, whose taps are -1, 1, 1/2, 1/4, ...
    energy = len(_COMBS) / (1.0 - feedback(decay, scale).square()) * (7 / 3) ** len(_ALL_PASSES)
    return (response * per_item(energy.rsqrt())).to(decay_s.dtype)


def freeverb(
    audio: Tensor,
    decay_s: Tensor,
    damping_hz: Tensor,
    size: Tensor,
    pre_delay_ms: Tensor,
    mix: Tensor,
    sample_rate: int,
    state: tuple[Tensor, ...] | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The mean of all channels through `freeverb_response`, blended with the dry signal.

    Args:
        audio: ``(batch, channel, time)``.
        decay_s: ``(batch,)`` RT60 of the bass.
        damping_hz: ``(batch,)`` cutoff in the loops.
        size: ``(batch,)`` lengths relative to Freeverb's, which are in whole samples.
        pre_delay_ms: ``(batch,)`` before the reverberation.
        mix: ``(batch,)`` share of the reverberation in [0, 1].
        sample_rate: In Hz.
        state: As returned with the block before; None at the start.

    Returns:
        ``(batch, channel, time)``; at mix 0, `audio` bit for bit. Then the inputs to remember, the
        response and the settings that it stands for.
    """

    def response() -> Tensor:
        longest = float(decay_s.detach().max()) * _KEPT_DECAYS
        first = float(size.detach().max()) * (_COMBS[-1] + sum(_ALL_PASSES)) / LENGTHS_RATE
        length = math.ceil((longest + first) * sample_rate)
        knobs = decay_s, damping_hz, size
        early = freeverb_response(*knobs, sample_rate, audio.shape[1], length)
        return later(early, pre_delay_ms.double() * (sample_rate / 1000.0))

    history, *known = state or (None,)
    own = kept((decay_s, damping_hz, size, pre_delay_ms), response, tuple(known))
    sent = audio.mean(1, keepdim=True).expand_as(audio) if audio.shape[1] > 1 else audio
    wet, history = convolve(sent, own[0], history)
    return audio + per_item(mix) * (wet - audio), (history, *own)
