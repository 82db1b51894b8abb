"""Other microphones and equalisers for the clips of a batch, without rendering anything.

A filter adds its curve to a log-mel picture, and to statistics that are levels of bands. So every
time that a crop comes up in training, its recording may have another colour, and what is to be
learned is the difference of two sounds and not the sound of a recording. Equalisers may be drawn
anew likewise: those of inputs, and those of references that no compressor and no drive changed,
which would have acted otherwise behind another equaliser.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import torch

from ..data.crops import random_bends
from ..data.pools import quantize_log_mel, restore_log_mel
from ..dsp import spectral
from ..dsp.features import FLOOR_DB, LOWEST_HZ, N_FFT, N_MELS, PLACES, SAMPLE_RATE, comb_cepstrum
from ..dsp.units import POWER_NEPERS_PER_DB
from ..loudness import k_weighting
from ..measure.equalizer import band_hz

if TYPE_CHECKING:
    from torch import Tensor

    from .refiner import Equalizers

__all__ = ["chance", "filter_clips", "recolour"]

_COLOURED = 0.8  # share of crops
_COLOUR_DB = (0.5, 4.0)  # standard deviation of its curve
_EQUALIZED = 0.25  # share of the references that get an equaliser, of those that may and have none
_BENT = 0.5  # share of crops whose equalised inputs are equalised anew
_ALTERED = ("compressor", "overdrive")


@functools.lru_cache(maxsize=1)
@torch.inference_mode(False)
def _bands() -> tuple[Tensor, Tensor]:
    """What the mel bands are of bins ``(bin, band)``, and the K-weighting of the bands in dB."""
    filters = spectral.mel_filterbank(N_FFT, N_MELS, SAMPLE_RATE, LOWEST_HZ)
    weighting = k_weighting(N_FFT, SAMPLE_RATE) @ filters / filters.sum(0)
    return filters / filters.sum(1, keepdim=True).clamp_min(1e-9), 10.0 * weighting.log10()


def filter_clips(steps: Tensor, statistics: Tensor, curve_db: Tensor) -> tuple[Tensor, Tensor]:
    """Features of clips as if they had gone through filters, and been brought to one loudness.

    Statistics of slopes, echoes and amplitudes stay as they are; the last would change a little.

    Args:
        steps: Log-mels as `quantize_log_mel` stores them, ``(clip, frame, 80)``.
        statistics: ``(clip, statistic)``.
        curve_db: ``(clip, 80)``.
    """
    shares, weighting = _bands()
    found = statistics.to(torch.float32, copy=True)
    average = found[:, PLACES["average"]] + weighting
    gain = ((average + curve_db) * POWER_NEPERS_PER_DB).logsumexp(1, keepdim=True)
    gain = gain - (average * POWER_NEPERS_PER_DB).logsumexp(1, keepdim=True)
    curve = curve_db - gain / POWER_NEPERS_PER_DB
    log_mel = restore_log_mel(steps)
    log_mel = torch.where(steps > 0, log_mel + curve.unsqueeze(1), log_mel)
    found[:, PLACES["average"]] += curve
    found[:, PLACES["quantiles"]].unflatten(1, (-1, N_MELS)).add_(curve.unsqueeze(1))
    for name in ("average", "quantiles"):
        found[:, PLACES[name]].clamp_min_(FLOOR_DB)
    log_mel.clamp_min_(FLOOR_DB)
    found[:, PLACES["mean"]], found[:, PLACES["spread"]] = log_mel.mean(1), log_mel.std(1)
    found[:, PLACES["comb"]] += comb_cepstrum(curve @ shares.mT * POWER_NEPERS_PER_DB)
    return quantize_log_mel(log_mel), found.to(statistics.dtype)


def recolour(
    raw: dict[str, Tensor], equalizers: Equalizers, generator: torch.Generator
) -> dict[str, Tensor]:
    """A batch of crops of a pool, see `render_pool`, with other colours and other equalisers.

    All clips of a crop get the same colour, and both of twins the same equaliser.
    """
    crops = len(raw["kind"])
    strength = _COLOUR_DB[0] + (_COLOUR_DB[1] - _COLOUR_DB[0]) * chance(generator, crops, 1)
    colour = strength * random_bends(band_hz().log2(), crops, generator)
    colour = colour * (chance(generator, crops, 1) < _COLOURED)

    # inputs with an equaliser of their own
    bent = (chance(generator, crops, 1) < _BENT).expand(-1, 2)
    drawn = torch.randint(len(equalizers.curves), (crops, 2), generator=generator)
    before = torch.where(bent.unsqueeze(2), equalizers.controls[drawn], raw["before"])
    own = equalizers.curves[drawn] * bent.unsqueeze(2)

    # references without one
    switches, controls, knobs = raw["switches"].clone(), raw["controls"].clone(), equalizers.knobs
    altered = [equalizers.chain.names.index(name) for name in ("eq", *_ALTERED)]
    twin = raw["twin"].unsqueeze(1)
    drawn = _like_twins(chance(generator, *switches.shape[:3]), twin)
    added = ~switches[..., altered].any(3) & (drawn < _EQUALIZED)
    drawn = torch.randint(len(equalizers.curves), added.shape, generator=generator)
    drawn = _like_twins(drawn, twin)
    switches[..., equalizers.column] |= added
    controls[added.unsqueeze(3) & knobs] = equalizers.controls[drawn[added]].flatten()
    other = equalizers.curves[drawn] * added.unsqueeze(3)

    done = {**raw, "before": before, "controls": controls, "switches": switches}
    dry = torch.zeros_like(own)
    for side, curve in (("dry", dry), ("equalized", own), ("wet", other)):
        steps, statistics = raw[f"{side}_mel"], raw[f"{side}_statistics"]
        if side == "equalized":  # those that are bent are made of dry ones
            steps = torch.where(bent[..., None, None], raw["dry_mel"], steps)
            statistics = torch.where(bent[..., None], raw["dry_statistics"], statistics)
        curve = curve + colour.view(crops, *[1] * (curve.dim() - 2), N_MELS)
        flat = steps.flatten(0, -3), statistics.flatten(0, -2), curve.flatten(0, -2)
        mel, figures = filter_clips(*flat)
        done[f"{side}_mel"] = mel.view_as(steps)
        done[f"{side}_statistics"] = figures.view_as(statistics)
    return done


def chance(generator: torch.Generator, *shape: int) -> Tensor:
    """Numbers between 0 and 1, to be compared with shares."""
    return torch.rand(shape, generator=generator)


def _like_twins(drawn: Tensor, twin: Tensor) -> Tensor:
    """What was drawn ``(crop, half, treatment)``, for both of twins that of the first."""
    return torch.where(twin, drawn[:, :1], drawn)
