"""Pictures, for which alone matplotlib is needed."""

from __future__ import annotations

from .match import FORMATS, Look, look_at, match_figure, save_report
from .needs import check_matplotlib
from .null_test import check_plots, null_spectra, plot_null_test

__all__ = [
    "FORMATS",
    "Look",
    "check_matplotlib",
    "check_plots",
    "look_at",
    "match_figure",
    "null_spectra",
    "plot_null_test",
    "save_report",
]
