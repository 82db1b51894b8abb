"""Pairs for the refiner: features of inputs, and of references freed of what can be measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..dsp.features import RUN_IN
from ..dsp.likeness import likeness
from .pairs import clip_features, group_numbers, make_pairs, peel_known, restore_log_mel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from ..effects import Chain
    from .corpus import Recording
    from .pairs import Protocol

__all__ = ["render_comparisons"]


def render_comparisons(
    recordings: Sequence[Recording], chain: Chain, seed: int, count: int, protocol: Protocol
) -> dict[str, Tensor]:
    """One shard of `make_pairs` as features; most delays and reverbs are peeled off the reference.

    Returns:
        ``audio_mel (pair, frame, mel)``, ``audio_statistics``, ``reference_mel``,
        ``reference_statistics``, ``likeness``, ``controls``, ``switches`` of what is left, and
        ``groups (pair, 2)``, see `group_numbers`.
    """
    pairs = make_pairs(recordings, chain, seed, count, protocol, varied=True)
    generator = torch.Generator().manual_seed(seed)
    bare, switches = peel_known(pairs.reference, chain, pairs.controls, pairs.switches, generator)
    audio_mel, audio_statistics = clip_features(pairs.audio[..., RUN_IN:])
    reference_mel, reference_statistics = clip_features(bare)
    frames = (restore_log_mel(mel) for mel in (audio_mel, reference_mel))
    return {
        "audio_mel": audio_mel,
        "audio_statistics": audio_statistics,
        "reference_mel": reference_mel,
        "reference_statistics": reference_statistics,
        "likeness": likeness(*frames).half(),
        "controls": pairs.controls,
        "switches": switches,
        "groups": group_numbers(pairs.groups),
    }
