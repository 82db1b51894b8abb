"""Loudness and peaks: BS.1770-4 in LUFS, true peak, and the gains that follow from them.

The functions are batched, differentiable and take any sample rate. `afxvae.audio` offers them too.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .dsp.features import ANALYSIS_LUFS, CLIP_SAMPLES, SAMPLE_RATE
from .dsp.units import fast_length
from .types import AudioError, check_shape

__all__ = [
    "PEAK_CEILING_DB",
    "LoudnessMeter",
    "PeakMeter",
    "check_heard",
    "check_usable",
    "k_weighting",
    "levelled",
    "loudness_lufs",
    "normalize_loudness",
    "peak_limit_gain",
    "true_peak",
]

PEAK_CEILING_DB = -0.1
"""What true peaks are kept below, dBFS."""

_FLOOR_LUFS = -70.0
_SILENCE_DB = -90.0
_HOP_S, _HOPS = 0.1, 4  # blocks of 400 ms overlap by three quarters
_BLOCK = 1 << 18
_TAPS = 24
_LARGEST_OVERSHOOT = 4.0  # more than the sum of the magnitudes of an interpolator's taps


def loudness_lufs(audio: Tensor, sample_rate: int) -> Tensor:
    """Integrated loudness, `(batch, channel, time)` to `(batch,)` LUFS; differentiable.

    ITU-R BS.1770-4: K-weighting, blocks of 400 ms every 100 ms, gates at -70 LUFS and 10 LU below
    what passes it. Channels weigh 1; of five channels the last two weigh 1.41, of six or more
    (5.1) the fourth is left out and the fifth and sixth weigh 1.41. Audio shorter than 400 ms
    counts as one block of its own length. Nothing above the gate is -70.
    """
    check_shape("audio", audio, "batch channel time")
    weighted = _k_weight(audio, sample_rate)
    hop = round(_HOP_S * sample_rate)
    if weighted.shape[-1] < _HOPS * hop:
        return _gated_lufs(weighted.square().mean(-1, keepdim=True))
    return _gated_lufs(_overlapping(_hop_powers(weighted, hop)))


def k_weighting(n_fft: int, sample_rate: int) -> Tensor:
    """Power gain of the K-weighting of BS.1770-4 at the bins of a spectrum, `(n_fft // 2 + 1,)`."""
    return torch.from_numpy(np.abs(_k_response(n_fft, sample_rate)) ** 2).float()


class LoudnessMeter:
    """`loudness_lufs` of a recording that comes in blocks.

    Args:
        sample_rate: In Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._sample_rate, self._hop = sample_rate, round(_HOP_S * sample_rate)
        self._powers = bytearray()  # small tensors kept among large ones would spread the heap
        self._early: Tensor | None = None
        self._rest: Tensor | None = None

    def add(self, block: Tensor) -> None:
        """Take the next block, `(channel, time)`."""
        if not block.shape[1]:
            return
        none = block[:, :0]
        early = none if self._early is None else self._early
        joined = torch.cat([early, block], 1)
        weighted = _k_weight_piece(joined, early.shape[1], self._sample_rate)
        self._early = joined[:, max(0, joined.shape[1] - _remembered(self._sample_rate)) :]
        rest = torch.cat([none if self._rest is None else self._rest, weighted], 1)
        whole = rest.shape[1] // self._hop * self._hop
        powers = _hop_powers(rest[:, :whole], self._hop).mT.float()
        self._powers += powers.contiguous().cpu().numpy().tobytes()
        self._rest = rest[:, whole:].clone()

    def lufs(self) -> float:
        """Loudness of all that came."""
        if self._rest is None:
            return _FLOOR_LUFS
        rest = self._rest.float().cpu()
        powers = torch.from_numpy(
            np.frombuffer(self._powers.copy(), np.float32).reshape(-1, len(rest)).T
        )
        if powers.shape[1] >= _HOPS:
            return float(_gated_lufs(_overlapping(powers)[None]))
        frames = powers.shape[1] * self._hop + rest.shape[1]
        energy = powers.sum(1, keepdim=True) * self._hop
        energy = energy + rest.square().sum(1, keepdim=True)
        return float(_gated_lufs(energy[None] / max(1, frames)))


def _hop_powers(weighted: Tensor, hop: int) -> Tensor:
    """Mean power of every whole hop of `(..., time)`."""
    hops = weighted.shape[-1] // hop
    powers: Tensor = weighted[..., : hops * hop].unflatten(-1, (hops, hop)).square().mean(-1)
    return powers


def _overlapping(powers: Tensor) -> Tensor:
    """From powers of hops `(..., hop)` to those of the blocks that begin with each."""
    means: Tensor = powers.unfold(-1, _HOPS, 1).mean(-1)
    return means


def _gated_lufs(power: Tensor) -> Tensor:
    """Loudness `(batch,)` of the powers of blocks, `(batch, channel, block)`."""
    weights = power.new_ones(power.shape[1])
    if power.shape[1] == 5:
        weights[3:5] = 1.41
    elif power.shape[1] > 5:
        weights[3], weights[4:6] = 0.0, 1.41
    power = (power * weights[:, None]).sum(1)
    floor = 10 ** ((_FLOOR_LUFS + 0.691) / 10)
    loud = power > floor
    gated = loud & (power > 0.1 * _masked_mean(power, loud)[:, None])
    return -0.691 + 10 * torch.log10(_masked_mean(power, gated).clamp_min(floor))


def normalize_loudness(
    audio: Tensor, sample_rate: int, lufs: float | Tensor
) -> tuple[Tensor, Tensor]:
    """Bring `(batch, channel, time)` audio to a loudness in LUFS (a number, or `(batch,)`).

    Returns the audio and the gain it took, `(batch,)` dB.
    """
    gain_db = lufs - loudness_lufs(audio, sample_rate)
    return audio * (10 ** (gain_db / 20))[:, None, None], gain_db


def levelled(clips: Tensor) -> Tensor:
    """Bring each clip ``(clip, 1, [run-in +] 131072)`` to the analysis loudness."""
    _, gain_db = normalize_loudness(clips[..., -CLIP_SAMPLES:], SAMPLE_RATE, ANALYSIS_LUFS)
    return clips * (10.0 ** (gain_db.clamp_max(60.0) / 20.0)).view(-1, 1, 1)


def true_peak(audio: Tensor) -> Tensor:
    """Largest magnitude of `(batch, channel, time)` audio between and at samples, `(batch,)`.

    Four times oversampled as BS.1770-4 annex 2 asks, with 48 taps a phase.
    """
    check_shape("audio", audio, "batch channel time")
    return torch.maximum(audio.abs().amax((1, 2)), _between(functional.pad(audio, (_TAPS, _TAPS))))


def peak_limit_gain(audio: Tensor, ceiling_db: float = PEAK_CEILING_DB) -> Tensor:
    """Gain of at most 1, `(batch,)`, that keeps the true peak below `ceiling_db` dBFS."""
    return _limit_gain(true_peak(audio), ceiling_db)


class PeakMeter:
    """Peaks of a recording that comes in blocks.

    Attributes:
        sample_peak: Largest magnitude of a sample so far.
    """

    def __init__(self) -> None:
        self.sample_peak = 0.0
        self._true_peak = 0.0
        self._tail: Tensor | None = None

    def add(self, block: Tensor) -> None:
        """Take the next block, `(channel, time)`."""
        tail = block.new_zeros(len(block), _TAPS) if self._tail is None else self._tail
        joined = torch.cat([tail, block], 1)
        self._tail = joined[:, max(0, joined.shape[1] - (2 * _TAPS - 1)) :]
        highest = float(joined.abs().max()) if joined.numel() else 0.0
        self.sample_peak = max(self.sample_peak, highest)
        if highest * _LARGEST_OVERSHOOT > self._true_peak:  # else nothing between can be higher
            between = float(_between(joined[None]))
            self._true_peak = max(self._true_peak, self.sample_peak, between)

    def limit_gain(self, ceiling_db: float = PEAK_CEILING_DB) -> float:
        """`peak_limit_gain` of all that came."""
        if self._tail is not None:
            self.add(self._tail.new_zeros(len(self._tail), _TAPS))
        return float(_limit_gain(torch.tensor(self._true_peak), ceiling_db))


def check_usable(audio: Tensor, sample_rate: int, name: str, minimum_s: float = 0.1) -> None:
    """Raise unless there is something to hear in `audio`, `(..., time)`, called `name`.

    Raises:
        AudioError: see `check_heard`.
    """
    peak = 0.0
    if audio.numel():
        low, high = (float(value) for value in torch.aminmax(audio.detach()))  # both carry NaN
        peak = max(-low, high)
    check_heard(audio.shape[-1], peak, sample_rate, name, minimum_s)


def check_heard(
    frames: int, peak: float, sample_rate: int, name: str, minimum_s: float = 0.1
) -> None:
    """Raise unless there was something to hear in a recording, called `name`, of so many frames.

    Raises:
        AudioError: shorter than `minimum_s` seconds, a peak that is not finite, or silence (no
            sample above -90 dBFS).
    """
    if frames < minimum_s * sample_rate or not frames:
        raise AudioError(
            f"{name} is too short: {frames / sample_rate:.3f} s, {minimum_s:g} s is needed."
        )
    if not math.isfinite(peak):
        raise AudioError(f"{name} has samples that are not finite numbers (NaN or infinity).")
    if peak < 10 ** (_SILENCE_DB / 20):
        raise AudioError(f"{name} is silent: no sample is above {_SILENCE_DB:g} dBFS.")


def _limit_gain(peak: Tensor, ceiling_db: float) -> Tensor:
    return (10 ** (ceiling_db / 20) / peak.clamp_min(1e-9)).clamp_max(1.0)


def _between(audio: Tensor) -> Tensor:
    """Largest magnitude between samples that have 24 others on both sides, `(batch,)`."""
    kernel = torch.from_numpy(_peak_kernel(_TAPS)).to(audio)
    mono = audio.flatten(0, 1)[:, None]
    peak = audio.new_zeros(len(audio))
    for start in range(0, audio.shape[-1] - 2 * _TAPS + 1, _BLOCK):
        piece = functional.conv1d(mono[..., start : start + _BLOCK + 2 * _TAPS - 1], kernel)
        peak = torch.maximum(peak, piece.abs().amax((1, 2)).reshape(audio.shape[:2]).amax(1))
    return peak


def _masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    mean: Tensor = (values * mask).sum(-1) / mask.sum(-1).clamp_min(1)
    return mean


def _remembered(sample_rate: int) -> int:
    """Samples that the high-pass of the K-weighting remembers."""
    return sample_rate // 16


def _k_weight(audio: Tensor, sample_rate: int) -> Tensor:
    """K-weighted `(batch, channel, time)`, by spectra of pieces that start early enough."""
    pieces = []
    for start in range(0, audio.shape[-1], _BLOCK):
        early = min(start, _remembered(sample_rate))
        pieces.append(
            _k_weight_piece(audio[..., start - early : start + _BLOCK], early, sample_rate)
        )
    return torch.cat(pieces, -1) if len(pieces) != 1 else pieces[0]


def _k_weight_piece(piece: Tensor, early: int, sample_rate: int) -> Tensor:
    """K-weighted `(..., time)` without its first `early` samples, which come before it."""
    n_fft = fast_length(piece.shape[-1] + _remembered(sample_rate) - early)
    response = torch.from_numpy(_k_response(n_fft, sample_rate))
    spectrum = torch.fft.rfft(piece, n_fft)
    spectrum = spectrum * response.to(device=spectrum.device, dtype=spectrum.dtype)
    weighted: Tensor = torch.fft.irfft(spectrum, n_fft)[..., early : piece.shape[-1]]
    return weighted


@functools.lru_cache(maxsize=8)
def _k_response(n_fft: int, sample_rate: int) -> np.ndarray[Any, np.dtype[np.complex128]]:
    """Both K-weighting biquads from their analogue prototypes (equal to the table at 48 kHz)."""
    # With z = exp(jw), s = j tan(w/2); multiplied through by cos(w/2)^2, so nothing overflows.
    half = np.pi * np.arange(n_fft // 2 + 1) / n_fft
    sin, cos = np.sin(half), np.cos(half)
    shelf, quality = math.tan(math.pi * 1681.974450955533 / sample_rate), 0.7071752369554196
    high = 10 ** (3.999843853973347 / 20)
    mixed, high_part = 1j * shelf / quality * sin * cos, high * sin**2
    low_part = (shelf * cos) ** 2
    response = low_part - high_part + high**0.4996667741545416 * mixed
    response /= low_part - sin**2 + mixed
    corner, quality = _corner(sample_rate), 0.5003270373238773
    response *= -(sin**2) / ((corner * cos) ** 2 - sin**2 + 1j * corner / quality * sin * cos)
    # The table's high-pass has 1, -2, 1 above a normalised denominator: a gain, kept at any rate.
    weighting: np.ndarray[Any, np.dtype[np.complex128]] = response * (
        1 + _corner(48000) / quality + _corner(48000) ** 2
    )
    return weighting


def _corner(sample_rate: int) -> float:
    return math.tan(math.pi * 38.13547087602444 / sample_rate)


@functools.lru_cache(maxsize=1)
def _peak_kernel(taps: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Interpolators for 1/4, 2/4 and 3/4 of a sample: Kaiser-windowed sincs, `(3, 1, 2 taps)`."""
    offsets = np.arange(2 * taps) - taps - np.array([[0.25], [0.5], [0.75]])
    window = np.i0(8 * np.sqrt(np.clip(1 - (offsets / taps) ** 2, 0, 1))) / np.i0(8)
    kernel: np.ndarray[Any, np.dtype[np.float32]] = np.sinc(offsets) * window
    return kernel[:, None].astype(np.float32)
