"""Fit a preset to a recording and what was made of it: the same take, dry and processed.

`alignment` finds out how the two lie against each other, `equalizer`, `chorus` and `reflections`
measure what can be measured, `solver` improves knobs by derivatives, `search` leads the way, `fit`
is the door.
"""

from .alignment import Alignment
from .fit import LONGEST_S, Fit, fit

__all__ = ["LONGEST_S", "Alignment", "Fit", "fit"]
