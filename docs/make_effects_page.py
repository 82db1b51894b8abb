"""Print docs/reference/effects.md: every effect with its knobs, and how it is computed.

python docs/make_effects_page.py > docs/reference/effects.md
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

from afxvae import Param, default_chain
from afxvae.dsp import delay, dynamics, filters, modulation, moving, nonlinear, space

INTRODUCTION = """# Effects

The default chain, in the order the audio takes. Every effect has a switch; switched off, or at
its defaults, it gives back its input bit for bit. All of them take any sample rate and any number
of channels, run on a whole recording or block after block with the same result, and are
differentiable in the audio and in every knob. `afxvae effects` prints the tables in a terminal,
and `afxvae effects --json` as data.

Ranges belong to a trained model: weights refuse to load into a chain with others. Knobs marked \\*
are amounts: with all of them at their defaults the effect does nothing, wherever its other knobs
stand. The middle of a logarithmic knob is the geometric mean of its ends.
"""

COMPUTED_BY: dict[str, tuple[Callable[..., Any], ...]] = {
    "eq": (filters.cut, filters.shelf, filters.peak, filters.add_filtered_difference),
    "compressor": (dynamics.compress, dynamics.compression_curve, dynamics.attack_release),
    "overdrive": (nonlinear.overdrive, nonlinear.overdrive_curve),
    "chorus": (modulation.chorus, moving.read_line),
    "delay": (delay.echo,),
    "reverb": (space.reverberate, space.reverb_impulse_response),
    "width": (space.widen,),
    "gain": (),
}
"""Whose docstrings say how an effect is computed, and after whom."""

MODULES = {"eq": filters, "compressor": dynamics, "delay": delay}
"""Modules whose docstrings say it for all of their functions."""


def page() -> str:
    """The whole page as Markdown."""
    parts = [INTRODUCTION]
    for effect in default_chain().effects:
        parts.append(f"## `{effect.name}`\n\n{effect.help}\n\n{table(effect.params)}")
        if effect.name in MODULES:
            text = inspect.getdoc(MODULES[effect.name]) or ""
            parts.append(text.replace("::\n", ":\n").replace("``", "`") + "\n")
        for function in COMPUTED_BY[effect.name]:
            module = function.__module__.removeprefix("afxvae.")
            parts.append(f"`{module}.{function.__name__}`: {explanation(function)}\n")
    return "\n".join(parts)


def table(params: tuple[Param, ...]) -> str:
    """One row a knob."""
    rows = ["| knob | unit | range | default | scale | does |", "|---|---|---|---|---|---|"]
    for param in params:
        name = f"`{param.name}`" + (" \\*" if param.amount else "")
        span = f"{number(param.minimum)} to {number(param.maximum)}"
        cells = [name, param.unit, span, number(param.default), param.scale, param.help]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def number(value: float) -> str:
    """As short as it can be, with a minus sign that does not break."""
    return f"{value:g}".replace("-", "−")


def explanation(function: Callable[..., Any]) -> str:
    """A docstring up to its arguments, in one paragraph."""
    text = re.split(r"\n\s*(?:Args|Returns|Raises):", inspect.getdoc(function) or "")[0]
    return " ".join(text.replace("``", "`").split())


if __name__ == "__main__":
    print(page(), end="")
