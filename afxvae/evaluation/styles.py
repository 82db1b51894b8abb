"""Five production styles, each a family of settings of equaliser and compressor.

After the styles of Steinmetz, Bryan and Reiss, *Style transfer of audio effects with differentiable
signal processing* (JAES 70(9), 2022), carried over to this package's effects: their shelves of 20
to 26 dB are 12 to 15 dB here, where the range ends, and the band of the telephone is cut steeply.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from ..effects import Chain

__all__ = ["STYLES", "style_treatments"]

_Ranges = dict[tuple[str, str], tuple[float, float]]

STYLES: dict[str, _Ranges] = {
    "neutral": {
        ("eq", "low_shelf_gain_db"): (1.0, 3.0),
        ("eq", "low_shelf_hz"): (80.0, 200.0),
        ("eq", "high_shelf_gain_db"): (1.0, 3.0),
        ("eq", "high_shelf_hz"): (6000.0, 8000.0),
        ("compressor", "threshold_db"): (-30.0, -20.0),
        ("compressor", "ratio"): (1.5, 2.0),
        ("compressor", "attack_ms"): (50.0, 70.0),
        ("compressor", "release_ms"): (100.0, 300.0),
    },
    "broadcast": {
        ("eq", "low_shelf_gain_db"): (2.0, 6.0),
        ("eq", "low_shelf_hz"): (80.0, 200.0),
        ("eq", "high_shelf_gain_db"): (2.0, 6.0),
        ("eq", "high_shelf_hz"): (6000.0, 8000.0),
        ("compressor", "threshold_db"): (-50.0, -40.0),
        ("compressor", "ratio"): (3.0, 5.0),
        ("compressor", "attack_ms"): (5.0, 30.0),
        ("compressor", "release_ms"): (50.0, 150.0),
    },
    "telephone": {
        ("eq", "low_cut_hz"): (200.0, 400.0),
        ("eq", "peak3_gain_db"): (12.0, 15.0),
        ("eq", "peak3_hz"): (1000.0, 2000.0),
        ("eq", "high_cut_hz"): (4000.0, 6000.0),
        ("compressor", "threshold_db"): (-40.0, -20.0),
        ("compressor", "ratio"): (1.5, 3.0),
        ("compressor", "attack_ms"): (1.0, 6.0),
        ("compressor", "release_ms"): (10.0, 60.0),
    },
    "bright": {
        ("eq", "low_shelf_gain_db"): (-15.0, -12.0),
        ("eq", "low_shelf_hz"): (200.0, 400.0),
        ("eq", "high_shelf_gain_db"): (12.0, 15.0),
        ("eq", "high_shelf_hz"): (8000.0, 10000.0),
    },
    "warm": {
        ("eq", "low_shelf_gain_db"): (12.0, 15.0),
        ("eq", "low_shelf_hz"): (200.0, 400.0),
        ("eq", "high_shelf_gain_db"): (-15.0, -12.0),
        ("eq", "high_shelf_hz"): (8000.0, 10000.0),
    },
}
"""By style, ranges of settings; other knobs stand at their defaults."""


def style_treatments(chain: Chain, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """One random treatment of each of `STYLES`, settings uniform in their ranges.

    Returns:
        Controls ``(style, control)`` and boolean switches ``(style, effect)``.
    """
    controls = chain.default_controls().repeat(len(STYLES), 1)
    switches = torch.zeros(len(STYLES), len(chain.effects), dtype=torch.bool)
    for row, ranges in enumerate(STYLES.values()):
        for column, (effect, param) in enumerate(chain.knobs):
            if (effect, param.name) in ranges:
                low, high = ranges[effect, param.name]
                setting = low + (high - low) * float(torch.rand((), generator=generator))
                controls[row, column] = param.to_control(setting)
                switches[row, chain.names.index(effect)] = True
    return controls, switches
