"""Freeverb: eight combs with a lowpass in their loops beside each other, then four all-passes.

Jezar's public-domain reverberator after Schroeder and Moorer. JUCE has it, and so have pedalboard
and many plug-ins; SoX has a variant. Whoever has the lengths has the room, so what went through one
of these can be made again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from .convolution import convolve, kept
from .space import later
from .units import fast_length, per_item

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = [
    "JUCE",
    "SOX",
    "Variant",
    "all_pass",
    "damping_pole",
    "feedback",
    "freeverb",
    "freeverb_response",
    "size_of",
    "sox_reverb",
]

_LENGTHS_RATE = 44100.0
_COMBS = (1116, 1188, 1277, 1356, 1422, 1491, 1557, 1617)  # samples
_ALL_PASSES = (225, 341, 441, 556)
_ALL_PASS_GAIN = 0.5
_KEPT_DECAYS = 1.2  # the response is kept until it has fallen by 72 dB
_MOST_FEEDBACK = 0.995
_ALIASED = 1e-6  # level at which what comes after the response's end is folded into it
_EPS = 1e-6


@dataclass(frozen=True)
class Variant:
    """What the programs that have Freeverb do not agree on.

    Attributes:
        spread: Samples at 44.1 kHz by which the lengths of a room differ from those of the room
            before it, in turn for combs and for all-passes.
        rounding: Added before a length is cut to whole samples.
    """

    spread: tuple[int, ...]
    rounding: float

    def combs(self, room: int, size: Tensor, sample_rate: int) -> list[Tensor]:
        """Lengths of the combs in samples, each ``(batch,)``; only these grow with the size."""
        return self._lengths(_COMBS, room, size, sample_rate)

    def all_passes(self, room: int, size: Tensor, sample_rate: int) -> list[Tensor]:
        """Lengths of the all-passes."""
        return self._lengths(_ALL_PASSES, room, torch.ones_like(size), sample_rate)

    def _lengths(
        self, base: tuple[int, ...], room: int, size: Tensor, sample_rate: int
    ) -> list[Tensor]:
        """Whole samples, but with the gradient of a length that is not."""
        lengths = []
        for place, length in enumerate(base):
            own = length + room * self.spread[place % len(self.spread)]
            exact = size * (own * sample_rate / _LENGTHS_RATE)
            whole = (exact.detach() + self.rounding + _EPS).floor()
            lengths.append(exact + (whole - exact.detach()))
        return lengths


JUCE = Variant((23,), 0.0)
SOX = Variant((12, -12), 0.5)


def feedback(decay_s: Tensor, size: Tensor) -> Tensor:
    """Gain of the loops, ``(batch,)``, with which a comb of mean length falls by 60 dB in time."""
    loop_s = size * (sum(_COMBS) / len(_COMBS) / _LENGTHS_RATE)
    return (10.0 ** (-3.0 * loop_s / decay_s)).clamp_max(_MOST_FEEDBACK)


def damping_pole(damping_hz: Tensor, sample_rate: int) -> Tensor:
    """Pole ``(batch,)`` of the lowpass in the loops."""
    return torch.exp(-2.0 * math.pi * damping_hz / sample_rate)


def all_pass(late: Tensor) -> Tensor:
    """Spectrum of an all-pass from that of its delay; it is Freeverb's, and only about one."""
    return (-1.0 + (1.0 + _ALL_PASS_GAIN) * late) / (1.0 - _ALL_PASS_GAIN * late)


def size_of(room_scale: Tensor) -> Tensor:
    """Lengths of SoX's combs relative to Freeverb's, by its knob in per cent."""
    return 0.1 + 0.009 * room_scale


def freeverb_response(
    decay_s: Tensor,
    damping_hz: Tensor,
    size: Tensor,
    sample_rate: int,
    length: int,
    room: int = 0,
    variant: Variant = JUCE,
) -> Tensor:
    """Impulse response of a room without the direct sound.

    Its energy is about 1 where nothing is damped; damping takes from the treble. It is computed
    from the transfer function a little outside of the unit circle, where it dies within `length`.

    Args:
        decay_s: ``(batch,)`` time in which the bass falls by 60 dB (RT60).
        damping_hz: ``(batch,)`` cutoff of the lowpass that every way round goes through.
        size: ``(batch,)`` lengths of the combs relative to Freeverb's.
        sample_rate: In Hz.
        length: Samples wanted.
        room: 0 for the left channel, 1 for the right.
        variant: Whose lengths.

    Returns:
        ``(batch, length)``, in the precision of `decay_s`.
    """
    decay, damping, scale = (x.double() for x in (decay_s, damping_hz, size))
    n_fft = fast_length(length)
    radius = -math.log(_ALIASED) / n_fft  # its logarithm
    bins = torch.arange(n_fft // 2 + 1, dtype=torch.float64, device=decay.device)
    back = torch.complex(torch.full_like(bins, -radius), -2.0 * math.pi / n_fft * bins)
    pole = damping_pole(damping, sample_rate).unsqueeze(1)
    gain = feedback(decay, scale)
    loop = gain.unsqueeze(1) * (1.0 - pole) / (1.0 - pole * torch.exp(back))
    combs = variant.combs(room, scale, sample_rate)
    all_passes = variant.all_passes(room, scale, sample_rate)
    spectrum = torch.zeros_like(loop)
    for samples in combs:
        late = torch.exp(samples.unsqueeze(1) * back)
        spectrum = spectrum + late / (1.0 - loop * late)
    for samples in all_passes:
        spectrum = spectrum * all_pass(torch.exp(samples.unsqueeze(1) * back))
    time = torch.arange(length, dtype=torch.float64, device=decay.device)
    response = torch.fft.irfft(spectrum, n_fft)[:, :length] * torch.exp(radius * time)
    # of a comb, and of an all-pass, whose taps are -1, 1, 1/2, 1/4, ...
    energy = len(combs) / (1.0 - gain.square()) * (7 / 3) ** len(all_passes)
    scaled: Tensor = response * energy.rsqrt().unsqueeze(1)
    return scaled.to(decay_s.dtype)


def freeverb(
    audio: Tensor,
    decay_s: Tensor,
    damping_hz: Tensor,
    pre_delay_ms: Tensor,
    mix: Tensor,
    sample_rate: int,
    state: tuple[Tensor, ...] | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Freeverb as in JUCE: every channel is a room, which hears the mean of all channels.

    Args:
        audio: ``(batch, channel, time)``.
        decay_s: ``(batch,)`` RT60 of the bass.
        damping_hz: ``(batch,)`` cutoff in the loops.
        pre_delay_ms: ``(batch,)`` before the reverberation.
        mix: ``(batch,)`` share of the reverberation in [0, 1].
        sample_rate: In Hz.
        state: As returned with the block before; None at the start.

    Returns:
        ``(batch, channel, time)``; at mix 0, `audio` bit for bit. Then the inputs to remember, the
        response and the settings that it stands for.
    """
    size = torch.ones_like(decay_s)
    rooms = [(channel,) for channel in range(audio.shape[1])]
    knobs = decay_s, damping_hz, size, pre_delay_ms
    return _through(audio, knobs, mix, sample_rate, state, rooms, JUCE)


def sox_reverb(
    audio: Tensor,
    decay_s: Tensor,
    damping_hz: Tensor,
    room_scale: Tensor,
    pre_delay_ms: Tensor,
    mix: Tensor,
    sample_rate: int,
    state: tuple[Tensor, ...] | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Freeverb as in SoX at full stereo depth: two rooms, of which a mono sound hears the mean.

    Args:
        audio: See `freeverb`; so are the other settings.
        decay_s: ``(batch,)``.
        damping_hz: ``(batch,)``.
        room_scale: ``(batch,)`` in per cent; at 100 the lengths are Freeverb's, at 0 a tenth.
        pre_delay_ms: ``(batch,)``.
        mix: ``(batch,)``.
        sample_rate: In Hz.
        state: As returned with the block before; None at the start.
    """
    size = size_of(room_scale)
    channels = audio.shape[1]
    both, own = [(0, 1)], [(channel % 2,) for channel in range(channels)]
    rooms: Sequence[tuple[int, ...]] = both if channels == 1 else own
    knobs = decay_s, damping_hz, size, pre_delay_ms
    return _through(audio, knobs, mix, sample_rate, state, rooms, SOX)


def _through(
    audio: Tensor,
    knobs: tuple[Tensor, Tensor, Tensor, Tensor],
    mix: Tensor,
    sample_rate: int,
    state: tuple[Tensor, ...] | None,
    rooms: Sequence[tuple[int, ...]],
    variant: Variant,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Channels through the means of `rooms` behind a pre-delay, blended with the dry sound."""
    decay_s, damping_hz, size, pre_delay_ms = knobs

    def response() -> Tensor:
        longest_s = float((_KEPT_DECAYS * decay_s + 0.08 * size).detach().max()) + 0.08
        length = math.ceil(longest_s * sample_rate)

        def of(room: int) -> Tensor:
            given = decay_s, damping_hz, size, sample_rate, length
            return freeverb_response(*given, room, variant)

        each = [torch.stack([of(room) for room in several]).mean(0) for several in rooms]
        return later(torch.stack(each, 1), pre_delay_ms.double() * (sample_rate / 1000.0))

    history, *known = state or (None,)
    own = kept(knobs, response, tuple(known))
    sent = audio.mean(1, keepdim=True).expand_as(audio) if audio.shape[1] > 1 else audio
    wet, history = convolve(sent, own[0], history)
    return audio + per_item(mix) * (wet - audio), (history, *own)
