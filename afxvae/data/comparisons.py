"""Pairs for the refiner: features of inputs, and of references freed of what can be measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..dsp.features import RUN_IN
from ..dsp.likeness import likeness
from ..measure import LINEAR, Measured, peel
from .pairs import clip_features, group_numbers, make_pairs, restore_log_mel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from ..effects import Chain
    from .corpus import Recording
    from .pairs import Protocol

__all__ = ["render_comparisons"]

_FOUND = 0.93  # share of delays and of reverbs that are measured, about


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
    columns = {name: chain.names.index(name) for name in LINEAR}
    switches, bare = pairs.switches.clone(), []
    for index, reference in enumerate(pairs.reference):
        measured = {}
        for name, column in columns.items():
            found = bool(switches[index, column] & (torch.rand((), generator=generator) < _FOUND))
            measured[name] = Measured(pairs.controls[index][chain.knobs_of(name)], found)
            if found:
                switches[index, column] = False
        bare.append(peel(chain, reference, measured))
    audio_mel, audio_statistics = clip_features(pairs.audio[..., RUN_IN:])
    reference_mel, reference_statistics = clip_features(torch.stack(bare))
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
