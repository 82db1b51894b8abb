"""Training material as audio: crops of recordings, treated by random chains."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import torch

from ..dsp.features import (
    RUN_IN,
    SAMPLE_RATE,
)
from ..measure import LINEAR, Measured, peel
from ..types import AudioError
from .crops import draw_crop, draw_varied
from .makes import OTHER_MAKES, process_otherwise
from .treatments import random_treatments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from ..effects import Chain
    from .corpus import Recording

__all__ = [
    "Pairs",
    "equalize",
    "group_numbers",
    "make_pairs",
    "peel_known",
    "treat",
    "treat_variously",
]

_BATCH = 12
_MOST_MISSES = 50  # draws for each crop or pair that is wanted
_FOUND = 0.93  # share of delays and of reverbs that are measured, about
_OTHERWISE = 0.35  # share of treated clips in pools by effects of another make

Protocol: TypeAlias = Literal["P1", "P2"]


@dataclass(frozen=True)
class Pairs:
    """Items with known truth.

    Attributes:
        audio: ``(batch, 1, run-in + 131072)``, the dry input.
        reference: ``(batch, 1, 131072)``, other material after the treatment.
        truth: ``(batch, 1, 131072)``, the input after the treatment.
        controls: ``(batch, control)``.
        switches: ``(batch, effect)`` boolean.
        kinds: Kind of recording of each item.
        groups: Speakers or instruments of input and reference of each item.
        foreign: Whether effects of another make were taken, ``(batch,)``.
    """

    audio: Tensor
    reference: Tensor
    truth: Tensor
    controls: Tensor
    switches: Tensor
    kinds: tuple[str, ...]
    groups: tuple[tuple[str, str], ...]
    foreign: Tensor


def group_numbers(groups: Sequence[str]) -> Tensor:
    """Names of groups as numbers, for storage."""
    return torch.tensor([zlib.crc32(name.encode()) for name in groups])


def treat(audio: Tensor, chain: Chain, controls: Tensor, switches: Tensor) -> Tensor:
    """Render ``(batch, 1, run-in + time)`` and drop the run-in, in small batches."""
    done = []
    for part in range(0, len(audio), _BATCH):
        rows = slice(part, part + _BATCH)
        settings = chain.to_settings(controls[rows])
        on = dict(zip(chain.names, switches[rows].unbind(1), strict=True))
        done.append(chain.process(audio[rows], settings, on, SAMPLE_RATE)[..., RUN_IN:])
    return torch.cat(done)


def treat_variously(
    audio: Tensor, chain: Chain, controls: Tensor, switches: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """`treat`, some of it by effects of another make, see `process_otherwise`.

    Returns:
        ``(batch, 1, time)`` and ``(batch,)``, whether they were of another make.
    """
    foreign = torch.rand(len(audio), generator=generator) < _OTHERWISE
    wet = torch.empty_like(audio[..., RUN_IN:])
    if not foreign.all():
        wet[~foreign] = treat(audio[~foreign], chain, controls[~foreign], switches[~foreign])
    if foreign.any():
        rest = audio[foreign], controls[foreign], switches[foreign]
        done = process_otherwise(*rest, chain, SAMPLE_RATE, generator)
        wet[foreign] = done[..., RUN_IN:]
    return wet, foreign


def peel_known(
    wet: Tensor,
    chain: Chain,
    controls: Tensor,
    switches: Tensor,
    generator: torch.Generator,
    share: float = 1.0,
    foreign: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Take most delays and reverbs off, as where they were measured.

    Args:
        wet: ``(clip, 1, 131072)``.
        chain: Of the treatments.
        controls: ``(clip, control)``.
        switches: ``(clip, effect)``.
        generator: Draws which are known.
        share: Of the clips off which anything is taken.
        foreign: ``(clip,)`` boolean, where effects are of another make, see `treat_variously`:
            these are not known.

    Returns:
        The clips, and switches without what was taken off.
    """
    bare, left = wet.clone(), switches.clone()
    columns = {name: chain.names.index(name) for name in LINEAR if name in chain.names}
    for index in range(len(wet)):
        if float(torch.rand((), generator=generator)) >= share:
            continue
        measured = {}
        for name, column in columns.items():
            known = foreign is None or not foreign[index] or name not in OTHER_MAKES
            chance = torch.rand((), generator=generator) < _FOUND
            found = bool(known and left[index, column] and chance)
            measured[name] = Measured(controls[index][chain.knobs_of(name)], found)
            if found:
                left[index, column] = False
        bare[index] = peel(chain, wet[index], measured)
    return bare, left


def equalize(audio: Tensor, chain: Chain, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Clips ``(clip, 1, run-in + time)`` through random equalisers.

    Returns:
        ``(clip, 1, time)`` without the run-in, and the equalisers' knobs ``(clip, knob)``.
    """
    controls, _ = random_treatments(chain, len(audio), generator)
    settings = chain.to_settings(controls)["eq"]
    done = chain["eq"].process(audio, settings, SAMPLE_RATE)[..., RUN_IN:]
    return done, controls[:, chain.knobs_of("eq")]


def make_pairs(
    recordings: Sequence[Recording],
    chain: Chain,
    seed: int,
    count: int,
    protocol: Protocol,
    varied: bool = False,
) -> Pairs:
    """Items of P1 (reference from the same recording) or P2 (from another group of the same kind).

    Deterministic in `seed`. In P2 a kind with a single group gives a reference from another
    recording of that group. `varied` plays sources at other speeds, gives them other microphones
    and takes effects of another make for some, as in training pools.
    """
    rng = np.random.default_rng([seed, 2])
    generator = torch.Generator().manual_seed(seed)
    weights = np.array([recording.seconds for recording in recordings])
    inputs: list[Tensor] = []
    sources: list[Tensor] = []
    kinds: list[str] = []
    groups: list[tuple[str, str]] = []
    misses = 0

    def draw(recording: Recording) -> Tensor | None:
        if varied:
            return draw_varied(recording, chain, rng, generator)
        return draw_crop(recording, rng)

    while len(inputs) < count:
        recording = recordings[int(rng.choice(len(recordings), p=weights / weights.sum()))]
        halves = draw(recording)
        misses += 1
        if misses > _MOST_MISSES * count:
            raise AudioError(
                "The recordings are too silent, too short or too few to draw pairs from."
            )
        if halves is None:
            continue
        source, group = halves[1], recording.group
        if protocol == "P2":
            others = [
                r for r in recordings if r.kind == recording.kind and r.path != recording.path
            ]
            others = [r for r in others if r.group != recording.group] or others
            if not others:
                continue
            other = others[int(rng.integers(len(others)))]
            clips = draw(other)
            if clips is None:
                continue
            source, group = clips[int(rng.integers(2))], other.group
        inputs.append(halves[0])
        sources.append(source)
        kinds.append(recording.kind)
        groups.append((recording.group, group))
    audio = torch.stack(inputs)
    controls, switches = random_treatments(chain, count, generator)

    def through(clips: Tensor) -> tuple[Tensor, Tensor]:
        if not varied:
            return treat(clips, chain, controls, switches), torch.zeros(count, dtype=torch.bool)
        same = torch.Generator().manual_seed(seed + 1)  # one draw of makes for both
        return treat_variously(clips, chain, controls, switches, same)

    truth, foreign = through(audio)
    return Pairs(
        audio=audio,
        reference=through(torch.stack(sources))[0],
        truth=truth,
        controls=controls,
        switches=switches,
        kinds=tuple(kinds),
        groups=tuple(groups),
        foreign=foreign,
    )
