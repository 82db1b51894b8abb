"""Audio effects, one file a family, and the default chain."""

from __future__ import annotations

from .base import Chain, ChainSettings, ChainState, Effect, Make, Settings, State, Switches
from .delay import DELAY, DUAL_DELAY, PING_PONG_DELAY
from .drive import AMPLIFIER, BIT_CRUSHER, DISTORTION, OVERDRIVE
from .dynamics import COMPRESSOR, GATE, LIMITER, MULTIBAND_COMPRESSOR, TRANSIENT_SHAPER
from .eq import BASS_BOOST, EQ, GRAPHIC_EQ, TILT
from .modulation import CHORUS, FLANGER, PHASER, RING_MODULATOR, ROTARY, TREMOLO, VIBRATO
from .reverb import FREEVERB, REVERB, ROOM, SOX_REVERB
from .spatial import GAIN, PAN, WIDTH
from .stream import Stream

__all__ = [
    "EFFECTS",
    "Chain",
    "ChainSettings",
    "ChainState",
    "Effect",
    "Make",
    "Settings",
    "State",
    "Stream",
    "Switches",
    "default_chain",
]

EFFECTS: tuple[Effect, ...] = (
    # tone
    EQ,
    GRAPHIC_EQ,
    TILT,
    BASS_BOOST,
    # dynamics
    GATE,
    COMPRESSOR,
    MULTIBAND_COMPRESSOR,
    TRANSIENT_SHAPER,
    # drive
    OVERDRIVE,
    DISTORTION,
    AMPLIFIER,
    BIT_CRUSHER,
    # modulation
    CHORUS,
    FLANGER,
    PHASER,
    VIBRATO,
    TREMOLO,
    ROTARY,
    RING_MODULATOR,
    # delay
    DELAY,
    PING_PONG_DELAY,
    DUAL_DELAY,
    # reverb
    REVERB,
    ROOM,
    FREEVERB,
    SOX_REVERB,
    # stereo image and level
    WIDTH,
    PAN,
    GAIN,
    LIMITER,
)
"""All effects there are, in the order of a usual signal path."""


def default_chain() -> Chain:
    """EQ, compressor, overdrive, chorus, delay, reverb, stereo width, output gain.

    The chorus begins its swing where the sound begins.
    """
    chorus = CHORUS.without("phase_deg")
    return Chain((EQ, COMPRESSOR, OVERDRIVE, chorus, DELAY, REVERB, WIDTH, GAIN))
