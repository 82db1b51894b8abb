"""Hardness: how suddenly, how high and how noise-like sounds begin.

Pearce, Brookes and Mason, *Modelling timbral hardness*, Applied Sciences 9(3), 466, 2019, with the
regression of *timbral_models* 0.4.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .onsets import HOP, Signal
from .sound import Sound
from .spectra import bark_bell, magnitude_of, weighted_mean
from .zwicker import FRAME, RATE

__all__ = ["hardness"]

_THRESHOLD = 10 ** (-75 / 20)
_WINDOW, _EVERY = 31, 8  # of the medians, and the share of frames that have one
_ATTACK_S = 0.1
_HOP = 1024  # from one bandwidth to the next
_CENTROID_SAMPLES, _CENTROID_FFT, _SHORTEST = int(0.125 * RATE), 8192, 512


def hardness(sound: Sound) -> Tensor:
    """Bandwidth, centroid, strength and duration of attacks, loudness of 7-14 Bark, percussiveness.

    ``12.079782 lg(bandwidth) + 18.521004 lg(centroid) + 14.139884 lg(N) + 5.567690 lg(percussive) +
    3.934682 lg(strength) - 4.326890 lg(attack time) - 85.603521``. From onset to onset: the largest
    bandwidth in the first 0.1 s, from 5 % of the magnitude to -75 dB, in Hz; the centroid of 125 ms
    in Hz, the onset strength in dB and the attack time in s. Means over onsets, of the bandwidth by
    strength. Gradients flow through loudness, centroid and strength; the rest stands still.
    """
    loudness = sound.specific_loudness
    middle = weighted_mean(loudness @ bark_bell(70, 140, loudness), sound.rms)
    bandwidths, times, starts = _attacks(sound)
    strength = _mean_strength(sound)
    centroid = _attack_centroid(sound, starts)
    return (
        12.079781720638145 * torch.log10(sound.audio.new_tensor(bandwidths))
        + 18.52100377170042 * torch.log10(centroid.clamp_min(200.0))
        + 14.139883645260355 * torch.log10(middle.clamp_min(1e-6))
        + 5.567690321917516 * torch.log10(_percussive(sound.magnitude.detach()).clamp_min(1e-6))
        + 3.9346817690405635 * torch.log10(strength.clamp_min(1e-3))
        - 4.326890461087848 * sound.audio.new_tensor(times)
        - 85.60352209068202
    )


def _attacks(sound: Sound) -> tuple[list[float], list[float], list[list[int]]]:
    """Bandwidth in Hz and lg of the attack time in s of each clip; starts of attacks in `led`."""
    bandwidth = _bandwidth(sound.led.detach()).double().cpu().numpy()
    envelope = functional.pad(sound.envelope, (FRAME, 0)).double().cpu().numpy()
    strength = sound.led_strength.detach().double().cpu().numpy()
    bandwidths, times, starts = [], [], []
    for clip, onsets in enumerate(sound.led_onsets):
        found, weights, lengths, begins = [], [], [], []
        for onset, end in _segments(onsets, envelope.shape[1]):
            length, begin = _attack_time(envelope[clip, onset:end])
            lengths.append(length)
            begins.append(onset + begin)
            first = max(0, onset - FRAME) // _HOP
            last = max(0, end - FRAME) // _HOP if end < envelope.shape[1] else None
            widest = _attack_bandwidth(bandwidth[clip, first:last])
            if widest:
                found.append(widest)
                weights.append(
                    strength[clip, onset // HOP : max(end // HOP, onset // HOP + 1)].max()
                )
        mean = np.average(found, weights=np.maximum(weights, 1e-9)) if found else 0.0
        bandwidths.append(float(mean) if mean > 512.0 else RATE / 512.0)
        times.append(float(np.mean(lengths)))
        starts.append(begins)
    return bandwidths, times, starts


def _segments(onsets: list[int], length: int) -> list[tuple[int, int]]:
    """From each onset to the next; a single one stands for the whole clip."""
    if len(onsets) == 1:
        return [(0, length)]
    return list(zip(onsets, [*onsets[1:], length], strict=True))


def _bandwidth(audio: Tensor) -> Tensor:
    """Distance from where 5 % of the magnitude lie to -75 dB, ``(batch, frame)`` Hz.

    0 in frames of less than a tenth of the range of magnitudes.
    """
    frames = audio.unfold(1, FRAME, _HOP) * (RATE * FRAME) ** -0.5
    magnitude = magnitude_of(frames - frames.mean(-1, keepdim=True), FRAME)
    lowest = magnitude.cumsum(-1)
    total = lowest[..., -1:].contiguous()
    first = torch.searchsorted(lowest, 0.05 * total)[..., 0]
    bins = torch.arange(magnitude.shape[-1], device=audio.device, dtype=audio.dtype)
    last = torch.where(magnitude >= _THRESHOLD, bins, 0.0).amax(-1)
    total = total[..., 0]
    low, high = total.amin(1, keepdim=True), total.amax(1, keepdim=True)
    counts = (last > 0.0) & (total > 0.1 * (high - low) + low)
    return torch.where(counts, (last - first) * (RATE / FRAME), 0.0)


def _attack_bandwidth(bandwidth: Signal) -> float:
    """Largest bandwidth in the 0.1 s from where it rises; 0 where it does not."""
    if len(bandwidth) < 2 or not bandwidth.max() > 0.0:
        return 0.0
    peak = int(bandwidth.argmax())
    if not peak:
        return 0.0
    lowest = peak - 1 - int(bandwidth[:peak][::-1].argmin())
    attack = bandwidth[lowest : peak + 1]
    limit = attack.min() + 0.2 * (attack.max() - attack.min())
    start = lowest + int((attack >= limit).argmax())
    reach = int(_ATTACK_S * RATE / _HOP)
    rest = bandwidth[start:]
    return float(rest[:reach].max() if len(rest) > start + reach else rest.max())


def _attack_time(envelope: Signal) -> tuple[float, int]:
    """The lg of the attack's seconds by the method of least effort, and the sample it starts at.

    Peeters, *A large set of audio features for sound description (similarity and classification) in
    the CUIDADO project*, 2004.
    """
    peak = int(envelope.argmax()) if len(envelope) else 0
    if not peak:
        return float(np.log10(1.0 / RATE)), 0
    lowest = peak - 1 - int(envelope[:peak][::-1].argmin())
    attack = np.maximum.accumulate(envelope[lowest : peak + 1])
    levels = attack[0] + np.linspace(0.1, 0.9, 9) * (attack[-1] - attack[0])
    crossed = np.searchsorted(attack, levels)
    effort = np.diff(crossed)
    limit = 3.0 * effort.mean()
    first = int((effort <= limit).argmax())
    last = first + (int((effort[first:] >= limit).argmax()) or len(effort) - first - 1)
    start, end = int(crossed[first]), int(crossed[last])
    if start == end:
        start, end = int(crossed[0]), int(crossed[-1])
    samples = min(end - start, int(_ATTACK_S * RATE)) + 1 if end > start else 1
    return float(np.log10(samples / RATE)), lowest + start


def _mean_strength(sound: Sound) -> Tensor:
    """Mean over onsets of the largest onset strength before the next, ``(batch,)`` dB."""
    means = []
    for strength, onsets in zip(sound.led_strength, sound.led_onsets, strict=True):
        edges = [onset // HOP for onset, _ in _segments(onsets, sound.led.shape[1])]
        ends = [*edges[1:], len(strength)]
        pairs = zip(edges, ends, strict=True)
        means.append(torch.stack([strength[a : max(b, a + 1)].max() for a, b in pairs]).mean())
    return torch.stack(means)


def _attack_centroid(sound: Sound, starts: list[list[int]]) -> Tensor:
    """Mean over onsets of the centroid of the magnitudes of 125 ms, ``(batch,)`` Hz."""
    length = sound.led.shape[1]
    means = []
    for audio, onsets, begins in zip(sound.led, sound.led_onsets, starts, strict=True):
        parts = []
        for begin, (_, end) in zip(begins, _segments(onsets, length), strict=True):
            part = audio[begin : min(begin + _CENTROID_SAMPLES, end)]
            if len(part) > _SHORTEST:
                parts.append(functional.pad(part, (0, _CENTROID_FFT - len(part))))
        if not parts:
            means.append(audio.new_tensor(200.0))
            continue
        magnitude = magnitude_of(torch.stack(parts), _CENTROID_FFT)
        hz = torch.arange(magnitude.shape[1], device=audio.device) * (RATE / _CENTROID_FFT)
        means.append(weighted_mean(hz, magnitude * (hz >= 20.0)).mean())
    return torch.stack(means)


def _percussive(magnitude: Tensor) -> Tensor:
    """Share of the root mean square that medians over frequency keep, ``(batch,)``.

    Harmonic and percussive parts are told apart by medians of 31 frames and 31 bins (Fitzgerald,
    *Harmonic/percussive separation using median filtering*, DAFx 2010), in every eighth frame.
    """
    half = _WINDOW // 2
    magnitude = magnitude[:, FRAME // HOP :]
    now = magnitude[:, ::_EVERY]
    mode = "reflect" if magnitude.shape[1] > half else "replicate"
    around = functional.pad(magnitude.mT, (half, half), mode=mode)
    harmonic = _median(around.unfold(2, _WINDOW, _EVERY)).mT.square()
    around = functional.pad(now, (half, half), mode="reflect")
    percussive = _median(around.unfold(2, _WINDOW, 1)).square()
    total = (harmonic + percussive).clamp_min(1e-30)
    hard, soft = (
        (now * part / total).square().sum(-1).sqrt().sum(-1) for part in (percussive, harmonic)
    )
    return hard / (hard + soft).clamp_min(1e-12)


def _median(windows: Tensor) -> Tensor:
    """Medians of an odd number of values along the last dimension."""
    middle = windows.shape[-1] // 2
    if windows.is_cuda:
        return windows.median(-1)[0]
    parted = np.partition(windows.numpy(), middle, -1)[..., middle]
    return torch.from_numpy(np.ascontiguousarray(parted))
