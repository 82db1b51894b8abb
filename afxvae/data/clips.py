"""Short mono clips: change the rate, trim, level, and join them into one signal. NumPy only.

Everything here is a pure function of one-dimensional arrays, so that a corpus prepared twice
from the same downloads is the same corpus.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Signal = NDArray[np.floating[Any]]
"""One mono clip, shape `(time,)`, full scale +-1."""

_EDGE = 0.94  # of the lower Nyquist frequency: where the fade to nothing begins


def change_rate(clip: Signal, ratio: float) -> Signal:
    """Resample `clip` to `round(time * ratio)` samples through its spectrum.

    The band above 94 % of the lower Nyquist frequency is faded out with a raised cosine. Read
    back at the old rate, the result is a pitch shift by `-12 log2(ratio)` semitones.

    Args:
        clip: Signal of shape `(time,)`.
        ratio: New rate over old rate, > 0.

    Raises:
        ValueError: If `ratio` is not positive.
    """
    if ratio <= 0:
        raise ValueError(f"ratio is {ratio}, it must be positive.")
    length = round(len(clip) * ratio)
    if length == len(clip) or len(clip) == 0:
        return clip.copy()
    sizes = len(clip) + np.arange(256, 1280)  # one that comes out whole, or nearly, is padded to
    size = int(sizes[np.argmin(np.abs(sizes * ratio - np.round(sizes * ratio)))])
    padded = np.pad(clip, (0, size - len(clip)))
    target = round(size * ratio)
    spectrum = np.fft.rfft(padded)[: target // 2 + 1]
    if target < len(padded):
        start = int(_EDGE * len(spectrum))
        fade = np.cos(np.linspace(0, np.pi / 2, len(spectrum) - start)) ** 2
        spectrum[start:] *= fade
    shifted: Signal = np.fft.irfft(spectrum, target) * (target / len(padded))
    return shifted[:length]


def frame_levels_db(clip: Signal, sample_rate: int, frame_s: float = 0.02) -> Signal:
    """Return the RMS level of each frame of `clip` in dB full scale, shape `(frame,)`."""
    size = max(1, int(frame_s * sample_rate))
    count = max(1, len(clip) // size)
    frames = np.resize(clip, count * size).reshape(count, size)
    levels: Signal = 10 * np.log10(np.mean(frames.astype(np.float64) ** 2, axis=1) + 1e-12)
    return levels


def trim(
    clip: Signal, sample_rate: int, below_peak_db: float = 45.0, keep_s: float = 0.03
) -> Signal:
    """Cut what lies more than `below_peak_db` under the loudest frame from both ends.

    Args:
        clip: Signal of shape `(time,)`.
        sample_rate: In Hz.
        below_peak_db: How far under the loudest 20 ms the ends are cut.
        keep_s: What is kept before and after the cut, in seconds.
    """
    levels = frame_levels_db(clip, sample_rate)
    loud = np.flatnonzero(levels > max(float(levels.max()) - below_peak_db, -100.0))
    if len(loud) == 0:
        return clip[:0]
    size = int(0.02 * sample_rate)
    keep = int(keep_s * sample_rate)
    return clip[max(0, loud[0] * size - keep) : (loud[-1] + 1) * size + keep]


def active_level_db(clip: Signal, sample_rate: int) -> float:
    """Return the mean power, in dB, of the frames within 25 dB of the loudest one."""
    levels = frame_levels_db(clip, sample_rate)
    active = levels[levels > levels.max() - 25]
    return float(10 * np.log10(np.mean(10 ** (active / 10))))


def fade(clip: Signal, sample_rate: int, in_s: float, out_s: float) -> Signal:
    """Return `clip` with raised-cosine fades of `in_s` and `out_s` seconds at its ends."""
    faded = clip.copy()
    for seconds, part in ((in_s, slice(None)), (out_s, slice(None, None, -1))):
        count = min(len(clip), int(seconds * sample_rate))
        ramp = np.sin(np.linspace(0, np.pi / 2, count, endpoint=False)) ** 2
        faded[part][:count] *= ramp.astype(faded.dtype)
    return faded


def room_tone(clip: Signal, length: int, sample_rate: int, rng: np.random.Generator) -> Signal:
    """Make `length` samples of noise that sounds like the quietest 60 ms of `clip`.

    The magnitude spectrum of that stretch is kept and its phases are drawn from `rng`; a clip
    with digital silence in it gives silence.
    """
    size = int(0.06 * sample_rate)
    if len(clip) < 2 * size or length == 0:
        return np.zeros(length)
    levels = frame_levels_db(clip, sample_rate, 0.06)
    start = int(np.argmin(levels)) * size
    magnitude = np.abs(np.fft.rfft(clip[start : start + size] * np.hanning(size))) * np.sqrt(8 / 3)
    bins = np.linspace(0, len(magnitude) - 1, length // 2 + 1)
    wide = np.interp(bins, np.arange(len(magnitude)), magnitude) * np.sqrt(length / size)
    tone: Signal = np.fft.irfft(wide * np.exp(2j * np.pi * rng.random(len(wide))), length)
    return tone


def join(
    clips: list[Signal],
    sample_rate: int,
    rng: np.random.Generator,
    gap_s: tuple[float, float] = (0.1, 0.4),
    cross_s: float = 0.01,
) -> Signal:
    """Concatenate `clips` with gaps of their own room tone, crossfaded at every edge.

    Args:
        clips: Signals of shape `(time,)`, at least one.
        sample_rate: In Hz.
        rng: Draws the gap lengths and the room tone.
        gap_s: Shortest and longest gap in seconds.
        cross_s: Length of a crossfade in seconds.
    """
    cross = int(cross_s * sample_rate)
    pieces: list[Signal] = []
    for index, clip in enumerate(clips):
        if index:
            gap = int(rng.uniform(*gap_s) * sample_rate) + 2 * cross
            pieces.append(room_tone(clips[index - 1], gap, sample_rate, rng))
        pieces.append(clip)
    joined = np.zeros(sum(map(len, pieces)) - cross * (len(pieces) - 1))
    position = 0
    for piece in pieces:
        joined[position : position + len(piece)] += fade(piece, sample_rate, cross_s, cross_s)
        position += len(piece) - cross
    return joined


def repeat(clip: Signal, length: int) -> Signal:
    """Repeat a loop until it is at least `length` samples long, ending on a whole turn."""
    return np.tile(clip, max(1, -(-length // max(1, len(clip)))))
