"""Effort high: a candidate moved by gradient until the input sounds treated like the reference.

What the encoder hears between input and reference should be what it hears between the input and
what is made of it. Gradients of that distance go through the encoder and the chain to the knobs.
The distance alone would be followed into treatments that only the encoder takes for the right ones,
so the estimate is a Gaussian prior around which the knobs stay. Afterwards every effect whose
removal does not raise the distance is removed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from .candidates import Candidate, render_candidates

if TYPE_CHECKING:
    from collections.abc import Collection

    from torch import Tensor

    from .models.style_vae import AFXStyleVAE

__all__ = ["Refined", "refine"]

_PRECISION = 5.0  # of the prior of a knob's position, per unit of distance
_RATE = 0.02
_STEPS = 24
_PATIENCE = 6  # steps without progress after which a search ends
_LEAST = 1e-3  # of progress
_SPARED = 0.005  # of distance, by which an effect that is worth its place must be missed


@dataclass(frozen=True)
class Refined:
    """A candidate before and after.

    Attributes:
        before: As it was proposed.
        after: As it was left, with "refined" in its name.
        distance_before: Mean square of the difference of difference embeddings, whose variance over
            treatments is 1.
        distance_after: The same.
        removed: Effects without which it is as near.
    """

    before: Candidate
    after: Candidate
    distance_before: float
    distance_after: float
    removed: tuple[str, ...]

    def told(self, taken: bool) -> str:
        """A sentence about it."""
        way = f"distance {self.distance_before:.2f} to {self.distance_after:.2f}"
        if not taken:
            return f"A refinement ({way}) was left: the critic expects no more of it."
        less = f"; without {', '.join(self.removed)}, which was not missed" * bool(self.removed)
        return f"Refined: {way}{less}."

    def report(self, model: AFXStyleVAE, taken: bool) -> dict[str, Any]:
        """Distances, effects removed, whether it was taken, and settings of what was on before."""
        chain, before = model.chain, self.before
        settings = chain.to_settings(before.controls.unsqueeze(0))
        return {
            "taken": taken,
            "distance": {
                "before": round(self.distance_before, 4),
                "after": round(self.distance_after, 4),
            },
            "removed": list(self.removed),
            "before": {
                name: {knob: round(float(value), 4) for knob, value in settings[name].items()}
                for name, on in zip(chain.names, before.switches.tolist(), strict=True)
                if on
            },
        }


class _Search:
    """The distance of a treatment of some clips from what is wanted."""

    def __init__(self, model: AFXStyleVAE, clips: Tensor, embeddings: tuple[Tensor, Tensor]):
        self.model, self.clips = model, clips
        self.each, wanted = embeddings
        self.target = model.compare(self.each, wanted.expand(len(self.each), -1))
        chain = model.chain
        self.owner = torch.tensor([chain.names.index(name) for name, _ in chain.knobs])

    def distance(self, candidate: Candidate) -> Tensor:
        """Mean over the clips; differentiable in the candidate's controls."""
        made = [render_candidates(self.model, clip[None], [candidate]) for clip in self.clips]
        heard = self.model.compare(self.each, self.model.embed_clips(torch.cat(made)))
        return (heard - self.target).square().mean()

    def free(self, candidate: Candidate, fixed: Collection[str]) -> Tensor:
        """Knobs ``(control,)`` that may move: of effects that are on, but for some."""
        on = candidate.switches.clone()
        for name in fixed:
            on[self.model.chain.names.index(name)] = False
        return on[self.owner]

    def descend(self, candidate: Candidate, free: Tensor) -> Candidate:
        """The best candidate on the way down from this one."""
        start = candidate.controls
        moving = start.clone().requires_grad_()
        optimizer = torch.optim.Adam([moving], lr=_RATE)
        best, least, waited = candidate, float("inf"), 0
        for _ in range(_STEPS):
            here = replace(candidate, controls=torch.where(free, moving.clamp(0.0, 1.0), start))
            prior = _PRECISION * (here.controls - start).square().sum()
            loss = self.distance(here) + prior
            value = float(loss.detach())
            waited = 0 if value < least - _LEAST else waited + 1
            if value < least:
                best, least = replace(here, controls=here.controls.detach()), value
            if waited >= _PATIENCE:
                break
            (moving.grad,) = torch.autograd.grad(loss, [moving])
            optimizer.step()
        return best

    def prune(self, candidate: Candidate, fixed: Collection[str]) -> tuple[Candidate, list[str]]:
        """Without effects whose removal does not raise the distance, one after another."""
        removed: list[str] = []
        here = float(self.distance(candidate))
        while True:
            tries = []
            for place, name in enumerate(self.model.chain.names):
                if candidate.switches[place] and name not in fixed:
                    switches = candidate.switches.clone()
                    switches[place] = False
                    without = replace(candidate, switches=switches)
                    tries.append((float(self.distance(without)), name, without))
            least, name, without = min(tries, default=(float("inf"), "", candidate), key=_first)
            if least > here + _SPARED or not bool(without.switches.any()):
                return candidate, removed
            candidate, here = without, min(here, least)
            removed.append(name)


def _first(one: tuple[float, str, Candidate]) -> float:
    return one[0]


def refine(
    model: AFXStyleVAE,
    clips: Tensor,
    embeddings: tuple[Tensor, Tensor],
    candidate: Candidate,
    fixed: Collection[str] = (),
) -> Refined:
    """Move a candidate's knobs to where input and reference sound treated alike, and prune it.

    Gradient descent on knobs, as style transfer by inference-time optimisation (Steinmetz et al.
    2024, *ST-ITO*), with a Gaussian prior on them (Yu et al. 2025, *Improving inference-time
    optimisation for vocal effects style transfer with a Gaussian prior*).

    Args:
        model: Hears and renders.
        clips: Of the input ``(clip, 1, run-in + 131072)`` at 24 kHz and the analysis loudness.
        embeddings: Of each clip ``(clip, embedding)``, and of the reference ``(1, embedding)``.
        candidate: From which to start; something must be on.
        fixed: Effects whose knobs were measured, and that stay.
    """
    search = _Search(model, clips, embeddings)
    with torch.enable_grad():
        moved = search.descend(candidate, search.free(candidate, fixed))
    with torch.no_grad():
        pruned, removed = search.prune(moved, fixed)
        before, after = (float(search.distance(one)) for one in (candidate, pruned))
    named = replace(pruned, name=f"{candidate.name}, refined", likely=False, sure=False)
    return Refined(candidate, named, before, after, tuple(removed))
