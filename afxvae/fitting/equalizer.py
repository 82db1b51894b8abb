"""The equaliser between two aligned recordings: the response of the direct sound, as knobs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from ..dsp.units import fast_length
from ..effects.eq import eq_response

if TYPE_CHECKING:
    from torch import Tensor

    from ..effects import Effect

__all__ = ["start_eq"]

_HEARD_S = 0.016  # of the response, to either side
_N_FFT = fast_length(1 << 14)
_GRID, _LOWEST_HZ, _HIGHEST_HZ, _TOP = 96, 30.0, 18_000.0, 0.47  # the last of the sample rate
_BANDS_PER_OCTAVE = 6.0
_FLOOR = 1e-9
_CUTS = ((None, None), (0.45, None), (None, 0.6), (0.45, 0.6))
"""Where low and high cut begin, None for open: a cut that opens jumps, so both are tried."""
_FEWER = 0.9  # of the cost, below which another cut is worth it
_ROUNDS, _TRIES = 15, 6
_STEP, _LONGEST = 1e-3, 0.2  # of a control: for its derivative, and in one move
_PRIOR = 2.0  # dB^2 for a whole turn of a knob


def start_eq(effect: Effect, response: Tensor, sample_rate: int) -> dict[str, float]:
    """Settings of an equaliser whose response is that of the direct sound, but for its level.

    Args:
        effect: The equaliser.
        response: See `impulse_response`, of aligned recordings.
        sample_rate: In Hz.
    """
    grid, wanted = _wanted(response, sample_rate)
    defaults = torch.tensor([param.default_control for param in effect.params])
    places = {param.name: place for place, param in enumerate(effect.params)}
    best, least = defaults, math.inf
    for cuts in _CUTS:
        controls, held = defaults.clone(), set()
        for name, cut in zip(("low_cut_hz", "high_cut_hz"), cuts, strict=True):
            if cut is None:
                held.add(places[name])
            else:
                controls[places[name]] = cut
        controls, cost = _fit_curve(effect, controls, held, wanted, grid, sample_rate)
        if cost < _FEWER * least:
            best, least = controls, cost
    return {p.name: float(p.to_setting(c)) for p, c in zip(effect.params, best, strict=True)}


def _wanted(response: Tensor, sample_rate: int) -> tuple[Tensor, Tensor]:
    """Frequencies ``(frequency,)`` and the smoothed response of the direct sound there, in dB."""
    reach = round(_HEARD_S * sample_rate)
    pulse = response.roll(reach)[: 2 * reach + 1] * torch.hann_window(2 * reach + 1)
    power = torch.fft.rfft(pulse, _N_FFT).abs().square()
    top = min(_TOP * sample_rate, _HIGHEST_HZ)
    grid = _LOWEST_HZ * (top / _LOWEST_HZ) ** torch.linspace(0.0, 1.0, _GRID)
    bin_hz = sample_rate / _N_FFT
    bins = torch.arange(len(power)) * bin_hz
    octaves = torch.log2((bins + 1.0) / grid.unsqueeze(1))
    near = torch.exp(-0.5 * (octaves * _BANDS_PER_OCTAVE).square())
    near = near + torch.exp(-0.5 * ((bins - grid.unsqueeze(1)) / bin_hz).square())
    return grid, 10.0 * torch.log10((near * power).sum(1) / near.sum(1) + _FLOOR)


def _fit_curve(
    effect: Effect,
    controls: Tensor,
    held: set[int],
    wanted: Tensor,
    grid: Tensor,
    sample_rate: int,
) -> tuple[Tensor, float]:
    """Controls ``(knob,)`` whose curve is nearest, and the cost: Levenberg-Marquardt, few moves."""
    free = [place for place in range(len(controls)) if place not in held]
    prior = controls

    def misses(batch: Tensor) -> Tensor:
        knobs = {
            p.name: p.to_setting(c) for p, c in zip(effect.params, batch.unbind(1), strict=True)
        }
        response = eq_response(knobs, grid, sample_rate)
        miss = 20.0 * torch.log10(response.abs() + 1e-4) - wanted
        miss = miss - miss.median(1, keepdim=True).values
        weighted: Tensor = miss / len(grid) ** 0.5
        return weighted

    def cost(miss: Tensor, controls: Tensor) -> float:
        return float(miss.square().sum() + _PRIOR * (controls - prior).square().sum())

    miss = misses(controls.unsqueeze(0))[0]
    damping, least = 1.0, cost(miss, controls)
    for _ in range(_ROUNDS):
        batch = controls.repeat(len(free), 1)
        steps = torch.where(controls[free] > 0.5, -_STEP, _STEP)
        batch[torch.arange(len(free)), free] += steps
        slopes = (misses(batch) - miss) / steps.unsqueeze(1)
        gram = slopes @ slopes.mT + _PRIOR * torch.eye(len(free))
        gradient = slopes @ miss + _PRIOR * (controls - prior)[free]
        for _ in range(_TRIES):
            move = torch.linalg.solve(gram + damping * torch.diag(gram.diagonal()), gradient)
            tried = controls.clone()
            tried[free] = (controls[free] - move.clamp(-_LONGEST, _LONGEST)).clamp(0.0, 1.0)
            after = misses(tried.unsqueeze(0))[0]
            if cost(after, tried) < least:
                controls, miss, least = tried, after, cost(after, tried)
                damping *= 0.3
                break
            damping *= 4.0
        else:
            break
    return controls, least
