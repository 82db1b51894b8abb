"""Effects that act on level over time: compressors, gate, limiter, transient shaper."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..dsp import dynamics, expansion, limiting, multiband, transients
from ..params import Param
from .base import Effect, run_of

if TYPE_CHECKING:
    from torch import Tensor

    from .base import Settings, State

__all__ = ["COMPRESSOR", "GATE", "LIMITER", "MULTIBAND_COMPRESSOR", "TRANSIENT_SHAPER"]

_ATTACK = Param("attack_ms", "ms", 0.1, 100.0, 10.0, "log", "Time to cover 63 % of a rising step.")
_RELEASE = Param(
    "release_ms", "ms", 10.0, 1000.0, 100.0, "log", "Time to cover 63 % of a falling step."
)


# compressor

_COMPRESSOR = (
    Param("threshold_db", "dB", -60.0, 0.0, -20.0, "linear", "Level above which it acts."),
    Param("ratio", ":1", 1.0, 20.0, 1.0, "log", "dB in for one dB out above the threshold.", True),
    Param("knee_db", "dB", 0.0, 24.0, 6.0, "linear", "Width of the soft transition."),
    _ATTACK,
    _RELEASE,
    Param("makeup_db", "dB", 0.0, 24.0, 0.0, "linear", "Gain behind the compressor.", True),
)
COMPRESSOR = Effect(
    "compressor",
    _COMPRESSOR,
    run_of(dynamics.compress),
    "Feed-forward compressor, linked channels.",
)


# gate

_GATE = (
    Param("threshold_db", "dB", -80.0, 0.0, -40.0, "linear", "Level below which it closes."),
    Param("ratio", ":1", 1.0, 20.0, 4.0, "log", "dB out for one dB in below the threshold."),
    Param("range_db", "dB", 0.0, 80.0, 0.0, "linear", "How far it turns down at most.", True),
    Param("attack_ms", "ms", 0.1, 100.0, 1.0, "log", "Time to cover 63 % of its way open."),
    Param("hold_ms", "ms", 1.0, 500.0, 20.0, "log", "Time it waits before it closes."),
    Param("release_ms", "ms", 10.0, 1000.0, 100.0, "log", "Time to cover 63 % of its way shut."),
)
GATE = Effect(
    "gate", _GATE, run_of(expansion.expand), "Gate and downward expander, linked channels."
)


# limiter

_CEILING = Param(
    "ceiling_db", "dB", -24.0, 6.0, 6.0, "linear", "No peak passes it; off at 6 dB.", True
)
_LIMITER = (
    Param("gain_db", "dB", 0.0, 24.0, 0.0, "linear", "Gain into the limiter.", True),
    _CEILING,
    Param("release_ms", "ms", 10.0, 1000.0, 100.0, "log",
          "Time in which the gain reduction falls by 63 %."),
)  # fmt: skip


def _limiter(
    audio: Tensor, settings: Settings, sample_rate: int, state: State | None = None
) -> tuple[Tensor, State]:
    return limiting.limit(
        audio, **settings, off_db=_CEILING.maximum, sample_rate=sample_rate, state=state
    )


LIMITER = Effect(
    "limiter",
    _LIMITER,
    _limiter,
    "Look-ahead limiter of true peaks, linked channels.",
    limiting.limiter_latency,
)


# multi-band compressor

_BANDS = ("low", "mid", "high")


def _band_params(band: str) -> tuple[Param, ...]:
    return (
        Param(f"{band}_threshold_db", "dB", -60.0, 0.0, -20.0, "linear",
              f"Level above which the {band} band is compressed."),
        Param(f"{band}_ratio", ":1", 1.0, 20.0, 1.0, "log",
              f"dB in for one dB out above it, {band} band.", True),
        Param(f"{band}_makeup_db", "dB", -12.0, 12.0, 0.0, "linear",
              f"Gain behind the compressor, {band} band.", True),
    )  # fmt: skip


_MULTIBAND = (
    Param("low_crossover_hz", "Hz", multiband.LOWEST_CROSSOVER_HZ, 1000.0, 200.0, "log",
          "Between the low and the mid band."),
    Param("high_crossover_hz", "Hz", 1000.0, 12000.0, 3000.0, "log",
          "Between the mid and the high band."),
    *(param for band in _BANDS for param in _band_params(band)),
    _ATTACK,
    _RELEASE,
)  # fmt: skip


def _multiband(
    audio: Tensor, settings: Settings, sample_rate: int, state: State | None = None
) -> tuple[Tensor, State]:
    threshold, ratio, makeup = (
        torch.stack([settings[f"{band}_{knob}"] for band in _BANDS], dim=1)
        for knob in ("threshold_db", "ratio", "makeup_db")
    )
    return multiband.compress_bands(
        audio,
        (settings["low_crossover_hz"], settings["high_crossover_hz"]),
        threshold,
        ratio,
        makeup,
        settings["attack_ms"],
        settings["release_ms"],
        sample_rate,
        state,
    )


MULTIBAND_COMPRESSOR = Effect(
    "multiband_compressor",
    _MULTIBAND,
    _multiband,
    "Three compressors behind linear-phase crossovers.",
    multiband.multiband_latency,
)


# transient shaper

_TRANSIENT = (
    Param("attack_db", "dB", -15.0, 15.0, 0.0, "linear", "Gain of beginnings.", True),
    Param("sustain_db", "dB", -24.0, 24.0, 0.0, "linear", "Gain of tails.", True),
    Param("attack_ms", "ms", 5.0, 100.0, 25.0, "log", "How long a beginning lasts."),
    Param("sustain_ms", "ms", 50.0, 1000.0, 300.0, "log", "How long a tail may last."),
)
TRANSIENT_SHAPER = Effect(
    "transient_shaper",
    _TRANSIENT,
    run_of(transients.shape_transients),
    "Beginnings and tails louder or softer, whatever their level.",
    transients.transient_latency,
)
