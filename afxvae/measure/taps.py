"""Two taps of one delay line, and how both darken, in the cepstrum of whole clips."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import least_squares

from ..dsp import spectral
from ..dsp.features import CLIP_SAMPLES, SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from .echo import Echo

__all__ = ["Taps", "measure_taps"]

_SHORTEST, _LONGEST = 1080, 31_200  # samples to a tap
_SHORTEST_APART = 480  # samples between two
_PEAKS, _PAIRS = 4, 4  # that are looked at
_NEAR, _NEAR_CONTENT = 12, 360  # samples around an echo, and around content that is none
_LEAST_RATIO = 0.5  # of one tap's level to the other's
_LEAST_LEVEL = 0.25  # of another peak, against the known one
_BETTER = 0.7  # of what one tap leaves, two must leave less
_N_FFT = 65_536
_BEFORE, _AFTER = 8, 100  # samples around where echoes are, of which the fit takes account
_TURNS = 3  # echoes that came round so often are the last of these
_MIXES = (0.3, 0.75)  # where fits start: with echoes weaker and stronger than the direct sound
_START = (0.3, -6.0, math.log(2000.0))  # feedback, tone
_SCALE = (0.1, 0.1, 0.1, 6.0, 1.0, 0.1)  # of the knobs, for the fit
_LOWEST = (0.0, -36.0, math.log(150.0), 0.01)  # feedback, tone, mix
_HIGHEST = (0.9, 6.0, math.log(12_000.0), 0.97)
_PLAIN = 0.002  # per dB: how much more of a tone there has to be in the cepstrum to be believed
_TURN = -2.0 * math.pi / _N_FFT * np.arange(_N_FFT // 2 + 1)


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

    In the first order the cepstrum is the response behind the direct sound, in the second what is
    at sums of both times tells the feedback (Bogert, Healy and Tukey, 1963). Where echoes are
    louder than the direct sound it has the time between both taps instead. All is fitted to the
    cepstrum where echoes are, by least squares.

    Args:
        audio: ``(clip, 131072)`` mono at 24 kHz.
        echo: The strongest, see `measure_echo`.
        goes_on: Whether an echo after so many milliseconds is one all the time.

    Returns:
        None where there are no two echoes of about the same level that go on, or where one that
        comes round again explains them.
    """
    cepstrum = spectral.real_cepstrum(audio).mean(0).double().cpu().numpy()[: _N_FFT // 2]
    known = round(echo.time_ms * SAMPLE_RATE / 1000.0)
    whole = cepstrum / _missed(len(cepstrum))
    pairs = _pairs(whole, [known, *_peaks(whole, known, goes_on)])
    if not pairs:
        return None
    where = _where(pairs)
    single, *found = (_fitted(cepstrum, pair, where) for pair in [(known, known), *pairs])
    best = min(found, key=lambda taps: taps.error)
    return best if best.error < _BETTER * single.error else None


def _missed(length: int) -> np.ndarray:
    """The share of an echo that a clip has, by its time."""
    return 1.0 - np.arange(length) / CLIP_SAMPLES


def _peaks(whole: np.ndarray, known: int, goes_on: Callable[[float], bool]) -> list[int]:
    """The strongest beside the known one that go on."""
    left = whole[:_LONGEST].copy()
    left[:_SHORTEST_APART] = 0.0
    left[known - _NEAR : known + _NEAR + 1] = 0.0
    found: list[int] = []
    for _ in range(_PEAKS + 1):
        place = int(left.argmax())
        if whole[place] < _LEAST_LEVEL * whole[known]:
            break
        echo = goes_on(_time_ms(whole, place))
        found += [place] if echo else []
        near = _NEAR if echo else _NEAR_CONTENT
        left[max(0, place - near) : place + near + 1] = 0.0
    return found


def _time_ms(whole: np.ndarray, place: int) -> float:
    """Of a peak between samples, where a parabola through it and its neighbours is highest."""
    before, there, after = whole[place - 1 : place + 2].tolist()
    bend = max(2.0 * there - before - after, 1e-9)
    beside = min(max(0.5 * (after - before) / bend, -0.5), 0.5)
    return float((place + beside) * 1000.0 / SAMPLE_RATE)


def _pairs(whole: np.ndarray, places: list[int]) -> list[tuple[int, int]]:
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


def _where(pairs: list[tuple[int, int]]) -> np.ndarray:
    """Quefrencies at which one of these has echoes."""
    turns = [t for t in itertools.product(range(_TURNS + 1), repeat=2) if 0 < sum(t) <= _TURNS]
    places = {i * first + j * second for first, second in pairs for i, j in turns}
    places |= {second - first for first, second in pairs}
    near = [np.arange(place - _BEFORE, place + _AFTER) for place in places]
    where = np.unique(np.concatenate(near))
    kept: np.ndarray = where[(where >= _SHORTEST_APART) & (where < _N_FFT // 2)]
    return kept


def _fitted(cepstrum: np.ndarray, pair: tuple[int, int], where: np.ndarray) -> Taps:
    missed = _missed(len(cepstrum))

    def rest(knobs: np.ndarray) -> np.ndarray:
        left: np.ndarray = (cepstrum - _cepstrum(knobs) * missed)[where]
        return np.append(left, _PLAIN * knobs[3])

    low, high = ([*(place + beside for place in pair), *limits]
                 for beside, limits in ((-1.5, _LOWEST), (1.5, _HIGHEST)))  # fmt: skip
    tries = [
        least_squares(rest, [*pair, *_START, mix], bounds=(low, high), x_scale=_SCALE, max_nfev=15)
        for mix in _MIXES
    ]
    best = min(tries, key=lambda one: one.cost).x
    first, second, feedback, tone_db, tone_hz, mix = best.tolist()
    return Taps(
        first_ms=first * 1000.0 / SAMPLE_RATE,
        second_ms=second * 1000.0 / SAMPLE_RATE,
        feedback=feedback,
        tone_db=tone_db,
        tone_hz=math.exp(tone_hz),
        mix=mix,
        error=float(np.square(rest(best)[:-1]).sum() / np.square(cepstrum[where]).sum()),
    )


def _cepstrum(knobs: np.ndarray) -> np.ndarray:
    """Of a click through the line, as `real_cepstrum` has it."""
    first, second, feedback, tone_db, tone_hz, mix = knobs.tolist()
    k = math.tan(math.pi * math.exp(tone_hz) / SAMPLE_RATE)
    late = np.exp(1j * _TURN)
    low_pass = k / (1.0 + k) * (1.0 + late) / (1.0 - (1.0 - k) / (1.0 + k) * late)
    treble = 10.0 ** (tone_db / 20.0)
    shelf = treble + (1.0 - treble) * low_pass
    line = 0.5 * shelf * (np.exp(1j * first * _TURN) + np.exp(1j * second * _TURN))
    magnitude = np.abs(1.0 - mix + mix * line / (1.0 - feedback * line))
    done: np.ndarray = 2.0 * np.fft.irfft(np.log(magnitude + 1e-4))[: _N_FFT // 2]
    return done
