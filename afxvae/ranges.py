"""Ranges and defaults of what a person may ask for; without torch, as `--help` shows them."""

from __future__ import annotations

__all__ = [
    "EFFORTS",
    "FEWEST_STEPS",
    "FIT_SECONDS",
    "LOUDEST_LUFS",
    "MOST",
    "MOST_ALTERNATIVES",
    "MOST_MOVE",
    "MOST_STEPS",
    "MOVES",
    "QUIETEST_LUFS",
    "STEPS",
]

EFFORTS = ("fast", "normal", "high")
QUIETEST_LUFS, LOUDEST_LUFS = -60.0, 0.0
MOST = 1.5  # of a treatment
MOST_ALTERNATIVES = 20
MOST_MOVE = 3.0  # standard deviations of what treatments do
MOVES = ("brightness", "boominess", "roughness", "decay")  # attributes that can be moved
FIT_SECONDS = 20.0  # of processor time, that a fit may take
FEWEST_STEPS, STEPS, MOST_STEPS = 2, 7, 100  # of an interpolation
