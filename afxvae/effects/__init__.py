"""Audio effects, one file a family, and the default chain."""

from __future__ import annotations

from .base import Chain, ChainSettings, Effect, Settings, State, Switches
from .delay import DELAY
from .drive import OVERDRIVE
from .dynamics import COMPRESSOR
from .echoes import PING_PONG_DELAY
from .eq import EQ
from .modulation import CHORUS
from .panning import PAN
from .reverb import REVERB
from .room import ROOM
from .spatial import GAIN, WIDTH
from .tone import BASS_BOOST, GRAPHIC_EQ, TILT

__all__ = [
    "EFFECTS",
    "Chain",
    "ChainSettings",
    "Effect",
    "Settings",
    "State",
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
    TILT,
    BASS_BOOST,
    GRAPHIC_EQ,
    PING_PONG_DELAY,
    ROOM,
    PAN,
)
"""All effects there are, in the order of a signal path."""


def default_chain() -> Chain:
    """EQ, compressor, overdrive, chorus, delay, reverb, stereo width, output gain."""
    return Chain((EQ, COMPRESSOR, OVERDRIVE, CHORUS, DELAY, REVERB, WIDTH, GAIN))
