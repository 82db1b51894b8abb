"""Where to start: what can be measured of each effect between two aligned recordings."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from ..dsp.space import reverb_impulse_response
from ..dsp.units import fast_length
from ..effects.eq import eq_response

if TYPE_CHECKING:
    from torch import Tensor

    from ..effects import Chain

__all__ = ["start_delay", "start_eq", "start_reverb"]

Knobs = dict[str, float]

_HEARD_S = 0.008  # of the direct sound
_FIRST, _SEEN = 0.3, 8.0  # of the higher echo, and of what is beside it: a first echo
_CLIPPED = 4.0  # of the level of the response, where reflections are looked for
_DECAYS = ((0.5, 0.4), (1.5, 0.4), (3.0, 0.7))  # RT60, treble ratio


def start_eq(chain: Chain, response: Tensor, sample_rate: int) -> Knobs:
    """An equaliser whose response is that of the direct sound, but for its level.

    Args:
        chain: Has the equaliser.
        response: See `impulse_response`, of aligned recordings.
        sample_rate: In Hz.
    """
    effect = chain["eq"]
    reach = round(_HEARD_S * sample_rate)
    window = torch.hann_window(4 * reach + 1)
    pulse = response.roll(2 * reach)[: 4 * reach + 1] * window
    n_fft = fast_length(1 << 14)
    power = torch.fft.rfft(pulse, n_fft).abs().square()
    top = min(0.47 * sample_rate, 18_000.0)
    grid = 30.0 * (top / 30.0) ** torch.linspace(0.0, 1.0, 96)
    bins = torch.arange(len(power)) * (sample_rate / n_fft)
    near = torch.exp(-0.5 * (torch.log2((bins + 1.0) / grid.unsqueeze(1)) * 6.0).square())
    near = near + torch.exp(-0.5 * ((bins - grid.unsqueeze(1)) / (sample_rate / n_fft)).square())
    wanted = 10.0 * torch.log10((near * power).sum(1) / near.sum(1) + 1e-9)
    defaults = torch.tensor([param.default_control for param in effect.params])
    places = {param.name: place for place, param in enumerate(effect.params)}
    best, least = defaults, math.inf
    for low, high in ((0.0, 1.0), (0.45, 1.0), (0.0, 0.6), (0.45, 0.6)):
        controls = defaults.clone()
        controls[places["low_cut_hz"]], controls[places["high_cut_hz"]] = low, high
        held = [places[n] for n, v in (("low_cut_hz", low in (0.0,)), ("high_cut_hz", high == 1.0))
                if v]  # fmt: skip
        controls, error = _fit_curve(effect, controls, held, wanted, grid, sample_rate)
        if error < 0.9 * least:
            best, least = controls, error
    return {p.name: float(p.to_setting(c)) for p, c in zip(effect.params, best, strict=True)}


def _fit_curve(
    effect, controls: Tensor, held: list[int], wanted: Tensor, grid: Tensor, rate: int
) -> tuple[Tensor, float]:
    free = [place for place in range(len(controls)) if place not in held]
    step = 1e-3

    def curves(batch: Tensor) -> Tensor:
        knobs = {
            p.name: p.to_setting(c) for p, c in zip(effect.params, batch.unbind(1), strict=True)
        }
        found = 20.0 * torch.log10(eq_response(knobs, grid, rate).abs() + 1e-4)
        return found - (found - wanted).median(1, keepdim=True).values

    damping, loss = 1.0, math.inf
    prior = controls.clone()
    residual = curves(controls.unsqueeze(0))[0] - wanted

    def cost(residual: Tensor, controls: Tensor) -> float:
        return float(residual.square().mean()) + 2.0 * float((controls - prior).square().sum())

    loss = cost(residual, controls)
    for _ in range(15):
        batch = controls.repeat(len(free), 1)
        signs = torch.where(controls[free] > 0.5, -step, step)
        batch[torch.arange(len(free)), free] += signs
        slopes = ((curves(batch) - wanted - residual) / signs.unsqueeze(1)) / len(grid) ** 0.5
        gram = slopes @ slopes.mT + 2.0 * torch.eye(len(free))
        gradient = slopes @ residual / len(grid) ** 0.5 + 2.0 * (controls - prior)[free]
        for _ in range(6):
            move = torch.linalg.solve(gram + damping * torch.diag(gram.diagonal()), gradient)
            tried = controls.clone()
            tried[free] = (controls[free] - move.clamp(-0.2, 0.2)).clamp(0.0, 1.0)
            after = curves(tried.unsqueeze(0))[0] - wanted
            if cost(after, tried) < loss:
                controls, residual, loss = tried, after, cost(after, tried)
                damping *= 0.3
                break
            damping *= 4.0
        else:
            break
    return controls, loss


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
