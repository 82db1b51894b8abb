"""What can be measured of a treatment, as settings of the chain."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ..dsp import spectral
from ..dsp.features import SAMPLE_RATE
from ..effects.base import Make
from ..effects.delay import DUAL_DELAY
from ..effects.modulation import CHORUS, FLANGER
from ..effects.reverb import FREEVERB
from .cepstra import clip_spectrum, sounding
from .chorus import measure_chorus
from .copies import consistency, one_way
from .echo import Echo, echo_level, measure_echoes
from .flanger import measure_flanger
from .freeverb import measure_freeverb
from .peel import peel
from .reverb import measure_reverb
from .taps import Taps, measure_taps

if TYPE_CHECKING:
    from torch import Tensor

    from ..effects import Chain
    from .chorus import Chorus
    from .flanger import Flanger

__all__ = ["LEAST_SAMPLES", "MEASURED", "Measured", "measure_settings", "nothing_measured"]

MEASURED = ("chorus", "delay", "reverb")
"""Effects that leave a copy of the sound, which can be found."""

LEAST_SAMPLES = round(1.5 * SAMPLE_RATE)
"""Of a recording, fewer of which tell no echo from content: in 1 s eight of 120 references without
one seemed to have one, in 1.5 s four, in 3 s one."""
_LEAST_SWINGING = 2 * SAMPLE_RATE
"""The same of what swings: in 1.5 s of music two of eleven references seemed to that did not."""
_LEAST_RINGING = SAMPLE_RATE // 2
"""The same of rooms: 42 of 44 are found in .5 s, and none in 76 references without one."""

_FAINTEST_ECHO = 0.1
_ECHOES = 3  # that are looked at
_STRETCHES = 24
_LATEST = 0.6  # of a recording that an echo may take to come
_LEAST_CONSISTENCY = 0.03  # which four in five repetitions of content do not reach
_LEAST_ONE_WAY = 0.05
"""Of an echo, with half of its feedback taken off, which music that repeats itself has a lot of.
On recordings of all kinds 99 % of echoes have more, and a sixth of what is repeated has."""
_HIDDEN_CONSISTENCY, _HIDDEN_ONE_WAY = 0.01, 0.3
"""Held notes sound on while their echo comes, which then follows in fewer places, but where it does
is plain. Of 112 repetitions of content in music none has both."""
_MOST_ERROR = 0.4  # of two taps, against what the cepstrum has where they would be
_LEAST_REVERB = 1.5  # contrasts that material without the effect does not reach
_LEAST_FREEVERB, _LEAST_WITH_PRE_DELAY = 1.5, 2.0
"""The same of Freeverb; that of JUCE has no pre-delay, so one takes more to believe."""
_AT_ONCE_MS = 0.1


class _Followed:
    """Tells what a clip ``(time,)`` is followed by: content repeats itself here or there."""

    def __init__(self, audio: Tensor) -> None:
        self.audio = audio[: sounding(audio)].cpu()
        self.white = spectral.whiten_frames(self.audio)

    def after(self, time_ms: float) -> bool:
        """Whether all of it is followed by itself after so long."""
        return self._consistency(time_ms) > _LEAST_CONSISTENCY

    def by(self, echo: Echo) -> bool:
        """Whether it is an echo, and no music that is played again."""
        consistent = self._consistency(echo.time_ms)
        if consistent <= _HIDDEN_CONSISTENCY:
            return False
        lag = round(echo.time_ms * SAMPLE_RATE / 1000.0)
        likeness = one_way(self.audio, self.white, lag) - 0.5 * echo.feedback
        plain = consistent > _LEAST_CONSISTENCY
        return likeness > (_LEAST_ONE_WAY if plain else _HIDDEN_ONE_WAY)

    def _consistency(self, time_ms: float) -> float:
        lag = torch.tensor(time_ms * SAMPLE_RATE / 1000.0)
        if lag > _LATEST * len(self.white):
            return 0.0
        place = torch.arange(int(lag) + 8, len(self.white) - 8)
        return consistency(self.white, place, lag, _STRETCHES)


@dataclass(frozen=True)
class Measured:
    """An effect as measured.

    Attributes:
        controls: Knob positions ``(knob,)``, in the order of the effect's Params.
        found: Whether the reference has it and the input lacks it.
        make: What comes nearer to it than the chain's effect with these knobs, if anything does.
        channels: That it was measured in the mean of.
    """

    controls: Tensor
    found: bool
    make: Make | None = None
    channels: int = 1


def measure_settings(
    chain: Chain,
    audio: Tensor,
    reference: Tensor,
    sample_rate: int = SAMPLE_RATE,
    mixed: Tensor | None = None,
    start_s: float = 0.0,
    input_rate: int = SAMPLE_RATE,
) -> dict[str, Measured]:
    """Settings of the effects of `MEASURED` in a reference.

    What is shorter than a clip is followed by silence. Shorter than 2 s, nothing that swings is
    found in it, shorter than 1.5 s, no echo, shorter than .5 s, nothing at all.

    Args:
        chain: Whose knobs are set.
        audio: Clips of the input ``(clip, 131072)``, mono at 24 kHz.
        reference: Clips of the reference, the same. Of stereo recordings, of the left channel.
        sample_rate: Of the reference before it came to 24 kHz, Hz.
        mixed: Clips of the mean of all channels of the reference, if it has several.
        start_s: When its first clip begins.
        input_rate: Of the input before it came to 24 kHz, Hz.
    """
    length = sounding(reference)
    if length < _LEAST_RINGING:
        return nothing_measured(chain)
    echo, echoes = _echo(audio, reference)
    whole = reference if mixed is None else mixed
    taps = _taps(audio, whole, echo) if echoes else None
    certain = taps or (echo if echoes else None)
    given = whole, sample_rate, mixed is None, certain
    freeverb = _freeverb(chain, audio, input_rate, *given)
    found = {
        "delay": _delay(chain, echo, taps, echoes, mixed is None),
        "reverb": freeverb or _reverb(chain, audio, reference, certain),
    }
    if length < _LEAST_SWINGING:
        return nothing_measured(chain) | found
    bare = peel(chain, reference[:1], found, channel=0)[0].clone()
    bare[length:] = 0.0
    return {"chorus": _swing(chain, audio[0], bare, sample_rate, start_s), **found}


def _swing(
    chain: Chain, audio: Tensor, reference: Tensor, sample_rate: int, start_s: float
) -> Measured:
    """A chorus, or a flanger in its place, of clips ``(131072,)``."""

    def at_start(found: Chorus | Flanger) -> dict[str, float]:
        return {"phase_deg": (found.phase_deg - 360.0 * found.rate_hz * start_s) % 360.0}

    chorus = measure_chorus(reference)
    told = sounding(audio) >= _LEAST_SWINGING
    if not chorus.swings:
        flanger = measure_flanger(reference, sample_rate)
        if flanger.swings and not (told and measure_flanger(audio).swings):
            knobs = {name: getattr(flanger, name) for name in ("delay_ms", "feedback", "step_us")}
            make = Make(FLANGER, {**knobs, "stereo_phase_deg": 0.0, **at_start(flanger)})
            return Measured(_controls(chain, "chorus", vars(flanger)), True, make)
    swings = chorus.swings and not (told and measure_chorus(audio).swings)
    make = Make(CHORUS, at_start(chorus))
    return Measured(_controls(chain, "chorus", vars(chorus)), swings, make)


def _echo(audio: Tensor, reference: Tensor) -> tuple[Echo, bool]:
    """The strongest that is one and that the input lacks; the strongest if none is."""
    found = measure_echoes(reference, _ECHOES)
    loud = [echo for echo in found if echo.level > _FAINTEST_ECHO]
    if loud and sounding(reference) >= LEAST_SAMPLES:
        followed = _Followed(reference[0])
        own = _levels(audio, [echo.time_ms for echo in loud])
        for echo, level in zip(loud, own, strict=True):
            if echo.level > 2.0 * level and followed.by(echo):
                return echo, True
    return found[0], False


def _taps(audio: Tensor, reference: Tensor, echo: Echo) -> Taps | None:
    """Both taps, if the echo is one of two that the input lacks."""
    taps = measure_taps(reference, echo, _Followed(reference[0]).after)
    if taps is None or taps.error > _MOST_ERROR:
        return None
    times = [taps.first_ms, taps.second_ms]
    levels = zip(_levels(audio, times), _levels(reference, times), strict=True)
    return taps if all(theirs > 2.0 * own for own, theirs in levels) else None


def _levels(audio: Tensor, times_ms: list[float]) -> list[float]:
    """Of echoes at these times, whether they are there or not."""
    places = torch.tensor(times_ms, dtype=torch.float64) * (SAMPLE_RATE / 1000.0)
    levels: list[float] = echo_level(clip_spectrum(audio).mean(0), places).tolist()
    return levels


def _delay(chain: Chain, echo: Echo, taps: Taps | None, found: bool, mono: bool) -> Measured:
    """One echo, or two taps in its place; the echo is that of the left channel."""
    level = max(echo.level, 0.0)
    delay = {"time_ms": echo.time_ms, "feedback": echo.feedback, "mix": level / (1.0 + level)}
    if taps is None:
        return Measured(_controls(chain, "delay", delay), found)
    left, right = sorted((taps.first_ms, taps.second_ms), key=lambda ms: abs(ms - echo.time_ms))
    others = {"left_ms": left, "right_ms": right, "tone_db": taps.tone_db, "tone_hz": taps.tone_hz}
    controls = _controls(chain, "delay", vars(taps) | {"time_ms": left})
    return Measured(controls, found, Make(DUAL_DELAY, others), 1 if mono else 2)


def _freeverb(
    chain: Chain,
    audio: Tensor,
    input_rate: int,
    reference: Tensor,
    sample_rate: int,
    mono: bool,
    echo: Echo | Taps | None,
) -> Measured | None:
    """Freeverb, if the reference has it; an input that rings itself has nothing to get."""
    found = measure_freeverb(reference, sample_rate, mono, echo, _LEAST_FREEVERB)
    late = found.make.effect is FREEVERB and found.pre_delay_ms > _AT_ONCE_MS
    if found.contrast <= (_LEAST_WITH_PRE_DELAY if late else _LEAST_FREEVERB):
        return None
    own = measure_freeverb(audio, input_rate, least_contrast=math.inf)
    rings = own.contrast < _LEAST_FREEVERB
    controls = _controls(chain, "reverb", vars(found))
    return Measured(controls, rings, found.make, 1 if mono else 2)


def _reverb(chain: Chain, audio: Tensor, reference: Tensor, echo: Echo | Taps | None) -> Measured:
    """This package's reverb."""
    reverb = measure_reverb(reference, echo, _LEAST_REVERB)
    rings = reverb.contrast > _LEAST_REVERB
    if rings:  # does the input ring too?
        rings = measure_reverb(audio, None, math.inf).contrast < _LEAST_REVERB
    return Measured(_controls(chain, "reverb", vars(reverb)), rings)


def nothing_measured(chain: Chain) -> dict[str, Measured]:
    """As `measure_settings` of a recording in which nothing can be found."""
    return {
        effect: Measured(torch.tensor([p.default_control for p in chain[effect].params]), False)
        for effect in MEASURED
    }


def _controls(chain: Chain, effect: str, values: dict[str, float]) -> Tensor:
    return torch.tensor(
        [
            param.to_control(min(max(values[param.name], param.minimum), param.maximum))
            for param in chain[effect].params
        ]
    )
