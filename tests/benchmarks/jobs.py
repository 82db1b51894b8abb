"""What benchmarks of items share: their arguments, and portions for worker processes."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from afxvae import AFXStyleVAE
from afxvae.data.corpus import Recording
from afxvae.data.pairs import make_pairs
from afxvae.evaluation.items import PROTOCOLS
from afxvae.evaluation.protocols import usable_recordings
from afxvae.evaluation.rows import Item

_CHUNK = 5


@dataclass(frozen=True)
class Job:
    """Items `first` to `first + count` of a cell."""

    cell: str
    first: int
    count: int
    seed: int
    recordings: tuple[Recording, ...]


def parser_of(about: str | None, items: int, split: str) -> argparse.ArgumentParser:
    """Takes a manifest, how many of its recordings' items, and in how many processes.

    Args:
        about: Docstring of the benchmark, whose first line is shown.
        items: Number of them by default.
        split: Of the recordings by default.
    """
    parser = argparse.ArgumentParser(description=(about or "").split("\n", 1)[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--items", type=int, default=items)
    parser.add_argument("--split", default=split)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    return parser


def jobs_of(
    cells: list[str], items: int, seed: int, recordings: tuple[Recording, ...]
) -> list[Job]:
    return [
        Job(cell, first, min(_CHUNK, items - first), seed, recordings)
        for cell in cells
        for first in range(0, items, _CHUNK)
    ]


def items_of(job: Job, model: AFXStyleVAE) -> list[Item]:
    """Items of a protocol, which is the cell of the job."""
    seed = (job.seed * 10_000 + job.first) * len(PROTOCOLS) + PROTOCOLS.index(job.cell)
    usable = usable_recordings(job.recordings, job.cell)
    pairs = make_pairs(usable, model.chain, seed, job.count, job.cell)
    columns = pairs.audio.split(1), pairs.reference, pairs.truth, pairs.controls, pairs.switches
    return [Item(*parts) for parts in zip(*columns, strict=True)]


def usable(wet: np.ndarray) -> bool:
    """Whether all clips ``(clip, time)`` sound, and none is of stray memory of a plug-in."""
    peaks = np.abs(wet).max(1)
    return bool(np.isfinite(wet).all() and (peaks > 1e-3).all() and (peaks < 1e3).all())
