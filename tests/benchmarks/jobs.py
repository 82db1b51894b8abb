"""What benchmarks of items share: their arguments, and portions for worker processes."""

from __future__ import annotations

import argparse
import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from afxvae import AFXStyleVAE
from afxvae.data.corpus import Recording
from afxvae.data.pairs import make_pairs
from afxvae.evaluation.items import PROTOCOLS
from afxvae.evaluation.protocols import usable_recordings
from afxvae.evaluation.report import find_recordings
from afxvae.evaluation.rows import Item
from afxvae.processes import spread

OfItem = Callable[[AFXStyleVAE, Item], list[float]]
"""Figures of an item by a model."""
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


def _items_of(job: Job, model: AFXStyleVAE) -> list[Item]:
    """Items of a protocol, which is the cell of the job."""
    seed = (job.seed * 10_000 + job.first) * len(PROTOCOLS) + PROTOCOLS.index(job.cell)
    usable = usable_recordings(job.recordings, job.cell)
    pairs = make_pairs(usable, model.chain, seed, job.count, job.cell)
    columns = pairs.audio.split(1), pairs.reference, pairs.truth, pairs.controls, pairs.switches
    return [Item(*parts) for parts in zip(*columns, strict=True)]


@functools.cache
def bundled() -> AFXStyleVAE:
    """The bundled model, in a process that runs beside others."""
    torch.set_num_threads(1)
    return AFXStyleVAE.from_pretrained()


@torch.no_grad()
def _work(of_item: OfItem, job: Job) -> list[list[float]]:
    return [of_item(bundled(), item) for item in _items_of(job, bundled())]


def print_by_protocol(
    about: str | None, of_item: OfItem, table: Callable[[str, list[list[float]]], str]
) -> None:
    """Print a table of each protocol's items, with their figures by the bundled model."""
    given = parser_of(about, 80, "valid").parse_args()
    recordings = tuple(find_recordings(given.manifest, given.split))
    for protocol in PROTOCOLS:
        jobs = jobs_of([protocol], given.items, given.seed, recordings)
        chunks = spread(functools.partial(_work, of_item), jobs, given.workers)
        print(table(protocol, [item for chunk in chunks for item in chunk]), end="\n\n")


def usable(wet: np.ndarray) -> bool:
    """Whether all clips ``(clip, time)`` sound, and none is of stray memory of a plug-in."""
    peaks = np.abs(wet).max(1)
    return bool(np.isfinite(wet).all() and (peaks > 1e-3).all() and (peaks < 1e3).all())
