"""Pairs of a pool that were compared where they sound alike, for the refiner."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..dsp.likeness import likeness
from ..measure import LINEAR
from .pools import pair_up, pool_clips, restore_log_mel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from ..effects import Chain

__all__ = ["compare_pool"]

_AT_ONCE = 32
_MISSED = 0.1  # share of the references with a delay or reverb left on them that are kept, about as
# many as of those that are measured are not found


@torch.no_grad()
def compare_pool(
    pool: Mapping[str, Tensor], chain: Chain, seed: int, count: int
) -> dict[str, Tensor]:
    """Draw pairs of a shard of `render_pool`, P1 and P2, and find where they sound alike.

    Args:
        pool: The shard.
        chain: Of its treatments.
        seed: Of the pairs.
        count: Number of pairs; fewer if the shard has no more.

    Returns:
        ``audio (pair,)`` and ``reference (pair,)``, indices of clips as in `pair_up`, and
        ``likeness (pair, N_LIKENESS)``.
    """
    generator = torch.Generator().manual_seed(seed)
    treatments = pool["wet_mel"].shape[2]
    audio, reference = pair_up(pool["kind"], treatments, generator, pool["twin"])
    left = pool["switches"].flatten(0, 2)[:, [chain.names.index(name) for name in LINEAR]]
    chance = torch.rand(len(reference), generator=generator)
    kept = ~left.any(1).repeat(2) | (chance < _MISSED)
    drawn = torch.randperm(len(reference), generator=generator)
    drawn = drawn[kept[drawn]][:count]
    clips = pool_clips(pool, "mel")
    alike = [
        likeness(restore_log_mel(clips[audio[rows]]), restore_log_mel(clips[reference[rows]]))
        for rows in drawn.split(_AT_ONCE)
    ]
    return {
        "audio": audio[drawn],
        "reference": reference[drawn],
        "likeness": torch.cat(alike).half(),
    }
