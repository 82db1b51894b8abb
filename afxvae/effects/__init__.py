"""Audio effects, one file a family, and the default chain."""

from __future__ import annotations

from .base import Chain, ChainSettings, ChainState, Effect, Settings, State, Switches
from .delay import DELAY
from .distortion import AMPLIFIER, BIT_CRUSHER, DISTORTION
from .drive import OVERDRIVE
from .dynamics import COMPRESSOR
from .echoes import PING_PONG_DELAY
from .eq import EQ
from .levels import GATE, LIMITER, MULTIBAND_COMPRESSOR, TRANSIENT_SHAPER
from .modulation import CHORUS
from .panning import PAN
from .reverb import REVERB
from .room import ROOM
from .spatial import GAIN, WIDTH
from .stream import Stream
from .sweeps import FLANGER, PHASER, RING_MODULATOR, ROTARY, TREMOLO, VIBRATO
from .tone import BASS_BOOST, GRAPHIC_EQ, TILT

__all__ = [
    "EFFECTS",
    "Chain",
    "ChainSettings",
    "ChainState",
    "Effect",
    "Settings",
    "State",
    "Stream",
    "Switches",
    "default_chain",
]

EFFECTS: tuple[Effect, ...] = (
    EQ,
    COMPRESSOR,
    OVERDRIVE,
    CHORUS,
    DELAY,
    REVERB,
    WIDTH,
    GAIN,
    GATE,
    LIMITER,
    MULTIBAND_COMPRESSOR,
    TRANSIENT_SHAPER,
    DISTORTION,
    AMPLIFIER,
    BIT_CRUSHER,
    TILT,
    BASS_BOOST,
    GRAPHIC_EQ,
    PING_PONG_DELAY,
    ROOM,
    PAN,
    FLANGER,
    PHASER,
    TREMOLO,
    VIBRATO,
    ROTARY,
    RING_MODULATOR,
)
"""All effects there are."""


def default_chain() -> Chain:
    """EQ, compressor, overdrive, chorus, delay, reverb, stereo width, output gain."""
    return Chain((EQ, COMPRESSOR, OVERDRIVE, CHORUS, DELAY, REVERB, WIDTH, GAIN))
