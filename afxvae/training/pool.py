"""Feature pools in memory, and the pairs drawn from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..data.pairs import pair_up, restore_log_mel
from ..data.shards import load_shard
from ..dsp.features import Features

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import Tensor

__all__ = ["PairBatch", "Pool"]


class Pool:
    """Shards of `render_pool` in a folder; shards that appear later are picked up by `refresh`."""

    def __init__(self, folder: Path, split: str, limit: int | None = None) -> None:
        self._pattern = (folder, f"pool-{split}-*.safetensors")
        self._limit = limit
        self._paths: list[Path] = []
        self.shards: list[dict[str, Tensor]] = []
        self.refresh()

    def refresh(self) -> None:
        """Load shards that have been rendered since."""
        folder, pattern = self._pattern
        for path in sorted(folder.glob(pattern))[: self._limit]:
            if path not in self._paths:
                self._paths.append(path)
                self.shards.append(load_shard(path))

    def __len__(self) -> int:
        return len(self.shards)

    def batches(self, crops: int, generator: torch.Generator) -> Iterator[dict[str, Tensor]]:
        """One pass over all crops, in batches of `crops` taken from two shards at a time.

        Crops are sorted by kind within their two shards so that batches hold partners for P2.
        """
        order = torch.randperm(len(self.shards), generator=generator).tolist()
        for first in range(0, len(order), 2):
            chosen = [self.shards[index] for index in order[first : first + 2]]
            kinds = torch.cat([shard["kind"] for shard in chosen])
            shuffled = torch.randperm(len(kinds), generator=generator)
            rows = shuffled[kinds[shuffled].argsort(stable=True)]
            parts = rows.split(crops)
            for part in torch.randperm(len(parts), generator=generator).tolist():
                yield {
                    name: torch.cat([shard[name] for shard in chosen])[parts[part]]
                    if len(chosen) > 1
                    else chosen[0][name][parts[part]]
                    for name in chosen[0]
                }


class PairBatch:
    """Clips of a batch of crops and the pairs among them.

    Attributes:
        features: Dry clips first (``2 * crops``), then wet (``2 * crops * treatments``).
        audio: ``(pair,)`` index of the input's clip in `features`.
        reference: ``(pair,)`` index of the reference's clip.
        controls: ``(pair, control)``.
        switches: ``(pair, effect)``.
    """

    def __init__(self, batch: dict[str, Tensor], generator: torch.Generator) -> None:
        dry, wet = batch["dry_mel"].flatten(0, 1), batch["wet_mel"].flatten(0, 2)
        log_mel = restore_log_mel(torch.cat([dry, wet]))
        statistics = [batch["dry_statistics"].flatten(0, 1), batch["wet_statistics"].flatten(0, 2)]
        self.features = Features(log_mel, torch.cat(statistics).float())
        treatments = batch["wet_mel"].shape[2]
        self.audio, self.reference = pair_up(batch["kind"], treatments, generator)
        self.controls = batch["controls"].flatten(0, 2).repeat(2, 1)
        self.switches = batch["switches"].flatten(0, 2).repeat(2, 1)
