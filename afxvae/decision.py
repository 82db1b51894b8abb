"""From analysed clips to one treatment: propose, weigh, choose."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from .by_ear import set_by_ear
from .candidates import Candidate, choose, distinct, nothing, weigh
from .dsp.features import CLIP_SAMPLES, RUN_IN
from .loudness import levelled
from .measure import peel
from .models.estimate import ESTIMATED
from .models.mixes import mix_probability
from .models.pair import Pair, compare_clips, one_source
from .posterior import knob_intervals
from .proposals import Inference, propose
from .refinement import Refined, refine
from .rehearing import LEAST_SAME, hear_again

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from .dsp.features import Features
    from .effects import Chain
    from .measure import Measured, Ring
    from .models.style_vae import AFXStyleVAE

__all__ = ["RING_ONLY", "Decision", "decide", "infer"]

_CRITIC_CLIPS = {"fast": 1, "normal": 2, "high": 4}
_REFINED_CLIPS = 2
_HEARD_AGAIN = {"fast": 0, "normal": 2, "high": 3}
_EAR_CLIPS = {"fast": 0, "normal": 2, "high": 4}
RING_ONLY = "ring modulator only"
"""Name of the candidate."""
_CAUTION = 2.5
"""Doubts of the critic that are taken off its expectations where the reference is of another voice
or instrument. Fewer would gain a little more, and touch many more recordings that need nothing."""

_TOLD = 0.97
"""What the aligner's probability becomes at least if a person says that there is one source."""


@dataclass(frozen=True)
class Decision:
    """The critic's choice.

    Attributes:
        candidates: All that were weighed, "nothing" first.
        index: Of the chosen one.
        inferred: From input and reference, before what was measured has its say.
        embedded: Style embedding of the input ``(1, embedding)``.
        measured: As it was given to `decide`.
        refined: What became of the first choice at effort high, whether it was taken or not.
    """

    candidates: list[Candidate]
    index: int
    inferred: Inference
    embedded: Tensor
    measured: dict[str, Measured]
    refined: Refined | None = None

    @property
    def refinement_taken(self) -> bool:
        """Whether the choice is what the first one was refined to."""
        return self.refined is not None and self.best.name.startswith(self.refined.after.name)

    @property
    def likely(self) -> dict[str, bool]:
        """By effect, whether it has more than even odds."""
        odds = self.candidates[0].evidence[: len(ESTIMATED)]
        return dict(zip(ESTIMATED, (odds > 0.5).tolist(), strict=True))

    @property
    def same_source(self) -> float:
        """Probability that input and reference are of one voice or instrument."""
        return self.inferred.same_source

    @property
    def caution(self) -> float:
        """Doubts that were taken off the critic's expectations, see `choose`."""
        return _caution(self.same_source)

    @property
    def best(self) -> Candidate:
        """The chosen candidate."""
        return self.candidates[self.index]

    def changed(self, best: Candidate) -> Decision:
        """The same with `best` in the place of the choice, or beside it if that is "nothing"."""
        candidates = list(self.candidates)
        if best is self.best:
            return self
        if self.index:
            candidates[self.index] = best
            return replace(self, candidates=candidates)
        return replace(self, candidates=[*candidates, best], index=len(candidates))

    def intervals(self, model: AFXStyleVAE) -> dict[str, dict[str, tuple[float, float]]]:
        """Of knobs of what is on in the choice, see `knob_intervals`.

        They are around the posterior mean, whatever became of it in the choice, and around what was
        set by ear. An effect in whose place is another has none.
        """
        if self.best.is_nothing or self.best.ring is not None:
            return {}
        chain = model.chain
        mean = self.as_set(chain, self.candidates[1].controls).tolist()
        on = dict(zip(chain.names, self.best.switches.tolist(), strict=True))
        for name, make in self.best.makes.items():
            on[name] = on[name] and make.effect.name == name
        sure = [name for name, one in self.measured.items() if one.found]
        return knob_intervals(chain, mean, on, sure, model.checksum)

    def as_set(self, chain: Chain, controls: Tensor) -> Tensor:
        """Estimated knobs ``(control,)`` with those that were set by ear as they were set."""
        controls = controls.clone()
        for effect in self.best.by_ear:
            own = chain.knobs_of(effect)
            controls[own] = self.best.controls[own]
        return controls

    def others(self, most: int) -> list[Candidate]:
        """The best of what was not chosen and is not "nothing", by expected advantage."""
        left = [one for place, one in enumerate(self.candidates) if place not in (0, self.index)]
        return sorted(left, key=lambda one: -one.advantage)[:most]


@torch.no_grad()
def decide(
    model: AFXStyleVAE,
    clips: Tensor,
    wanted: Tensor,
    measured: dict[str, Measured],
    effort: str = "normal",
    seed: int = 0,
    allowed: Tensor | None = None,
    others: Sequence[tuple[Tensor, float]] = (),
    ring: Ring | None = None,
    same_source: bool | None = None,
    period: int = CLIP_SAMPLES,
) -> Decision:
    """Propose treatments and let the critic choose.

    Args:
        model: Estimates and chooses.
        clips: Of the input ``(clip, 1, run-in + 131072)`` at 24 kHz.
        wanted: Of the reference ``(clip, 131072)``.
        measured: What `measure_settings` found; empty to leave everything to the model's estimate.
        effort: See `match`.
        seed: Of the posterior's samples.
        allowed: Effects that may be on, ``(effect,)`` boolean; all if omitted.
        others: Clips ``(clip, 131072)`` of other references, and how much their style weighs beside
            that of the first.
        ring: What `measure_ring` found, if it was looked for. Where there is one, it is all that is
            proposed.
        same_source: Whether both are of one source, where that is known.
        period: Samples after which the clips of a reference that is shorter begin again.
    """
    clips = levelled(clips)
    wanted = levelled(wanted.unsqueeze(1)).squeeze(1)
    plain = clips[:, 0, RUN_IN:]
    heard, theirs = model.listen(plain), model.listen(wanted)
    each = model.embed_features(heard)
    embedded = each.mean(0, keepdim=True)
    styles = [(model.embed_clips(one).mean(0, keepdim=True), weight) for one, weight in others]
    target = _mixed(model.embed_features(theirs).mean(0, keepdim=True), styles)
    given = (plain, heard), embedded, (wanted, theirs), measured, styles, period
    inferred = infer(model, *given)
    if same_source is not None:
        inferred = _told(inferred, same_source)
    if ring is not None and ring.found:
        found = [nothing(model.chain), replace(nothing(model.chain), name=RING_ONLY, ring=ring)]
        return Decision(found, 1, inferred, embedded, measured)
    generator = torch.Generator().manual_seed(seed)
    found = propose(model, inferred, embedded, plain, measured, generator, effort, allowed)
    found = _weigh_on_clips(model, clips[: _CRITIC_CLIPS[effort]], (each, target), found)
    index = choose(found, float(model.critic.margin), _caution(inferred.same_source))
    decision = Decision(found, index, inferred, embedded, measured)
    if effort == "high" and inferred.same_source >= LEAST_SAME:
        decision = _refined(model, clips, (each, target), decision)
    if others:
        return decision
    if allowed is None or bool(allowed[model.chain.names.index("eq")]):
        again = clips, theirs, decision.best, inferred.same_source, _HEARD_AGAIN[effort]
        decision = decision.changed(hear_again(model, *again))
    if inferred.same_source >= LEAST_SAME and decision.index and _EAR_CLIPS[effort]:
        choice = clips[: _EAR_CLIPS[effort]], inferred.bare, decision.best, measured
        decision = decision.changed(set_by_ear(model, *choice, allowed, seed))
    return decision


def _refined(
    model: AFXStyleVAE, clips: Tensor, embeddings: tuple[Tensor, Tensor], decision: Decision
) -> Decision:
    """With the choice refined, unless the critic expects less of that."""
    if decision.index == 0:
        return decision
    heard = clips[:_REFINED_CLIPS]
    known = (embeddings[0][: len(heard)], embeddings[1])
    fixed = ["eq", *(name for name, one in decision.measured.items() if one.found)]
    refined = refine(model, heard, known, decision.best, fixed)
    weighed = _weigh_on_clips(
        model, clips[: _CRITIC_CLIPS["high"]], embeddings, [decision.candidates[0], refined.after]
    )[1:]
    better = weighed[0].advantage >= decision.best.advantage
    candidates = distinct(model, [*decision.candidates, *weighed])
    taken = better and len(candidates) > len(decision.candidates)
    index = len(candidates) - 1 if taken else decision.index
    return replace(decision, candidates=candidates, index=index, refined=refined)


def infer(
    model: AFXStyleVAE,
    audio: tuple[Tensor, Features],
    embedded: Tensor,
    reference: tuple[Tensor, Features],
    measured: dict[str, Measured],
    styles: Sequence[tuple[Tensor, float]] = (),
    period: int = CLIP_SAMPLES,
) -> Inference:
    """What was not measured, from a reference without its measured effects.

    Args:
        model: Has the encoder.
        audio: Clips of the input ``(clip, 131072)`` at the analysis loudness, and their features.
        embedded: Style embedding of the input ``(1, embedding)``.
        reference: Its clips ``(clip, 131072)``, and their features.
        measured: See `decide`.
        styles: Embeddings ``(1, embedding)`` of other references with their weights.
        period: See `decide`.
    """
    (plain, heard), (wanted, theirs) = audio, reference
    bare = peel(model.chain, wanted, measured, period=period)
    if bare is not wanted:
        bare = levelled(bare.unsqueeze(1)).squeeze(1)
        theirs = model.listen(bare)
    style = _mixed(model.embed_features(theirs).mean(0, keepdim=True), styles)
    posterior = model.encode(embedded, style)
    alike, fits, verified = compare_clips(model, heard, theirs)
    bends = model.waveform.compare(plain, bare)
    mix = mix_probability(embedded, model.checksum)
    pair = Pair(alike, fits[0], float(verified[0]), style, bends, mix)
    same = one_source(model, posterior.mean, embedded, pair)
    return Inference(bare, posterior, pair, same)


def _told(inferred: Inference, same_source: bool) -> Inference:
    """With what a person knows of the sources in the place of what the model believes."""
    believed = inferred.pair.verified
    verified = max(believed, _TOLD) if same_source else min(believed, 1.0 - _TOLD)
    pair = replace(inferred.pair, verified=verified)
    return replace(inferred, pair=pair, same_source=float(same_source))


def _caution(same_source: float) -> float:
    return _CAUTION * (1.0 - same_source)


def _mixed(first: Tensor, others: Sequence[tuple[Tensor, float]]) -> Tensor:
    """Mean of style embeddings, of which the first weighs 1."""
    if not others:
        return first
    mixed = first + torch.stack([weight * style for style, weight in others]).sum(0)
    return mixed / (1.0 + sum(weight for _, weight in others))


def _weigh_on_clips(
    model: AFXStyleVAE,
    clips: Tensor,
    embeddings: tuple[Tensor, Tensor],
    candidates: list[Candidate],
) -> list[Candidate]:
    """The critic's mean opinion over some clips of the input.

    `embeddings` are those of the input's clips, one row each, and that of the reference.
    """
    rounds = []
    for clip, own in zip(clips, embeddings[0].split(1), strict=False):
        rounds.append(weigh(model, clip.unsqueeze(0), (own, embeddings[1]), candidates))
    merged = []
    for versions in zip(*rounds, strict=True):
        advantage = sum(v.advantage for v in versions) / len(versions)
        spread = sum(v.spread for v in versions) / len(versions)
        merged.append(replace(versions[0], advantage=advantage, spread=spread))
    return merged
