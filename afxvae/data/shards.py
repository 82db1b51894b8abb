"""Shards: rendered material on disk, made by worker processes, resumed where it stopped."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file, save_file

from ..effects import default_chain
from ..processes import spread
from .changes import render_changes
from .comparisons import compare_pool
from .corpus import load_manifest
from .pairs import Protocol, group_numbers, make_pairs
from .pools import render_pool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torch import Tensor

__all__ = ["ShardPlan", "load_shard", "render_shards"]

_SHARDS_PER_WORKER = 20


@dataclass(frozen=True)
class ShardPlan:
    """What to render.

    Attributes:
        manifest: The corpus.
        split: ``"train"``, ``"valid"`` or ``"test"``.
        folder: Where shards go.
        what: ``"pool"`` (features of crops, see `render_pool`), ``"pairs"`` (audio, see
            `make_pairs`, P1 and P2 in turns), ``"comparisons"`` (of pairs of the pool of the
            same folder, split and number, see `compare_pool`) or ``"changes"`` (of attributes by
            treatments, see `render_changes`).
        count: Number of shards.
        size: Crops, pairs or treatments in a shard.
        treatments: Treatments of each half of a crop; pools only.
        seed: Shard i is drawn from ``seed + i``.
    """

    manifest: Path
    split: str
    folder: Path
    what: str
    count: int
    size: int
    treatments: int
    seed: int

    def path(self, index: int, what: str | None = None) -> Path:
        """File of shard `index`, of another kind if need be."""
        return self.folder / f"{what or self.what}-{self.split}-{index:05d}.safetensors"


def _render(plan: ShardPlan, index: int) -> Path:
    torch.set_num_threads(1)
    seed = plan.seed + index
    if plan.what == "comparisons":
        pool = load_file(plan.path(index, "pool"))
        tensors = compare_pool(pool, default_chain(), seed, plan.size)
    else:
        tensors = _render_recordings(plan, index, seed)
    path = plan.path(index)
    unfinished = path.with_suffix(f".{os.getpid()}.part")
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, unfinished)
    unfinished.replace(path)
    return path


def _render_recordings(plan: ShardPlan, index: int, seed: int) -> dict[str, Tensor]:
    """What is made of the recordings of a split, songs too: what those had is no treatment."""
    recordings = [r for r in load_manifest(plan.manifest) if r.split == plan.split]
    if plan.what == "pool":
        return render_pool(recordings, default_chain(), seed, plan.size, plan.treatments)
    if plan.what == "changes":
        return render_changes(recordings, default_chain(), seed, plan.size)
    protocol: Protocol = "P1" if index % 2 == 0 else "P2"
    pairs = make_pairs(recordings, default_chain(), seed, plan.size, protocol, varied=True)
    tensors = {name: getattr(pairs, name) for name in ("controls", "switches", "foreign")}
    tensors["groups"] = torch.stack([group_numbers(pair) for pair in pairs.groups])
    for name in ("audio", "reference", "truth"):
        tensors[name] = getattr(pairs, name).half()
    return tensors


def render_shards(
    plan: ShardPlan, workers: int, log: Callable[[str], None] | None = None
) -> list[Path]:
    """Render the missing shards of a plan in `workers` processes; returns all paths."""
    plan.folder.mkdir(parents=True, exist_ok=True)
    missing = [i for i in range(plan.count) if not plan.path(i).exists()]
    if not missing:
        return [plan.path(i) for i in range(plan.count)]
    render = functools.partial(_render, plan)
    for path in spread(render, missing, workers, tasks=_SHARDS_PER_WORKER):
        if log is not None:
            log(f"rendered {path.name}")
    return [plan.path(i) for i in range(plan.count)]


def load_shard(path: Path, names: Iterable[str] | None = None) -> dict[str, Tensor]:
    """Tensors of a shard, all or those named."""
    tensors = load_file(path)
    return tensors if names is None else {name: tensors[name] for name in names}
