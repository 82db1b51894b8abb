"""Training material: crops of recordings, treated by random chains, as features or as audio."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import torch

from ..dsp.features import (
    ANALYSIS_LUFS,
    DB_PER_STEP,
    FLOOR_DB,
    RUN_IN,
    SAMPLE_RATE,
    extract_features,
)
from ..loudness import normalize_loudness
from ..measure import LINEAR, Measured, peel
from ..types import AudioError
from .crops import deliver, draw_crop, draw_varied
from .makes import OTHER_MAKES, process_otherwise
from .treatments import random_treatments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from ..effects import Chain
    from .corpus import Recording

__all__ = [
    "Pairs",
    "clip_features",
    "group_numbers",
    "make_pairs",
    "pair_up",
    "peel_known",
    "quantize_log_mel",
    "render_pool",
    "restore_log_mel",
    "treat",
    "treat_variously",
]

_BATCH = 12
_MOST_MISSES = 50  # draws for each crop or pair that is wanted
_FOUND = 0.93  # share of delays and of reverbs that are measured, about
_PEELED = 0.5  # share of treated clips in pools off which these are taken
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


def quantize_log_mel(log_mel: Tensor) -> Tensor:
    """DB to 8-bit steps of half a dB, for storage."""
    return ((log_mel - FLOOR_DB) / DB_PER_STEP).round().clamp(0, 255).to(torch.uint8)


def restore_log_mel(steps: Tensor) -> Tensor:
    """Inverse of `quantize_log_mel`."""
    return steps.float() * DB_PER_STEP + FLOOR_DB


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


def clip_features(clips: Tensor) -> tuple[Tensor, Tensor]:
    """Log-mels as they are stored, and statistics, of ``(clip, 1, 131072)`` at one loudness."""
    levelled, _ = normalize_loudness(clips, SAMPLE_RATE, ANALYSIS_LUFS)
    features = extract_features(levelled.squeeze(1))
    return quantize_log_mel(features.log_mel), features.statistics.half()


def render_pool(
    recordings: Sequence[Recording], chain: Chain, seed: int, crops: int, treatments: int
) -> dict[str, Tensor]:
    """One shard of features: crops, both halves dry, and `treatments` random ones on each half.

    Any dry clip and any treated clip make a training pair: the other half of the crop gives P1, a
    crop of the same kind P2. A third of the treated clips are of another make, see
    `treat_variously`; they arrive as `deliver` leaves them, and half of them are peeled, see
    `peel_known`.

    Returns:
        ``dry_mel (crop, 2, frame, mel)``, ``dry_statistics``, ``wet_mel (crop, 2, treatment, frame,
        mel)``, ``wet_statistics``, ``controls (crop, 2, treatment, control)``, ``switches``,
        ``kind (crop,)``, an index into the sorted kinds of the recordings, and ``group (crop,)``,
        see `group_numbers`.
    """
    rng = np.random.default_rng([seed, 1])
    generator = torch.Generator().manual_seed(seed)
    kinds = sorted({recording.kind for recording in recordings})
    weights = np.array([recording.seconds for recording in recordings])
    rows: dict[str, list[Tensor]] = {}
    for _ in range(_MOST_MISSES * crops):
        if len(rows.get("kind", [])) == crops:
            break
        recording = recordings[int(rng.choice(len(recordings), p=weights / weights.sum()))]
        halves = draw_varied(recording, chain, rng, generator)
        if halves is None:
            continue
        controls, switches = random_treatments(chain, 2 * treatments, generator)
        dry = halves.repeat_interleave(treatments, dim=0)
        wet, foreign = treat_variously(dry, chain, controls, switches, generator)
        wet = deliver(wet, generator)
        wet, switches = peel_known(wet, chain, controls, switches, generator, _PEELED, foreign)
        mel, statistics = clip_features(torch.cat([halves[..., RUN_IN:], wet]))
        shape = (2, treatments)
        row = {
            "dry_mel": mel[:2],
            "dry_statistics": statistics[:2],
            "wet_mel": mel[2:].unflatten(0, shape),
            "wet_statistics": statistics[2:].unflatten(0, shape),
            "controls": controls.unflatten(0, shape),
            "switches": switches.unflatten(0, shape),
            "kind": torch.tensor(kinds.index(recording.kind)),
            "group": group_numbers([recording.group])[0],
        }
        for name, value in row.items():
            rows.setdefault(name, []).append(value)
    if len(rows.get("kind", [])) < crops:
        raise AudioError("The recordings are too silent or too short to draw crops from.")
    return {name: torch.stack(values) for name, values in rows.items()}


def pair_up(kind: Tensor, treatments: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Indices of inputs and references: every wet clip once as P1, then once as P2.

    P1 takes the other half of the same crop as input; P2 a random half of another crop of the same
    kind, or of the same crop where there is none.
    """
    crops = len(kind)
    crop = torch.arange(crops).view(-1, 1, 1).expand(crops, 2, treatments).flatten()
    half = torch.arange(2).view(1, -1, 1).expand(crops, 2, treatments).flatten()
    wet = 2 * crops + torch.arange(len(crop))
    same = kind.unsqueeze(0) == kind.unsqueeze(1)
    same.fill_diagonal_(False)
    lonely = ~same.any(1)
    same[lonely, lonely.nonzero().squeeze(1)] = True
    other = torch.multinomial(same[crop].float(), 1, generator=generator).squeeze(1)
    either = torch.randint(2, crop.shape, generator=generator)
    either = torch.where(other == crop, 1 - half, either)
    audio = torch.cat([2 * crop + 1 - half, 2 * other + either])
    return audio, torch.cat([wet, wet])


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
