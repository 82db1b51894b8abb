"""Recordings of any length, in files or in memory, gone through in blocks."""

from __future__ import annotations

import io
import math
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .analysis import Cutter, Places, Profile
from .audio import info, read_blocks
from .loudness import LoudnessMeter, check_heard
from .presets import BLOCK
from .types import PathLike

if TYPE_CHECKING:
    from types import TracebackType

    from torch import Tensor

__all__ = ["Blocks", "Facts", "Recording", "SideMeter", "Spool"]

Blocks = Callable[[], Iterator["Tensor"]]
Watch = Callable[[Iterator["Tensor"]], Iterator["Tensor"]]


@dataclass(frozen=True)
class Facts:
    """What there is to say about a recording.

    Attributes:
        name: What messages call it.
        sample_rate: In Hz.
        channels: How many.
        frames: As many as came.
        lufs: Integrated loudness.
        side_db: Level of the side signal against the mid, dB; None for other than stereo.
    """

    name: str
    sample_rate: int
    channels: int
    frames: int
    lufs: float
    side_db: float | None

    def facts(self) -> dict[str, Any]:
        """The same by name."""
        return {fact.name: getattr(self, fact.name) for fact in fields(Facts)}


@dataclass(frozen=True)
class Recording(Facts):
    """A recording that was gone through once.

    Attributes:
        mixed: Where the clips of the mean of all channels are.
        first: Where those of the first channel are.
        blocks: Begins again; gives blocks ``(channel, time)`` of at most `BLOCK` samples.
    """

    mixed: Places
    first: Places
    blocks: Blocks

    @classmethod
    def of_array(cls, audio: Tensor, sample_rate: int, name: str) -> Recording:
        """A recording ``(channel, time)`` in memory.

        Raises:
            AudioError: It is silent, shorter than 0.1 s, or not finite.
            UsageError: The rate is not positive.
        """
        return _survey(name, sample_rate, lambda: iter(audio.split(BLOCK, 1)))

    @classmethod
    def of_file(cls, path: PathLike, watch: Watch = iter) -> Recording:
        """A recording in a file, which is read anew, block by block, whenever it is gone through.

        Args:
            path: The file.
            watch: What blocks go through as they are read, for instance to show progress.

        Raises:
            AudioError: The file cannot be read, or see `of_array`.
        """
        rate = info(path).sample_rate
        return _survey(str(path), rate, lambda: watch(read_blocks(path, BLOCK)))

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.frames / self.sample_rate

    def clips(self) -> tuple[Tensor, Tensor]:
        """Clips of the mean of all channels and of the first channel.

        Both ``(clip, 1, 24000 + 131072)`` at 24 kHz, with what precedes them.
        """
        mixed, first = Cutter(self.mixed), Cutter(self.first)
        for block in self.blocks():
            mixed.add(block.mean(0))
            first.add(block[0])
        clips = mixed.clips()
        return clips, clips if self.channels == 1 else first.clips()

    def same_samples(self, other: Recording) -> bool:
        """Whether both have the same samples at the same rate."""
        forms = ((one.sample_rate, one.channels, one.frames) for one in (self, other))
        if len(set(forms)) > 1:
            return False
        pairs = zip(self.blocks(), other.blocks(), strict=False)
        return all(torch.equal(mine, theirs.to(mine.device)) for mine, theirs in pairs)


class SideMeter:
    """Level of the side signal against the mid of a recording that comes in blocks."""

    def __init__(self) -> None:
        self._side = self._mid = 1e-12
        self._stereo = True

    def add(self, block: Tensor) -> None:
        """Take the next block, ``(channel, time)``."""
        self._stereo = len(block) == 2
        if self._stereo:
            self._mid += float((block[0] + block[1]).square().sum())
            self._side += float((block[0] - block[1]).square().sum())

    def side_db(self) -> float | None:
        """In dB, None for other than stereo."""
        return 10.0 * math.log10(self._side / self._mid) if self._stereo else None


class Spool:
    """Audio that is put aside block by block and read again, bit for bit.

    Args:
        folder: Where it is kept, in a file that is gone with the spool; None for memory.

    Raises:
        OSError: There is no room.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._file = tempfile.TemporaryFile(dir=folder) if folder else io.BytesIO()  # noqa: SIM115
        self._channels = 0

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def fill(self, blocks: Iterable[Tensor]) -> None:
        """Put blocks ``(channel, time)`` aside, in place of what was there."""
        self._file.seek(0)
        self._file.truncate()
        for block in blocks:
            self.add(block)

    def add(self, block: Tensor) -> None:
        """Put a block ``(channel, time)`` behind what is there."""
        self._channels = len(block)
        self._file.write(block.cpu().to(torch.float32).mT.contiguous().numpy().tobytes())

    def blocks(self) -> Iterator[Tensor]:
        """What was put aside, from the start, in blocks of at most `BLOCK` samples."""
        self._file.seek(0)
        while data := self._file.read(4 * self._channels * BLOCK):
            samples = np.frombuffer(data, np.float32).reshape(-1, self._channels)
            yield torch.from_numpy(np.array(samples.T, order="C"))


def _survey(name: str, sample_rate: int, blocks: Blocks) -> Recording:
    """Go through a recording once and say what there is to know about it."""
    profile, loudness, side = Profile(sample_rate), LoudnessMeter(sample_rate), SideMeter()
    frames, channels, peak = 0, 0, 0.0
    for block in blocks():
        if not block.numel():
            continue
        channels, frames = len(block), frames + block.shape[1]
        highest = float(block.abs().max())
        peak = math.inf if math.isnan(highest) else max(peak, highest)
        profile.add(torch.stack([block.mean(0), block[0]])[: min(2, channels)])
        loudness.add(block)
        side.add(block)
    check_heard(frames, peak, sample_rate, name)
    places = profile.places()
    return Recording(
        name=name,
        sample_rate=sample_rate,
        channels=channels,
        frames=frames,
        lufs=loudness.lufs(),
        side_db=side.side_db(),
        mixed=places[0],
        first=places[-1],
        blocks=blocks,
    )
