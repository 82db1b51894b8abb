"""Two files for honest listening: before and after, at one loudness."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from .. import audio
from ..loudness import LoudnessMeter
from ..recordings import Recording, Spool
from .level import Rendering, write_at_one_loudness
from .parts import Counter

__all__ = ["Comparison", "ab_paths"]


def ab_paths(output: Path) -> tuple[Path, ...]:
    """Where they go: `NAME.a.wav` and `NAME.b.wav` beside `NAME.matched` or `NAME`."""
    name = output.stem.removesuffix(".matched")
    return output.with_name(f"{name}.a.wav"), output.with_name(f"{name}.b.wav")


class Comparison:
    """Takes a result block by block, and writes it and its input at the same loudness.

    See `write_at_one_loudness`.

    Args:
        source: The input.
        form: The form of both files: that of the input, as near as WAV comes to it.
        spool: Keeps the result until its loudness is known.
    """

    def __init__(self, source: Recording, form: audio.AudioInfo, spool: Spool) -> None:
        self._source, self._form, self._spool = source, form, spool
        self._loudness, self._peak = LoudnessMeter(source.sample_rate), audio.PeakMeter()

    def add(self, block: Tensor) -> None:
        """Take the next block of the result, `(channel, time)`."""
        block = block.cpu()
        self._spool.add(block)
        self._loudness.add(block)
        self._peak.add(block)

    def write(self, paths: tuple[Path, ...], counter: Counter, overwrite: bool = False) -> str:
        """Write input and result; return what to say about it.

        Args:
            paths: Of the input and of the result.
            counter: Counts what is read and written.
            overwrite: Replace files that exist.

        Raises:
            AfxError: a file cannot be written.
        """
        peak = audio.PeakMeter()
        for block in self._source.blocks():
            peak.add(block)
        before = Rendering(self._source.blocks, self._source.lufs, peak)
        after = Rendering(
            lambda: counter.watch(self._spool.blocks()), self._loudness.lufs(), self._peak
        )
        lufs, _ = write_at_one_loudness((before, after), paths, self._form, overwrite)
        return f"To compare at {lufs:.1f} LUFS: {paths[0]} (before) and {paths[1]} (after)."
