"""Effects that repeat: echoes as they were, that darken and change sides, and from two taps."""

from __future__ import annotations

from ..dsp import delay, echoes
from ..params import Param
from .base import Effect, run_of

__all__ = ["DELAY", "DUAL_DELAY", "PING_PONG_DELAY"]

_MIX = Param("mix", "", 0.0, 1.0, 0.0, "linear", "Share of the echoes.", True)

_DELAY = (
    Param("time_ms", "ms", 20.0, 1000.0, 250.0, "log", "Time from one echo to the next."),
    Param("feedback", "", 0.0, 0.9, 0.3, "linear", "Level of an echo relative to the one before."),
    _MIX,
)
DELAY = Effect("delay", _DELAY, run_of(delay.echo), "Echoes with feedback.")

_PING_PONG_DELAY = (
    Param("time_ms", "ms", 20.0, 1000.0, 300.0, "log", "Time from one echo to the next."),
    Param("feedback", "", 0.0, 0.9, 0.4, "linear", "Level of an echo relative to the one before."),
    Param("tone_hz", "Hz", 500.0, 20000.0, 6000.0, "log", "Each echo loses treble above it."),
    Param("ping_pong", "", 0.0, 1.0, 1.0, "linear", "0 echoes stay on their side, 1 they change."),
    _MIX,
)
PING_PONG_DELAY = Effect(
    "ping_pong_delay",
    _PING_PONG_DELAY,
    run_of(echoes.ping_pong),
    "Darkening echoes that alternate between sides.",
)

_DUAL_DELAY = (
    Param("left_ms", "ms", 20.0, 1500.0, 300.0, "log", "To the first echo of the left tap."),
    Param("right_ms", "ms", 20.0, 1500.0, 400.0, "log", "To the first echo of the right tap."),
    Param("feedback", "", 0.0, 0.9, 0.3, "linear", "Share of both taps that comes round again."),
    Param("tone_db", "dB", -36.0, 6.0, 0.0, "linear", "Gain of an echo's treble over its bass."),
    Param("tone_hz", "Hz", 150.0, 12000.0, 2000.0, "log", "Corner of the bass for that."),
    _MIX,
)
DUAL_DELAY = Effect(
    "dual_delay",
    _DUAL_DELAY,
    run_of(echoes.two_taps),
    "Echoes from two taps, one on each side, that feed back into one line.",
)
