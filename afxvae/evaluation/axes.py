"""The causal test of named axes: move the latent, decode, render, measure.

That a dimension follows an attribute says nothing of what happens when it is moved. Here it is
moved, what is decoded is rendered on held-out clips, and the attributes of the audio are measured.
All changes count in standard deviations of what random treatments do, see `SPREADS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import torch

from ..candidates import Candidate
from ..data.changes import HEARD_SAMPLES, SPREADS, measure_axes
from ..data.pairs import make_pairs, treat
from ..dsp.features import RUN_IN
from ..models.estimate import expected_controls
from ..steering import LEVERS, steer
from .disentanglement import spearman

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from ..data.corpus import Recording
    from ..data.pairs import Pairs
    from ..models.axes import Axes
    from ..models.style_vae import AFXStyleVAE

__all__ = [
    "LEAST_SELECTIVITY",
    "LEAST_SPEARMAN",
    "Mover",
    "Responses",
    "calibrated",
    "judge_axes",
    "latent_responses",
    "moved_responses",
    "name_axes",
    "one_hot_axes",
    "passing",
    "steering_responses",
]

LEAST_SPEARMAN, LEAST_SELECTIVITY = 0.9, 2.0
"""What an axis has to exceed to be offered."""

_LATENT_STEPS = (-2.0, -1.0, 0.0, 1.0, 2.0)
_STEERED_STEPS = (-1.0, -0.5, 0.0, 0.5, 1.0)
_PRIOR_EVERY = 8  # one item in so many starts at the prior's mean
_LEAST_SLOPE = 0.15  # standard deviations for one unit of the latent, to be worth an axis
_TOLERANCE = 0.02  # standard deviations by which a monotone change may fall back

_Treatments: TypeAlias = "tuple[Tensor, Tensor]"
Mover: TypeAlias = "Callable[[Tensor, Tensor, list[dict[str, float]]], Tensor]"
"""Of a latent ``(1, latent)`` and the input's embedding: latents ``(move, latent)`` after moves."""


@dataclass(frozen=True)
class Responses:
    """What moves did to measured attributes.

    Attributes:
        names: Of the axes, and of the attributes unless others were measured.
        steps: Of the moves, with a 0 among them.
        changes: From no move ``(item, axis, step, attribute)``, in standard deviations.
    """

    names: tuple[str, ...]
    steps: tuple[float, ...]
    changes: Tensor


def one_hot_axes(names: Sequence[str], latent_dim: int) -> Axes:
    """Axes that are the first dimensions of the latent, in this order."""
    rows = torch.eye(latent_dim)[: len(names)]
    return {name: row.tolist() for name, row in zip(names, rows, strict=True)}


def _responses(
    model: AFXStyleVAE,
    pairs: Pairs,
    names: tuple[str, ...],
    steps: tuple[float, ...],
    treatments: Callable[[int, list[dict[str, float]]], _Treatments],
    measured: Sequence[str],
) -> Responses:
    """Render and measure `treatments` of an item and of moves."""
    moves = [{name: step} for name in names for step in steps if step]
    spreads = torch.tensor([SPREADS[name] for name in measured])
    zero, rows = steps.index(0.0), []
    for index, audio in enumerate(pairs.audio):
        controls, switches = treatments(index, [{}, *moves])
        clip = audio[:, : RUN_IN + HEARD_SAMPLES].expand(len(controls), -1, -1)
        wet = treat(clip, model.chain, controls, switches)[:, 0]
        values = measure_axes(wet, measured) / spreads
        changes = (values[1:] - values[0]).unflatten(0, (len(names), len(steps) - 1))
        still = torch.zeros_like(changes[:, :1])
        rows.append(torch.cat([changes[:, :zero], still, changes[:, zero:]], dim=1))
    return Responses(names, steps, torch.stack(rows))


def latent_responses(
    model: AFXStyleVAE,
    pairs: Pairs,
    axes: Axes,
    steps: tuple[float, ...] = _LATENT_STEPS,
    measured: Sequence[str] | None = None,
) -> Responses:
    """`moved_responses` of moves along fixed `axes`."""

    def along(latent: Tensor, embedded: Tensor, moves: list[dict[str, float]]) -> Tensor:
        rows = latent.repeat(len(moves), 1)
        for row, move in zip(rows, moves, strict=True):
            for name, amount in move.items():
                row += amount * torch.tensor(axes[name])
        return rows

    return moved_responses(model, pairs, tuple(axes), along, steps, measured)


@torch.no_grad()
def moved_responses(
    model: AFXStyleVAE,
    pairs: Pairs,
    names: tuple[str, ...],
    mover: Mover,
    steps: tuple[float, ...] = _LATENT_STEPS,
    measured: Sequence[str] | None = None,
) -> Responses:
    """Move posterior means of pairs, and now and then the prior's mean; render on the inputs.

    Effects are on as far as they are probable, see `expected_controls`. What is `measured` are the
    attributes in `names`, if it is not said.
    """

    def decoded(index: int, moves: list[dict[str, float]]) -> _Treatments:
        embedded = model.embed_clips(pairs.audio[index, :, RUN_IN:])
        latent = model.encode(embedded, model.embed_clips(pairs.reference[index])).mean
        if index % _PRIOR_EVERY == _PRIOR_EVERY - 1:
            latent = torch.zeros_like(latent)
        latents = mover(latent, embedded, moves)
        estimate = model.decode(latents, embedded.expand(len(moves), -1)).estimate
        controls = expected_controls(estimate, model.chain)
        return controls, torch.ones(len(moves), len(model.chain.names), dtype=torch.bool)

    return _responses(model, pairs, names, steps, decoded, measured or names)


@torch.no_grad()
def steering_responses(
    model: AFXStyleVAE,
    pairs: Pairs,
    names: tuple[str, ...] = tuple(LEVERS),
    steps: tuple[float, ...] = _STEERED_STEPS,
) -> Responses:
    """Move the true treatments of pairs as `steer` moves what a match has chosen.

    Every third treatment is nothing.
    """

    def steered(index: int, moves: list[dict[str, float]]) -> _Treatments:
        switches = pairs.switches[index] & (index % 3 > 0)
        whole = Candidate("true", pairs.controls[index], switches)
        clip = pairs.audio[index : index + 1]
        found = [steer(model, whole, clip, move)[0] if move else whole for move in moves]
        return torch.stack([c.controls for c in found]), torch.stack([c.switches for c in found])

    return _responses(model, pairs, names, steps, steered, names)


def judge_axes(responses: Responses) -> dict[str, dict[str, float]]:
    """By axis, whether it does what its name says and nothing else.

    ``spearman`` is that of move and change over all items, ``spearman_by_item`` its mean within
    items, ``selectivity`` the mean change of the axis' own attribute over that of the others,
    ``slope`` the mean change for one unit between the moves -1 and 1, and ``monotone`` the share of
    items whose attribute never falls back on the way from the lowest to the highest move.
    """
    rows = {}
    steps = torch.tensor(responses.steps)
    places = [responses.steps.index(step) for step in (-1.0, 1.0)]
    for place, name in enumerate(responses.names):
        changes = responses.changes[:, place]  # (item, step, attribute)
        own = changes[..., place]
        moved = steps.expand_as(own)
        size = changes.abs().mean((0, 1))
        others = (size.sum() - size[place]) / max(1, len(size) - 1)
        falls = own.diff(dim=1).amin(1)
        within = [spearman(steps, item) for item in own]
        rows[name] = {
            "spearman": spearman(moved.flatten(), own.flatten()),
            "spearman_by_item": sum(within) / len(within),
            "selectivity": float(size[place] / others.clamp_min(1e-9)),
            "slope": float((own[:, places[1]] - own[:, places[0]]).mean() / 2.0),
            "monotone": float((falls > -_TOLERANCE).float().mean()),
        }
    return rows


def passing(rows: dict[str, dict[str, float]]) -> list[str]:
    """Names of the axes that pass."""
    return [
        name
        for name, row in rows.items()
        if row["spearman"] > LEAST_SPEARMAN and row["selectivity"] > LEAST_SELECTIVITY
    ]


def calibrated(axes: Axes, responses: Responses) -> Axes:
    """Combinations of axes that change one attribute by one and the others not, on the whole.

    The mean changes of all attributes for one unit along each axis are a matrix; the axes are mixed
    by its inverse. Mixtures that hardly change anything are left out of it.
    """
    low, high = (responses.steps.index(step) for step in (-1.0, 1.0))
    slopes = (responses.changes[:, :, high] - responses.changes[:, :, low]).mean(0) / 2.0
    steps = torch.linalg.pinv(slopes, atol=_LEAST_SLOPE, rtol=0.0) @ torch.tensor(
        [axes[n] for n in responses.names]
    )
    return {name: step.tolist() for name, step in zip(responses.names, steps, strict=True)}


def name_axes(
    model: AFXStyleVAE,
    names: Sequence[str],
    known: Sequence[Recording],
    held_out: Sequence[Recording],
    *,
    items: int = 40,
    seed: int = 0,
    log: Callable[[str], None] = lambda line: None,
) -> dict[str, dict[str, float]]:
    """Calibrate the first dimensions as axes, test them, and give the model those that pass.

    Args:
        model: Whose config gets the axes.
        names: Attributes of the first dimensions.
        known: Recordings for the calibration.
        held_out: Recordings for the test.
        items: Pairs of each; an item takes about two seconds.
        seed: Of the pairs.
        log: Called with a line for people.

    Returns:
        What `judge_axes` says of the calibrated axes on held-out recordings.
    """
    axes = one_hot_axes(names, int(model.config["latent_dim"]))
    pairs = make_pairs(known, model.chain, seed, items, "P1")
    axes = calibrated(axes, latent_responses(model, pairs, axes))
    others = make_pairs(held_out, model.chain, seed + 1, items, "P1")
    rows = judge_axes(latent_responses(model, others, axes))
    model.config["axes"] = {name: [round(v, 5) for v in axes[name]] for name in passing(rows)}
    for name, row in rows.items():
        figures = ", ".join(f"{key} {value:.3f}" for key, value in row.items())
        log(f"axis {name}: {figures}{'' if name in model.axes else '; not offered'}")
    return rows
