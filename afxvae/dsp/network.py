"""A room: early reflections of a box and a feedback delay network behind them.

Sound that has travelled for t seconds has lost ``60 t / RT60(f)`` dB, whichever way it took. So one
complex rate ``r(f)`` makes the filters of all reflections and all lines, ``exp(-r(f) t)``, and the
room decays at every frequency exactly as asked (Jot and Chaigne, *Digital delay networks for
designing artificial reverberators*, AES 90th Conv., 1991, eq. 12, there with filters of first order).
The real part of r is ln(1000) / RT60, the imaginary part its Hilbert transform: minimum phase.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import pad

from .lines import fractional_delay, run_lines
from .units import fast_length, per_item

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["CROSSOVERS_HZ", "reverberation_time_s", "room_response"]

CROSSOVERS_HZ = (350.0, 2800.0)
"""Where the decay is half way (in the logarithm) from the mids to the bass, and to the treble."""
_STEEPNESS = 6
_LINES = 16
_INPUT_SIGNS = (1, 1, 1, -1, 1, 1, -1, 1, 1, 1, 1, -1, -1, -1, 1, -1)  # Rudin and Shapiro
_LINE_RANGE = (0.8, 3.0)  # of the mean free path
_SPEED_OF_SOUND = 343.0
_BOX = (1.0, 0.79, 0.62)  # proportions of the room
_SOURCE = (0.22, 0.31, 0.27)
_LISTENER = (0.66, 0.47, 0.33)
_SPACING = 0.06  # of microphones around the listener
_HIGHEST_ORDER = 2
_FILTER_S = 0.012
_GRID_S = 0.1
_LEAST_KEPT = 0.01  # what dies before it has been through a line stays quiet
_DECIBELS_60 = math.log(1000.0)


def reverberation_time_s(
    decay_s: Tensor, bass_ratio: Tensor, treble_ratio: Tensor, frequency_hz: Tensor
) -> Tensor:
    """RT60 at each frequency, ``(batch, frequency)``: `decay_s` around 1 kHz, ratios at the ends.

    Args:
        decay_s: ``(batch,)``.
        bass_ratio: ``(batch,)`` RT60 of the bass over that of the mids.
        treble_ratio: ``(batch,)`` RT60 of the treble over that of the mids.
        frequency_hz: ``(frequency,)``.
    """
    low, high = (1.0 / (1.0 + (frequency_hz / hz) ** _STEEPNESS) for hz in CROSSOVERS_HZ)
    bass, treble = bass_ratio.log().unsqueeze(1), treble_ratio.log().unsqueeze(1)
    return decay_s.unsqueeze(1) * torch.exp(bass * low + treble * (1.0 - high))


def _minimum_phase(log_magnitude: Tensor) -> Tensor:
    """Logarithm of the minimum-phase spectrum of this magnitude, ``(..., bin)``."""
    cepstrum = torch.fft.irfft(log_magnitude)
    half = cepstrum.shape[-1] // 2
    cepstrum = torch.cat(
        [cepstrum[..., :1], 2.0 * cepstrum[..., 1:half], cepstrum[..., half : half + 1]], dim=-1
    )
    folded: Tensor = torch.fft.rfft(cepstrum, 2 * half)
    return folded


def _travel(time_s: Tensor, rate: Tensor, sample_rate: int) -> tuple[Tensor, Tensor]:
    """Filters that delay by `time_s`, ``(batch, path)``, and take off what is lost on the way.

    Returns:
        Delay of the first tap, ``(batch, path)``, and taps ``(batch, path, tap)``.
    """
    first, taps = fractional_delay(time_s * sample_rate)
    count = 2 * (rate.shape[-1] - 1)
    lost = torch.exp(-time_s.unsqueeze(-1) * rate.unsqueeze(1))
    filters = torch.fft.irfft(torch.fft.rfft(taps, count) * lost, count)
    return first, filters[..., : taps.shape[-1] + math.ceil(_FILTER_S * sample_rate)]


@functools.lru_cache(maxsize=8)
def _images(channels: int) -> tuple[tuple[tuple[float, float], ...], ...]:
    """Detour over the direct way, in room lengths, and level of every image source, by channel.

    Allen and Berkley, *Image method for efficiently simulating small-room acoustics*, 1979. Each
    channel is a microphone at its own place. The levels have energy 1.
    """
    orders = range(-_HIGHEST_ORDER, _HIGHEST_ORDER + 1)
    places = [(i, j, k) for i in orders for j in orders for k in orders]
    places = [place for place in places if 1 <= sum(map(abs, place)) <= _HIGHEST_ORDER]
    result = []
    for channel in range(channels):
        angle = math.pi * (3.0 - math.sqrt(5.0)) * channel
        around = (0.0, _SPACING * math.cos(angle), _SPACING * math.sin(angle))
        ear = tuple(x + shift for x, shift in zip(_LISTENER, around, strict=True))
        direct = math.dist(_SOURCE, ear)
        ways = []
        for place in places:
            image = [
                n * side + (x if n % 2 == 0 else side - x)
                for n, side, x in zip(place, _BOX, _SOURCE, strict=True)
            ]
            ways.append(math.dist(image, ear))
        norm = math.sqrt(sum(way**-2 for way in ways))
        result.append(tuple((way - direct, 1.0 / (way * norm)) for way in ways))
    return tuple(result)


def _early(size_m: Tensor, rate: Tensor, sample_rate: int, channels: int, length: int) -> Tensor:
    """Reflections of first and second order, ``(batch, channel, time)``."""
    images = torch.tensor(_images(channels), dtype=torch.float64, device=size_m.device)
    detour, level = images.flatten(0, 1).unbind(-1)
    first, taps = _travel(size_m.unsqueeze(1) * detour / _SPEED_OF_SOUND, rate, sample_rate)
    taps = taps * level.unsqueeze(-1)
    place = first.unsqueeze(-1) + torch.arange(taps.shape[-1], device=first.device)
    shape = (len(size_m), channels, -1)
    room = taps.new_zeros(len(size_m), channels, length + int(place.max()) + 1)
    filled = room.scatter_add(-1, place.clamp_min(0).reshape(shape), taps.reshape(shape))
    return filled[..., :length]


def _hadamard(device: torch.device) -> Tensor:
    """Orthogonal matrix of ``_LINES`` rows of equal entries but for their signs."""
    matrix = torch.ones(1, 1, dtype=torch.float64, device=device)
    while len(matrix) < _LINES:
        matrix = torch.cat([torch.cat([matrix, matrix], 1), torch.cat([matrix, -matrix], 1)])
    return matrix / math.sqrt(_LINES)


def _late(
    size_m: Tensor, rate: Tensor, sample_rate: int, channels: int, length: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Response of the delay network, ``(batch, channel, time)``, and its tone correction.

    The correction is the logarithm of the gain, ``(batch, bin)``, that makes the energy 1.
    """
    volume = math.prod(_BOX)
    surface = 2.0 * sum(volume / side for side in _BOX)
    free_path_s = size_m * (4.0 * volume / surface / _SPEED_OF_SOUND)
    low, high = _LINE_RANGE
    steps = torch.linspace(0.0, 1.0, _LINES, dtype=torch.float64, device=size_m.device)
    line_s = free_path_s.unsqueeze(1) * (low * (high / low) ** steps)
    first, filters = _travel(line_s, rate, sample_rate)
    matrix = _hadamard(size_m.device)
    signs = torch.tensor(_INPUT_SIGNS, dtype=dtype, device=size_m.device) / math.sqrt(_LINES)
    drive = pad(signs.unsqueeze(-1), (0, length - 1)).expand(len(size_m), -1, -1)
    mixing = matrix.to(dtype).expand(len(size_m), -1, -1)
    given, _ = run_lines(drive, filters.to(dtype), first, mixing)
    rows = torch.arange(channels, device=size_m.device) % _LINES
    kept = torch.exp(-2.0 * line_s.unsqueeze(-1) * rate.real.unsqueeze(1)).mean(1)
    # each time round, the share `kept` of the energy arrives: 1 / _LINES of it in each channel
    gain = 0.5 * torch.log(_LINES * (1.0 - kept) / (kept + _LEAST_KEPT))
    return matrix[rows].to(dtype) @ given, gain


def room_response(
    size_m: Tensor,
    decay_s: Tensor,
    bass_ratio: Tensor,
    treble_ratio: Tensor,
    pre_delay_ms: Tensor,
    balance: Tensor,
    sample_rate: int,
    channels: int,
    length: int,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Impulse response of the room without the direct sound.

    Early reflections and reverberation have energy 1 each, the latter at every frequency however
    long it lasts there (the tone correction of Jot and Chaigne, eq. 18).

    Args:
        size_m: ``(batch,)`` length of the room; it is 0.79 as wide and 0.62 as high.
        decay_s: ``(batch,)`` RT60 of the mids.
        bass_ratio: ``(batch,)`` RT60 of the bass over that of the mids.
        treble_ratio: ``(batch,)`` RT60 of the treble over that of the mids.
        pre_delay_ms: ``(batch,)`` between direct sound and room.
        balance: ``(batch,)`` 0 early reflections only, 1 reverberation only.
        sample_rate: In Hz.
        channels: Each hears the room from its own place; beyond 16 the network's outputs repeat.
        length: Samples wanted, at least 1.
        dtype: Of the response; the filters are computed in float64.

    Returns:
        ``(batch, channel, time)``.
    """
    size, decay, bass, treble = (x.double() for x in (size_m, decay_s, bass_ratio, treble_ratio))
    grid = fast_length(math.ceil(_GRID_S * sample_rate))
    hz = torch.arange(grid // 2 + 1, dtype=torch.float64, device=size.device) * sample_rate / grid
    rate = _minimum_phase(_DECIBELS_60 / reverberation_time_s(decay, bass, treble, hz))
    early = _early(size, rate, sample_rate, channels, length).to(dtype)
    late, log_gain = _late(size, rate, sample_rate, channels, length, dtype)
    correction = torch.fft.irfft(torch.exp(_minimum_phase(log_gain)), grid)
    first, taps = fractional_delay(pre_delay_ms.double() * (sample_rate / 1000.0))
    angle = per_item(balance) * (math.pi / 2.0)
    shift = int(first.max())
    n_fft = fast_length(length + max(0, shift) + grid + taps.shape[-1])
    bins = torch.arange(n_fft // 2 + 1, device=size.device)
    turns = (first.unsqueeze(1) * bins % n_fft).to(torch.float64) * (2.0 * math.pi / n_fft)
    delay = torch.polar(torch.ones_like(turns), -turns).to(early.to(torch.complex64).dtype)
    delay = delay * torch.fft.rfft(taps.to(dtype), n_fft)
    spectrum = torch.cos(angle) * torch.fft.rfft(early, n_fft)
    coloured = torch.fft.rfft(late, n_fft) * torch.fft.rfft(correction.to(dtype), n_fft).unsqueeze(
        1
    )
    spectrum = (spectrum + torch.sin(angle) * coloured) * delay.unsqueeze(1)
    response: Tensor = torch.fft.irfft(spectrum, n_fft)[..., :length]
    return response
