"""What the commands do with files, without printing: match, fit, apply and others.

Outputs are checked before any work is done, and are either all written or none.
"""

from __future__ import annotations

from .apply import Applied, apply_file
from .attributes import measure_files
from .demo import DEMO_INPUT, DEMO_REFERENCE, DEMO_TREATMENT, demo
from .figures import Drawn, draw_figures
from .fit import Fitted, fit_files
from .interpolate import Between, interpolate_files
from .match import Matched, match_files, parse_also, parse_loudness, parse_moves
from .parts import Progress, load_model
from .style import Styled, style_file

__all__ = [
    "DEMO_INPUT",
    "DEMO_REFERENCE",
    "DEMO_TREATMENT",
    "Applied",
    "Between",
    "Drawn",
    "Fitted",
    "Matched",
    "Progress",
    "Styled",
    "apply_file",
    "demo",
    "draw_figures",
    "fit_files",
    "interpolate_files",
    "load_model",
    "match_files",
    "measure_files",
    "parse_also",
    "parse_loudness",
    "parse_moves",
    "style_file",
]
