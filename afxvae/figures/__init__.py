"""Pictures, for which alone matplotlib is needed."""

from __future__ import annotations

from .drawings import DRAWINGS, draw, figure_names
from .match import FORMATS, Look, look_at, look_at_style, match_figure, save_report
from .needs import check_matplotlib, check_picture
from .null_test import PLOT_FORMATS, null_spectra, plot_null_test
from .paper import PICTURES, as_bytes
from .projections import PROJECTIONS, check_projection, project
from .spectra import average_power, smoothed_db

__all__ = [
    "DRAWINGS",
    "FORMATS",
    "PICTURES",
    "PLOT_FORMATS",
    "PROJECTIONS",
    "Look",
    "as_bytes",
    "average_power",
    "check_matplotlib",
    "check_picture",
    "check_projection",
    "draw",
    "figure_names",
    "look_at",
    "look_at_style",
    "match_figure",
    "null_spectra",
    "plot_null_test",
    "project",
    "save_report",
    "smoothed_db",
]
