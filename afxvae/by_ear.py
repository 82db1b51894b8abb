"""Knobs set by ear: variations of what was chosen are rendered, and the nearest one is taken.

How a compressor moves levels and how a drive bends a waveform is estimated from input and reference
as they are. A choice can be rendered, and then compared: where both recordings are of one source,
the right settings give the input the waveform statistics and the style of the reference. So knobs
are tried around their estimate, and again around the best of these; and a compressor that was not
quite probable enough is switched on where it brings the input clearly nearer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from .candidates import render_candidates
from .data.treatments import random_treatments
from .dsp.waveform import waveform_statistics
from .loudness import levelled
from .measure import LINEAR
from .models.estimate import ESTIMATED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from .candidates import Candidate
    from .measure import Measured
    from .models.style_vae import AFXStyleVAE

__all__ = ["BY_EAR", "set_by_ear"]

BY_EAR = "set by ear"
"""At the end of the name of a candidate some of whose knobs were set."""
_EFFECTS = ("overdrive", "compressor")
_ROUNDS = ((1, 24, 0.5), (3, 12, 0.22))
"""Around how many of the best so far, how many variations, and which part of the way they go to
knobs drawn at random."""
_MISSED = {"compressor": (0.35, 0.1)}
"""Least probability of an effect that is off, and least gain in `_Ear.distances` from switching it
on."""
_STATISTICS = 2.0  # what their distance weighs beside that of styles


@dataclass(frozen=True)
class _Ear:
    """What a rendered input is compared with.

    Attributes:
        model: Hears.
        clips: Of the input ``(clip, 1, run-in + 131072)``.
        statistics: Of the reference's waveform, standardised ``(1, N_WAVEFORM)``.
        style: Its style embedding ``(1, embedding)``.
        undone: Effects that were taken off the reference ``(effect,)`` boolean.
    """

    model: AFXStyleVAE
    clips: Tensor
    statistics: Tensor
    style: Tensor
    undone: Tensor

    def distances(self, candidates: list[Candidate]) -> Tensor:
        """How far each is from the reference, as a logarithm ``(candidate,)``."""
        done = [replace(one, switches=one.switches & ~self.undone) for one in candidates]
        made = [render_candidates(self.model, clip[None], done) for clip in self.clips]
        heard = [_heard(self.model, one) for one in made]
        statistics, styles = (torch.stack(part).mean(0) for part in zip(*heard, strict=True))
        far = (statistics - self.statistics).abs().mean(1)
        distances: Tensor = _STATISTICS * far.log() + (styles - self.style).norm(dim=1).log()
        return distances


@torch.no_grad()
def set_by_ear(
    model: AFXStyleVAE,
    clips: Tensor,
    wanted: Tensor,
    candidate: Candidate,
    measured: Mapping[str, Measured],
    allowed: Tensor | None = None,
    seed: int = 0,
) -> Candidate:
    """The candidate, with a compressor and an overdrive set as the reference asks for.

    Args:
        model: Renders and hears.
        clips: Of the input ``(clip, 1, run-in + 131072)`` at 24 kHz and the analysis loudness.
        wanted: Of the reference ``(clip, 131072)``, without what was measured and can be undone; of
            the same voice or instrument.
        candidate: What was chosen, not "nothing".
        measured: What `measure_settings` found.
        allowed: Effects that may be on, ``(effect,)`` boolean; all if omitted.
        seed: Of the variations.
    """
    statistics, style = (part.mean(0, keepdim=True) for part in _heard(model, wanted))
    undone = torch.tensor(
        [name in LINEAR and name in measured and measured[name].found for name in model.chain.names]
    )
    ear = _Ear(model, clips, statistics, style, undone)
    found, generator = candidate, torch.Generator().manual_seed(seed)
    for effect in _EFFECTS:
        place = model.chain.names.index(effect)
        if bool(found.switches[place]):
            found, _ = _nearest(ear, found, effect, generator)
        elif effect in _MISSED and (allowed is None or bool(allowed[place])):
            found = _with_missed(ear, found, effect, generator)
    if found is candidate:
        return found
    return replace(found, name=f"{candidate.name}, {BY_EAR}")


def _heard(model: AFXStyleVAE, clips: Tensor) -> tuple[Tensor, Tensor]:
    """Standardised waveform statistics and style embeddings of clips ``(clip, 131072)``."""
    clips = levelled(clips.unsqueeze(1)).squeeze(1)
    return model.waveform.scaled(waveform_statistics(clips)), model.embed_clips(clips)


def _nearest(
    ear: _Ear, candidate: Candidate, effect: str, generator: torch.Generator
) -> tuple[Candidate, float]:
    """The nearest of variations of an effect's knobs, and how far it is."""
    tried, distances = [candidate], ear.distances([candidate])
    for parents, count, reach in _ROUNDS:
        best = [tried[place] for place in distances.argsort()[:parents].tolist()]
        from_ = [best[index % len(best)] for index in range(count)]
        more = _varied(ear.model, from_, effect, reach, generator)
        tried += more
        distances = torch.cat([distances, ear.distances(more)])
    place = int(distances.argmin())
    found = tried[place]
    if place:
        found = replace(found, by_ear=found.by_ear | {effect})
    return found, float(distances[place])


def _with_missed(
    ear: _Ear, candidate: Candidate, effect: str, generator: torch.Generator
) -> Candidate:
    """With an effect that was off, if it brings the input clearly nearer."""
    least, gain = _MISSED[effect]
    if float(candidate.evidence[ESTIMATED.index(effect)]) < least:
        return candidate
    switches = candidate.switches.clone()
    switches[ear.model.chain.names.index(effect)] = True
    found, distance = _nearest(ear, replace(candidate, switches=switches), effect, generator)
    return found if float(ear.distances([candidate])) - distance > gain else candidate


def _varied(
    model: AFXStyleVAE,
    candidates: list[Candidate],
    effect: str,
    reach: float,
    generator: torch.Generator,
) -> list[Candidate]:
    """Each with its knobs of an effect part of the way to a random setting."""
    drawn, _ = random_treatments(model.chain, len(candidates), generator)
    own = model.chain.knobs_of(effect)
    varied = []
    for candidate, other in zip(candidates, drawn, strict=True):
        controls = candidate.controls.clone()
        controls[own] = torch.lerp(controls[own], other[own], reach)
        varied.append(replace(candidate, controls=controls))
    return varied
