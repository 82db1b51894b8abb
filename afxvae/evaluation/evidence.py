"""What the model believed about an item: odds, opinions, knobs; beside what is true of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..candidates import choose, render_candidates
from ..models.estimate import ESTIMATED
from ..posterior import Knob
from ..proposals import with_measured
from .items import Evidence
from .metrics import matched_mr_stft
from .settings import switched_on

if TYPE_CHECKING:
    from ..decision import Decision
    from ..effects import Chain
    from ..models.style_vae import AFXStyleVAE
    from .rows import Item

__all__ = ["SAMPLES", "SHIFTS", "gather", "knobs_that_matter", "moved"]

SHIFTS = tuple(0.5 * step for step in range(-6, 25))
"""By how many of its own doubts the critic thinks worse of everything: the gate's margin, moved."""
SAMPLES = 31
"""Of the latent's posterior, among which the truth is looked for."""


@torch.no_grad()
def gather(model: AFXStyleVAE, item: Item, decision: Decision, known: dict[int, float]) -> Evidence:
    """Evidence of a decision.

    Args:
        model: Which decided.
        item: On which.
        decision: What it decided.
        known: Distances to the truth at matched loudness, of some candidates by their index.
    """
    measured, inferred = decision.measured, decision.inferred
    estimate = model.refine(decision.inferred.posterior.mean, decision.embedded, inferred.pair)
    controls, logits = with_measured(model, estimate, measured)
    chosen = [moved(decision, float(model.critic.margin), shift) for shift in SHIFTS]
    distances = dict(known)
    for index in set(chosen) - set(distances):
        distances[index] = _distance(model, item, decision, index)
    idle = [one.is_nothing for one in decision.candidates]
    best = decision.best
    return Evidence(
        dict(zip(ESTIMATED, torch.sigmoid(logits).tolist(), strict=True)),
        best.advantage,
        best.spread,
        tuple(distances[index] for index in chosen),
        tuple(idle[index] for index in chosen),
        tuple(_knobs(model, item, decision, decision.as_set(model.chain, controls))),
    )


def moved(decision: Decision, margin: float, shift: float) -> int:
    """Index of what would be chosen if the critic thought worse of all by `shift` doubts."""
    return choose(decision.candidates, margin, decision.caution + shift)


def knobs_that_matter(chain: Chain, effect: str, controls: Tensor) -> list[int]:
    """Indices of the knobs of an effect that is on, of which something can be heard.

    An equaliser's cut that is open and a band without gain leave no trace; neither does another
    amount at which an effect does nothing.

    Args:
        chain: Whose knobs they are.
        effect: Name of the effect.
        controls: Their true positions ``(control,)``.
    """
    own = {param.name: k for k, (name, param) in enumerate(chain.knobs) if name == effect}
    idle = controls == chain.default_controls()
    found = []
    for name, index in own.items():
        band = name.removesuffix("_hz").removesuffix("_q")
        amount = own.get(f"{band}_gain_db", index)
        if not (bool(idle[amount]) and chain.knobs[amount][1].amount):
            found.append(index)
    return found


def _on(chain: Chain, switches: Tensor) -> list[bool]:
    return list(switched_on(chain, switches).values())


def _distance(model: AFXStyleVAE, item: Item, decision: Decision, index: int) -> float:
    out = render_candidates(model, item.audio, [decision.candidates[index]])
    return matched_mr_stft(out, item.truth)


def _knobs(model: AFXStyleVAE, item: Item, decision: Decision, controls: Tensor) -> Iterator[Knob]:
    """Knobs of effects that were on and were found, `controls` the estimate of all."""
    chain, drawn = model.chain, None
    found, true = (switched_on(chain, on) for on in (decision.best.switches, item.switches))
    for effect in ESTIMATED:
        if not (found[effect] and true[effect]):
            continue
        sure = effect in decision.measured and decision.measured[effect].found
        if drawn is None and not sure:
            drawn = _samples(model, decision)
        for index in knobs_that_matter(chain, effect, item.controls):
            truth, below = item.controls[index], None
            if drawn is not None and not sure:
                column = drawn[:, index]
                below = float(
                    (column < truth).float().mean() + 0.5 * (column == truth).float().mean()
                )
            yield Knob(
                effect,
                chain.knobs[index][1].name,
                "measured" if sure else "estimated",
                float(truth),
                float(controls[index]),
                below,
            )


def _samples(model: AFXStyleVAE, decision: Decision) -> Tensor:
    """Controls ``(sample, control)`` of samples of the latent's posterior."""
    generator = torch.Generator().manual_seed(0)
    drawn = []
    for _ in range(SAMPLES):
        latent = decision.inferred.posterior.sample(generator)
        estimate = model.refine(latent, decision.embedded, decision.inferred.pair)
        drawn.append(estimate.controls[0].cpu())
    return torch.stack(drawn)
