"""Pairs whose inputs went through an equaliser of their own, as recordings do.

A recording that somebody wants to match has its own colour, and the equaliser that is asked for is
the difference of two. The estimate learns from few such pairs; the equaliser fitted to moments that
sound alike knows no other, and from these pairs the judge learns to believe it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..data.pairs import equalize, peel_known
from ..data.shards import load_shard
from ..dsp.likeness import filters_of, likeness
from ..loudness import levelled
from .refiner import Comparisons, weighed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from ..models.style_vae import AFXStyleVAE

__all__ = ["equalize_inputs"]


@torch.no_grad()
def equalize_inputs(
    model: AFXStyleVAE, shards: Sequence[Path], seed: int = 0
) -> tuple[Tensor, ...]:
    """What `weighed` gives, for pairs with audio whose inputs are equalised at random.

    Args:
        model: Estimates and weighs.
        shards: Of ``"pairs"``, of recordings that the model does not know.
        seed: Of equalisers and of what is taken off the references.
    """
    parts = [_one(model, load_shard(path), seed + place) for place, path in enumerate(shards)]
    return tuple(torch.cat(column) for column in zip(*parts, strict=True))


def _one(model: AFXStyleVAE, shard: dict[str, Tensor], seed: int) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    chain, controls, switches = model.chain, shard["controls"], shard["switches"]
    bent, before = equalize(shard["audio"].float(), chain, generator)
    reference, foreign = shard["reference"].float(), shard["foreign"]
    bare, left = peel_known(reference, chain, controls, switches, generator, foreign=foreign)
    heard, theirs = (model.listen(levelled(clips)[:, 0]) for clips in (bent, bare))
    embedded = model.embed_features(heard)
    posterior = model.encode(embedded, model.embed_features(theirs))
    alike = likeness(heard.log_mel, theirs.log_mel)
    aligned = model.aligner(heard.log_mel, theirs.log_mel, filters_of(alike))
    pairs = Comparisons(
        likeness=alike,
        verified=torch.sigmoid(aligned.source),
        one_source=shard["groups"][:, 0] == shard["groups"][:, 1],
        code=model.vae.code(posterior.mean, embedded),
        controls=controls,
        switches=left,
        before=before,
        aligned=torch.stack([aligned.curve_db, aligned.error_db], 1),
    )
    return weighed(model, pairs)
