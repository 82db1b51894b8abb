"""Feature pools in memory, and the pairs drawn from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..data.pools import pair_truth, pair_up, pool_clips, restore_log_mel
from ..data.shards import load_shard
from ..dsp.features import Features
from ..types import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import Tensor

    from ..effects import Chain

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
        """Load shards that have been rendered since.

        Raises:
            UsageError: One is of an older version, and lacks what pairs are made of now.
        """
        folder, pattern = self._pattern
        for path in sorted(folder.glob(pattern))[: self._limit]:
            if path not in self._paths:
                shard = load_shard(path)
                if not {"twin", "wet_waveform"} <= shard.keys():
                    raise UsageError(
                        f"{path} was rendered by an older version: remove it and those beside it, "
                        "and they are rendered again."
                    )
                self._paths.append(path)
                self.shards.append(shard)

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

    def endless(self, crops: int, generator: torch.Generator) -> Iterator[dict[str, Tensor]]:
        """`batches`, one pass after another."""
        while True:
            yield from self.batches(crops, generator)


class PairBatch:
    """Clips of a batch of crops and the pairs among them.

    Attributes:
        features: Of clips in the order of `pool_clips`.
        audio: ``(pair,)`` index of the input's clip in `features`.
        reference: ``(pair,)`` index of the reference's clip.
        controls: ``(pair, control)``.
        switches: ``(pair, effect)``.
        before: Of the equaliser that the input went through ``(pair, knob)``.
    """

    def __init__(self, batch: dict[str, Tensor], chain: Chain, generator: torch.Generator) -> None:
        log_mel, statistics = pool_clips(batch, "mel"), pool_clips(batch, "statistics")
        self.features = Features(restore_log_mel(log_mel), statistics.float())
        treatments = batch["wet_mel"].shape[2]
        self.audio, self.reference = pair_up(batch["kind"], treatments, generator, batch["twin"])
        truth = pair_truth(batch, self.audio, self.reference, chain)
        self.controls, self.switches, self.before = truth
