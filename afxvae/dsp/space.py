"""Echo, reverberation and stereo image."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from .units import fast_length, per_item

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["BAND_CENTRES_HZ", "echo", "reverb_impulse_response", "reverberate", "widen"]

_PULSES_PER_SECOND = 4000
_CROSSOVERS_HZ = (800.0, 4000.0)
BAND_CENTRES_HZ = (400.0, 1800.0, 8000.0)
"""Where the reverb's low, middle and high bands have the decay that their settings name."""
_LONGEST_S = 7.2
_KEPT_DECAYS = 1.2  # the response is kept until it has fallen by 72 dB


def _unit_phasor(cycles: Tensor, dtype: torch.dtype) -> Tensor:
    """``exp(-2 pi j cycles)`` with the whole turns removed in double precision."""
    angle = (-2.0 * math.pi * (cycles - cycles.detach().floor())).to(dtype)
    return torch.complex(torch.cos(angle), torch.sin(angle))


def _delay_cycles(delay: Tensor, n_fft: int) -> Tensor:
    """Turns by which `delay`, ``(batch, 1)`` in samples, lags at each bin: ``(batch, bin)``.

    Proportional to frequency, and exactly that for whole samples. For the remaining fraction the
    lag returns to zero over the top 2 % of the band: a jump at half the sample rate would ring for
    ever, before and after the echo, and make the result depend on `n_fft`.
    """
    bins = torch.arange(n_fft // 2 + 1, dtype=torch.float64, device=delay.device) / n_fft
    top = ((bins - 0.49) / 0.01).clamp_min(0.0)
    bent = bins * (0.5 + 0.5 * torch.cos(math.pi * top))
    whole = delay.detach().round()
    return bins * whole + bent * (delay - whole)


def echo(audio: Tensor, time_ms: Tensor, feedback: Tensor, mix: Tensor, sample_rate: int) -> Tensor:
    """Feedback delay: echoes at `time_ms` and its multiples, each `feedback` times the one before.

    The echoes that fall into the signal are summed in closed form in the frequency domain, so the
    delay need not be whole samples and its gradient is exact.

    Args:
        audio: ``(batch, channel, time)``.
        time_ms: ``(batch,)``.
        feedback: ``(batch,)`` in [0, 1).
        mix: ``(batch,)`` share of the echoes in [0, 1]; the dry signal has the rest.
        sample_rate: In Hz.

    Returns:
        ``(batch, channel, time)``; at mix 0, `audio` bit for bit.
    """
    length = audio.shape[-1]
    delay = time_ms.double().unsqueeze(1) * (sample_rate / 1000.0)
    count = (length / delay.detach()).ceil()
    n_fft = fast_length(2 * length + math.ceil(float(delay.detach().max())))
    cycles = _delay_cycles(delay, n_fft)
    once = _unit_phasor(cycles, audio.dtype)
    all_echoes = _unit_phasor(cycles * count, audio.dtype)
    gain = feedback.unsqueeze(1)
    lost = torch.pow(gain, count.to(audio.dtype))
    response = once * (1.0 - lost * all_echoes) / (1.0 - gain * once)
    spectrum = torch.fft.rfft(audio, n_fft) * response.unsqueeze(1)
    wet: Tensor = torch.fft.irfft(spectrum, n_fft)[..., :length]
    return audio + per_item(mix) * (wet - audio)


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


def reverberate(
    audio: Tensor,
    decay_s: Tensor,
    treble_ratio: Tensor,
    pre_delay_ms: Tensor,
    mix: Tensor,
    sample_rate: int,
) -> Tensor:
    """Convolve with `reverb_impulse_response` after a pre-delay and blend with the dry signal.

    Args:
        audio: ``(batch, channel, time)``.
        decay_s: ``(batch,)`` RT60 of the low band.
        treble_ratio: ``(batch,)`` RT60 of the high band relative to it, in (0, 1].
        pre_delay_ms: ``(batch,)`` before the first reflection.
        mix: ``(batch,)`` share of the reverberation in [0, 1].
        sample_rate: In Hz.

    Returns:
        ``(batch, channel, time)``; at mix 0, `audio` bit for bit.
    """
    length = audio.shape[-1]
    response = reverb_impulse_response(decay_s, treble_ratio, sample_rate, audio.shape[1])
    delay = pre_delay_ms.double().unsqueeze(1) * (sample_rate / 1000.0)
    n_fft = fast_length(length + response.shape[-1] + math.ceil(float(delay.detach().max())))
    late = _unit_phasor(_delay_cycles(delay, n_fft), audio.dtype).unsqueeze(1)
    spectrum = torch.fft.rfft(audio, n_fft) * torch.fft.rfft(response, n_fft) * late
    wet: Tensor = torch.fft.irfft(spectrum, n_fft)[..., :length]
    return audio + per_item(mix) * (wet - audio)


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
