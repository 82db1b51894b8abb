"""Spectra, mel bands and cepstra of whole clips."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "envelope_autocorrelation",
    "log_magnitude",
    "log_mel",
    "mel_filterbank",
    "power_spectrogram",
    "real_cepstrum",
    "whiten",
    "whiten_frames",
]


@functools.lru_cache(maxsize=4)
@torch.inference_mode(False)  # what stays in the cache must also serve where gradients are wanted
def mel_filterbank(n_fft: int, n_mels: int, sample_rate: int, low_hz: float) -> Tensor:
    """Slaney mel filters with peaks of 1, ``(n_fft // 2 + 1, n_mels)``, up to half the rate.

    The scale is linear below 1 kHz, 200/3 Hz a mel, and logarithmic above, 27 mels for a factor
    of 6.4 (Slaney, *Auditory Toolbox*, 1998).
    """
    step = 27.0 / math.log(6.4)
    low, high = (_hz_to_mel(hz, step) for hz in (low_hz, sample_rate / 2))
    mels = torch.linspace(low, high, n_mels + 2, dtype=torch.float64)
    edges = torch.where(mels < 15.0, mels * (200.0 / 3.0), 1000.0 * ((mels - 15.0) / step).exp())
    hz = torch.linspace(0.0, sample_rate / 2, n_fft // 2 + 1, dtype=torch.float64).unsqueeze(1)
    rising = (hz - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - hz) / (edges[2:] - edges[1:-1])
    return torch.minimum(rising, falling).clamp_min(0.0).float()


def _hz_to_mel(hz: float, step: float) -> float:
    return hz / (200.0 / 3.0) if hz < 1000.0 else 15.0 + step * math.log(hz / 1000.0)


def power_spectrogram(audio: Tensor, n_fft: int, hop_length: int) -> Tensor:
    """Power of the periodic-Hann STFT of ``(batch, time)``: ``(batch, frame, n_fft // 2 + 1)``.

    Frames lie wholly inside the signal. Scaled so that a full-scale sine reads about 1 (0 dB).
    """
    window = torch.hann_window(n_fft, dtype=audio.dtype, device=audio.device)
    frames = audio.unfold(-1, n_fft, hop_length) * (window * (4.0 / n_fft))
    spectrum: Tensor = torch.fft.rfft(frames)
    return spectrum.real.square() + spectrum.imag.square()


def log_mel(power: Tensor, filters: Tensor, floor_db: float) -> Tensor:
    """Mel bands in dB, at least `floor_db`: ``(batch, frame, bin)`` to ``(batch, frame, mel)``."""
    return 10.0 * torch.log10((power @ filters).clamp_min(10.0 ** (floor_db / 10.0)))


def log_magnitude(audio: Tensor, floor: float = 1e-4) -> Tensor:
    """Natural logarithm of the spectrum of whole clips: ``(batch, time)`` to ``(batch, bin)``.

    The floor is a share of the mean magnitude.
    """
    magnitude = torch.fft.rfft(audio).abs()
    return torch.log(magnitude + floor * magnitude.mean(dim=-1, keepdim=True) + 1e-9)


def real_cepstrum(audio: Tensor, floor: float = 1e-4) -> Tensor:
    """Real cepstrum of whole clips, doubled, ``(batch, time)`` to ``(batch, time // 2)``.

    An echo of gain g after T samples adds g at quefrency T (Bogert, Healy and Tukey, 1963). The
    floor is that of `log_magnitude`.
    """
    cepstrum = torch.fft.irfft(log_magnitude(audio, floor), audio.shape[-1])
    kept: Tensor = 2.0 * cepstrum[..., : audio.shape[-1] // 2]
    return kept


def whiten(audio: Tensor, longest: int = 60) -> Tensor:
    """Flatten the spectrum of whole clips ``(..., time)`` but for what lies closer together.

    Args:
        audio: Clips.
        longest: Quefrency in samples up to which the spectrum is taken off.
    """
    length = audio.shape[-1]
    spectrum = torch.fft.rfft(audio)
    cepstrum = torch.fft.irfft(log_magnitude(audio), length)
    cepstrum[..., longest : length - longest + 1] = 0.0
    white: Tensor = torch.fft.irfft(spectrum * torch.exp(-torch.fft.rfft(cepstrum).real), length)
    return white


def whiten_frames(audio: Tensor, n_fft: int = 1024, lifter: int = 40) -> Tensor:
    """Flatten the spectrum of ``(time,)`` in each short frame, and give all frames one power.

    Args:
        audio: A whole clip.
        n_fft: Length of a frame; they overlap by three quarters.
        lifter: Quefrency in samples up to which the spectrum is taken off.
    """
    hop = n_fft // 4
    window = torch.hann_window(n_fft, dtype=audio.dtype, device=audio.device)
    spectrum = torch.fft.rfft(audio.unfold(-1, n_fft, hop) * window, 2 * n_fft)
    magnitude = spectrum.abs()
    floor = 1e-2 * magnitude.mean(dim=-1, keepdim=True) + 1e-7
    cepstrum = torch.fft.irfft(torch.log(magnitude + floor))
    cepstrum[:, lifter : 2 * n_fft - lifter + 1] = 0.0
    flat = torch.fft.irfft(spectrum * torch.exp(-torch.fft.rfft(cepstrum).real))[:, :n_fft] * window
    flat = flat / (flat.square().mean(dim=-1, keepdim=True).sqrt() + 1e-9)
    place = torch.arange(len(flat), device=audio.device).unsqueeze(1) * hop
    index = place + torch.arange(n_fft, device=audio.device)
    return torch.zeros_like(audio).index_add_(0, index.flatten(), flat.flatten())


def envelope_autocorrelation(envelope: Tensor, lags: Tensor) -> Tensor:
    """Normalised autocorrelation of ``(..., frame)`` at whole-frame `lags`: ``(..., lag)``."""
    length = envelope.shape[-1]
    centred = envelope - envelope.mean(dim=-1, keepdim=True)
    spectrum = torch.fft.rfft(centred, 2 * length)
    full: Tensor = torch.fft.irfft(spectrum.real.square() + spectrum.imag.square(), 2 * length)
    return full[..., lags] / (full[..., :1] + 1e-6)
