"""The equaliser that lies between moments that sound alike, and how well it is known."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ..dsp import spectral
from ..dsp.features import LOWEST_HZ, N_FFT, N_MELS, SAMPLE_RATE
from ..dsp.likeness import N_SCALARS
from ..dsp.units import gain_to_db
from ..effects.eq import eq_response

if TYPE_CHECKING:
    from torch import Tensor

    from ..effects import Effect

__all__ = [
    "FIT_FIGURES",
    "EqualizerFit",
    "band_hz",
    "blend",
    "eq_bands_db",
    "fit_curve",
    "measure_equalizer",
]

FIT_FIGURES = 9
"""Number of figures of an `EqualizerFit`."""
_LEFT = 5  # place among them

_LOWEST_DB = -30.0
_INDEPENDENT = 0.35  # share of the bands: neighbours err together
_ROUNDS = 10
_STEP = 1e-2  # of a control, for slopes
_DAMPINGS = (0.1, 1.0, 10.0, 100.0)
_SURE_DB = 0.5
# Precision of the prior of a control around its default.
_PRECISIONS = {"_gain_db": 25.0, "_cut_hz": 8.0}
_PRECISION = 12.0
_ERROR_SCALE = 0.7
_LEAST_ERROR_DB = 0.1


@dataclass(frozen=True)
class EqualizerFit:
    """An equaliser fitted to a likeness.

    Attributes:
        controls: Knob positions ``(knob,)``, in the order of the effect's Params.
        curve_db: Its gain in the mel bands ``(80,)``.
        figures: How alike the recordings are, how much of the filter between them the equaliser
            leaves, how large it is, and how large the errors are expected to be ``(FIT_FIGURES,)``.
    """

    controls: Tensor
    curve_db: Tensor
    figures: Tensor

    @property
    def left(self) -> float:
        """Logarithm of how much of the filter it leaves, in dB."""
        return float(self.figures[_LEFT])


@functools.lru_cache(maxsize=1)
@torch.inference_mode(False)
def band_hz() -> Tensor:
    """Centres of gravity of the 80 mel bands."""
    filters = spectral.mel_filterbank(N_FFT, N_MELS, SAMPLE_RATE, LOWEST_HZ)
    bins = torch.linspace(0.0, SAMPLE_RATE / 2, len(filters))
    return (filters * bins.unsqueeze(1)).sum(0) / filters.sum(0)


def eq_bands_db(effect: Effect, controls: Tensor) -> Tensor:
    """Gain of an equaliser in the mel bands: ``(batch, knob)`` to ``(batch, 80)``, at least -30."""
    settings = {
        param.name: param.to_setting(controls[:, index])
        for index, param in enumerate(effect.params)
    }
    return gain_to_db(eq_response(settings, band_hz(), SAMPLE_RATE).abs(), _LOWEST_DB)


def fit_curve(
    effect: Effect, wanted_db: Tensor, error_db: Tensor, start: Tensor | None = None
) -> tuple[Tensor, float]:
    """Most probable controls of an equaliser whose curve is known with errors, but for its level.

    Gauss-Newton with damping (Levenberg-Marquardt); the prior is around the defaults.

    Args:
        effect: The equaliser.
        wanted_db: ``(80,)``.
        error_db: Expected errors ``(80,)``.
        start: Controls ``(knob,)``, the defaults if omitted.

    Returns:
        ``(knob,)``, and what is left: squares in units of the errors and of the prior's deviations.
    """
    default = torch.tensor([param.default_control for param in effect.params])
    precision = torch.tensor(
        [
            next((v for end, v in _PRECISIONS.items() if param.name.endswith(end)), _PRECISION)
            for param in effect.params
        ]
    )
    weight = 1.0 / error_db

    def rest(controls: Tensor) -> Tensor:
        scaled = (eq_bands_db(effect, controls) - wanted_db) * weight
        level = (scaled * weight).sum(1, keepdim=True) / weight.square().sum()
        return (scaled - level * weight) * math.sqrt(_INDEPENDENT)

    def cost(controls: Tensor, rests: Tensor) -> Tensor:
        return rests.square().sum(1) + (precision * (controls - default).square()).sum(1)

    found = (default if start is None else start).clone()
    here = rest(found.unsqueeze(0))
    least, damping = float(cost(found.unsqueeze(0), here)), 0.1
    for _ in range(_ROUNDS):
        steps = torch.where(found > 0.5, -_STEP, _STEP)
        slopes = (rest(found + torch.diag(steps)) - here) / steps.unsqueeze(1)
        curvature = slopes @ slopes.mT + torch.diag(precision)
        gradient = slopes @ here[0] + precision * (found - default)
        damped = [damping * factor * curvature.diagonal().diag() for factor in _DAMPINGS]
        moves = [torch.linalg.solve(curvature + more, gradient) for more in damped]
        tries = (found - torch.stack(moves)).clamp(0.0, 1.0)
        rests = rest(tries)
        costs = cost(tries, rests)
        best = int(costs.argmin())
        gain = least - float(costs[best])
        if gain <= 1e-3:
            break
        found, here, least = tries[best], rests[best : best + 1], float(costs[best])
        damping *= _DAMPINGS[best]
        if gain < 1e-3 * least:
            break
    return found, least


def blend(effect: Effect, curve_db: Tensor, start: Tensor) -> Tensor:
    """Controls ``(knob,)`` of an equaliser that has this curve ``(80,)``, as nearly as it can."""
    return fit_curve(effect, curve_db, torch.full_like(curve_db, _SURE_DB), start)[0]


def measure_equalizer(
    effect: Effect, likeness: Tensor, wanted_db: Tensor, error_db: Tensor
) -> EqualizerFit:
    """Fit an equaliser to the filter between two recordings.

    Args:
        effect: The equaliser.
        likeness: Of the two, ``(N_LIKENESS,)``, see `afxvae.dsp.likeness.likeness`.
        wanted_db: The filter ``(80,)``, see `afxvae.models.aligner`.
        error_db: Its expected errors ``(80,)``.
    """
    _, _, doubt, evidence, nearest, near, quality = likeness[-N_SCALARS:]
    error = _ERROR_SCALE * error_db + _LEAST_ERROR_DB
    controls, cost = fit_curve(effect, wanted_db, error)
    curve = eq_bands_db(effect, controls.unsqueeze(0))[0]
    left = wanted_db - curve
    figures = [
        doubt,
        evidence,
        nearest,
        near,
        quality,
        ((left - left.mean()).abs().mean() + 0.2).log(),
        ((curve - curve.mean()).abs().mean() + 0.2).log(),
        (error.mean() + 0.1).log(),
        torch.tensor(cost + 1.0).log(),
    ]
    return EqualizerFit(controls, curve, torch.stack(figures))
