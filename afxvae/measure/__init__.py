"""Settings that signal processing reads off a recording: delay, reverb, chorus, flanger.

These effects copy the sound in time, and a copy leaves a trace in the cepstrum that no content has.
Where the trace is there, it is more exact than any network; where it is not, nothing is claimed.
What was measured of delay and reverb is taken off before the rest is estimated.
The equaliser is measured between moments of both recordings that sound alike, if there are any.
All assume 24 kHz clips of 131,072 samples, as the rest of the analysis does.
"""

from .chorus import Chorus, measure_chorus
from .echo import Echo, measure_echo
from .equalizer import EqualizerFit, measure_equalizer
from .flanger import Flanger, measure_flanger
from .freeverb import Freeverb, measure_freeverb
from .peel import LINEAR, of_one_channel, peel
from .reverb import Reverb, measure_reverb
from .ring import Ring, measure_ring
from .settings import MEASURED, Measured, measure_settings, nothing_measured
from .taps import Taps, measure_taps

__all__ = [
    "LINEAR",
    "MEASURED",
    "Chorus",
    "Echo",
    "EqualizerFit",
    "Flanger",
    "Freeverb",
    "Measured",
    "Reverb",
    "Ring",
    "Taps",
    "measure_chorus",
    "measure_echo",
    "measure_equalizer",
    "measure_flanger",
    "measure_freeverb",
    "measure_reverb",
    "measure_ring",
    "measure_settings",
    "measure_taps",
    "nothing_measured",
    "of_one_channel",
    "peel",
]
