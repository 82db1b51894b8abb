"""Effects that put the sound into a room: a diffuse one, one with walls, and Freeverb."""

from __future__ import annotations

from ..dsp import freeverb, room, space
from ..params import Param
from .base import Effect, run_of

__all__ = ["FREEVERB", "REVERB", "ROOM", "SOX_REVERB"]

_REVERB = (
    Param("decay_s", "s", 0.1, 6.0, 1.0, "log", "Time in which the bass falls by 60 dB (RT60)."),
    Param("treble_ratio", "", 0.1, 1.0, 0.5, "log", "RT60 of the treble relative to the bass."),
    Param("pre_delay_ms", "ms", 0.0, 100.0, 10.0, "linear", "Time before the first reflection."),
    Param("mix", "", 0.0, 1.0, 0.0, "linear", "Share of the reverberation.", True),
)
REVERB = Effect(
    "reverb",
    _REVERB,
    run_of(space.reverberate),
    "Velvet-noise room with a decay time in three bands.",
)

_ROOM = (
    Param("size_m", "m", 4.0, 40.0, 10.0, "log", "Length of the room."),
    Param("decay_s", "s", 0.2, 6.0, 1.2, "log", "Time in which the mids fall by 60 dB (RT60)."),
    Param("bass_ratio", "", 0.5, 1.5, 1.1, "log", "RT60 of the bass relative to the mids."),
    Param("treble_ratio", "", 0.2, 1.0, 0.5, "log", "RT60 of the treble relative to the mids."),
    Param("pre_delay_ms", "ms", 0.0, 100.0, 10.0, "linear", "Time before the room answers."),
    Param("balance", "", 0.0, 1.0, 0.6, "linear", "0 early reflections only, 1 only what follows."),
    Param("mix", "", 0.0, 1.0, 0.0, "linear", "Share of the room.", True),
)
ROOM = Effect(
    "room",
    _ROOM,
    run_of(room.reverberate),
    "Early reflections and a reverberation with RT60 by band.",
)

_DAMPING = Param("damping_hz", "Hz", 1000.0, 20000.0, 6000.0, "log",
                 "Cutoff in its loops: above, the reverberation falls sooner.")  # fmt: skip
_PRE_DELAY = Param("pre_delay_ms", "ms", 0.0, 100.0, 0.0, "linear", "Time before it begins.")
_DECAY = Param("decay_s", "s", 0.1, 12.0, 1.5, "log",
               "Time in which the bass falls by 60 dB (RT60).")  # fmt: skip

FREEVERB = Effect(
    "freeverb",
    (_DECAY, _DAMPING, _PRE_DELAY, _REVERB[-1]),
    run_of(freeverb.freeverb),
    "Freeverb, the reverberation of JUCE, pedalboard and many plug-ins.",
)
SOX_REVERB = Effect(
    "sox_reverb",
    (
        _DECAY,
        _DAMPING,
        Param("room_scale", "%", 0.0, 100.0, 100.0, "linear", "Lengths of its loops."),
        _PRE_DELAY,
        _REVERB[-1],
    ),
    run_of(freeverb.sox_reverb),
    "Freeverb as SoX has it.",
)
