"""Presets between two presets.

Knobs go straight from one position to the other in the control domain, in which one step sounds
about as large as the next. An effect that is on in one preset only fades by its amounts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from .effects import Chain, default_chain
from .effects.delay import DUAL_DELAY
from .effects.modulation import CHORUS
from .effects.reverb import FREEVERB, SOX_REVERB
from .presets import Preset
from .ranges import FEWEST_STEPS, MOST_STEPS, STEPS
from .schema import defaults
from .types import UsageError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["check_chain", "check_steps", "interpolate"]

_IN_ITS_PLACE = {"delay": (DUAL_DELAY,), "reverb": (FREEVERB, SOX_REVERB)}  # and behind it, here


def interpolate(a: Preset, b: Preset, steps: int = STEPS) -> list[Preset]:
    """Presets from one to another, in equal steps of the knobs' positions.

    Where an effect is on in both, all its knobs move from the one to the other, a phase the shorter
    way round. Where it is on in one only, its amounts (gains, ratio, drive, mixes) move between
    there and doing nothing, and its other knobs stay. What is off in both stays off, with the knobs
    of `a`. The input gain moves in dB.

    Args:
        a: The first, of effects of the default chain in its order, behind its delay dual_delay,
            behind its reverb freeverb and sox_reverb; some may be left out.
        b: The last, likewise.
        steps: How many presets, both ends included, 2 to 100.

    Returns:
        `a`, those between, `b`; those between name the model if both are of one.

    Raises:
        UsageError: `steps` is out of range, or a preset has other effects or another order.

    >>> louder = Preset().changed("gain", {"gain_db": 6.0})
    >>> len(interpolate(Preset(), louder, 4))
    4
    """
    check_steps(steps)
    chain = _chain(a, b)
    for name, preset in (("The first preset", a), ("The second preset", b)):
        check_chain(preset, name)
    start, end = _ends(chain, a, b)
    on = {
        name: torch.tensor(a.switches.get(name, False) or b.switches.get(name, False))
        for name in chain.names
    }
    origin = (a.model, a.model_checksum)
    model, checksum = origin if origin == (b.model, b.model_checksum) else (None, None)
    round_about = torch.tensor([param.name == "phase_deg" for _, param in chain.knobs])
    way = end - start
    way = torch.where(round_about, (way + 0.5) % 1.0 - 0.5, way)
    between = []
    for step in range(1, steps - 1):
        share = step / (steps - 1)
        controls = start + share * way
        controls = torch.where(round_about, controls % 1.0, controls).clamp(0.0, 1.0)
        between.append(
            Preset.from_tensors(
                chain.to_settings(controls.unsqueeze(0)),
                on,
                input_gain_db=a.input_gain_db + share * (b.input_gain_db - a.input_gain_db),
                model=model,
                model_checksum=checksum,
            )
        )
    return [a, *between, b]


def check_steps(steps: int) -> None:
    """Raise `UsageError` unless there can be so many steps."""
    if steps not in range(FEWEST_STEPS, MOST_STEPS + 1):
        raise UsageError(f"steps is {steps}, outside its range {FEWEST_STEPS} to {MOST_STEPS}.")


def check_chain(preset: Preset, name: str) -> None:
    """Raise `UsageError` unless a preset, called `name`, has effects of the default chain in order.

    What is off does nothing, so it may be any effect anywhere.
    """
    known = _chain(preset, preset).names
    on = [effect for effect in preset.settings if preset.switches[effect]]
    for effect in on:
        if effect not in known:
            raise UsageError(f"{name} has {effect}, but only {', '.join(known)} can be between.")
    if on != [effect for effect in known if effect in on]:
        raise UsageError(
            f"{name} runs {', '.join(on)}, but the order must be that of {', '.join(known)}."
        )


def _chain(*presets: Preset) -> Chain:
    """The default chain, with what `match` may put in the place of its effects."""
    effects = []
    for effect in default_chain().effects:
        effects.append(CHORUS if effect.name == CHORUS.name else effect)
        effects += [
            other
            for other in _IN_ITS_PLACE.get(effect.name, ())
            if any(other.name in preset.settings for preset in presets)
        ]
    return Chain(effects)


def _ends(chain: Chain, a: Preset, b: Preset) -> tuple[Tensor, Tensor]:
    """Knob positions of both presets, each ``(control,)`` in double precision.

    An effect that is off in one has the knobs of the other there, with its amounts at nothing.
    """
    own, other = _controls(chain, a), _controls(chain, b)
    without = [chain.scaled(controls, 0.0) for controls in (own, other)]
    start, end = own.clone(), other.clone()
    for name in chain.names:
        knobs = chain.knobs_of(name)
        in_a, in_b = a.switches.get(name, False), b.switches.get(name, False)
        if not in_a:
            start[knobs] = (without[1] if in_b else own)[knobs]
        if not in_b:
            end[knobs] = (without[0] if in_a else own)[knobs]
    return start, end


def _controls(chain: Chain, preset: Preset) -> Tensor:
    settings = {
        effect.name: preset.settings.get(effect.name) or defaults(effect)
        for effect in chain.effects
    }
    values = [param.to_control(settings[effect][param.name]) for effect, param in chain.knobs]
    return torch.tensor(values, dtype=torch.float64)
