"""What the encoder sees of a clip: a log-mel picture and a vector of statistics.

The statistics are the ones in which treatments show: mean, spread, peaks and quantiles of every mel
band (equaliser, dynamics, reverberation), how fast bands fall (reverberation), the autocorrelation
of envelopes and the cepstrum (echoes, comb filters), and how amplitudes are distributed (dynamics,
drive).
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from . import spectral

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "ANALYSIS_LUFS",
    "CLIP_SAMPLES",
    "PLACES",
    "RUN_IN",
    "SAMPLE_RATE",
    "Features",
    "comb_cepstrum",
    "extract_features",
]

SAMPLE_RATE = 24_000
CLIP_SAMPLES = 131_072
RUN_IN = SAMPLE_RATE
"""Samples rendered before a clip, so that effects with memory have one."""
ANALYSIS_LUFS = -23.0
"""Loudness at which recordings are analysed and treatments rendered."""
N_MELS = 80
N_FFT = 1024
HOP_LENGTH = 256
FLOOR_DB = -110.0
LOWEST_HZ = 30.0
DB_PER_STEP = 0.5  # of the stored 8-bit log-mels

_QUANTILES = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98)
_SLOPE_FRAMES = (2, 8)
_SLOPE_QUANTILES = (0.03, 0.15, 0.5, 0.85, 0.97)
_AMPLITUDE_QUANTILES = (0.1, 0.3, 0.5, 0.7, 0.85, 0.95, 0.99, 0.999, 1.0)
_LEVEL_WINDOWS = (64, 512, 4096)
ECHO_RANGE_MS = (15.0, 1050.0)
N_ECHO_BINS = 288
N_COMB_BINS = 96
_COMB_FROM = 8  # samples
_N_LAGS = 64


def _places() -> dict[str, slice]:
    quantiles, slopes = N_MELS * len(_QUANTILES), N_MELS // 4 * len(_SLOPE_QUANTILES)
    sizes = {
        "average": N_MELS,
        "mean": N_MELS,
        "spread": N_MELS,
        "quantiles": quantiles,
        "slopes": slopes * len(_SLOPE_FRAMES),
        "correlation": (N_MELS // 16 + 1) * _N_LAGS,
        "echoes": N_ECHO_BINS,
        "comb": N_COMB_BINS,
    }
    ends = list(itertools.accumulate(sizes.values()))
    return {n: slice(end - size, end) for (n, size), end in zip(sizes.items(), ends, strict=True)}


PLACES = _places()
"""Where statistics stand; behind them are those of amplitudes. All bands of the lowest quantile
come first."""


@dataclass(frozen=True)
class Features:
    """Of a batch of clips.

    Attributes:
        log_mel: ``(batch, frame, mel)`` in dB.
        statistics: ``(batch, statistic)``, unscaled.
    """

    log_mel: Tensor
    statistics: Tensor

    def __getitem__(self, index: Tensor | slice) -> Features:
        return Features(self.log_mel[index], self.statistics[index])


def _quantiles(values: Tensor, quantiles: tuple[float, ...]) -> Tensor:
    """Quantiles along the second axis of ``(batch, frame, band)``, flat: ``(batch, q * band)``."""
    order = values.mT.contiguous().sort(dim=2).values
    index = torch.tensor([round(q * (values.shape[1] - 1)) for q in quantiles])
    return order[:, :, index].mT.flatten(1)


@functools.lru_cache(maxsize=4)
@torch.inference_mode(False)  # what stays in the cache must also serve where gradients are wanted
def _log_bins(low: float, high: float, count: int, device: str) -> tuple[Tensor, Tensor]:
    """Bin of every sample index between `low` and `high`, bins evenly spaced in the logarithm."""
    index = torch.arange(int(low), int(high), device=device)
    place = torch.log(index / low) / torch.log(torch.tensor(high / low)) * count
    return index, place.long().clamp(0, count - 1)


def _peaks_in_bins(cepstrum: Tensor, low: float, high: float, count: int) -> Tensor:
    """Largest value of ``(batch, quefrency)`` in each logarithmic bin: ``(batch, count)``."""
    index, place = _log_bins(low, high, count, str(cepstrum.device))
    filled = torch.zeros(len(cepstrum), count, dtype=cepstrum.dtype, device=cepstrum.device)
    values = cepstrum[:, index]
    return filled.scatter_reduce(1, place.expand(len(cepstrum), -1), values, "amax")


def comb_cepstrum(log_power: Tensor) -> Tensor:
    """Cepstrum of log spectra ``(batch, bin)`` where combs show: ``(batch, N_COMB_BINS)``."""
    cepstrum: Tensor = torch.fft.irfft(log_power)[:, _COMB_FROM : _COMB_FROM + N_COMB_BINS]
    return cepstrum


def _cepstral_statistics(audio: Tensor, power: Tensor) -> list[Tensor]:
    low, high = (ms * SAMPLE_RATE / 1000.0 for ms in ECHO_RANGE_MS)
    echoes = _peaks_in_bins(spectral.real_cepstrum(audio), low, high, N_ECHO_BINS)
    mean_log = torch.log(power + 1e-12).mean(dim=1)
    return [echoes.clamp_max(1.0), comb_cepstrum(mean_log)]


def _amplitude_statistics(audio: Tensor) -> list[Tensor]:
    rms = audio.square().mean(dim=-1, keepdim=True).sqrt() + 1e-6
    scaled = audio / rms
    sparse = scaled[:, ::8].unsqueeze(-1)
    parts = [20.0 * torch.log10(_quantiles(sparse.abs(), _AMPLITUDE_QUANTILES) + 1e-3)]
    parts.append(_quantiles(sparse, (0.0, 0.001, 0.01, 0.05, 0.95, 0.99, 0.999, 1.0)))
    parts += [scaled.amax(dim=1, keepdim=True), scaled.amin(dim=1, keepdim=True)]
    for window in _LEVEL_WINDOWS:
        level = scaled.square().unfold(-1, window, window).mean(dim=-1).unsqueeze(-1)
        peak = scaled.abs().unfold(-1, window, window).amax(dim=-1).unsqueeze(-1)
        level_db = 10.0 * torch.log10(level + 1e-8)
        crest_db = 20.0 * torch.log10(peak + 1e-4) - level_db
        parts.append(_quantiles(level_db, _QUANTILES))
        parts.append(_quantiles(crest_db, _QUANTILES))
    return parts


def _band_statistics(log_mel: Tensor, power: Tensor) -> list[Tensor]:
    filters = spectral.mel_filterbank(N_FFT, N_MELS, SAMPLE_RATE, LOWEST_HZ).to(power)
    average = spectral.log_mel(power.mean(dim=1, keepdim=True), filters, FLOOR_DB).squeeze(1)
    parts = [
        average,
        log_mel.mean(dim=1),
        log_mel.std(dim=1),
        _quantiles(log_mel[:, ::2], _QUANTILES),
    ]
    groups = log_mel.unflatten(2, (20, 4)).mean(dim=3)
    for frames in _SLOPE_FRAMES:
        slopes = groups[:, frames:] - groups[:, :-frames]
        parts.append(_quantiles(slopes[:, ::2], _SLOPE_QUANTILES))
    broad = torch.cat([groups.unflatten(2, (5, 4)).mean(3), groups.mean(2, keepdim=True)], dim=2)
    lowest = broad.amax(dim=1, keepdim=True) - 45.0
    longest = ECHO_RANGE_MS[1] * SAMPLE_RATE / 1000.0 / HOP_LENGTH
    steps = torch.linspace(0.0, 1.0, _N_LAGS, device=power.device)
    lags = (2.0 * (longest / 2.0) ** steps).round().long()
    correlation = spectral.envelope_autocorrelation(torch.maximum(broad, lowest).mT, lags)
    return [*parts, correlation.flatten(1)]


def extract_features(audio: Tensor) -> Features:
    """Features of clips at 24 kHz that have been brought to one loudness.

    Args:
        audio: ``(batch, 131072)`` mono.
    """
    power = spectral.power_spectrogram(audio, N_FFT, HOP_LENGTH)
    filters = spectral.mel_filterbank(N_FFT, N_MELS, SAMPLE_RATE, LOWEST_HZ).to(power)
    log_mel = spectral.log_mel(power, filters, FLOOR_DB)
    parts = _band_statistics(log_mel, power)
    parts += _cepstral_statistics(audio, power)
    parts += _amplitude_statistics(audio)
    return Features(log_mel, torch.cat(parts, dim=1))
