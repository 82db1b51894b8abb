"""Items of a benchmark in portions for worker processes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from afxvae.data.corpus import Recording

_CHUNK = 5


@dataclass(frozen=True)
class Job:
    """Items `first` to `first + count` of a cell."""

    cell: str
    first: int
    count: int
    seed: int
    recordings: tuple[Recording, ...]


def jobs_of(
    cells: list[str], items: int, seed: int, recordings: tuple[Recording, ...]
) -> list[Job]:
    return [
        Job(cell, first, min(_CHUNK, items - first), seed, recordings)
        for cell in cells
        for first in range(0, items, _CHUNK)
    ]


def usable(wet: np.ndarray) -> bool:
    """Whether all clips ``(clip, time)`` sound, and none is of stray memory of a plug-in."""
    peaks = np.abs(wet).max(1)
    return bool(np.isfinite(wet).all() and (peaks > 1e-3).all() and (peaks < 1e3).all())
