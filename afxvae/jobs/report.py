"""A picture or a page of what a match did."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .. import audio
from ..styles import is_style

if TYPE_CHECKING:
    from ..matching import Finding
    from ..styles import Style

__all__ = ["write_report"]


def write_report(
    path: Path, input_path: Path, reference_path: Path, style: Style, result: Path, found: Finding
) -> None:
    """Look at the three files, and draw.

    Args:
        path: Of the report, see `figures.check_picture`.
        input_path: What was changed.
        reference_path: Whose style was wanted, or its style.
        style: Of the reference.
        result: What came out.
        found: With the preset and the distances.
    """
    from .. import figures

    before = figures.look_at(input_path)
    kept = is_style(reference_path)  # there is no recording to look at
    reference = figures.look_at_style(style) if kept else figures.look_at(reference_path)
    looks = {
        "input": before,
        "reference": reference,
        "result": figures.look_at(result, before.start_s),
    }
    figure = figures.match_figure(looks, found.preset, audio.info(result).sample_rate)
    rows = {
        "input": input_path.name,
        "reference": reference_path.name,
        "result": result.name,
        "decision": found.decision,
        **{
            f"{metric}, before and after": f"{values['before']:.4g} → {values['after']:.4g}"
            for metric, values in found.report.items()
        },
    }
    figures.save_report(figure, path, found.preset, rows)
