"""Candidate treatments for one input and reference, and the critic's choice among them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch

from .dsp.features import CLIP_SAMPLES, RUN_IN, SAMPLE_RATE
from .models.vae import EVIDENCE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from .effects import Chain, Make
    from .measure import Ring
    from .models.style_vae import AFXStyleVAE

__all__ = [
    "Candidate",
    "choose",
    "distinct",
    "judge",
    "knob_vector",
    "nothing",
    "render_candidates",
    "weigh",
    "with_opinions",
]

_CLEARLY = 1.0  # doubts by which a candidate must beat the posterior mean


@dataclass(frozen=True)
class Candidate:
    """A treatment that might be the wanted one.

    Attributes:
        name: Where it comes from.
        controls: ``(control,)``.
        switches: ``(effect,)`` boolean.
        evidence: What is known of the pair, the same for all candidates, ``(EVIDENCE,)``: the
            model's probability of each estimated effect, and which effects were measured.
        advantage: What the critic expects it to gain, in MR-STFT; 0 for doing nothing.
        spread: The critic's scale of doubt about that.
        sure: Whether it is what was measured and nothing else.
        likely: Whether it is the posterior mean, some of whose effects are almost certainly on.
        certain: Whether it is that and what is almost certain without having been measured.
        ring: A ring modulator that comes after the chain, if one was measured.
        makes: What comes in the place of effects of the chain, as it was measured; the same for all
            candidates.
        by_ear: Effects whose knobs were set behind the estimate, see `afxvae.by_ear`.
    """

    name: str
    controls: Tensor
    switches: Tensor
    evidence: Tensor = field(default_factory=lambda: torch.zeros(EVIDENCE))
    advantage: float = 0.0
    spread: float = 0.0
    sure: bool = False
    likely: bool = False
    certain: bool = False
    ring: Ring | None = None
    makes: Mapping[str, Make] = field(default_factory=dict)
    by_ear: frozenset[str] = frozenset()

    @property
    def is_nothing(self) -> bool:
        """Whether it leaves the input as it is."""
        return self.ring is None and not bool(self.switches.any())


def nothing(chain: Chain) -> Candidate:
    """Leaving the input as it is."""
    off = torch.zeros(len(chain.effects), dtype=torch.bool)
    return Candidate("nothing", chain.default_controls(), off)


def distinct(model: AFXStyleVAE, candidates: list[Candidate]) -> list[Candidate]:
    """The first of those that sound alike: knobs of what is off do not count."""
    kept: dict[tuple[float, ...], Candidate] = {}
    for candidate in candidates:
        kept.setdefault(tuple(knob_vector(candidate, model).tolist()), candidate)
    return list(kept.values())


def knob_vector(candidate: Candidate, model: AFXStyleVAE) -> Tensor:
    """What the critic sees besides embeddings: controls of what is on, switches, evidence."""
    by_effect = dict(zip(model.chain.names, candidate.switches.tolist(), strict=True))
    on = torch.tensor([by_effect[name] for name, _ in model.chain.knobs])
    return torch.cat([candidate.controls * on, candidate.switches.float(), candidate.evidence])


def weigh(
    model: AFXStyleVAE,
    audio: Tensor,
    embeddings: tuple[Tensor, Tensor],
    candidates: list[Candidate],
) -> list[Candidate]:
    """Render every candidate on one clip and let the critic judge it.

    Args:
        model: The model.
        audio: ``(1, 1, run-in + 131072)`` at 24 kHz and the analysis loudness.
        embeddings: Of input and reference, each ``(1, embedding)``.
        candidates: "nothing" first.
    """
    embedded, wanted = embeddings
    done = candidates[1:]
    if not done:
        return candidates
    found = model.embed_clips(render_candidates(model, audio, done))
    mean, log_scale = judge(model, embedded, wanted, found, done)
    return [candidates[0], *with_opinions(done, mean, log_scale)]


def render_candidates(model: AFXStyleVAE, audio: Tensor, candidates: list[Candidate]) -> Tensor:
    """Each candidate on one clip ``(1, 1, run-in + 131072)``: ``(candidate, 131072)``."""
    controls = torch.stack([candidate.controls for candidate in candidates])
    switches = torch.stack([candidate.switches for candidate in candidates])
    batch = audio.expand(len(candidates), -1, -1)
    makes = {name: make for candidate in candidates for name, make in candidate.makes.items()}
    given = controls.to(audio.device), switches.to(audio.device)
    out = model.render(batch, *given, makes=makes, lead_s=RUN_IN / SAMPLE_RATE)
    out = out[:, 0, -CLIP_SAMPLES:]
    if all(candidate.ring is None for candidate in candidates):
        return out
    through = [sound if c.ring is None else c.ring.process(sound)
               for c, sound in zip(candidates, out.split(1), strict=True)]  # fmt: skip
    return torch.cat(through)


def judge(
    model: AFXStyleVAE, embedded: Tensor, wanted: Tensor, found: Tensor, done: list[Candidate]
) -> tuple[Tensor, Tensor]:
    """The critic's mean and log scale for rendered candidates with embeddings `found`."""
    knobs = torch.stack([knob_vector(candidate, model) for candidate in done]).to(found)
    embedded, wanted = (e.expand(len(found), -1) for e in (embedded, wanted))
    mean, log_scale = model.critic(model.differences(embedded, wanted, found), knobs)
    return mean, log_scale


def with_opinions(candidates: list[Candidate], mean: Tensor, log_scale: Tensor) -> list[Candidate]:
    """The same candidates with what `judge` returned for them."""
    return [
        replace(candidate, advantage=float(m), spread=float(s.exp()))
        for candidate, m, s in zip(candidates, mean, log_scale, strict=True)
    ]


def choose(candidates: list[Candidate], margin: float, caution: float = 0.0) -> int:
    """Index of the chosen candidate, 0 for "nothing".

    With `caution`, all that the critic expects counts as so many of its doubts less.

    The posterior mean stands, as it is only proposed where something was almost certainly done,
    unless the critic expects it to do harm. The best of many looks better than it is, so another
    candidate must be clearly better, and its advantage must exceed `margin` times the critic's
    doubt about it; so must any where the mean does not stand. If none does, what is almost certain
    stands, unless it is expected to do harm with no caution taken, and else what was measured and
    is sure.
    """
    harmless = [candidate.advantage > 0.0 for candidate in candidates]
    candidates = [replace(c, advantage=c.advantage - caution * c.spread) for c in candidates]
    passing = [
        place
        for place, candidate in enumerate(candidates)
        if place > 0 and candidate.advantage > margin * candidate.spread
    ]
    best = max(passing, key=lambda place: candidates[place].advantage, default=0)
    mean = next((place for place, one in enumerate(candidates) if one.likely), 0)
    if mean and candidates[mean].advantage > 0.0:
        first, other = candidates[mean], candidates[best]
        clearly = _CLEARLY * 0.5 * (first.spread + other.spread)
        return best if best and other.advantage - first.advantage >= clearly else mean
    if not passing:
        sure = next((place for place, one in enumerate(candidates) if one.sure), 0)
        certain = (place for place, one in enumerate(candidates) if one.certain and harmless[place])
        return next(certain, sure)
    return best
