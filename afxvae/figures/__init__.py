"""Pictures, for which alone matplotlib is needed."""

from __future__ import annotations

from .match import FORMATS, Look, look_at, look_at_style, match_figure, save_report
from .needs import check_picture
from .null_test import PLOT_FORMATS, null_spectra, plot_null_test
from .spectra import average_power, smoothed_db

__all__ = [
    "FORMATS",
    "PLOT_FORMATS",
    "Look",
    "average_power",
    "check_picture",
    "look_at",
    "look_at_style",
    "match_figure",
    "null_spectra",
    "plot_null_test",
    "save_report",
    "smoothed_db",
]
