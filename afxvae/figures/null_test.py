"""The null test of a fit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ..files import replacing
from ..fitting import Fit
from .needs import check_picture
from .spectra import average_power, smoothed_db

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["PLOT_FORMATS", "null_spectra", "plot_null_test"]

PLOT_FORMATS = (".pdf", ".png", ".svg")
"""What `plot_null_test` writes."""

_N_FFT = 4096
_BANDS = 160
_OCTAVES = 1 / 12  # standard deviation of a band
_LOWEST_HZ = 25.0
_FLOOR_DB = -140.0


def null_spectra(found: Fit, dry: Tensor, sample_rate: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Average spectra of a null test in bands as wide as a sixth of an octave, or a bin.

    Args:
        found: A fit.
        dry: ``(channel, time)``, what it was made of.
        sample_rate: In Hz.

    Returns:
        Frequencies in Hz ``(band,)``; by name, power in dB ``(band,)`` of the dry, the wet and the
        rendered sound and of the rendered less the wet one.
    """
    target = found.target
    length, channels = target.shape[1], len(target)
    parts = {"dry": dry, "wet": target, "rendered": found.audio}
    same = {
        name: (part if len(part) == channels else part.mean(0, keepdim=True))[:, :length].cpu()
        for name, part in parts.items()
    }
    same["residual"] = same["rendered"] - same["wet"]
    grid = _LOWEST_HZ * (0.5 * sample_rate / _LOWEST_HZ) ** torch.linspace(0.0, 1.0, _BANDS)
    return grid, {
        name: smoothed_db(average_power([part], _N_FFT), sample_rate, grid, _OCTAVES, _FLOOR_DB)
        for name, part in same.items()
    }


def plot_null_test(found: Fit, dry: Tensor, sample_rate: int, path: Path) -> None:
    """Draw the spectra of a null test, see `null_spectra`.

    Raises:
        UsageError: see `check_picture`; the file cannot be written.
    """
    check_picture(path, PLOT_FORMATS)
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    grid, spectra = null_spectra(found, dry, sample_rate)
    figure = Figure(figsize=(9.0, 5.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    styles = {"dry": ("0.6", "--"), "wet": ("tab:blue", "-"), "rendered": ("tab:orange", "--"),
              "residual": ("tab:red", "-")}  # fmt: skip
    for name, level_db in spectra.items():
        colour, line = styles[name]
        axes.semilogx(grid.numpy(), level_db.numpy(), color=colour, linestyle=line, label=name)
    top = max(float(level_db.max()) for level_db in spectra.values())
    axes.set(xlim=(_LOWEST_HZ, 0.5 * sample_rate), ylim=(top - 110.0, top + 5.0))
    axes.set(xlabel="frequency / Hz", ylabel="level / dB")
    axes.set_title(f"Null test: the residual is at {found.residual_db:.1f} dB of the wet sound")
    axes.grid(True, which="both", alpha=0.3)
    axes.legend()
    with replacing(path) as unfinished:
        figure.savefig(unfinished, dpi=120)
