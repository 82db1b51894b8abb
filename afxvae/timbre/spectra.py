"""Spectra of frames, and means over them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from .zwicker import BARK_STEPS, RATE

__all__ = [
    "bark_bell",
    "bin_hz",
    "magnitude_of",
    "power_frames",
    "power_of",
    "tukey",
    "weighted_mean",
]


def power_of(frames: Tensor, n_fft: int) -> Tensor:
    """Squared magnitudes of the spectra of frames, ``(..., time)`` to ``(..., bin)``."""
    spectrum: Tensor = torch.fft.rfft(frames, n_fft)
    return spectrum.real.square() + spectrum.imag.square()


def magnitude_of(frames: Tensor, n_fft: int) -> Tensor:
    """Magnitudes of the spectra of frames; gradients are finite where they are 0."""
    return power_of(frames, n_fft).clamp_min(1e-24).sqrt()


def bark_bell(low: int, high: int, like: Tensor) -> Tensor:
    """Weights of 240 steps of the Bark scale: a bell from 0 at `low` over 1 to 0 at `high`."""
    steps = torch.arange(low, high, dtype=like.dtype, device=like.device)
    bell = torch.exp(-0.5 * (0.01 * (steps - (low + high) / 2)).square())
    bell = (bell - bell.min()) / (bell.max() - bell.min())
    return functional.pad(bell, (low, BARK_STEPS - high))


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Mean over the last dimension."""
    return (values * weights).sum(-1) / weights.sum(-1)


def power_frames(audio: Tensor, n_fft: int, hop_length: int) -> Tensor:
    """Power spectra of Hamming-windowed frames without their means, ``(batch, frame, bin)``.

    Scaled so that a sine at the centre of a bin reads half the square of its amplitude. A clip
    shorter than `n_fft` is one frame of its own length.
    """
    length = min(n_fft, audio.shape[1])
    window = torch.hamming_window(length, dtype=audio.dtype, device=audio.device)
    frames = audio.unfold(1, length, hop_length)
    power = power_of((frames - frames.mean(-1, keepdim=True)) * (window / window.sum()), n_fft)
    twice = torch.full_like(power[0, 0], 2.0)
    twice[0] = twice[-1] = 1.0
    return power * twice


def bin_hz(power: Tensor) -> Tensor:
    """Frequencies of the bins of a spectrum ``(..., bin)``, Hz."""
    bins = power.shape[-1]
    return torch.linspace(0.0, RATE / 2, bins, dtype=power.dtype, device=power.device)


def tukey(place: Tensor) -> Tensor:
    """Window of places from 0 to 1 in a frame, whose outer eighths are cosines."""
    edge = (torch.minimum(place, 1.0 - place) * 8.0).clamp(0.0, 1.0)
    return 0.5 - 0.5 * torch.cos(torch.pi * edge)
