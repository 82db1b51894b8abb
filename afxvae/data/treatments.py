"""Random treatments: which effects are on, and where their knobs stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from ..effects import Chain
    from ..params import Param

__all__ = [
    "OFF_PROBABILITY",
    "UNTOUCHED_PROBABILITY",
    "USUAL_RANGES",
    "knob_range",
    "random_treatments",
]

OFF_PROBABILITY = 0.6
UNTOUCHED_PROBABILITY = 0.05
_BAND_PROBABILITY = 0.7  # that a band of a switched-on equaliser has gain
_CUT_PROBABILITY = 0.35

USUAL_RANGES: dict[tuple[str, str], tuple[float, float]] = {
    ("eq", "low_cut_hz"): (40.0, 500.0),
    ("eq", "high_cut_hz"): (2000.0, 11000.0),
    ("eq", "low_shelf_gain_db"): (-12.0, 12.0),
    ("eq", "peak1_gain_db"): (-12.0, 12.0),
    ("eq", "peak2_gain_db"): (-12.0, 12.0),
    ("eq", "peak3_gain_db"): (-12.0, 12.0),
    ("eq", "peak4_gain_db"): (-12.0, 12.0),
    ("eq", "peak4_hz"): (2000.0, 11000.0),
    ("eq", "high_shelf_gain_db"): (-12.0, 12.0),
    ("eq", "high_shelf_hz"): (1500.0, 9000.0),
    ("compressor", "threshold_db"): (-45.0, -12.0),
    ("compressor", "ratio"): (1.5, 12.0),
    ("compressor", "knee_db"): (0.0, 18.0),
    ("compressor", "attack_ms"): (0.3, 80.0),
    ("compressor", "release_ms"): (20.0, 600.0),
    ("compressor", "makeup_db"): (0.0, 12.0),
    ("overdrive", "drive_db"): (6.0, 36.0),
    ("overdrive", "mix"): (0.4, 1.0),
    ("chorus", "rate_hz"): (0.1, 5.0),
    ("chorus", "depth_ms"): (0.3, 4.0),
    ("chorus", "delay_ms"): (5.0, 25.0),
    ("chorus", "mix"): (0.2, 0.6),
    ("delay", "time_ms"): (60.0, 700.0),
    ("delay", "feedback"): (0.0, 0.75),
    ("delay", "mix"): (0.1, 0.5),
    ("reverb", "decay_s"): (0.3, 4.0),
    ("reverb", "treble_ratio"): (0.2, 1.0),
    ("reverb", "pre_delay_ms"): (0.0, 60.0),
    ("reverb", "mix"): (0.1, 0.6),
    ("width", "width"): (0.0, 2.0),
    ("gain", "gain_db"): (-12.0, 12.0),
}
"""Ranges of settings that productions use; knobs not listed use their whole range."""


def knob_range(effect: str, param: Param) -> tuple[float, float]:
    """Positions between which productions set a knob, see `USUAL_RANGES`."""
    low, high = USUAL_RANGES.get((effect, param.name), (param.minimum, param.maximum))
    return param.to_control(low), param.to_control(high)


def random_treatments(
    chain: Chain, count: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw treatments: uniform knob positions in `USUAL_RANGES`, effects on with probability .4.

    Bands of the equaliser are flat with probability .3 and its cuts open with probability .65; one
    treatment in twenty is nothing at all.

    Returns:
        Controls ``(count, control)`` and boolean switches ``(count, effect)``.
    """
    ranges = [knob_range(effect, param) for effect, param in chain.knobs]
    low, high = torch.tensor(ranges).view(-1, 2).unbind(1)
    controls = low + (high - low) * torch.rand(count, len(low), generator=generator)
    chance = torch.rand(count, len(low), generator=generator)
    defaults = chain.default_controls()
    for index, (effect, param) in enumerate(chain.knobs):
        if effect == "eq" and param.amount:
            keep = _CUT_PROBABILITY if param.name.endswith("cut_hz") else _BAND_PROBABILITY
            flat = chance[:, index] >= keep
            controls[flat, index] = defaults[index]
    switches = torch.rand(count, len(chain.effects), generator=generator) >= OFF_PROBABILITY
    untouched = torch.rand(count, generator=generator) < UNTOUCHED_PROBABILITY
    switches[untouched] = False
    return controls, switches
