"""What a match did: spectra, the preset's curves, the sound before and after."""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..audio import read_segment
from ..dsp import spectral
from ..dsp.dynamics import compression_curve
from ..dsp.features import SAMPLE_RATE
from ..dsp.nonlinear import overdrive_curve
from ..dsp.units import gain_to_db
from ..effects.eq import eq_response
from ..files import replacing
from ..recordings import Recording
from ..types import PathLike
from .needs import check_matplotlib, check_picture
from .spectra import average_power, smoothed_db

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray
    from torch import Tensor

    from ..presets import Preset
    from ..styles import Style

__all__ = ["FORMATS", "Look", "look_at", "look_at_style", "match_figure", "save_report"]

FORMATS = (".html", ".pdf", ".png", ".svg")
"""What `save_report` writes."""

_N_FFT = 8192
_BANDS = 120
_OCTAVES = 1 / 6  # standard deviation of a band
_FLOOR_DB = -200.0
_LOWEST_HZ, _HIGHEST_HZ = 30.0, 20_000.0
_SHOWN_S = 6.0  # of a recording in a spectrogram
_MELS = 128
_RANGE_DB = 70.0
_TICKS_HZ = (50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000)
_COLOURS = {"input": "#8a8f98", "reference": "#d97706", "result": "#1d6fd6"}


@dataclass(frozen=True)
class Look:
    """What is drawn of a recording.

    Attributes:
        hz: Frequencies ``(band,)``.
        spectrum_db: Average power per Hz around them, third octaves wide, at 0 LUFS.
        picture_db: Mel spectrogram ``(frame, mel)`` of six loud seconds, its peak at 0 dB.
        start_s: Where the picture begins in the recording.
        seconds: Length of the picture.
        highest_hz: Its upper edge.
    """

    hz: Tensor
    spectrum_db: Tensor
    picture_db: Tensor
    start_s: float
    seconds: float
    highest_hz: float


@torch.no_grad()
def look_at(path: PathLike, start_s: float | None = None) -> Look:
    """Go through a file once, whatever its length.

    Args:
        path: The recording.
        start_s: Where the picture begins; where it is loud, if omitted.

    Raises:
        AudioError: The file cannot be read, or is silent.
    """
    recording = Recording.of_file(path)
    rate = recording.sample_rate
    mixed = (block.mean(0, keepdim=True) for block in recording.blocks())
    power = average_power(mixed, _N_FFT)
    start = float(recording.mixed.starts[0]) / SAMPLE_RATE if start_s is None else start_s
    frames = min(recording.frames, round(_SHOWN_S * rate))
    first = max(0, min(round(start * rate), recording.frames - frames))
    samples = read_segment(path, first, frames).mean(0, keepdim=True)
    return _look(power, samples, rate, recording.lufs, first)


@torch.no_grad()
def look_at_style(style: Style) -> Look:
    """What is kept of a recording: its clips, up to 12 kHz; times are those of the first clip."""
    clips = style.mixed
    power = average_power(clips.split(1), _N_FFT)
    return _look(power, clips[:1], SAMPLE_RATE, style.lufs, 0)


def _look(power: Tensor, samples: Tensor, rate: int, lufs: float, first: int) -> Look:
    """At average power ``(bin,)`` and at samples ``(1, time)`` that begin with the `first`."""
    hz = torch.logspace(math.log10(_LOWEST_HZ), math.log10(min(_HIGHEST_HZ, 0.49 * rate)), _BANDS)
    density = power * (_N_FFT / rate)  # bins are as wide as the rate makes them
    spectrum = smoothed_db(density, rate, hz, _OCTAVES, _FLOOR_DB) - lufs
    filters = spectral.mel_filterbank(2048, _MELS, rate, _LOWEST_HZ)
    picture = spectral.log_mel(spectral.power_spectrogram(samples, 2048, 512), filters, -120.0)[0]
    picture = (picture - picture.max()).clamp_min(-_RANGE_DB)
    return Look(hz, spectrum, picture, first / rate, samples.shape[1] / rate, rate / 2)


def match_figure(looks: Mapping[str, Look], preset: Preset, sample_rate: int) -> Figure:
    """What a match did: average spectra, the curves of the preset, the sound before and after.

    Args:
        looks: Of ``"input"``, ``"reference"`` and ``"result"``.
        preset: What made the result.
        sample_rate: Of the result, Hz.

    Raises:
        UsageError: matplotlib is not installed.
    """
    check_matplotlib()
    from matplotlib.figure import Figure

    drawn = [draw for name, draw in _CURVES.items() if preset.switches.get(name, False)]
    figure = Figure(figsize=(11.0, 7.5 if drawn else 5.0), layout="constrained")
    grid = figure.add_gridspec(3 if drawn else 2, 6)
    _draw_spectra(figure.add_subplot(grid[0, :]), looks)
    for place, draw in enumerate(drawn):
        axes = figure.add_subplot(grid[1, 6 * place // len(drawn) : 6 * (place + 1) // len(drawn)])
        draw(axes, preset, sample_rate)
    for place, name in enumerate(("input", "result", "reference")):
        _draw_picture(figure.add_subplot(grid[-1, 2 * place : 2 * place + 2]), looks[name], name)
    return figure


def save_report(figure: Figure, path: PathLike, preset: Preset, rows: Mapping[str, Any]) -> None:
    """Write a figure; as HTML with the preset and what else there is to say.

    Args:
        figure: See `match_figure`.
        path: Ends in one of `FORMATS`.
        preset: What made the result.
        rows: Titles and texts of further lines, for HTML.

    Raises:
        UsageError: See `check_picture`, or the file cannot be written.
    """
    path = Path(path)
    check_picture(path, FORMATS)
    suffix = path.suffix.lower()
    with replacing(path) as unfinished:
        if suffix != ".html":
            figure.savefig(unfinished, format=suffix[1:], dpi=130)
            return
        drawn = io.BytesIO()
        figure.savefig(drawn, format="png", dpi=130)
        unfinished.write_text(_page(drawn.getvalue(), preset, rows), encoding="utf-8")


def _page(picture: bytes, preset: Preset, rows: Mapping[str, Any]) -> str:
    def table(lines: list[tuple[str, str]]) -> str:
        cells = "".join(
            f"<tr><th>{html.escape(name)}</th><td>{html.escape(text)}</td></tr>"
            for name, text in lines
        )
        return f"<table>{cells}</table>"

    chain = preset.describe() or [("chain", "nothing was done")]
    style = (
        "body{font:15px/1.5 system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em}"
        "img{width:100%}th{text-align:left;padding-right:2em;font-weight:600}"
        "td,th{border-bottom:1px solid #ddd;padding:.25em 2em .25em 0;vertical-align:top}"
    )
    encoded = base64.b64encode(picture).decode()
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>afxvae match</title>'
        f"<style>{style}</style><h1>What the match did</h1>"
        f"{table([(name, str(text)) for name, text in rows.items()])}"
        f'<p><img alt="spectra, curves and spectrograms" src="data:image/png;base64,{encoded}"></p>'
        f"<h2>The chain</h2>{table(chain)}</html>\n"
    )


def _draw_spectra(axes: Axes, looks: Mapping[str, Look]) -> None:
    top = max(float(look.spectrum_db.max()) for look in looks.values())
    for name, look in looks.items():
        width = 2.2 if name == "result" else 1.4
        axes.semilogx(
            *_arrays(look.hz, look.spectrum_db - top), label=name, lw=width, color=_COLOURS[name]
        )
    axes.set(ylim=(-65.0, 3.0), ylabel="dB", title="Average spectra at one loudness")
    _frequency_axis(axes)
    axes.legend(loc="lower left", frameon=False, ncols=3)


def _arrays(*tensors: Tensor) -> Iterator[NDArray[Any]]:
    return (tensor.numpy() for tensor in tensors)


def _frequency_axis(axes: Axes) -> None:
    labels = [f"{hz // 1000} k" if hz >= 1000 else str(hz) for hz in _TICKS_HZ]
    axes.set_xticks(_TICKS_HZ, labels)
    axes.set_xticks([], minor=True)
    axes.set(xlim=(_LOWEST_HZ, _HIGHEST_HZ), xlabel="Hz")
    axes.grid(alpha=0.25)


def _settings(preset: Preset, effect: str) -> dict[str, Tensor]:
    """Knobs of an effect, each ``(1,)``."""
    return {knob: torch.tensor([value]) for knob, value in preset.settings[effect].items()}


def _draw_eq(axes: Axes, preset: Preset, sample_rate: int) -> None:
    settings = _settings(preset, "eq")
    top = math.log10(min(_HIGHEST_HZ, 0.499 * sample_rate))
    hz = torch.logspace(math.log10(_LOWEST_HZ), top, 300)
    gain_db = gain_to_db(eq_response(settings, hz, sample_rate).abs(), -60.0)[0]
    axes.semilogx(*_arrays(hz, gain_db), color=_COLOURS["result"], lw=2)
    axes.axhline(0.0, color="k", lw=0.6)
    reach = max(6.0, float(gain_db.abs().clamp_max(24.0).max()) + 1.0)
    axes.set(title="Equaliser", ylabel="dB", ylim=(-reach, reach))
    _frequency_axis(axes)
    axes.set_xticks((100, 1000, 10_000), ("100", "1 k", "10 k"))


def _draw_compressor(axes: Axes, preset: Preset, _: int) -> None:
    settings = _settings(preset, "compressor")
    level = torch.linspace(-60.0, 0.0, 200)
    knobs = (settings[name] for name in ("threshold_db", "ratio", "knee_db"))
    gain = compression_curve(level, *knobs) + settings["makeup_db"]
    axes.plot(*_arrays(level, level), color="k", lw=0.6)
    axes.plot(*_arrays(level, level + gain), color=_COLOURS["result"], lw=2)
    axes.set(
        title="Compressor", xlabel="level in, dBFS", ylabel="out", xlim=(-60, 0), ylim=(-60, 6)
    )
    axes.grid(alpha=0.25)


def _draw_drive(axes: Axes, preset: Preset, _: int) -> None:
    settings = _settings(preset, "overdrive")
    x = torch.linspace(-1.0, 1.0, 401)
    driven = overdrive_curve(x, settings["drive_db"], settings["bias"])
    y = (1.0 - settings["mix"]) * x + settings["mix"] * driven
    axes.plot(*_arrays(x, x), color="k", lw=0.6)
    axes.plot(*_arrays(x, y), color=_COLOURS["result"], lw=2)
    axes.set(title="Overdrive", xlabel="in", ylabel="out", xlim=(-1, 1))
    axes.grid(alpha=0.25)


_CURVES = {"eq": _draw_eq, "compressor": _draw_compressor, "overdrive": _draw_drive}


def _draw_picture(axes: Axes, look: Look, name: str) -> None:
    extent = (look.start_s, look.start_s + look.seconds, 0.0, 1.0)
    picture = look.picture_db.T.numpy()
    axes.imshow(picture, origin="lower", aspect="auto", extent=extent, cmap="magma",
                vmin=-_RANGE_DB, vmax=0.0, interpolation="nearest")  # fmt: skip
    axes.set(title=name, xlabel="s", yticks=(0.0, 1.0))
    axes.set_yticklabels((f"{_LOWEST_HZ:.0f}", f"{look.highest_hz / 1000:.0f} k"))
    axes.set_ylabel("Hz, mel")
