"""Depth: how low and how long sounds are.

The regression is that of Pearce, Brookes and Mason for AudioCommons (*timbral_models* 0.4, 2019).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .analogue import butterworth_power
from .onsets import Signal
from .peaks import lowest_peak
from .sound import Sound
from .spectra import bin_hz, power_frames, weighted_mean
from .zwicker import RATE

__all__ = ["depth"]

_QUIET = 1e-3  # power of a frame, of a clip with peaks of 1
_RMS_SAMPLES = 256
_DECAYED = 0.01  # of the loudest 6 ms
_CONTRAST = 0.01


def depth(sound: Sound) -> Tensor:
    """Centroid below 2 kHz, power below 500 Hz, how long sounds last, and their lowest partial.

    ``-0.00437036 c + 32.837432 r + 4.750863 d - 14.217439 p + 3.878234 r d - 0.854483 r^10 /
    (r^10 + 0.2) d + 66.695344``. c (Hz) and r are means over frames of 93 ms that weigh as their
    power, d is lg of the mean time in s from the loudest moment after an onset to -40 dB, p lg of
    the lowest partial in Hz. Gradients flow through c, r and p; d stands still for them.
    """
    audio = sound.high_passed
    peak = audio.detach().abs().amax(1, keepdim=True).clamp_min(1e-9)
    power = power_frames(audio / peak, 4096, 1024)
    hz = bin_hz(power)
    frame = power.sum(-1)
    loud = frame > _QUIET
    low = power * butterworth_power(hz, 2000.0, RATE, "low", 3)
    centroid = (low * hz).sum(-1) / low.sum(-1).clamp_min(1e-20)
    centroid = weighted_mean(torch.where(loud, centroid, 0.0), frame.clamp_min(1e-20))
    share = (power * butterworth_power(hz, 500.0, RATE, "low", 3)).sum(-1) / frame.clamp_min(1e-20)
    share = weighted_mean(torch.where(loud, share, 0.0), frame.clamp_min(1e-20))
    lasting = _duration(sound)
    weighed = share**10 / (share**10 + 0.2)
    return (
        -0.0043703565847874465 * centroid.clamp_max(2000.0)
        + 32.83743202462131 * share
        + 4.750862716905235 * lasting
        - 14.217438690256062 * _lowest_partial(power.sum(1))
        + 3.8782339862813924 * share * lasting
        - 0.8544826091735516 * weighed * lasting
        + 66.69534393444391
    )


def _lowest_partial(power: Tensor) -> Tensor:
    """The lg of the frequency of the lowest peak, ``(batch,)``; 0 if the highest peak is at 0."""
    low, high = power.detach().amin(-1, keepdim=True), power.detach().amax(-1, keepdim=True)
    spectrum = (power - low) / (high - low).clamp_min(1e-20)
    return torch.log10(lowest_peak(spectrum, _CONTRAST)[1].clamp_min(1.0))


def _duration(sound: Sound) -> Tensor:
    """The lg of the mean time in s that sounds last, ``(batch,)``."""
    level = sound.high_passed.detach()
    level = torch.nn.functional.pad(level, (0, -level.shape[1] % _RMS_SAMPLES))
    level = level.unflatten(1, (-1, _RMS_SAMPLES)).square().mean(-1).sqrt()
    level = level / level.amax(1, keepdim=True).clamp_min(1e-9)
    means = []
    for rms, onsets in zip(level.double().cpu().numpy(), sound.onsets, strict=True):
        starts = [onset // _RMS_SAMPLES for onset in onsets]
        ends = [*starts[1:], len(rms)]
        parts = [rms[a:b] for a, b in zip(starts, ends, strict=True) if b > a]
        means.append(np.mean([_blocks_heard(part) for part in parts]))
    seconds = level.new_tensor(np.array(means)) * (_RMS_SAMPLES / RATE)
    return torch.log10(seconds.clamp_min(_RMS_SAMPLES / RATE))


def _blocks_heard(rms: Signal) -> int:
    """From the loudest on to the first that has decayed."""
    after = rms[int(rms.argmax()) :]
    decayed = np.flatnonzero(after < _DECAYED)
    return int(decayed[0]) if len(decayed) else len(after)
