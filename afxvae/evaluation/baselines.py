"""What can be had without learning: the rows of every table that a model has to beat.

All take audio and reference as `(batch, channel, time)` (lengths and channel counts may differ) and
return the audio with its shape; none of them sees the truth. A silent item comes back as it was.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..audio import loudness_lufs
from ..dsp.dynamics import compress
from ..types import UsageError, check_shape

__all__ = ["loudness_only", "rule_based", "spectrum_only"]

_LIMIT_DB = 15.0
_PEAK_DB = -12.0
_STEPS = 143  # thresholds from -9 dB, the first that reaches the peaks, to -80 dB
_STRIDE = 8


def loudness_only(x: Tensor, reference: Tensor, sample_rate: int) -> Tensor:
    """`x` with one gain that gives it the BS.1770 loudness of `reference`."""
    _check(x, reference)
    from_lufs, to_lufs = loudness_lufs(x, sample_rate), loudness_lufs(reference, sample_rate)
    heard = (from_lufs > -70) & (to_lufs > -70)
    return x * torch.where(heard, 10 ** ((to_lufs - from_lufs) / 20), 1.0)[:, None, None]


def spectrum_only(x: Tensor, reference: Tensor, sample_rate: int, taps: int = 1023) -> Tensor:
    """`x` filtered to the long-term average spectrum of `reference`, then given its RMS level.

    The average power spectra (channels together) are smoothed over a third of an octave; their
    ratio, free of level and within +-15 dB, becomes a linear-phase FIR without delay. Bands 90 dB
    below the strongest of both are left alone.

    Args:
        x: `(batch, channel, time)`.
        reference: `(batch, channel, time)`.
        sample_rate: in Hz, of both.
        taps: odd length of the filter at 24 kHz; other rates get the same duration.
    """
    _check(x, reference)
    taps = taps if sample_rate == 24000 else 2 * round(taps * sample_rate / 48000) + 1
    n_fft = 1 << (4 * taps).bit_length()
    own, wanted = (_third_octaves(_average_power(audio, n_fft)) for audio in (x, reference))
    ratio_db = 10 * torch.log10(wanted / own).clamp(-_LIMIT_DB / 10, _LIMIT_DB / 10)
    kernel = torch.fft.irfft(10 ** (ratio_db / 20)).roll(taps // 2, -1)[:, :taps]
    kernel = kernel * torch.hann_window(taps + 2, False, dtype=x.dtype, device=x.device)[1:-1]
    filtered = _filter(x, kernel)
    gain = _rms(reference) / _rms(filtered).clamp_min(1e-9)
    heard = (_rms(reference) > 1e-6) & (_rms(x) > 1e-6)
    return torch.where(heard[:, None, None], filtered * gain[:, None, None], x)


def rule_based(x: Tensor, reference: Tensor, sample_rate: int) -> Tensor:
    """The rule-based DSP of DeepAFx-ST: an FIR, then a compressor, both by what can be measured.

    Audio and reference are brought to peaks of -12 dBFS. A 63-tap linear-phase FIR follows the
    ratio of the average magnitude spectra (n_fft 65,536, smoothed by a quadratic Savitzky-Golay
    filter of 1,025 bins) and falls to nothing at half the sample rate. While the audio is more
    than .5 LU softer than the reference, the threshold of a 3:1 compressor (attack 1 ms, release
    50 ms, knee 6 dB) falls in steps of .5 dB, the peaks back at -12 dBFS behind it.

    Here the step is found in strides of 4 dB and then halves of them; if no threshold is enough,
    the loudest tried is taken, not the lowest; the delay of the FIR is taken out, its ratio stays
    within +-40 dB, and the output gets the peaks that the reference came with.

    Steinmetz, Bryan and Reiss, *Style transfer of audio effects with differentiable signal
    processing* (JAES 70(9), 2022), and its published code.
    """
    _check(x, reference)
    heard = (_peak(x) > 1e-5) & (_peak(reference) > 1e-5)
    level = 10 ** (_PEAK_DB / 20)
    source, wanted = _to_peak(x, level), _to_peak(reference, level)
    source = _to_peak(_filter(source, _matching_kernel(source, wanted)), level)
    enough = loudness_lufs(wanted, sample_rate) - 0.5

    def at_step(step: Tensor) -> Tensor:
        ratio, knee_db, attack_ms, release_ms, makeup_db = (
            torch.full_like(enough, value) for value in (3.0, 6.0, 1.0, 50.0, 0.0)
        )
        threshold_db = -9.0 - 0.5 * step
        squeezed, _ = compress(
            source, threshold_db, ratio, knee_db, attack_ms, release_ms, makeup_db, sample_rate
        )
        return _to_peak(squeezed, level)

    def short_by(step: Tensor) -> Tensor:
        return enough - loudness_lufs(at_step(step), sample_rate)

    step = torch.zeros_like(enough)
    missing = short_by(step)
    for number in range(_STRIDE, _STEPS, _STRIDE):
        if bool((missing <= 0).all()):
            break
        tried = torch.full_like(step, number)
        left = short_by(tried)
        better = (missing > 0) & (left < missing)
        step, missing = torch.where(better, tried, step), torch.where(better, left, missing)
    stride = _STRIDE // 2
    while stride and bool((step > 0).any()):  # back to the first of the steps that are enough
        tried = (step - stride).clamp_min(0)
        step = torch.where((missing <= 0) & (short_by(tried) <= 0), tried, step)
        stride //= 2
    output = at_step(step) * (_peak(reference) / level)[:, None, None]
    return torch.where(heard[:, None, None], output, x)


def _check(x: Tensor, reference: Tensor) -> None:
    check_shape("x", x, "batch channel time")
    check_shape("reference", reference, "batch channel time")
    if x.shape[0] != reference.shape[0]:
        raise UsageError(
            f"x has {x.shape[0]} items and reference {reference.shape[0]}: give as many of each."
        )


def _rms(audio: Tensor) -> Tensor:
    return audio.square().mean((1, 2)).sqrt()


def _peak(audio: Tensor) -> Tensor:
    return audio.abs().amax((1, 2))


def _to_peak(audio: Tensor, level: float) -> Tensor:
    return audio * (level / _peak(audio).clamp_min(1e-9))[:, None, None]


def _spectrum(audio: Tensor, n_fft: int, hop_length: int, window: Tensor) -> Tensor:
    """Magnitudes of all channels, `(batch, bin, frame)` with the channels' frames side by side."""
    short = max(0, n_fft // 2 + 1 - audio.shape[-1])
    mono = functional.pad(audio, (0, short)).flatten(0, 1)
    spectrum = torch.stft(mono, n_fft, hop_length, window=window, return_complex=True).abs()
    return torch.cat(spectrum.reshape(*audio.shape[:2], *spectrum.shape[1:]).unbind(1), -1)


def _average_power(audio: Tensor, n_fft: int) -> Tensor:
    """Share of the power in each bin, `(batch, bin)`, at least -90 dB of the strongest."""
    window = torch.hann_window(n_fft, dtype=audio.dtype, device=audio.device)
    power = _spectrum(audio, n_fft, n_fft // 2, window).square().mean(-1)
    power = power / power.sum(-1, keepdim=True).clamp_min(1e-20)
    return power.clamp_min(1e-20)


def _third_octaves(power: Tensor) -> Tensor:
    """Mean over a third of an octave around each bin, `(batch, bin)`, floored at -90 dB."""
    bins = power.shape[-1]
    centre = torch.arange(bins, device=power.device, dtype=torch.float64)
    low = torch.minimum(centre * 2 ** (-1 / 6), centre - 0.5) + 0.5
    high = torch.maximum(centre * 2 ** (1 / 6), centre + 0.5) + 0.5
    low, high = low.clamp(0, bins), high.clamp(0, bins)
    total = functional.pad(power.double().cumsum(-1), (1, 1))
    total[:, -1] = total[:, -2]

    def upto(edge: Tensor) -> Tensor:
        whole = edge.floor().long()
        return torch.lerp(total[:, whole], total[:, whole + 1], edge - whole)

    mean = (upto(high) - upto(low)) / (high - low)
    return torch.maximum(mean, 1e-9 * mean.amax(-1, keepdim=True)).to(power.dtype)


def _filter(audio: Tensor, kernel: Tensor) -> Tensor:
    """`(batch, channel, time)` through an odd symmetric FIR `(batch, tap)`, without its delay."""
    taps, time = kernel.shape[-1], audio.shape[-1]
    n_fft = 1 << (time + taps - 1).bit_length()
    spectrum = torch.fft.rfft(audio, n_fft) * torch.fft.rfft(kernel, n_fft)[:, None]
    filtered: Tensor = torch.fft.irfft(spectrum, n_fft)[..., taps // 2 : taps // 2 + time]
    return filtered


def _matching_kernel(x: Tensor, reference: Tensor) -> Tensor:
    """The 63 taps of `rule_based`, `(batch, 63)`."""
    smooth = []
    for audio in (x, reference):
        window = torch.ones(65536, dtype=audio.dtype, device=audio.device)
        mean = _spectrum(audio, 65536, 16384, window).mean(-1)
        mean = functional.pad(mean[:, None], (512, 512), mode="reflect")
        kernel = torch.from_numpy(_savitzky_golay(512)).to(audio)
        smooth.append(functional.conv1d(mean, kernel[None, None])[:, 0].clamp_min(1e-9))
    ratio = (smooth[1] / smooth[0]).clamp(1e-2, 1e2)
    ratio[:, -1] = 0.0
    grid = functional.interpolate(ratio[:, None], 65, mode="linear", align_corners=True)[:, 0]
    kernel = torch.fft.irfft(grid).roll(31, -1)[:, :63]
    window = torch.hamming_window(63, False, dtype=x.dtype, device=x.device)
    return torch.mul(kernel, window)


@functools.lru_cache(maxsize=2)
def _savitzky_golay(half: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Weights of a quadratic Savitzky-Golay smoother over `2 half + 1` points."""
    place = np.arange(-half, half + 1, dtype=np.float64)
    weights = 3 * half**2 + 3 * half - 1 - 5 * place**2
    normalised: np.ndarray[Any, np.dtype[np.float64]] = weights / weights.sum()
    return normalised
