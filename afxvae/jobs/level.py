"""Several renderings at one loudness, to be compared."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from .. import audio

__all__ = ["Rendering", "write_at_one_loudness"]


@dataclass(frozen=True)
class Rendering:
    """A sound whose level is known.

    Attributes:
        blocks: Begins anew; gives blocks ``(channel, time)``.
        lufs: Integrated loudness.
        peak: Met all of it.
    """

    blocks: Callable[[], Iterator[Tensor]]
    lufs: float
    peak: audio.PeakMeter


def write_at_one_loudness(
    renderings: Sequence[Rendering], paths: Sequence[Path], form: audio.AudioInfo, overwrite: bool
) -> tuple[float, list[float]]:
    """Write every rendering at the loudness of the lowest, or lower where a true peak asks for it.

    So none is made louder, and none clips.

    Args:
        renderings: What to write.
        paths: Where each goes.
        form: The form of all files, as near as their kinds come to it.
        overwrite: Replace files that exist.

    Returns:
        The loudness in LUFS, and the gain of each in dB.

    Raises:
        AfxError: a file cannot be written.
    """
    lufs = min(one.lufs + 20.0 * math.log10(one.peak.limit_gain()) for one in renderings)
    gains_db = [lufs - one.lufs for one in renderings]
    for one, path, gain_db in zip(renderings, paths, gains_db, strict=True):
        with audio.writing(path, form.sample_rate, form.channels, form, overwrite=overwrite) as put:
            for block in one.blocks():
                put(10.0 ** (gain_db / 20.0) * block)
    return lufs, gains_db
