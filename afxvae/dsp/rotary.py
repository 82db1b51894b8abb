"""The rotary speaker: a horn and a drum that turn, heard by two microphones.

After Smith, Serafin, Abel and Berners, *Doppler simulation and the Leslie* (DAFx 2002): what a
turning source does to a distant microphone is a swinging delay and a swinging level.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch

from .allpass import allpass_cascade, allpass_coefficients
from .convolution import continued
from .lfo import lag_odd_channels, phase, start_clock
from .moving import NEIGHBOURS, read_line
from .units import per_item

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["DRUM", "HORN", "Rotor", "crossover", "rotary"]

_CROSSOVER_HZ = 800.0
_SPEED_OF_SOUND = 343.0  # m/s


class Rotor(NamedTuple):
    """One of the two turning parts.

    Attributes:
        speed: Turns for a turn of the horn; negative the other way round.
        radius_m: From the axis to where the sound leaves.
        dip: How much of the level is lost when it points away, at depth 1.
    """

    speed: float
    radius_m: float
    dip: float

    @property
    def swing_s(self) -> float:
        """Largest deviation of the delay from its mean."""
        return self.radius_m / _SPEED_OF_SOUND


HORN = Rotor(1.0, 0.19, 0.9)
DRUM = Rotor(-0.85, 0.12, 0.6)


def crossover(
    audio: Tensor, sample_rate: int, state: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Linkwitz-Riley crossover at 800 Hz, 12 dB per octave.

    With the first-order all-pass A, low-passed is ``((1 + A) / 2)^2`` and high-passed
    ``-((1 - A) / 2)^2``: their sum is A, so that no level is lost, and at 800 Hz both are at -6 dB.

    Returns:
        Low and high, each ``(batch, channel, time)``, and the state.
    """
    first, second = (None, None) if state is None else state.unbind(0)
    corner = torch.full((1, 1, 1), _CROSSOVER_HZ, dtype=torch.float64, device=audio.device)
    coefficients = allpass_coefficients(corner, sample_rate)
    none = audio.new_zeros(len(audio))
    once, first = allpass_cascade(audio, coefficients, none, 1, first)
    twice, second = allpass_cascade(once, coefficients, none, 1, second)
    even = audio + twice
    return 0.25 * even + 0.5 * once, 0.5 * once - 0.25 * even, torch.stack([first, second])


def _turn(
    line: Tensor, rotor: Rotor, rate_hz: Tensor, depth: Tensor, spread_deg: Tensor, clock: Tensor,
    sample_rate: int,
) -> Tensor:  # fmt: skip
    """What the microphones hear of a rotor, of as many samples as `line` has beyond its reach."""
    length = line.shape[-1] - _reach(sample_rate)
    angle = phase(rate_hz * abs(rotor.speed), clock, length, sample_rate)
    angle = lag_odd_channels(angle, math.copysign(1.0, rotor.speed) * spread_deg, line.shape[1])
    away = 0.5 - 0.5 * torch.cos(angle)  # 0 towards the microphone, 1 away from it
    heard = read_line(line, 1.0 + (2.0 * rotor.swing_s * sample_rate) * away)
    return heard - (rotor.dip * per_item(depth) * away).to(line.dtype) * heard


def _reach(sample_rate: int) -> int:
    longest = 2.0 * max(HORN.swing_s, DRUM.swing_s) * sample_rate
    return 1 + math.ceil(longest) + NEIGHBOURS


def rotary(
    audio: Tensor,
    rate_hz: Tensor,
    depth: Tensor,
    spread_deg: Tensor,
    mix: Tensor,
    sample_rate: int,
    state: tuple[Tensor, ...] | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Leslie cabinet: horn above, drum below 800 Hz, each with Doppler shift and swinging level.

    A rotor at angle t to a microphone is nearer by ``r cos t`` (a delay of ``r / 343 m/s``: .55 ms
    for the horn, .35 ms for the drum) and its level falls by ``depth dip (1 - cos t) / 2``, where
    dip is .9 for the horn and .6 for the drum. The drum turns the other way round, at .85 of the
    horn's rate. At sample 0 both point to the first microphone.

    Even channels are heard by the first microphone, odd ones by the second, each its own sound: the
    same sound in two channels comes out as from a cabinet; what differs stays apart, where a
    cabinet would mix it, and other than two channels are no special case.

    Args:
        audio: ``(batch, channel, time)``.
        rate_hz: ``(batch,)`` turns of the horn a second: about .8 slow, 6.7 fast.
        depth: ``(batch,)`` of the swinging level, in [0, 1].
        spread_deg: ``(batch,)`` angle between the microphones.
        mix: ``(batch,)`` share of the speaker in [0, 1].
        sample_rate: In Hz.
        state: As returned with the block before; None at the start.

    Returns:
        ``(batch, channel, time)``; at mix 0, `audio` bit for bit. Then the state: of the crossover,
        the latest low and high samples, the samples so far.
    """
    length = audio.shape[-1]
    filters, past_low, past_high, clock = state or (None, None, None, start_clock(audio))
    low, high, filters = crossover(audio, sample_rate, filters)
    low = continued(low, past_low, _reach(sample_rate))
    high = continued(high, past_high, _reach(sample_rate))
    knobs = (rate_hz, depth, spread_deg, clock, sample_rate)
    heard = _turn(low, DRUM, *knobs) + _turn(high, HORN, *knobs)
    done = audio + per_item(mix) * (heard - audio)
    return done, (filters, low[..., length:], high[..., length:], clock + length)
