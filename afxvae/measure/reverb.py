"""The reverb, found by its own response."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ..dsp.features import SAMPLE_RATE
from ..dsp.space import reverb_impulse_response
from ..effects.reverb import REVERB
from .rooms import LENGTH, Rooms, find_room, room_cepstrum

if TYPE_CHECKING:
    from torch import Tensor

    from .echo import Echo
    from .taps import Taps

__all__ = ["Reverb", "measure_reverb"]

_DECAY, _RATIO, *_ = REVERB.params


@dataclass(frozen=True)
class Reverb:
    """A reverb as measured from a recording; the knobs are those of the effect.

    Attributes:
        decay_s: RT60 of the low band.
        treble_ratio: RT60 of the high band relative to it.
        pre_delay_ms: Before the first reflection.
        mix: Share of the reverberation; one above one half comes back as about its complement.
        contrast: Height of the match at the best pre-delay over the best elsewhere; about 1 where
            there is no such reverb.
    """

    decay_s: float
    treble_ratio: float
    pre_delay_ms: float
    mix: float
    contrast: float


def measure_reverb(
    audio: Tensor, echo: Echo | Taps | None = None, least_contrast: float = 0.0
) -> Reverb:
    """Find the response of `reverb_impulse_response` in the cepstrum and fit its settings.

    Its noise is known. Another room than this package's does not correlate and is not found.

    Args:
        audio: ``(clip, 131072)`` mono at 24 kHz; log spectra of several clips are averaged. Of a
            stereo recording, the left channel.
        echo: Of the same recording; its multiples are left out.
        least_contrast: Below this the refinement is not worth its time and is left out.
    """
    found = find_room(*room_cepstrum(audio, echo), _velvet(), least_contrast=least_contrast)
    return Reverb(found.first, found.second, found.pre_delay_ms, found.mix, found.contrast)


@functools.cache
def _velvet() -> Rooms:
    def respond(decay_s: float, treble_ratio: float) -> Tensor:
        knobs = (torch.tensor([decay_s]), torch.tensor([treble_ratio]))
        response = reverb_impulse_response(*knobs, SAMPLE_RATE, 1)[0, 0, :LENGTH]
        return torch.nn.functional.pad(response, (0, LENGTH - len(response)))

    grid = tuple((s, ratio) for s in (0.25, 0.5, 1.0, 2.0, 4.0) for ratio in (0.25, 0.5, 0.9))
    lowest = (math.log(_DECAY.minimum), math.log(_RATIO.minimum))
    highest = (math.log(_DECAY.maximum), math.log(_RATIO.maximum))
    return Rooms(respond, grid, lowest, highest, searched=(0, 4, 7, 11))
