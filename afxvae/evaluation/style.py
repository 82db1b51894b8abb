"""What a recording sounds like whatever it says: numbers that tell styles apart.

Averages over a whole recording, so that two of them can be compared without common content.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..dsp.features import ANALYSIS_LUFS
from ..loudness import loudness_lufs

__all__ = [
    "apart",
    "centroid_hz",
    "crest_db",
    "mel_matrix",
    "mfcc_statistics",
    "power",
    "rms_db",
    "style_report",
]

_SIZE, _HOP = 2048, 512
_SILENT_LUFS = -70.0
_WHEN = ("before", "after")


@functools.lru_cache(maxsize=8)
def _mel_weights(
    sample_rate: int, n_fft: int, n_mels: int
) -> np.ndarray[Any, np.dtype[np.float32]]:
    def to_mel(hz: Any) -> Any:
        above = 15 + 27 * np.log(np.maximum(hz, 1000) / 1000) / math.log(6.4)
        return np.where(hz < 1000, 3 * hz / 200, above)

    mels = np.linspace(0, to_mel(sample_rate / 2), n_mels + 2)
    edges = np.where(mels < 15, mels * 200 / 3, 1000 * 6.4 ** ((np.maximum(mels, 15) - 15) / 27))
    low, peak, high = (edges[i : i + n_mels, None] for i in range(3))
    bins = np.linspace(0, sample_rate / 2, n_fft // 2 + 1)
    triangles = np.minimum((bins - low) / (peak - low), (high - bins) / (high - peak))
    weights: np.ndarray[Any, np.dtype[np.float64]] = np.maximum(triangles, 0) * 2 / (high - low)
    return weights.astype(np.float32)


def mel_matrix(sample_rate: int, n_fft: int, n_mels: int = 128) -> Tensor:
    """Slaney mel bands of unit area from 0 Hz to half the rate, `(n_mels, n_fft // 2 + 1)`.

    Slaney, *Auditory Toolbox* (1998): linear to 1 kHz, then 27 bands for each factor of 6.4.
    """
    return torch.from_numpy(_mel_weights(sample_rate, n_fft, n_mels))


def power(audio: Tensor, n_fft: int = _SIZE, hop_length: int = _HOP) -> Tensor:
    """Power spectrogram ``(batch, bin, frame)`` of ``(batch, time)``, periodic Hann windows."""
    window = torch.hann_window(n_fft, dtype=audio.dtype, device=audio.device)
    spectrum = torch.stft(audio, n_fft, hop_length, window=window, return_complex=True)
    return torch.view_as_real(spectrum).square().sum(-1)


def centroid_hz(spectrogram: Tensor, sample_rate: int) -> Tensor:
    """Mean over frames of the magnitude-weighted mean frequency, of `power`, ``(batch,)``."""
    magnitudes = spectrogram.sqrt()
    hz = torch.linspace(0, sample_rate / 2, _SIZE // 2 + 1).to(spectrogram)
    weighted = torch.einsum("f,bft->bt", hz, magnitudes)
    return (weighted / magnitudes.sum(1).clamp_min(1e-12)).mean(-1)


def crest_db(audio: Tensor) -> Tensor:
    """Peak over RMS ``(batch,)`` of ``(batch, time)``."""
    return 20 * torch.log10(audio.abs().amax(-1).clamp_min(1e-8)) - rms_db(audio)


def rms_db(audio: Tensor) -> Tensor:
    """RMS level in dB ``(batch,)`` of ``(batch, time)``, at least -160."""
    return 10 * torch.log10(audio.square().mean(-1).clamp_min(1e-16))


def mfcc_statistics(spectrogram: Tensor, sample_rate: int) -> Tensor:
    """Means and standard deviations over time of 20 mel cepstra, of `power`, ``(batch, 40)``."""
    mel = mel_matrix(sample_rate, _SIZE, 128).to(spectrogram) @ spectrogram
    level_db = 10 * mel.clamp_min(1e-10).log10()
    level_db = torch.maximum(level_db, level_db.amax((1, 2), keepdim=True) - 80)
    order = torch.arange(20).to(spectrogram)[:, None]
    place = torch.arange(128).to(spectrogram) + 0.5
    basis = torch.cos(math.pi / 128 * order * place) * math.sqrt(2 / 128)
    basis[0] /= math.sqrt(2)
    coefficients = basis @ level_db
    return torch.cat([coefficients.mean(-1), coefficients.std(-1, correction=0)], -1)


def apart(first: Tensor, second: Tensor) -> Tensor:
    """Absolute difference."""
    return (first - second).abs()


def style_report(
    before: Tensor, after: Tensor, reference: Tensor, sample_rate: int
) -> dict[str, dict[str, float]]:
    """Style distances to a reference before and after.

    Average mel cepstra (``mfcc``), spectral centroid (``centroid_hz``) and crest factor
    (``crest_db``) at one loudness, and loudness (``loudness_lu``).

    Args:
        before: The input ``(time,)``.
        after: The result ``(time,)``.
        reference: ``(time,)``.
        sample_rate: Of all, in Hz.
    """
    known = [_style(audio, sample_rate) for audio in (reference, before, after)]
    report: dict[str, dict[str, float]] = {}
    for name, wanted in known[0].items():
        here = {when: apart(own[name], wanted) for when, own in zip(_WHEN, known[1:], strict=True)}
        report[name] = {when: round(float(value.mean()), 4) for when, value in here.items()}
    return report


def _style(audio: Tensor, sample_rate: int) -> dict[str, Tensor]:
    lufs = loudness_lufs(audio.view(1, 1, -1), sample_rate)
    # no gain makes silence as loud as sound
    gain_db = torch.where(lufs > _SILENT_LUFS, ANALYSIS_LUFS - lufs, 0.0)
    levelled = audio.unsqueeze(0) * 10.0 ** (gain_db / 20.0)
    spectrogram = power(levelled)
    return {
        "mfcc": mfcc_statistics(spectrogram, sample_rate),
        "centroid_hz": centroid_hz(spectrogram, sample_rate),
        "crest_db": crest_db(levelled),
        "loudness_lu": lufs,
    }
