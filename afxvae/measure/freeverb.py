"""Freeverb, found by the lengths of its loops, in the variants that JUCE and SoX have."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ..dsp.features import SAMPLE_RATE
from ..dsp.freeverb import (
    JUCE,
    SOX,
    Variant,
    all_pass,
    damping_pole,
    feedback,
    freeverb_response,
    size_of,
)
from ..dsp.space import BAND_CENTRES_HZ
from ..effects.base import Make
from ..effects.reverb import FREEVERB, REVERB, SOX_REVERB
from .cepstra import evened
from .echo import Echo
from .rooms import LENGTH, LENGTH_S, Rooms, fit_room, room_cepstrum
from .taps import Taps

__all__ = ["Freeverb", "measure_freeverb"]

_USUAL_RATES = (44_100, 48_000)  # at which a recording may have been treated, besides its own
_DECAY, *_ = REVERB.params
_DAMPING = FREEVERB.params[1]
_SCALES = range(101)  # of SoX, per cent
_ROUNDS = (1.0, 0.55, 0.3)  # how much is expected of a comb, one time round after another
_LONGEST_PRE_DELAY = round(REVERB.params[2].maximum * SAMPLE_RATE / 1000.0)
_SEARCHED = 16_384  # of the cepstrum; a power of two
_APART, _SCALES_APART = 24, 3  # what is compared with a peak is farther away


@dataclass(frozen=True)
class Freeverb:
    """Freeverb as measured from a recording; the knobs are those of the effects.

    Attributes:
        decay_s: RT60 of the bass.
        treble_ratio: RT60 of the treble relative to it, where `Reverb` has its high band.
        pre_delay_ms: In whole samples at 24 kHz.
        mix: As of `Reverb`.
        make: The effect, with knobs that `Reverb` has not.
        contrast: Height of the match over the best with other lengths and pre-delays; about 1 where
            there is no Freeverb.
    """

    decay_s: float
    treble_ratio: float
    pre_delay_ms: float
    mix: float
    make: Make
    contrast: float


@dataclass(frozen=True)
class _Kind:
    """One of the rooms that are looked for: its variant, size, and rate at which it ran.

    ``rooms`` are those whose mean is heard.
    """

    variant: Variant
    rooms: tuple[int, ...]
    scale: int
    sample_rate: int

    @property
    def size(self) -> float:
        return float(size_of(torch.tensor(float(self.scale), dtype=torch.float64)))

    def loops(self, room: int) -> list[float]:
        """Lengths of the combs at 24 kHz."""
        size = torch.tensor([self.size], dtype=torch.float64)
        combs = self.variant.combs(room, size, self.sample_rate)
        return [float(samples) * SAMPLE_RATE / self.sample_rate for samples in combs]


@dataclass(frozen=True)
class _Peak:
    """What fits best of one variant: its height, contrast, and pre-delay in samples."""

    height: float
    contrast: float
    kind: _Kind
    place: int


def measure_freeverb(
    audio: Tensor,
    sample_rate: int,
    mono: bool = True,
    echo: Echo | Taps | None = None,
    least_contrast: float = 0.0,
) -> Freeverb:
    """Find the lengths of Freeverb in the cepstrum, and fit its settings.

    Behind the all-passes, which are always the same, sixteen loops begin at known lengths. So the
    cepstrum is correlated with the response of the all-passes, and added up where loops come round,
    for every size and pre-delay. What fits best is refined as any other room, see `fit_room`.

    Args:
        audio: ``(clip, 131072)`` mono at 24 kHz. Of a stereo recording, the mean of both channels:
            they go through both rooms together, so that is through the mean of these.
        sample_rate: Of the recording before it came to 24 kHz, Hz. Loops have whole samples at the
            rate of the treatment, which is taken for this one, 44.1 or 48 kHz.
        mono: Whether the recording is; only SoX has two rooms then.
        echo: Of the same recording; its multiples are left out.
        least_contrast: Below this there is none, and settings are not worth their time.
    """
    cepstrum, weights = room_cepstrum(audio, echo)
    even, _ = evened((cepstrum * weights)[:_SEARCHED])
    rates = dict.fromkeys((sample_rate, *_USUAL_RATES))
    found = [one for rate in rates for one in _search(even, rate, mono)]
    # One variant has rooms of the other: of those that are there, the one that explains most is it.
    there = [one for one in found if one.contrast > least_contrast]
    best = max(there or found, key=lambda one: one.height if there else one.contrast)
    contrast, kind = best.contrast, best.kind
    if not there:
        none = Make(FREEVERB, {"damping_hz": _DAMPING.default})
        return Freeverb(_DECAY.default, 0.5, 0.0, 0.0, none, contrast)
    room = fit_room(cepstrum, weights, _rooms(kind), best.place)
    others = {"damping_hz": room.second}
    make = Make(FREEVERB, others)
    if kind.variant is SOX:
        make = Make(SOX_REVERB, others | {"room_scale": float(kind.scale)})
    return Freeverb(
        decay_s=room.first,
        treble_ratio=_treble_ratio(kind, room.first, room.second),
        pre_delay_ms=round(room.pre_delay_ms * SAMPLE_RATE / 1000.0) * 1000.0 / SAMPLE_RATE,
        mix=room.mix,
        make=make,
        contrast=contrast,
    )


@functools.lru_cache(maxsize=8)
def _kinds(sample_rate: int, mono: bool) -> tuple[_Kind, ...]:
    juce = (0,) if mono else (0, 1)
    return (
        *(_Kind(SOX, (0, 1), scale, sample_rate) for scale in _SCALES),
        _Kind(JUCE, juce, _SCALES[-1], sample_rate),
    )


@functools.lru_cache(maxsize=8)
@torch.inference_mode(False)
def _plan(sample_rate: int, mono: bool) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Of every variant and room: the all-passes' spectrum, and where their loops come round.

    Places ``(kind, loop x round)`` in samples at 24 kHz, and weights, 0 for kinds of the other.
    """
    kinds = _kinds(sample_rate, mono)
    plan = []
    for variant, room in dict.fromkeys((one.variant, room) for one in kinds for room in one.rooms):
        of_it = torch.tensor([one.variant is variant and room in one.rooms for one in kinds])
        loops = torch.tensor([one.loops(room) for one in kinds], dtype=torch.float64)
        turns = torch.arange(1, len(_ROUNDS) + 1, dtype=torch.float64)
        places = (loops.unsqueeze(2) * turns).flatten(1)
        share = torch.tensor([len(one.rooms) ** -0.5 for one in kinds]) * of_it
        weights = share.unsqueeze(1) * torch.tensor(_ROUNDS).repeat(loops.shape[1])
        plan.append((_all_passes(variant, room, sample_rate), places, weights))
    return plan


def _all_passes(variant: Variant, room: int, sample_rate: int) -> Tensor:
    """Their spectrum at 24 kHz, ``(bin,)`` of a transform of twice `_SEARCHED`."""
    one = torch.ones(1, dtype=torch.float64)
    angle = torch.arange(_SEARCHED + 1, dtype=torch.float64) * (-math.pi / _SEARCHED)
    spectrum = torch.ones(_SEARCHED + 1, dtype=torch.complex128)
    for samples in variant.all_passes(room, one, sample_rate):
        late = torch.polar(torch.ones_like(angle), angle * samples * SAMPLE_RATE / sample_rate)
        spectrum = spectrum * all_pass(late)
    return spectrum.to(torch.complex64)


def _search(even: Tensor, sample_rate: int, mono: bool) -> list[_Peak]:
    """What fits best of each variant."""
    kinds = _kinds(sample_rate, mono)
    heights = torch.zeros(len(kinds), _LONGEST_PRE_DELAY + 1)
    spectrum = torch.fft.rfft(even, 2 * _SEARCHED)
    for all_passes, places, weights in _plan(sample_rate, mono):
        behind = torch.fft.irfft(spectrum * all_passes.conj())[:_SEARCHED]
        windows = behind.unfold(0, _LONGEST_PRE_DELAY + 1, 1)
        for row, (where, weight) in enumerate(zip(places, weights, strict=True)):
            if bool(weight.any()):
                whole = where.floor()
                late = (where - whole).to(weight)
                heights[row] += (weight * (1.0 - late)) @ windows[whole.long()]
                heights[row] += (weight * late) @ windows[whole.long() + 1]
    peaks = []
    for variant in (SOX, JUCE):
        own = torch.tensor([kind.variant is variant for kind in kinds])
        rows, apart = heights[own], _SCALES_APART
        row, place = divmod(int(rows.argmax()), rows.shape[1])
        elsewhere = rows.clone()
        elsewhere[:, max(0, place - _APART) : place + _APART + 1] = 0.0
        if len(rows) > 1:
            elsewhere[max(0, row - apart) : row + apart + 1] = 0.0
        height = float(rows[row, place])
        kind = [kind for kind in kinds if kind.variant is variant][row]
        peaks.append(_Peak(height, height / max(float(elsewhere.max()), 1e-9), kind, place))
    return peaks


@functools.lru_cache(maxsize=16)
def _rooms(kind: _Kind) -> Rooms:
    def respond(decay_s: float, damping_hz: float) -> Tensor:
        """As it sounds at another rate, below 12 kHz: transfer functions are the same."""
        decay, damping, size = torch.tensor([[decay_s], [damping_hz], [kind.size]])
        given = decay, damping, size, kind.sample_rate, round(LENGTH_S * kind.sample_rate)
        each = [freeverb_response(*given, room, kind.variant)[0] for room in kind.rooms]
        spectrum = torch.fft.rfft(torch.stack(each).mean(0))[: LENGTH // 2 + 1]
        spectrum = functional.pad(spectrum, (0, LENGTH // 2 + 1 - len(spectrum)))
        response: Tensor = torch.fft.irfft(spectrum, LENGTH)
        return response

    grid = tuple((s, hz) for s in (0.3, 0.6, 1.2, 2.4, 4.8) for hz in (3000.0, 6000.0, 12000.0))
    lowest = (math.log(_DECAY.minimum), math.log(_DAMPING.minimum))
    highest = (math.log(_DECAY.maximum), math.log(_DAMPING.maximum))
    return Rooms(respond, grid, lowest, highest)


def _treble_ratio(kind: _Kind, decay_s: float, damping_hz: float) -> float:
    """RT60 at the centre of the reverb's high band relative to that of the bass."""
    pole = float(damping_pole(torch.tensor(damping_hz), kind.sample_rate))
    turn = 2.0 * math.pi * min(BAND_CENTRES_HZ[-1] / kind.sample_rate, 0.5)
    lowpass = (1.0 - pole) / abs(1.0 - pole * complex(math.cos(turn), -math.sin(turn)))
    gain = feedback(torch.tensor([decay_s]), torch.tensor([kind.size]))
    bass = math.log(float(gain))
    return bass / (bass + math.log(lowpass))
