"""Audio effects, one file a family, and the default chain."""

from __future__ import annotations

from .base import Chain, ChainSettings, Effect, Settings, State, Switches
from .delay import DELAY
from .drive import OVERDRIVE
from .dynamics import COMPRESSOR
from .eq import EQ
from .modulation import CHORUS
from .reverb import REVERB
from .spatial import GAIN, WIDTH
from .sweeps import FLANGER, PHASER, RING_MODULATOR, ROTARY, TREMOLO, VIBRATO

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
    FLANGER,
    PHASER,
    TREMOLO,
    VIBRATO,
    ROTARY,
    RING_MODULATOR,
)
"""All effects there are, in the order of a signal path."""


def default_chain() -> Chain:
    """EQ, compressor, overdrive, chorus, delay, reverb, stereo width, output gain."""
    return Chain((EQ, COMPRESSOR, OVERDRIVE, CHORUS, DELAY, REVERB, WIDTH, GAIN))
