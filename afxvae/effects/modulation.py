"""Effects in which something swings or turns: delay, phase, pitch, level, loudspeaker."""

from __future__ import annotations

from ..dsp import amplitude, modulation, phasing, rotary, sweeping
from ..params import Param
from .base import Effect, run_of

__all__ = ["CHORUS", "FLANGER", "PHASER", "RING_MODULATOR", "ROTARY", "TREMOLO", "VIBRATO"]


def _stereo(default: float) -> Param:
    return Param("stereo_phase_deg", "°", 0.0, 180.0, default, "linear",
                 "How late the right channel swings.")  # fmt: skip


_PHASE = Param("phase_deg", "°", 0.0, 360.0, 0.0, "linear", "Where the swing stands at the start.")

CHORUS = Effect(
    "chorus",
    (
        Param("rate_hz", "Hz", 0.05, 8.0, 0.8, "log", "Swings a second."),
        Param("depth_ms", "ms", 0.1, 6.0, 2.0, "log", "Largest deviation of the delay."),
        Param("delay_ms", "ms", 4.0, 30.0, 12.0, "log", "Mean delay of the voice."),
        Param("mix", "", 0.0, 1.0, 0.0, "linear", "Share of the voice.", True),
        _PHASE,
    ),
    run_of(modulation.chorus),
    "One voice with a swinging delay.",
)

FLANGER = Effect(
    "flanger",
    (
        Param("rate_hz", "Hz", 0.05, 5.0, 0.3, "log", "Swings a second."),
        Param("depth_ms", "ms", 0.1, sweeping.LOOK_AHEAD_MS, 1.5, "log",
              "Largest deviation of the delay; above the delay, the voice passes through zero."),
        Param("delay_ms", "ms", 0.0, 10.0, 2.0, "linear", "Mean delay of the voice."),
        Param("feedback", "", -0.95, 0.95, 0.3, "linear", "Share of the voice that goes in again."),
        _stereo(90.0),
        Param("mix", "", 0.0, 1.0, 0.0, "linear", "Share of the voice; deepest at 0.5.", True),
        _PHASE,
        Param("step_us", "µs", 0.0, 100.0, 0.0, "linear",
              "Steps in which the delay moves, as in early digital units; 0 moves smoothly."),
    ),
    run_of(sweeping.flanger),
    "One voice with a short swinging delay and feedback, also through zero.",
    sweeping.flanger_latency,
)  # fmt: skip

PHASER = Effect(
    "phaser",
    (
        Param("rate_hz", "Hz", 0.05, 8.0, 0.5, "log", "Swings a second."),
        Param("centre_hz", "Hz", 100.0, 4000.0, 800.0, "log", "Middle notch at rest."),
        Param("depth_octaves", "oct", 0.0, 3.0, 1.5, "linear", "Largest deviation of the notches."),
        Param("feedback", "", -0.9, 0.9, 0.3, "linear", "Share of the voice that goes in again."),
        _stereo(90.0),
        Param("mix", "", 0.0, 1.0, 0.0, "linear", "Share of the voice; deepest at 0.5.", True),
    ),
    run_of(phasing.phaser),
    "Six all-passes with a swinging frequency and feedback: three notches.",
)

TREMOLO = Effect(
    "tremolo",
    (
        Param("rate_hz", "Hz", 0.1, 20.0, 5.0, "log", "Swings a second."),
        Param("depth", "", 0.0, 1.0, 0.0, "linear", "How much of the level goes.", True),
        Param("shape", "", 0.0, 1.0, 0.0, "linear", "0 swings as a sine, 1 as a square."),
        _stereo(0.0),
    ),
    run_of(amplitude.tremolo),
    "Level that swings, also from side to side.",
)

VIBRATO = Effect(
    "vibrato",
    (
        Param("rate_hz", "Hz", 0.5, 14.0, 5.0, "log", "Swings a second."),
        Param("depth_cents", "cents", 0.0, 100.0, 0.0, "linear",
              "Deviation of the pitch to both sides.", True),
    ),
    run_of(sweeping.vibrato),
    "Pitch that swings.",
    lambda sample_rate: sweeping.VIBRATO_LATENCY,
)  # fmt: skip

ROTARY = Effect(
    "rotary",
    (
        Param("rate_hz", "Hz", 0.3, 8.0, 0.8, "log", "Turns of the horn; slow 0.8, fast 6.7."),
        Param("depth", "", 0.0, 1.0, 0.7, "linear", "How much the level swings."),
        Param("spread_deg", "°", 0.0, 180.0, 90.0, "linear", "Angle between the microphones."),
        Param("mix", "", 0.0, 1.0, 0.0, "linear", "Share of the speaker.", True),
    ),
    run_of(rotary.rotary),
    "Leslie speaker: a horn and a drum that turn before two microphones.",
)

RING_MODULATOR = Effect(
    "ring_modulator",
    (
        Param("carrier_hz", "Hz", 10.0, 12000.0, 440.0, "log", "Frequency of the sine."),
        Param("mix", "", 0.0, 1.0, 0.0, "linear", "Share of the product.", True),
    ),
    run_of(amplitude.ring_modulate),
    "Product with a sine: sums and differences of frequencies.",
)
