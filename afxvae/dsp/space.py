"""Reverberation and stereo image."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from .convolution import convolve, kept
from .units import fast_length, per_item

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["BAND_CENTRES_HZ", "later", "reverb_impulse_response", "reverberate", "widen"]

_PULSES_PER_SECOND = 4000
_CROSSOVERS_HZ = (800.0, 4000.0)
BAND_CENTRES_HZ = (400.0, 1800.0, 8000.0)
"""Where the reverb's low, middle and high bands have the decay that their settings name."""
_LONGEST_S = 7.2
_RINGING = 256  # samples, before and after a reflection between samples
_KEPT_DECAYS = 1.2  # the response is kept until it has fallen by 72 dB


@functools.lru_cache(maxsize=16)
@torch.inference_mode(False)  # what stays in the cache must also serve where gradients are wanted
def _velvet_bands(sample_rate: int, channels: int, length: int, device: str) -> Tensor:
    """Velvet noise in three bands that sum to it: ``(3, channel, length)``.

    Places are drawn in seconds from a fixed seed, so a preset has the same room at every sample
    rate.
    """
    noise = np.zeros((channels, length))
    for channel in range(channels):
        generator = np.random.RandomState(1000 + channel)
        draws = generator.random_sample((math.ceil(_LONGEST_S * _PULSES_PER_SECOND), 2))
        places = (np.arange(len(draws)) + draws[:, 0]) / _PULSES_PER_SECOND
        index = np.round(places * sample_rate).astype(np.int64)
        signs = np.where(draws[:, 1] < 0.5, -1.0, 1.0)
        np.add.at(noise[channel], index[index < length], signs[index < length])
    n_fft = fast_length(length + sample_rate // 10)
    spectrum = np.fft.rfft(noise, n_fft)
    frequency = np.fft.rfftfreq(n_fft, 1.0 / sample_rate)
    low, high = (1.0 / (1.0 + (frequency / corner) ** 8) for corner in _CROSSOVERS_HZ)
    shares = (low, high - low, 1.0 - high)
    bands = np.stack([np.fft.irfft(spectrum * share, n_fft)[:, :length] for share in shares])
    return torch.from_numpy(bands.astype(np.float32)).to(device)


def reverb_impulse_response(
    decay_s: Tensor, treble_ratio: Tensor, sample_rate: int, channels: int
) -> Tensor:
    """Velvet noise that decays exponentially in three bands.

    One pulse of random sign at a random place in each 1/4000 s (Karjalainen and Järveläinen,
    *Reverberation modeling using velvet noise*, AES 30th Conf., 2007). Its energy is 1 when all
    bands decay alike (treble ratio 1); a faster decay takes energy from the treble and leaves the
    bass as it is.

    Args:
        decay_s: ``(batch,)`` time in which the low band falls by 60 dB (RT60).
        treble_ratio: ``(batch,)`` RT60 of the high band relative to it; the middle band has the
            geometric mean.
        sample_rate: In Hz.
        channels: Each channel has its own noise.

    Returns:
        ``(batch, channel, time)``.
    """
    longest = decay_s.detach().clamp_max(_LONGEST_S / _KEPT_DECAYS) * _KEPT_DECAYS
    length = math.ceil(float(longest.max()) * sample_rate)
    rounded = -(-length // sample_rate) * sample_rate  # few different lengths in the cache
    bands = _velvet_bands(sample_rate, channels, rounded, str(decay_s.device))[..., :length]
    bands = bands.to(decay_s.dtype)
    time = torch.arange(length, dtype=decay_s.dtype, device=decay_s.device) / sample_rate
    ratios = torch.stack([torch.ones_like(treble_ratio), treble_ratio.sqrt(), treble_ratio])
    rates = -math.log(1000.0) / (decay_s * ratios)  # (3, batch)
    kept = time < longest.unsqueeze(1)
    response = torch.zeros(len(decay_s), channels, length, dtype=decay_s.dtype)
    response = response.to(decay_s.device)
    for band, rate in zip(bands, rates, strict=True):
        envelope = torch.exp(rate.unsqueeze(1) * time) * kept
        response = response + envelope.unsqueeze(1) * band
    # energy of white velvet noise under the low band's envelope
    energy = _PULSES_PER_SECOND * decay_s / (2.0 * math.log(1000.0))
    return response * per_item(energy.rsqrt())


def later(response: Tensor, delay: Tensor) -> Tensor:
    """A response `delay` samples later, ``(batch,)`` in float64, and longer by as much as needed.

    Exact for whole samples. For the remaining fraction the lag, proportional to frequency, returns
    to zero over the top 2 % of the band: a jump at half the sample rate would ring for ever. What
    would still sound before time 0 is left out.
    """
    length = response.shape[-1] + math.ceil(float(delay.detach().max())) + _RINGING
    n_fft = fast_length(length + _RINGING)
    bins = torch.arange(n_fft // 2 + 1, dtype=torch.float64, device=delay.device) / n_fft
    top = ((bins - 0.49) / 0.01).clamp_min(0.0)
    bent = bins * (0.5 + 0.5 * torch.cos(math.pi * top))
    whole = delay.detach().round().unsqueeze(1)
    cycles = bins * whole + bent * (delay.unsqueeze(1) - whole)
    angle = (-2.0 * math.pi * (cycles - cycles.detach().floor())).to(response.dtype)
    phasor = torch.complex(torch.cos(angle), torch.sin(angle)).unsqueeze(1)
    later: Tensor = torch.fft.irfft(torch.fft.rfft(response, n_fft) * phasor, n_fft)
    return later[..., :length]


def reverberate(
    audio: Tensor,
    decay_s: Tensor,
    treble_ratio: Tensor,
    pre_delay_ms: Tensor,
    mix: Tensor,
    sample_rate: int,
    state: tuple[Tensor, ...] | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Convolve with `reverb_impulse_response` after a pre-delay and blend with the dry signal.

    Args:
        audio: ``(batch, channel, time)``.
        decay_s: ``(batch,)`` RT60 of the low band.
        treble_ratio: ``(batch,)`` RT60 of the high band relative to it, in (0, 1].
        pre_delay_ms: ``(batch,)`` before the first reflection.
        mix: ``(batch,)`` share of the reverberation in [0, 1].
        sample_rate: In Hz.
        state: As returned with the block before; None at the start.

    Returns:
        ``(batch, channel, time)``; at mix 0, `audio` bit for bit. Then the inputs to remember, the
        response and the settings that it stands for.
    """

    def response() -> Tensor:
        early = reverb_impulse_response(decay_s, treble_ratio, sample_rate, audio.shape[1])
        return later(early, pre_delay_ms.double() * (sample_rate / 1000.0))

    history, *known = state or (None,)
    own = kept((decay_s, treble_ratio, pre_delay_ms), response, tuple(known))
    wet, history = convolve(audio, own[0], history)
    return audio + per_item(mix) * (wet - audio), (history, *own)


def widen(audio: Tensor, width: Tensor) -> Tensor:
    """Scale the side signal (L - R) / 2 of a stereo pair: 0 mono, 1 unchanged, 2 twice as wide.

    Args:
        audio: ``(batch, channel, time)``; other than two channels pass unchanged.
        width: ``(batch,)``.
    """
    if audio.shape[1] != 2:
        return audio
    side = 0.5 * (audio[:, :1] - audio[:, 1:])
    change = (per_item(width) - 1.0) * side
    return audio + torch.cat([change, -change], dim=1)
