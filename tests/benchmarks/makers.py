"""Treatments by effects we did not write, with random settings: SoX, pedalboard, mda plug-ins.

Needs the command `sox`, pedalboard (``pip install -e .[bench]``) and Debian's mda-lv2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from afxvae.dsp.features import SAMPLE_RATE

from . import plugins

Draw = Callable[[np.random.Generator], "Treatment"]
Treatment = Callable[[np.ndarray], np.ndarray]
"""From ``(time,)`` to the same at 24 kHz; called with the halves of a crop in turn."""

_HEADROOM = 0.25  # SoX clips at full scale
_LEFT = ("output", "gain", "listen", "stereo", "process")  # ports of mda that stay


# SoX


def _sox(effect: str) -> Treatment:
    from .peers import piped

    form = ["-t", "f32", "-r", str(SAMPLE_RATE), "-c", "1", "-"]

    def treat(audio: np.ndarray) -> np.ndarray:
        command = ["sox", "-V1", "-D", *form, *form, *effect.split()]
        done = piped(command, _HEADROOM * audio) / _HEADROOM
        return np.pad(done, (0, max(0, len(audio) - len(done))))[: len(audio)]

    return treat


def _log(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _sox_eq(rng: np.random.Generator) -> str:
    parts = [f"bass {rng.uniform(-12, 12):.1f} {_log(rng, 80, 300):.0f}",
             f"treble {rng.uniform(-12, 12):.1f} {_log(rng, 2000, 8000):.0f}"]  # fmt: skip
    for _ in range(2):
        parts.append(f"equalizer {_log(rng, 200, 6000):.0f} {rng.uniform(0.5, 2):.2f}q "
                     f"{rng.uniform(-12, 12):.1f}")  # fmt: skip
    if rng.random() < 0.3:
        parts.append(f"highpass {_log(rng, 60, 400):.0f}")
    if rng.random() < 0.3:
        parts.append(f"lowpass {_log(rng, 2500, 10000):.0f}")
    return " ".join(parts)


def _sox_compand(rng: np.random.Generator) -> str:
    threshold, ratio = rng.uniform(-50, -25), _log(rng, 2, 10)
    attack, decay = _log(rng, 0.002, 0.1), _log(rng, 0.05, 0.6)
    top = threshold - threshold / ratio
    return (f"compand {attack:.4f},{decay:.3f} {rng.uniform(1, 9):.1f}:-100,-100,"
            f"{threshold:.1f},{threshold:.1f},0,{top:.1f} 0 -90")  # fmt: skip


SOX: dict[str, Callable[[np.random.Generator], str]] = {
    "eq": _sox_eq,
    "compressor": _sox_compand,
    "overdrive": lambda rng: f"overdrive {rng.uniform(10, 40):.0f} {rng.uniform(0, 50):.0f}",
    "chorus": lambda rng: (
        f"chorus 0.7 {rng.uniform(0.6, 0.9):.2f} {rng.uniform(20, 60):.0f} "
        f"{rng.uniform(0.2, 0.6):.2f} {_log(rng, 0.1, 3):.2f} {rng.uniform(0.5, 4):.1f} -s"
    ),
    "delay": lambda rng: f"echo 0.8 0.9 {rng.uniform(60, 600):.0f} {rng.uniform(0.2, 0.8):.2f}",
    "reverb": lambda rng: (
        f"reverb {rng.uniform(20, 90):.0f} {rng.uniform(0, 100):.0f} {rng.uniform(10, 100):.0f} "
        f"100 {rng.uniform(0, 60):.0f} {rng.uniform(-6, 4):.1f}"
    ),
}


# pedalboard


def _board(*names: str) -> Draw:
    def draw(rng: np.random.Generator) -> Treatment:
        import pedalboard as pb

        def eq() -> list[Any]:
            parts = [
                pb.LowShelfFilter(_log(rng, 80, 300), rng.uniform(-12, 12)),
                pb.HighShelfFilter(_log(rng, 2000, 8000), rng.uniform(-12, 12)),
            ]
            for _ in range(2):
                parts.append(pb.PeakFilter(_log(rng, 200, 6000), rng.uniform(-12, 12),
                                           rng.uniform(0.5, 2)))  # fmt: skip
            return parts

        makers: dict[str, Callable[[], list[Any]]] = {
            "eq": eq,
            "compressor": lambda: [pb.Compressor(rng.uniform(-45, -20), _log(rng, 2, 10),
                                                 _log(rng, 0.5, 50), _log(rng, 30, 500))],
            "distortion": lambda: [pb.Distortion(rng.uniform(6, 36))],
            "chorus": lambda: [pb.Chorus(_log(rng, 0.1, 4), rng.uniform(0.1, 0.6),
                                         rng.uniform(5, 25), 0.0, rng.uniform(0.2, 0.6))],
            "delay": lambda: [pb.Delay(rng.uniform(0.06, 0.6), rng.uniform(0, 0.6),
                                       rng.uniform(0.1, 0.5))],
            "reverb": lambda: [pb.Reverb(rng.uniform(0.1, 0.9), rng.uniform(0, 1),
                                         rng.uniform(0.1, 0.5), 0.8)],
        }  # fmt: skip
        parts = [part for name in names or _some(rng, BOARD) for part in makers[name]()]

        def treat(audio: np.ndarray) -> np.ndarray:
            done = pb.Pedalboard(parts)(audio.astype(np.float32)[None], SAMPLE_RATE)
            return np.asarray(done[0], float)

        return treat

    return draw


BOARD = ("eq", "compressor", "distortion", "chorus", "delay", "reverb")


def _some(rng: np.random.Generator, names: Any) -> list[str]:
    """Two to four of the names, in their order."""
    names = list(names)
    chosen = rng.choice(len(names), int(rng.integers(2, 5)), replace=False)
    return [names[index] for index in sorted(chosen)]


# mda

MDA = {
    "overdrive": "Overdrive", "delay": "Delay", "ambience": "Ambience", "ringmod": "RingMod",
    "combo": "Combo", "dynamics": "Dynamics", "multiband": "MultiBand", "flanger": "ThruZero",
    "leslie": "Leslie",
}  # fmt: skip


def _mda(plugin: str) -> Draw:
    def draw(rng: np.random.Generator) -> Treatment:
        controls = {
            port.symbol: rng.uniform(port.minimum, port.maximum)
            for port in plugins.ports("mda", plugin)
            if not port.audio and port.symbol not in _LEFT
        }
        return lambda audio: plugins.run("mda", plugin, audio, SAMPLE_RATE, controls).astype(float)

    return draw


def _sox_draw(*names: str) -> Draw:
    return lambda rng: _sox(" ".join(SOX[name](rng) for name in names or _some(rng, SOX)))


CELLS: dict[str, Draw] = {
    **{f"SoX {name}": _sox_draw(name) for name in SOX},
    "SoX chains": _sox_draw(),
    **{f"pedalboard {name}": _board(name) for name in BOARD},
    "pedalboard chains": _board(),
    **{f"mda {name}": _mda(plugin) for name, plugin in MDA.items()},
}


# P1-corrupt, as DeepAFx-ST makes its items (Steinmetz et al. 2022): the input is treated too

CORRUPT = "P1-corrupt (SoX)"


def _flip(rng: np.random.Generator, probability: float, effect: str) -> str:
    return effect if rng.random() < probability else ""


def _sox_expand(rng: np.random.Generator) -> str:
    threshold, ratio = rng.uniform(-45, -30), rng.uniform(1.5, 3)
    low = threshold + ratio * (-100 - threshold)
    return (f"compand {_log(rng, 0.002, 0.05):.4f},{_log(rng, 0.05, 0.3):.3f} 6:-100,{low:.1f},"
            f"{threshold:.1f},{threshold:.1f},0,0 0 -90")  # fmt: skip


def corrupted(rng: np.random.Generator) -> Treatment:
    return _sox(f"{_flip(rng, 0.75, _sox_eq(rng))} {_flip(rng, 0.1, _sox_expand(rng))}")


def _sox_production(rng: np.random.Generator) -> Treatment:
    return _sox(f"{_flip(rng, 0.75, _sox_eq(rng))} {_flip(rng, 0.75, _sox_compand(rng))}")


CELLS[CORRUPT] = _sox_production


# rooms


def _noise_room(rng: np.random.Generator) -> Treatment:
    """A diffuse room: noise that dies away exponentially, its treble sooner."""
    from scipy import signal

    seconds, mix = _log(rng, 0.3, 3), rng.uniform(0.08, 0.5)
    time = np.arange(round(1.2 * seconds * SAMPLE_RATE)) / SAMPLE_RATE
    noise = rng.standard_normal(len(time))
    bass = signal.lfilter(*signal.butter(1, 2500.0, fs=SAMPLE_RATE), noise)
    response = bass * 10 ** (-3 * time / seconds)
    response += (noise - bass) * 10 ** (-3 * time / (seconds * rng.uniform(0.3, 0.9)))
    late = round(rng.uniform(0, 0.04) * SAMPLE_RATE)
    response = np.pad(response / np.linalg.norm(response), (late, 0))

    def treat(audio: np.ndarray) -> np.ndarray:
        wet = signal.fftconvolve(audio, response)[: len(audio)]
        done: np.ndarray = (1 - mix) * audio + mix * wet
        return done

    return treat


CELLS["rooms of noise"] = _noise_room
