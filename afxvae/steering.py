"""Moving on from a treatment: brighter, boomier, rougher, with a longer decay, by so much.

Every attribute has a lever, a knob that changes it and little else. It is moved until the
attribute, measured on the rendered input, has changed as far as was wished; so the same wish means
the same on a dull and on a bright recording.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from .candidates import render_candidates
from .data.changes import SPREADS, measure_axes
from .loudness import levelled
from .ranges import MOVES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from .candidates import Candidate
    from .effects import Chain
    from .models.style_vae import AFXStyleVAE

__all__ = ["LEVERS", "Lever", "pull", "steer"]

_CLIPS = 2  # of the input, on which attributes are measured
_NEAR = 0.03  # standard deviations within which a wish is granted
_OUTWARDS, _BETWEEN = 6, 6  # renderings until a wish is passed, and from there
_ROUNDS = 2  # over several wishes, since levers change other attributes a little


@dataclass(frozen=True)
class Lever:
    """The knob that changes an attribute.

    Attributes:
        effect: Whose knob it is.
        knob: Name of the Param.
        unit: What is added to it for one unit of the lever, in the unit of the Param.
        others: Settings that the effect begins with if it was off; its defaults otherwise.
    """

    effect: str
    knob: str
    unit: float
    others: Mapping[str, float]


LEVERS = dict(
    zip(
        MOVES,
        (
            Lever("eq", "high_shelf_gain_db", 3.0, {"high_shelf_hz": 4000.0}),
            Lever("eq", "low_shelf_gain_db", 3.0, {"low_shelf_hz": 150.0}),
            Lever("overdrive", "drive_db", 6.0, {}),
            Lever("reverb", "mix", 0.1, {"decay_s": 1.5, "pre_delay_ms": 10.0}),
        ),
        strict=True,
    )
)
"""By the name of the attribute, see `afxvae.timbre`."""


def pull(
    chain: Chain, treatment: tuple[Tensor, Tensor], lever: Lever, size: float
) -> tuple[Tensor, Tensor]:
    """A treatment with one knob moved, as far as its range goes.

    An effect that is off begins at nothing, and is switched on if that makes it do something.

    Args:
        chain: Whose knob it is.
        treatment: Controls ``(control,)`` and switches ``(effect,)``.
        lever: Which knob.
        size: In units of the lever; negative the other way.
    """
    controls, switches = (part.clone() for part in treatment)
    column = chain.names.index(lever.effect)
    places = {param.name: place for place, (effect, param) in enumerate(chain.knobs)
              if effect == lever.effect}  # fmt: skip
    if not bool(switches[column]):
        mine = chain.knobs_of(lever.effect)
        controls[mine] = chain.default_controls()[mine]
        for name, value in lever.others.items():
            controls[places[name]] = chain.knobs[places[name]][1].to_control(value)
    place = places[lever.knob]
    param = chain.knobs[place][1]
    before = param.to_setting(float(controls[place]))
    wanted = min(max(before + size * lever.unit, param.minimum), param.maximum)
    if wanted == before:
        return treatment
    controls[place] = param.to_control(wanted)
    switches[column] = True
    return controls, switches


@torch.no_grad()
def steer(
    model: AFXStyleVAE,
    candidate: Candidate,
    clips: Tensor,
    move: Mapping[str, float],
    allowed: Tensor | None = None,
) -> tuple[Candidate, dict[str, float]]:
    """A candidate that is moved until the result has changed as was wished.

    Args:
        model: Renders.
        candidate: What is to be moved.
        clips: Of the input ``(clip, 1, run-in + 131072)`` at 24 kHz.
        move: By name of a lever, how far, in standard deviations of what random treatments do to
            that attribute (`SPREADS`).
        allowed: Effects that may be on, ``(effect,)`` boolean; all if omitted. A lever of another
            effect is not moved.

    Returns:
        The moved candidate, and how far each attribute has really moved. It is less than was wished
        where a knob has reached the end of its range.
    """
    names = list(move)
    clips = levelled(clips[:_CLIPS])
    spreads = torch.tensor([SPREADS[name] for name in names])
    may = {name: allowed is None or bool(allowed[model.chain.names.index(LEVERS[name].effect)])
           for name in names}  # fmt: skip

    def moved(sizes: Mapping[str, float]) -> tuple[Tensor, Tensor]:
        treatment = candidate.controls, candidate.switches
        for name, size in sizes.items():
            treatment = pull(model.chain, treatment, LEVERS[name], size)
        return treatment

    known: dict[tuple[float, ...], Tensor] = {}

    def heard(sizes: Mapping[str, float]) -> Tensor:
        where = tuple(sizes.values())
        if where not in known:
            known[where] = measured(sizes)
        return known[where]

    def measured(sizes: Mapping[str, float]) -> Tensor:
        controls, switches = moved(sizes)
        made = replace(candidate, controls=controls, switches=switches)
        rendered = torch.cat([render_candidates(model, clip[None], [made]) for clip in clips])
        return measure_axes(rendered.cpu(), names).mean(0) / spreads

    sizes = dict.fromkeys(names, 0.0)
    start = heard(sizes)
    for _ in range(_ROUNDS if len(names) > 1 else 1):
        for index, name in enumerate(names):
            if may[name]:
                sizes[name] = _solve(
                    lambda size, name=name, index=index: float(  # type: ignore[misc]
                        (heard(sizes | {name: size}) - start)[index]
                    ),
                    move[name],
                    sizes[name],
                )
    controls, switches = moved(sizes)
    reached = dict(zip(names, (heard(sizes) - start).tolist(), strict=True))
    return replace(candidate, controls=controls, switches=switches), reached


def _solve(change: Callable[[float], float], wish: float, start: float) -> float:
    """The size of a lever, of those tried, at which `change` comes nearest to a wish."""
    tried = {start: change(start)}
    step = 1.0 if wish > tried[start] else -1.0
    low = high = start
    for _ in range(_OUTWARDS):
        if abs(tried[high] - wish) < _NEAR or (tried[high] - wish) * step > 0.0:
            break
        low, high = high, high + step
        tried[high] = change(high)
        if tried[high] == tried[low]:
            break  # the end of the knob
        step *= 1.6
    for _ in range(_BETWEEN):
        best = min(tried, key=lambda size: abs(tried[size] - wish))
        if abs(tried[best] - wish) < _NEAR or (tried[low] - wish) * (tried[high] - wish) >= 0.0:
            break
        share = (wish - tried[low]) / (tried[high] - tried[low])
        middle = low + min(max(share, 0.1), 0.9) * (high - low)
        tried[middle] = change(middle)
        if (tried[middle] - wish) * (tried[high] - wish) > 0.0:
            high = middle
        else:
            low = middle
    return min(tried, key=lambda size: abs(tried[size] - wish))
