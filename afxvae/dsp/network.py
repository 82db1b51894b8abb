"""A room: early reflections of a box and a feedback delay network behind them.

Sound that has travelled for t seconds has lost ``60 t / RT60(f)`` dB, whichever way it took. So one
complex rate ``r(f)`` makes the filters of all reflections and all lines, ``exp(-r(f) t)``, and the
room decays at every frequency as asked: the absorbent filters of Jot and Chaigne, *Digital delay
networks for designing artificial reverberators* (AES 90th Conv., 1991), made for any course of RT60
over frequency. The real part of r is ln(1000) / RT60, the imaginary part its Hilbert transform,
which makes the filters minimum-phase.

The early reflections enter the lines at places spread over their lengths, with energies as if the
sound had long been on its way, so that the decay has its slope from the beginning. The RT60 holds
to 10 % in octave bands from .2 s on up to 20 m, from .4 s on in any room; in the bass as far as so
short a sound has a level to measure.

A room sounds of metal where its resonances stand apart. There are as many in a hertz as the lines
are long in seconds, 1.2 in the smallest room; in the spectrum of its tail no line stands out much
more than in that of noise.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import pad

from .lines import HALF_WIDTH, fractional_delay, run_lines
from .units import fast_length, per_item

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["CROSSOVERS_HZ", "reverberation_time_s", "room_response"]

CROSSOVERS_HZ = (350.0, 2800.0)
"""Where the decay is half way (in the logarithm) from the mids to the bass, and to the treble."""
_STEEPNESS = 6
_LINES = 32
_SIGNS = tuple((-1) ** (n & n >> 1).bit_count() for n in range(_LINES))  # Rudin and Shapiro
_STRIDE = 11  # neighbours are entered far apart
_EARS = 4  # microphones that feed the lines
_SHORTEST_LINE, _LONGEST_LINE = 1.2, 2.5  # in mean free paths
_LINE_EXTRA_S = 0.05  # of the longest line: enough modes in small rooms
_SPEED_OF_SOUND = 343.0
_BOX = (1.0, 0.79, 0.62)  # proportions of the room
_SOURCE = (0.22, 0.31, 0.27)
_LISTENER = (0.66, 0.47, 0.33)
_SPACING = 0.06  # of microphones around the listener
_HIGHEST_ORDER = 2
_FILTER_S = 0.012
_GRID_S = 0.04
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
        ways = {}
        for place in places:
            image = [
                n * side + (x if n % 2 == 0 else side - x)
                for n, side, x in zip(place, _BOX, _SOURCE, strict=True)
            ]
            ways[place] = math.dist(image, ear)
        norm = math.sqrt(sum(way**-2 for way in ways.values()))
        # walls, but not floor and ceiling, turn the sign: half of the images, so no bass piles up
        result.append(
            tuple((way - direct, (-1) ** (i + j) / (way * norm)) for (i, j, _), way in ways.items())
        )
    return tuple(result)


def _early(size_m: Tensor, rate: Tensor, sample_rate: int, channels: int, length: int) -> Tensor:
    """Reflections of first and second order, ``(batch, channel, time)``, `length` at most."""
    images = torch.tensor(_images(channels), dtype=torch.float64, device=size_m.device)
    detour, level = images.flatten(0, 1).unbind(-1)
    first, taps = _travel(size_m.unsqueeze(1) * detour / _SPEED_OF_SOUND, rate, sample_rate)
    taps = taps * level.unsqueeze(-1)
    place = first.unsqueeze(-1) + torch.arange(taps.shape[-1], device=first.device)
    shape = (len(size_m), channels, -1)
    room = taps.new_zeros(len(size_m), channels, int(place.max()) + 1)
    filled = room.scatter_add(-1, place.clamp_min(0).reshape(shape), taps.reshape(shape))
    return filled[..., :length]


def _mixing(device: torch.device) -> Tensor:
    """Orthogonal matrix of ``_LINES`` rows, all entries equal but for their signs.

    Hadamard's matrix, with rows in another order and signs before the columns: as it stands, it is
    its own inverse, and some resonances stand out.
    """
    matrix = torch.ones(1, 1, dtype=torch.float64, device=device)
    while len(matrix) < _LINES:
        matrix = torch.cat([torch.cat([matrix, matrix], 1), torch.cat([matrix, -matrix], 1)])
    rows = (5 * torch.arange(_LINES, device=device) + 1) % _LINES
    return matrix[rows] * matrix.new_tensor(_SIGNS) / math.sqrt(_LINES)


def _delayed(signals: Tensor, first: Tensor, taps: Tensor) -> Tensor:
    """Signals ``(batch, line, time)`` through filters of `_travel`, longer by these."""
    place = first.unsqueeze(-1) + torch.arange(taps.shape[-1], device=first.device)
    response = taps.new_zeros(*taps.shape[:-1], int(place.max()) + 1).scatter(-1, place, taps)
    length = signals.shape[-1] + response.shape[-1] - 1
    n_fft = fast_length(length)
    spectrum = torch.fft.rfft(signals, n_fft) * torch.fft.rfft(response.to(signals.dtype), n_fft)
    delayed: Tensor = torch.fft.irfft(spectrum, n_fft)[..., :length]
    return delayed


def _late(
    size_m: Tensor, rate: Tensor, sample_rate: int, reflections: Tensor, channels: int, length: int
) -> tuple[Tensor, Tensor]:
    """What follows when reflections ``(batch, ear, time)`` go into the lines, and its tone.

    Returns:
        ``(batch, channel, length)``, and the logarithm of the gain, ``(batch, bin)``, that makes
        its energy 1 if that of the reflections is.
    """
    volume = math.prod(_BOX)
    surface = 2.0 * sum(volume / side for side in _BOX)
    free_path_s = (size_m * (4.0 * volume / surface / _SPEED_OF_SOUND)).unsqueeze(1)
    steps = torch.linspace(0.0, 1.0, _LINES, dtype=torch.float64, device=size_m.device)
    shortest, longest = _SHORTEST_LINE * free_path_s, _LONGEST_LINE * free_path_s + _LINE_EXTRA_S
    line_s = shortest + (longest - shortest) * steps
    first, filters = _travel(line_s, rate, sample_rate)
    # sound enters lines at places spread over them, as if it had long been on its way
    places = ((_STRIDE * torch.arange(_LINES, device=size_m.device)) % _LINES + 1.0) / _LINES
    entry_s = (line_s * places).clamp_min((HALF_WIDTH + 1.0) / sample_rate)
    share = line_s / line_s.mean(1, keepdim=True)
    signs = torch.tensor(_SIGNS, dtype=reflections.dtype, device=size_m.device)
    drive = reflections.repeat(1, _LINES // _EARS, 1) * signs.unsqueeze(-1)
    drive = drive * (share / _LINES).sqrt().unsqueeze(-1).to(drive.dtype)
    entered = _delayed(drive, *_travel(entry_s, rate, sample_rate))
    entered = pad(entered, (0, length - entered.shape[-1]))  # or cut, if it is longer
    mixing = _mixing(size_m.device).to(drive.dtype)
    each = mixing.expand(len(size_m), -1, -1)
    given, _ = run_lines(mixing @ entered, filters.to(drive.dtype), first, each)
    late = mixing[torch.arange(channels, device=size_m.device) % _LINES] @ (entered + given)
    # the share `arrived` of the energy enters the lines; each time round, `kept` comes out
    detour, level = torch.tensor(_images(_EARS), dtype=torch.float64).to(size_m.device).unbind(-1)
    detour_s = size_m.unsqueeze(1) * detour.mean(0) / _SPEED_OF_SOUND
    loss = 2.0 * rate.real.unsqueeze(1)
    arrived = level.square().mean(0) @ torch.exp(-detour_s.unsqueeze(-1) * loss)
    arrived = arrived * (share.unsqueeze(-1) * torch.exp(-entry_s.unsqueeze(-1) * loss)).mean(1)
    kept = torch.exp(-line_s.unsqueeze(-1) * loss).mean(1)
    return late, 0.5 * torch.log(_LINES * (1.0 - kept) / (arrived + _LEAST_KEPT))


def _delay_spectrum(delay: Tensor, n_fft: int) -> Tensor:
    """Spectrum ``(batch, bin)`` of a delay ``(batch,)`` in samples, which need not be whole."""
    first, taps = fractional_delay(delay)
    bins = torch.arange(n_fft // 2 + 1, device=delay.device)
    angle = (first.unsqueeze(1) * bins % n_fft).double() * (-2.0 * math.pi / n_fft)
    spectrum: Tensor = torch.fft.rfft(taps, n_fft)
    return spectrum * torch.polar(torch.ones_like(angle), angle)


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

    Early reflections have energy 1 but for what they lose on their ways. What follows has energy 1
    at every frequency however long it lasts there (the tone correction of Jot and Chaigne), unless
    it dies on the first crossing of the room.

    Args:
        size_m: ``(batch,)`` length of the room; it is 0.79 as wide and 0.62 as high.
        decay_s: ``(batch,)`` RT60 of the mids.
        bass_ratio: ``(batch,)`` RT60 of the bass over that of the mids.
        treble_ratio: ``(batch,)`` RT60 of the treble over that of the mids.
        pre_delay_ms: ``(batch,)`` between direct sound and room.
        balance: ``(batch,)`` 0 early reflections only, 1 reverberation only.
        sample_rate: In Hz.
        channels: Each hears the room from its own place; beyond 32 the network's outputs repeat.
        length: Samples wanted, at least 1.
        dtype: Of the response; the filters are computed in float64.

    Returns:
        ``(batch, channel, time)``.
    """
    size, decay, bass, treble = (x.double() for x in (size_m, decay_s, bass_ratio, treble_ratio))
    grid = fast_length(math.ceil(_GRID_S * sample_rate))
    hz = torch.arange(grid // 2 + 1, dtype=torch.float64, device=size.device) * sample_rate / grid
    rate = _minimum_phase(_DECIBELS_60 / reverberation_time_s(decay, bass, treble, hz))
    reflections = _early(size, rate, sample_rate, max(channels, _EARS), length).to(dtype)
    early = reflections[:, :channels]
    ears = reflections[:, :_EARS]
    late, log_gain = _late(size, rate, sample_rate, ears, channels, length)
    correction = torch.fft.irfft(torch.exp(_minimum_phase(log_gain)), grid)
    pre_delay = pre_delay_ms.double() * (sample_rate / 1000.0)
    n_fft = fast_length(length + math.ceil(float(pre_delay.detach().max())) + grid + 2 * HALF_WIDTH)
    colour = torch.fft.rfft(correction.to(dtype), n_fft).unsqueeze(1)
    angle = per_item(balance) * (math.pi / 2.0)
    spectrum = torch.cos(angle) * torch.fft.rfft(early, n_fft)
    spectrum = spectrum + torch.sin(angle) * torch.fft.rfft(late, n_fft) * colour
    delayed = spectrum * _delay_spectrum(pre_delay, n_fft).to(spectrum.dtype).unsqueeze(1)
    response: Tensor = torch.fft.irfft(delayed, n_fft)[..., :length]
    return response
