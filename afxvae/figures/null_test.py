"""The null test of a fit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ..dsp import spectral
from ..files import replacing
from ..fitting import Fit
from ..types import UsageError
from .needs import check_matplotlib

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["check_plots", "null_spectra", "plot_null_test"]

_FORMATS = (".png", ".svg", ".pdf")
_N_FFT = 4096
_BANDS = 160
_LOWEST_HZ = 25.0
_FLOOR_DB = -140.0


def check_plots(path: Path) -> None:
    """Raise unless a plot can be drawn into a file of this name.

    Raises:
        UsageError: matplotlib is not installed, or the suffix is none it writes.
    """
    check_matplotlib()
    if path.suffix.lower() not in _FORMATS:
        raise UsageError(f"{path} must end in one of {', '.join(_FORMATS)} to be a plot.")


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
    bins = torch.arange(_N_FFT // 2 + 1) * (sample_rate / _N_FFT)
    grid = _LOWEST_HZ * (0.5 * sample_rate / _LOWEST_HZ) ** torch.linspace(0.0, 1.0, _BANDS)
    width = (grid * 0.058).clamp_min(0.6 * sample_rate / _N_FFT).unsqueeze(1)
    near = torch.exp(-0.5 * ((bins - grid.unsqueeze(1)) / width).square())
    near = near / near.sum(1, keepdim=True)
    spectra = {}
    for name, part in same.items():
        padded = torch.nn.functional.pad(part, (0, max(0, _N_FFT - part.shape[1])))
        power = spectral.power_spectrogram(padded, _N_FFT, _N_FFT // 2).mean((0, 1))
        spectra[name] = 10.0 * torch.log10(near @ power + 10.0 ** (_FLOOR_DB / 10.0))
    return grid, spectra


def plot_null_test(found: Fit, dry: Tensor, sample_rate: int, path: Path) -> None:
    """Draw the spectra of a null test, see `null_spectra`.

    Raises:
        UsageError: see `check_plots`; the file cannot be written.
    """
    check_plots(path)
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
