"""From recordings of any rate, length and channels to the clips that the model sees.

A recording is gone through block by block, so that its length costs no memory: a `Profile` finds
out where it is loud, and a `Cutter` takes the clips out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from .audio import resample
from .dsp.features import CLIP_SAMPLES, RUN_IN, SAMPLE_RATE
from .types import UsageError, check_shape

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "Cutter",
    "Places",
    "Profile",
    "analysis_clips",
    "as_audio",
    "clip_period",
    "clips_with_run_in",
    "once",
]

_MOST_CLIPS = 4
_LONG = 2 * 60 * SAMPLE_RATE // CLIP_SAMPLES  # clips in two minutes
_LEAST_POWER = 1e-2  # of the loudest clip's; what is quieter is a pause
_STEP = 64  # samples at 24 kHz whose energy is summed
_REACH = 80  # samples at the lower rate that resampling looks to either side, and a few more


@dataclass(frozen=True)
class Places:
    """Where in a recording its clips are.

    Attributes:
        starts: Samples at 24 kHz, in order.
        length: Of the recording, samples at 24 kHz; what is shorter than a clip is repeated.
        sample_rate: Of the recording, Hz.
    """

    starts: tuple[int, ...]
    length: int
    sample_rate: int


class Profile:
    """Energy of a recording over time, as the model hears it: below 12 kHz.

    Args:
        sample_rate: In Hz.

    Raises:
        UsageError: The rate is not positive.
    """

    def __init__(self, sample_rate: int) -> None:
        if sample_rate <= 0:
            raise UsageError(f"Sample rates must be positive, not {sample_rate} Hz.")
        self._grid, self._frames = _Grid(sample_rate), 0
        self._rest: Tensor | None = None
        self._energy = bytearray()  # small tensors kept among large ones would spread the heap

    def add(self, block: Tensor) -> None:
        """Take the next block of some signals, ``(signal, time)``."""
        rest = self._rest
        if rest is None:
            rest = block.new_zeros(len(block), self._grid.margin)
        self._frames += block.shape[1]
        self._rest = self._summed_up(torch.cat([rest, block], 1))

    def places(self, most: int = _MOST_CLIPS) -> list[Places]:
        """Where the clips of each signal are, once all of it was taken.

        They are the loudest `most` of clips spread evenly, without overlap; where there is no room
        for so many, they overlap by about half, so that all of a short recording is heard. What is
        longer than two minutes has parts that differ: there the loudest of each of twice as many
        equal parts. Those 20 dB below the loudest are dropped.
        """
        if self._rest is None:
            return []
        rate = self._grid.sample_rate
        length = _at_24k(self._frames, rate)
        last = (0, self._grid.margin + self._grid.quantum)
        self._rest = self._summed_up(functional.pad(self._rest, last))
        energy = np.frombuffer(self._energy, np.float64).reshape(-1, len(self._rest))
        sums = np.pad(energy, ((1, 0), (0, 0))).cumsum(0).T
        starts = _spread(length, most)
        ends = (starts + CLIP_SAMPLES).clamp_max(length)
        steps = _STEP * np.arange(sums.shape[1])
        found = []
        for row in sums:
            before, after = (np.interp(edge.numpy(), steps, row) for edge in (starts, ends))
            kept = _loud(torch.from_numpy(after - before), most)
            found.append(Places(tuple(starts[kept].tolist()), length, rate))
        return found

    def _summed_up(self, signals: Tensor) -> Tensor:
        """What is left of signals when all that has enough behind it was turned into energies."""
        grid = self._grid
        ready = (signals.shape[1] - 2 * grid.margin) // grid.quantum * grid.quantum
        if ready <= 0:
            return signals
        heard = grid.resample(signals[:, : ready + 2 * grid.margin])
        heard = heard[:, grid.at_24k(grid.margin) :][:, : grid.at_24k(ready)]
        energy = heard.unflatten(1, (-1, _STEP)).square().sum(2).mT.cpu().double()
        self._energy += energy.contiguous().numpy().tobytes()
        return signals[:, ready:].clone()


class Cutter:
    """Takes the clips out of one signal that comes in blocks."""

    def __init__(self, places: Places) -> None:
        self._places, self._grid, self._time = places, _Grid(places.sample_rate), 0
        whole = min(CLIP_SAMPLES, places.length)
        self._windows = [self._grid.around(s - RUN_IN, s + whole) for s in places.starts]
        self._pieces = [torch.zeros(stop - start) for start, stop in self._windows]

    def add(self, block: Tensor) -> None:
        """Take the next block, ``(time,)``."""
        after = self._time + len(block)
        for (start, stop), piece in zip(self._windows, self._pieces, strict=True):
            first, last = max(start, self._time), min(stop, after)
            if first < last:
                piece[first - start : last - start] = block[first - self._time : last - self._time]
        self._time = after

    def clips(self) -> Tensor:
        """The clips, ``(clip, 1, 24000 + 131072)`` at 24 kHz, with what precedes them."""
        return torch.stack(
            [
                self._clip(start, self._grid.at_24k(window[0]), self._grid.resample(piece))
                for start, window, piece in zip(
                    self._places.starts, self._windows, self._pieces, strict=True
                )
            ]
        ).unsqueeze(1)

    def _clip(self, start: int, piece_start: int, piece: Tensor) -> Tensor:
        first, last = max(0, start - RUN_IN), min(start + CLIP_SAMPLES, self._places.length)
        heard = piece[first - piece_start : last - piece_start]
        if last - first < CLIP_SAMPLES:
            heard = heard.repeat(-(-CLIP_SAMPLES // len(heard)))[:CLIP_SAMPLES]
        return functional.pad(heard, (RUN_IN + CLIP_SAMPLES - len(heard), 0))


class _Grid:
    """Samples of a recording that fall on samples at 24 kHz, so that pieces resample as the whole.

    Attributes:
        margin: Samples that resampling needs on either side.
        quantum: Samples that become a whole number of steps of the profile.
    """

    def __init__(self, sample_rate: int) -> None:
        common = math.gcd(sample_rate, SAMPLE_RATE)
        self.sample_rate = sample_rate
        self._step, self._step_24k = sample_rate // common, SAMPLE_RATE // common
        reach = _REACH * max(1.0, sample_rate / SAMPLE_RATE) + self._step
        self.margin = math.ceil(reach / self._step) * self._step
        self.quantum = self._step * _STEP

    def at_24k(self, samples: int) -> int:
        """The same time at 24 kHz; `samples` are on the grid."""
        return samples // self._step * self._step_24k

    def around(self, start: int, stop: int) -> tuple[int, int]:
        """On the grid, the samples needed for those from `start` to `stop` at 24 kHz."""
        first = start // self._step_24k * self._step
        last = -(-stop // self._step_24k) * self._step
        return first - self.margin, last + self.margin

    def resample(self, piece: Tensor) -> Tensor:
        """``(..., time)`` that begins on the grid, at 24 kHz."""
        return resample(piece, self.sample_rate, SAMPLE_RATE)


def _at_24k(frames: int, sample_rate: int) -> int:
    """Samples at 24 kHz of a recording."""
    return round(frames * SAMPLE_RATE / sample_rate)


def _spread(length: int, most: int) -> Tensor:
    """Starts of candidates: as many as have room beside each other, or half behind each other."""
    room = length / CLIP_SAMPLES
    count = max(1, int(room), min(most, round(2.0 * room) - 1))
    return torch.linspace(0, max(0, length - CLIP_SAMPLES), count).round().long()


def _loud(energy: Tensor, most: int) -> Tensor:
    """Indices, in order, of the candidates to keep."""
    if len(energy) <= _LONG:
        loudest = energy.argsort(descending=True)[:most]
    else:
        parts = torch.arange(len(energy)).tensor_split(2 * most)
        loudest = torch.stack([part[energy[part].argmax()] for part in parts])
    kept = energy[loudest] >= _LEAST_POWER * energy[loudest].max()
    return loudest[kept].sort().values


def as_audio(audio: Any) -> Tensor:
    """Array or tensor ``(channel, time)`` or ``(time,)`` to float32 ``(channel, time)``.

    Raises:
        UsageError: It has other than one or two axes.
    """
    tensor = torch.as_tensor(audio, dtype=torch.float32)
    if tensor.dim() == 1:
        tensor = tensor.unsqueeze(0)
    check_shape("audio", tensor, "channel time")
    return tensor


def clips_with_run_in(audio: Tensor, sample_rate: int, most: int = _MOST_CLIPS) -> Tensor:
    """The loudest stretches of a recording with what precedes them.

    Args:
        audio: ``(channel, time)``; channels are averaged. What is shorter than a clip is repeated.
        sample_rate: In Hz.
        most: Largest number of clips, twice that for what is longer than two minutes.

    Returns:
        ``(clip, 1, 24000 + 131072)`` at 24 kHz, in the order of the recording, see
        `Profile.places`; the second before the first is silence.
    """
    mono = audio.mean(0)
    profile = Profile(sample_rate)
    profile.add(mono.unsqueeze(0))
    cutter = Cutter(profile.places(most)[0])
    cutter.add(mono)
    return cutter.clips().to(audio.device)


def clip_period(frames: int, sample_rate: int) -> int:
    """Samples at 24 kHz after which clips of a recording begin again; at most those of a clip."""
    return min(_at_24k(frames, sample_rate), CLIP_SAMPLES)


def once(clips: Tensor, period: int) -> Tensor:
    """Clips ``(..., 131072)``, silent from where they begin again."""
    return functional.pad(clips[..., :period], (0, clips.shape[-1] - period))


def analysis_clips(audio: Tensor, sample_rate: int, most: int = _MOST_CLIPS) -> Tensor:
    """`clips_with_run_in` without the run-in: ``(clip, 131072)``."""
    return clips_with_run_in(audio, sample_rate, most)[:, 0, RUN_IN:]
