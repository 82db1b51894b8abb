"""Effects that bend the waveform: overdrive, distortion and fuzz, amplifier, bit crusher."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..dsp import amplifier, crushing, nonlinear, oversampling, shaping
from ..params import Param
from .base import Effect, run_of

if TYPE_CHECKING:
    from torch import Tensor

    from .base import Settings, State

__all__ = ["AMPLIFIER", "BIT_CRUSHER", "DISTORTION", "OVERDRIVE"]

_LEVEL = Param("level_db", "dB", -24.0, 24.0, 0.0, "linear", "Gain behind it.")


# overdrive

_OVERDRIVE = (
    Param("drive_db", "dB", 0.0, 40.0, 0.0, "linear", "How far the waveform is pushed.", True),
    Param("bias", "", 0.0, 1.0, 0.0, "linear", "Asymmetry: adds even harmonics."),
    Param("mix", "", 0.0, 1.0, 1.0, "linear", "Share of the driven signal."),
)


def _overdrive(
    audio: Tensor, settings: Settings, sample_rate: int, state: State | None = None
) -> tuple[Tensor, State]:
    return nonlinear.overdrive(audio, **settings, state=state)


OVERDRIVE = Effect(
    "overdrive",
    _OVERDRIVE,
    _overdrive,
    "Soft clipper, four times oversampled.",
    lambda sample_rate: oversampling.OVERSAMPLING_LATENCY,
)


# distortion

_DISTORTION = (
    Param("drive_db", "dB", 0.0, 60.0, 24.0, "linear", "Gain into the clipper."),
    Param("hardness", "", 0.0, 1.0, 0.8, "linear", "0 soft, 1 a sharp corner."),
    Param(
        "fuzz", "", 0.0, 1.0, 0.0, "linear", "Shifts the working point: splutter, even harmonics."
    ),
    Param("tone_hz", "Hz", 500.0, 20000.0, 6000.0, "log", "Above it the sound gets duller."),
    _LEVEL,
    Param("mix", "", 0.0, 1.0, 0.0, "linear", "Share of the distorted signal.", True),
)
DISTORTION = Effect(
    "distortion",
    _DISTORTION,
    run_of(shaping.distort),
    "Clipper from soft to hard and fuzz, eight times oversampled.",
    lambda sample_rate: oversampling.OVERSAMPLING_LATENCY,
)


# amplifier


def _tone(name: str, what: str) -> Param:
    return Param(name, "", 0.0, 10.0, 5.0, "linear", f"{what} knob of the tone stack.")


_AMPLIFIER = (
    Param("drive_db", "dB", 0.0, 60.0, 20.0, "linear", "Gain into the preamplifier."),
    _tone("bass", "Bass"),
    _tone("mid", "Mid"),
    _tone("treble", "Treble"),
    Param("master_db", "dB", 0.0, 40.0, 10.0, "linear", "Gain into the power stage."),
    Param("sag", "", 0.0, 1.0, 0.3, "linear", "How far the power supply gives way."),
    Param("cabinet", "", 0.0, 1.0, 1.0, "linear", "Share of the loudspeaker."),
    _LEVEL,
    Param("mix", "", 0.0, 1.0, 0.0, "linear", "Share of the amplified signal.", True),
)
AMPLIFIER = Effect(
    "amplifier",
    _AMPLIFIER,
    run_of(amplifier.amplify),
    "Tube preamplifier, tone stack, power stage and guitar cabinet.",
    lambda sample_rate: amplifier.AMPLIFIER_LATENCY,
)


# bit crusher

_BIT_CRUSHER = (
    Param("bits", "", 1.0, 16.0, 8.0, "linear", "Bits of a sample."),
    Param("rate_hz", "Hz", crushing.LOWEST_RATE_HZ, 48000.0, 12000.0, "log",
          "How many samples are taken a second; each is held until the next."),
    Param("mix", "", 0.0, 1.0, 0.0, "linear", "Share of the crushed signal.", True),
)  # fmt: skip
BIT_CRUSHER = Effect(
    "bit_crusher",
    _BIT_CRUSHER,
    run_of(crushing.crush),
    "Few bits and a low sample rate, as of old samplers.",
)
