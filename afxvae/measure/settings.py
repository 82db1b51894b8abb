"""What can be measured of a treatment, as settings of the chain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ..dsp import spectral
from ..dsp.features import SAMPLE_RATE
from .chorus import measure_chorus
from .echo import Echo, echo_level, measure_echo
from .reverb import Reverb, measure_reverb

if TYPE_CHECKING:
    from torch import Tensor

    from ..effects import Chain

__all__ = ["MEASURED", "Measured", "measure_settings", "nothing_measured"]

MEASURED = ("chorus", "delay", "reverb")
"""Effects that leave a copy of the sound, which can be found."""

_FAINTEST_ECHO = 0.1
_LEAST_REVERB = 1.7  # contrasts that material without the effect does not reach
_LEAST_CHORUS = 1.0
_REVERB_POWER = 0.7  # of the reverberation against the direct sound at equal shares


@dataclass(frozen=True)
class Measured:
    """An effect as measured.

    Attributes:
        controls: Knob positions ``(knob,)``, in the order of the effect's Params.
        found: Whether the reference has it and the input lacks it.
    """

    controls: Tensor
    found: bool


def measure_settings(chain: Chain, audio: Tensor, reference: Tensor) -> dict[str, Measured]:
    """Settings of the effects of `MEASURED` in a reference.

    Args:
        chain: Whose knobs are set.
        audio: Clips of the input ``(clip, 131072)``, mono at 24 kHz.
        reference: Clips of the reference, the same.
    """
    echo = measure_echo(reference)
    place = torch.tensor([echo.time_ms * SAMPLE_RATE / 1000.0], dtype=torch.float64)
    own = float(echo_level(spectral.log_magnitude(audio).mean(0), place))
    echoes = echo.level > max(_FAINTEST_ECHO, 2.0 * own)
    reverb = measure_reverb(reference, echo if echoes else None, _LEAST_REVERB)
    rings = reverb.contrast > _LEAST_REVERB
    if rings:  # does the input ring too?
        rings = measure_reverb(audio, None, float("inf")).contrast < _LEAST_REVERB
    direct = _direct(echo if echoes else None, reverb if rings else None)
    chorus = measure_chorus(reference[0], _LEAST_CHORUS, direct)
    swings = chorus.contrast > _LEAST_CHORUS
    if swings:
        swings = measure_chorus(audio[0], float("inf")).contrast < _LEAST_CHORUS
    level = max(echo.level, 0.0)
    values = {
        "delay": {
            "time_ms": echo.time_ms,
            "feedback": echo.feedback,
            "mix": level / (1.0 + level),
        },
        "reverb": vars(reverb),
        "chorus": vars(chorus),
    }
    found = {"delay": echoes, "reverb": rings, "chorus": swings}
    return {
        effect: Measured(_controls(chain, effect, values[effect]), found[effect])
        for effect in MEASURED
    }


def nothing_measured(chain: Chain) -> dict[str, Measured]:
    """As `measure_settings` of a recording in which nothing can be found."""
    return {
        effect: Measured(torch.tensor([p.default_control for p in chain[effect].params]), False)
        for effect in MEASURED
    }


def _direct(echo: Echo | None, reverb: Reverb | None) -> float:
    """Share of the power that neither echoes nor reverberation added."""
    share = 1.0
    if echo is not None:
        share /= 1.0 + echo.level**2 / (1.0 - min(echo.feedback, 0.9) ** 2)
    if reverb is not None:
        share /= 1.0 + _REVERB_POWER * (reverb.mix / (1.0 - reverb.mix)) ** 2
    return share


def _controls(chain: Chain, effect: str, values: dict[str, float]) -> Tensor:
    return torch.tensor(
        [
            param.to_control(min(max(values[param.name], param.minimum), param.maximum))
            for param in chain[effect].params
        ]
    )
