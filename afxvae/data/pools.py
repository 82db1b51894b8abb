"""Training material as features: pools of crops and their treatments, and pairs within them."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
from ..dsp.waveform import waveform_statistics
from ..loudness import normalize_loudness
from ..types import AudioError
from .crops import deliver, draw_crop, draw_varied
from .pairs import equalize, group_numbers, peel_known, treat_variously
from .treatments import random_treatments

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from ..effects import Chain
    from .corpus import Recording

__all__ = [
    "clip_features",
    "clip_groups",
    "equalized_before",
    "pair_truth",
    "pair_up",
    "pool_clips",
    "quantize_log_mel",
    "render_pool",
    "restore_log_mel",
]

_MOST_MISSES = 50  # draws for each crop that is wanted
_PEELED = 0.5  # share of treated clips off which delays and reverbs are taken
_EQUALIZED = 0.5  # share of the inputs of P1 that went through an equaliser of their own
_TWINS = 2 / 3  # share of the treatments that both halves get
_AS_RECORDED = 1 / 3  # share of crops that are not varied, and arrive as they are
_TREATED = 0.5  # share of the inputs of P1 that went through the same, where there are such


def quantize_log_mel(log_mel: Tensor) -> Tensor:
    """DB to 8-bit steps of half a dB, for storage."""
    return ((log_mel - FLOOR_DB) / DB_PER_STEP).round().clamp(0, 255).to(torch.uint8)


def restore_log_mel(steps: Tensor) -> Tensor:
    """Inverse of `quantize_log_mel`."""
    return steps.float() * DB_PER_STEP + FLOOR_DB


def clip_features(clips: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Log-mels as they are stored, statistics, and those of waveforms, at one loudness.

    The clips are ``(clip, 1, 131072)``.
    """
    levelled, _ = normalize_loudness(clips, SAMPLE_RATE, ANALYSIS_LUFS)
    features = extract_features(levelled.squeeze(1))
    shape = waveform_statistics(levelled.squeeze(1))
    return quantize_log_mel(features.log_mel), features.statistics.half(), shape.half()


def render_pool(
    recordings: Sequence[Recording], chain: Chain, seed: int, crops: int, treatments: int
) -> dict[str, Tensor]:
    """One shard of features: crops, both halves dry, and `treatments` random ones on each half.

    Any dry clip and any treated clip make a training pair: the other half of the crop gives P1, a
    crop of the same kind P2. A third of the treated clips are of another make, see
    `treat_variously`, and half of them are peeled, see `peel_known`. Two crops in three are varied,
    see `draw_varied`, and arrive as `deliver` leaves them; the others are as recorded. Recordings
    that somebody wants to match are not dry, so both halves are there once more through an
    equaliser of their own, and some treatments are those of both halves: there is nothing between
    such *twins*, however treated they sound.

    Returns:
        ``dry_mel (crop, 2, frame, mel)``, ``wet_mel (crop, 2, treatment, frame, mel)``,
        ``equalized_mel (crop, 2, frame, mel)``, the same of ``statistics`` and ``waveform``, see
        `waveform_statistics`, ``before (crop, 2, knob)``, the knobs of these equalisers,
        ``controls (crop, 2, treatment, control)``, ``switches``, ``twin (crop, treatment)``,
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
        varied = rng.random() >= _AS_RECORDED
        halves = (
            draw_varied(recording, chain, rng, generator) if varied else draw_crop(recording, rng)
        )
        if halves is None:
            continue
        controls, switches = random_treatments(chain, 2 * treatments, generator)
        shared = round(_TWINS * treatments)
        for drawn in (controls, switches):
            drawn[treatments : treatments + shared] = drawn[:shared]
        dry = halves.repeat_interleave(treatments, dim=0)
        wet, foreign = treat_variously(dry, chain, controls, switches, generator)
        if varied:
            wet = deliver(wet, generator)
        wet, switches = peel_known(wet, chain, controls, switches, generator, _PEELED, foreign)
        one, other = switches.split(treatments)
        twin = ~foreign.view(2, -1).any(0) & (one == other).all(1)
        twin[shared:] = False
        equalized, before = equalize(halves, chain, generator)
        heard = clip_features(torch.cat([halves[..., RUN_IN:], equalized, wet]))
        shape = (2, treatments)
        row = {
            "before": before,
            "controls": controls.unflatten(0, shape),
            "switches": switches.unflatten(0, shape),
            "twin": twin,
            "kind": torch.tensor(kinds.index(recording.kind)),
            "group": group_numbers([recording.group])[0],
        }
        for what, values in zip(("mel", "statistics", "waveform"), heard, strict=True):
            row[f"dry_{what}"], row[f"equalized_{what}"] = values[:2], values[2:4]
            row[f"wet_{what}"] = values[4:].unflatten(0, shape)
        for name, value in row.items():
            rows.setdefault(name, []).append(value)
    if len(rows.get("kind", [])) < crops:
        raise AudioError("The recordings are too silent or too short to draw crops from.")
    return {name: torch.stack(values) for name, values in rows.items()}


def pair_up(
    kind: Tensor, treatments: int, generator: torch.Generator, twin: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Indices of inputs and references: every wet clip once as P1, then once as P2.

    P1 takes the other half of the same crop as input; P2 a random half of another crop of the same
    kind, or of the same crop where there is none. Half of the inputs of P1 are equalised; between
    two voices an equaliser of the input's own can not be told from a voice. Of twins, half of the
    inputs are the other one, with nothing between, see `pair_truth`. Clips stand as in
    `pool_clips`: dry, treated, equalised.
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
    equalized = torch.rand(len(wet), generator=generator) < _EQUALIZED
    audio[: len(wet)] += equalized * (2 * crops + len(wet))
    if twin is not None:
        alike = twin.unsqueeze(1).expand(-1, 2, -1).flatten()
        chosen = alike & (torch.rand(len(wet), generator=generator) < _TREATED)
        others = wet.view(crops, 2, treatments).flip(1).flatten()
        audio[: len(wet)] = torch.where(chosen, others, audio[: len(wet)])
    return audio, torch.cat([wet, wet])


def pool_clips(pool: Mapping[str, Tensor], what: str) -> Tensor:
    """``"mel"``, ``"statistics"`` or ``"waveform"`` of all clips of a pool, ``(clip, ...)``.

    In the order that `pair_up` counts: dry, treated, equalised.
    """
    dry, wet, equalized = (pool[f"{side}_{what}"] for side in ("dry", "wet", "equalized"))
    return torch.cat([dry.flatten(0, 1), wet.flatten(0, 2), equalized.flatten(0, 1)])


def clip_groups(pool: Mapping[str, Tensor]) -> Tensor:
    """Number of the group of each clip, in the order that `pair_up` counts."""
    group = pool["group"]
    treatments = pool["wet_mel"].shape[2]
    return torch.cat([group.repeat_interleave(count) for count in (2, 2 * treatments, 2)])


def pair_truth(
    pool: Mapping[str, Tensor], audio: Tensor, reference: Tensor, chain: Chain
) -> tuple[Tensor, Tensor, Tensor]:
    """What is true of pairs of a pool, by the indices of `pair_up`.

    Returns:
        ``controls (pair, control)`` and ``switches (pair, effect)``, all off between twins, whose
        inputs are treated clips, and knobs ``(pair, knob)`` of the equalisers that inputs went
        through before, see `equalized_before`.
    """
    dry = 2 * len(pool["kind"])
    controls, switches = (pool[name].flatten(0, 2) for name in ("controls", "switches"))
    before = equalized_before(pool["before"], len(controls), chain)
    twins = (audio >= dry) & (audio < dry + len(controls))
    wet = reference - dry
    return controls[wet], switches[wet] & ~twins.unsqueeze(1), before[audio]


def equalized_before(before: Tensor, wet: int, chain: Chain) -> Tensor:
    """Knobs of the equalisers that clips went through before they are inputs.

    Args:
        before: Of the equalised clips ``(crop, 2, knob)``.
        wet: Number of treated clips.
        chain: Has the equaliser.

    Returns:
        ``(clip, knob)`` in the order that `pair_up` counts, the defaults for dry and treated clips.
    """
    own = before.flatten(0, 1)
    default = chain.default_controls()[chain.knobs_of("eq")]
    return torch.cat([default.expand(len(own) + wet, -1), own])
