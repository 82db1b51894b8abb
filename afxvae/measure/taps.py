"""Two taps of one delay line, and how both darken, in the cepstrum of whole clips."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ..dsp.features import SAMPLE_RATE
from ..effects.delay import DUAL_DELAY
from .cepstra import N_FFT, cepstrum_of, clip_spectrum, delayed, frequencies, heard, refine
from .echo import echo_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from .echo import Echo

__all__ = ["Taps", "measure_taps"]

_SHORTEST, _LONGEST = 1080, 31_200  # samples to a tap
_SHORTEST_APART = 480  # samples between two
_PEAKS, _PAIRS = 5, 4  # that are looked at
_NEAR, _NEAR_CONTENT = 12, 360  # samples around an echo, and around content that is none
_LEAST_RATIO = 0.5  # of one tap's level to the other's
_LEAST_LEVEL = 0.25  # of another peak, against the known one
_BETTER = 0.7  # of what one tap leaves, two must leave less
_BEFORE, _AFTER = 8, 100  # samples around where echoes are, of which the fit takes account
_TURNS = 3  # echoes that came round so often are the last of these
_PLAIN = 0.002  # per dB: how much more of a tone there has to be in the cepstrum to be believed

# of the fit: both times in samples, feedback, tone in dB, logarithm of its Hz, mix
_START = (0.3, -6.0, math.log(2000.0))
_MIXES = (0.3, 0.75)  # where it starts: with echoes weaker and stronger than the direct sound
_MIX_LIMITS = (0.01, 0.97)
_BESIDE = 1.5  # samples that times move at most
_STEPS = torch.tensor([0.05, 0.05, 0.01, 0.3, 0.05, 0.01], dtype=torch.float64)
_LARGEST_STEP = torch.tensor([0.5, 0.5, 0.3, 6.0, 0.7, 0.15], dtype=torch.float64)
_ROUNDS, _TRIES = 15, 8


@dataclass(frozen=True)
class Taps:
    """Two taps of one line as measured; the knobs are those of `DUAL_DELAY`.

    Attributes:
        first_ms: The shorter.
        second_ms: The other.
        feedback: Share of both that comes round again.
        tone_db: Gain of treble against bass.
        tone_hz: Corner of that.
        mix: Share of the echoes.
        error: What they leave of the power of the cepstrum where echoes are.
    """

    first_ms: float
    second_ms: float
    feedback: float
    tone_db: float
    tone_hz: float
    mix: float
    error: float

    def places(self, longest: int) -> list[float]:
        """Where echoes come, in samples at 24 kHz, up to `longest`, and how far taps are apart."""
        first, second = (ms * SAMPLE_RATE / 1000.0 for ms in (self.first_ms, self.second_ms))
        turns = range(int(longest / first) + 1)
        sums = [i * first + j * second for i, j in itertools.product(turns, turns)]
        return [place for place in (*sums, second - first) if 0.0 < place < longest]


def measure_taps(audio: Tensor, echo: Echo, goes_on: Callable[[float], bool]) -> Taps | None:
    """Find two taps where an echo is known, and fit the knobs of their line.

    In the first order the cepstrum is the response behind the direct sound; in the second, what is
    at sums of both times tells the feedback. Where echoes are louder than the direct sound, it has
    the time between both taps instead. All knobs are fitted to the cepstrum where echoes are, by
    least squares.

    Args:
        audio: ``(clip, 131072)`` mono at 24 kHz.
        echo: The strongest, see `measure_echo`.
        goes_on: Whether an echo after so many milliseconds is one all the time.

    Returns:
        None where there are no two echoes of about the same level that go on, or where one that
        comes round again explains them.
    """
    log_magnitude = clip_spectrum(audio).mean(0).cpu()
    cepstrum = 2.0 * torch.fft.irfft(log_magnitude, audio.shape[-1])[: N_FFT // 2].double()
    known = round(echo.time_ms * SAMPLE_RATE / 1000.0)
    whole = cepstrum / heard()[: N_FFT // 2]

    def is_echo(place: int) -> bool:
        return goes_on(echo_at(log_magnitude, place).time_ms)

    pairs = _pairs(whole, [known, *_peaks(whole, known, is_echo)])
    if not pairs:
        return None
    where = _where(pairs)
    single, *found = (_fitted(cepstrum, pair, where) for pair in [(known, known), *pairs])
    best = min(found, key=lambda taps: taps.error)
    return best if best.error < _BETTER * single.error else None


def _peaks(whole: Tensor, known: int, is_echo: Callable[[int], bool]) -> list[int]:
    """The strongest echoes beside the known one."""
    left = whole[:_LONGEST].clone()
    left[:_SHORTEST_APART] = 0.0
    left[known - _NEAR : known + _NEAR + 1] = 0.0
    found: list[int] = []
    for _ in range(_PEAKS):
        place = int(left.argmax())
        if whole[place] < _LEAST_LEVEL * whole[known]:
            break
        echo = is_echo(place)
        found += [place] if echo else []
        near = _NEAR if echo else _NEAR_CONTENT
        left[max(0, place - near) : place + near + 1] = 0.0
    return found


def _pairs(whole: Tensor, places: list[int]) -> list[tuple[int, int]]:
    """Taps that may be: the strongest two, and those as far apart as a third peak says."""
    known, *others = (place for place in places if place >= _SHORTEST)
    pairs = [
        (min(known, other), max(known, other))
        for other in others[:1]
        if whole[other] > _LEAST_RATIO * whole[known]
    ]
    for apart, first, second in itertools.permutations(places, 3):
        if abs(first + apart - second) <= 2 and min(first, second) >= _SHORTEST:
            pairs.append((first, second))
    return list(dict.fromkeys(pairs))[:_PAIRS]


def _where(pairs: list[tuple[int, int]]) -> Tensor:
    """Quefrencies at which one of these has echoes."""
    turns = [t for t in itertools.product(range(_TURNS + 1), repeat=2) if 0 < sum(t) <= _TURNS]
    places = {i * first + j * second for first, second in pairs for i, j in turns}
    places |= {second - first for first, second in pairs}
    near = torch.cat([torch.arange(place - _BEFORE, place + _AFTER) for place in places])
    where = near.unique()
    kept: Tensor = where[(where >= _SHORTEST_APART) & (where < N_FFT // 2)]
    return kept


def _fitted(cepstrum: Tensor, pair: tuple[int, int], where: Tensor) -> Taps:
    share = heard()[where]
    params = {param.name: param for param in DUAL_DELAY.params}
    feedback, tone, corner = (params[name] for name in ("feedback", "tone_db", "tone_hz"))

    def model(knobs: Tensor) -> Tensor:
        return torch.cat([_cepstrum(knobs)[where] * share, _PLAIN * knobs[3:4]])

    def limit(side: str, sign: float, mix: float) -> Tensor:
        times = [place + sign * _BESIDE for place in pair]
        knobs = [getattr(feedback, side), getattr(tone, side), math.log(getattr(corner, side))]
        return torch.tensor([*times, *knobs, mix], dtype=torch.float64)

    limits = (limit("minimum", -1.0, _MIX_LIMITS[0]), limit("maximum", 1.0, _MIX_LIMITS[1]))
    observed = torch.cat([cepstrum[where], torch.zeros(1, dtype=torch.float64)])
    starts = [torch.tensor([*pair, *_START, mix], dtype=torch.float64) for mix in _MIXES]
    given = observed, limits, _STEPS, _LARGEST_STEP, _ROUNDS, _TRIES
    best, _ = min((refine(model, start, *given) for start in starts), key=lambda one: one[1])
    left = (observed - model(best))[:-1]
    first, second, share, tone_db, tone_hz, mix = best.tolist()
    return Taps(
        first_ms=first * 1000.0 / SAMPLE_RATE,
        second_ms=second * 1000.0 / SAMPLE_RATE,
        feedback=share,
        tone_db=tone_db,
        tone_hz=math.exp(tone_hz),
        mix=mix,
        error=float(left.square().sum() / observed.square().sum()),
    )


def _cepstrum(knobs: Tensor) -> Tensor:
    """Of a click through `echoes.two_taps`."""
    first, second, feedback, tone_db, tone_hz, mix = knobs.tolist()
    # the bilinear low-pass of corner w0 is 1 / (1 + j tan(w / 2) / tan(w0 / 2))
    over = torch.tan(0.5 * frequencies()) / math.tan(math.pi * math.exp(tone_hz) / SAMPLE_RATE)
    low_pass = 1.0 / torch.complex(torch.ones_like(over), over)
    treble = 10.0 ** (tone_db / 20.0)
    shelf = treble + (1.0 - treble) * low_pass
    line = 0.5 * shelf * (delayed(first) + delayed(second))
    return cepstrum_of(line / (1.0 - feedback * line), mix)
