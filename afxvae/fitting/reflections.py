"""Delay and reverb between two aligned recordings, as their impulse response shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..dsp.space import reverb_impulse_response

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["start_delay", "start_reverb"]

Knobs = dict[str, float]

_HEARD_S = 0.008  # of the direct sound
_FIRST, _SEEN = 0.3, 8.0  # of the higher echo, and of what is beside it: a first echo
_CLIPPED = 4.0  # of the level of the response, where reflections are looked for
_DECAYS = ((0.5, 0.4), (1.5, 0.4), (3.0, 0.7))  # RT60, treble ratio


def _pulse(response: Tensor, sample_rate: int) -> tuple[Tensor, Tensor]:
    """Spectra of the response, and of its direct sound."""
    reach = round(_HEARD_S * sample_rate)
    window = torch.zeros_like(response)
    window[: reach + 1] = torch.hann_window(2 * reach + 1)[reach:]
    window[-reach:] = torch.hann_window(2 * reach + 1)[:reach]
    return torch.fft.rfft(response), torch.fft.rfft(response * window)


def start_delay(response: Tensor, sample_rate: int) -> tuple[Knobs, float]:
    """The strongest echo of the direct sound, and its height over what is beside it."""
    whole, direct = _pulse(response, sample_rate)
    n = len(response)
    alike = torch.fft.irfft(whole * direct.conj(), n) / direct.abs().square().mean()
    low, high = round(0.02 * sample_rate), round(1.0 * sample_rate)
    spread = float(alike[low : 2 * high].square().mean().sqrt()) + 1e-9
    peak = low + int(alike[low : high + 1].argmax())
    for part in (3, 2):  # an echo of an echo may be the higher one
        place = round(peak / part)
        near = alike[max(place - 2, low) : place + 3]
        if place >= low and float(near.max()) > max(_FIRST * float(alike[peak]), _SEEN * spread):
            peak = max(place - 2, low) + int(near.argmax())
            break
    a, b, c = (float(alike[peak + k]) for k in (-1, 0, 1))
    curve = a - 2.0 * b + c
    lag = peak + (0.5 * (a - c) / curve if curve < 0.0 else 0.0)
    level = b / float(alike[0])
    again = float(alike[2 * peak - 2 : 2 * peak + 3].max()) / float(alike[0])
    knobs = {
        "time_ms": 1000.0 * lag / sample_rate,
        "feedback": min(max(again / max(level, 1e-6), 0.05), 0.85),
        "mix": min(max(level / (1.0 + level), 0.02), 0.9),
    }
    return knobs, b / spread


def start_reverb(response: Tensor, sample_rate: int) -> tuple[Knobs, float]:
    """A reverberation by its own reflections, and how surely it was found."""
    _, direct = _pulse(response, sample_rate)
    n = len(response)
    level = response[round(0.002 * sample_rate) : round(0.5 * sample_rate)].square().mean().sqrt()
    limit = float(_CLIPPED * level) + 1e-12  # direct sound and echoes are no reflections
    whole = torch.fft.rfft(response.clamp(-limit, limit))
    best: tuple[float, Knobs] = (0.0, {})
    for decay, treble in _DECAYS:
        one = reverb_impulse_response(
            torch.tensor([decay]), torch.tensor([treble]), sample_rate, 1
        )[0, 0]
        one = one[: n // 2]
        room = torch.fft.rfft(one, n)
        alike = torch.fft.irfft(whole * (room * direct).conj(), n)
        power = float((room * direct).abs().square().mean())
        high = round(0.1 * sample_rate)
        beside = alike[2 * high : 12 * high]
        peak = int(alike[: high + 1].argmax())
        height = float(alike[peak]) / (float(beside.square().mean().sqrt()) + 1e-12)
        if height > best[0]:
            share = max(float(alike[peak]) / power, 1e-3)
            a, b, c = (float(alike[peak + k]) for k in (-1, 0, 1))
            curve = a - 2.0 * b + c
            lag = peak + (0.5 * (a - c) / curve if curve < 0.0 else 0.0)
            best = (height, {
                "decay_s": decay, "treble_ratio": treble,
                "pre_delay_ms": min(max(1000.0 * lag / sample_rate, 0.0), 100.0),
                "mix": min(share / (1.0 + share), 0.9),
            })  # fmt: skip
    return best[1], best[0]
