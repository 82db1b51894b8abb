"""The ring modulator, found as a line in the square of the sound.

A sound times a sine of frequency f has a square that swings at 2 f as steadily as the sine does,
whatever the sound is; mixed with the dry sound, at f too. Nothing else in speech or music stands so
still for seconds, but for a tone that is held, which is told by its own spectrum. A product can not
be undone, so that what else was done to the reference is not known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from ..dsp import spectral
from ..dsp.amplitude import ring_modulate
from ..dsp.features import SAMPLE_RATE
from .cepstra import sounding

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Ring", "measure_ring"]

_FLAT_S = 0.05  # over which the square is smoothed for its slow level
_LOWEST_HZ = 100.0  # slower carriers beat, and where a beat begins is not known
_LOWEST_LINE_HZ = 20.0
_LEAST_LINE = 0.33  # of a square's spectrum against its mean; a full product has one half
_UNEXPLAINED = 0.03  # of lines, squared, by which a carrier may be less likely than another
_MOST_TONE = 0.08  # share of a recording's power in its strongest bins: more is a tone
_MOST_HELD = 0.2  # share of it in harmonics at multiples of half the line: a held tone has such
_LEAST_MIX, _MIXES = 0.2, 33  # the least that is looked for, and how many up to 1
_MOST_APART = 1.3  # from the reference's spectrum, with it, against without: content differs
_LEAST_SAMPLES = 3 * SAMPLE_RATE  # in 1.5 and 2 s of music, three of 80 had a line of their own
_LOBE = 3  # bins on either side that belong to a line
_BANDS = 64


@dataclass(frozen=True)
class Ring:
    """A ring modulator as measured; the knobs are those of the effect.

    Attributes:
        carrier_hz: Frequency of the sine.
        mix: Share of the product.
        line: Of the reference's square at the carrier or its double, against its mean; 0 where no
            ring modulator was found.
    """

    carrier_hz: float
    mix: float
    line: float

    @property
    def found(self) -> bool:
        """Whether there is one."""
        return self.line > 0.0

    @property
    def settings(self) -> dict[str, float]:
        """Knobs of the effect."""
        return {"carrier_hz": self.carrier_hz, "mix": self.mix}

    def process(self, clips: Tensor) -> Tensor:
        """Clips ``(clip, time)`` at 24 kHz through it."""
        carrier, mix = (clips.new_full((len(clips),), knob) for knob in (self.carrier_hz, self.mix))
        return ring_modulate(clips.unsqueeze(1), carrier, mix, SAMPLE_RATE)[0].squeeze(1)


_NONE = Ring(440.0, 0.0, 0.0)


def measure_ring(audio: Tensor, reference: Tensor) -> Ring:
    """The ring modulator that a reference of at least 3 s went through and an input did not.

    Args:
        audio: Clips of the input ``(clip, 131072)``, mono at 24 kHz.
        reference: Clips of the reference, the same. What is shorter is followed by silence.
    """
    if sounding(reference) < _LEAST_SAMPLES:
        return _NONE
    audio, reference = audio.cpu(), reference.cpu()
    theirs, mine = _lines(reference), _lines(audio)
    place = int(theirs.argmax())
    line = float(theirs[place])
    around = slice(max(0, place - _LOBE), place + _LOBE + 1)
    own = float(mine[around].max())
    if line < _LEAST_LINE or own > 0.5 * line:
        return _NONE
    lobes = _power_of_lobes(reference)
    if float(lobes.amax(1).mean()) > _MOST_TONE or _held(lobes, place) > _MOST_HELD:
        return _NONE
    line_hz = place * SAMPLE_RATE / reference.shape[1]
    found = [_mixed(theirs, hz, line_hz) for hz in _carriers(line_hz) if hz >= _LOWEST_HZ]
    least = min(error for error, _, _ in found) + _UNEXPLAINED
    likely = [Ring(hz, mix, line) for error, hz, mix in found if error <= least]
    wanted = _bands_db(reference)
    apart = [float((_bands_db(ring.process(audio)) - wanted).abs().mean()) for ring in likely]
    if min(apart) > _MOST_APART * float((_bands_db(audio) - wanted).abs().mean()):
        return _NONE
    return likely[apart.index(min(apart))]


def _lines(clips: Tensor) -> Tensor:
    """Spectrum of the square against its mean, average over clips, ``(bin,)``; nothing that is low.

    Loud stretches count alike.
    """
    power = clips.double().square()
    smooth = _smoothed(_smoothed(power))
    usual = smooth.median(1, keepdim=True).values + 1e-20
    flat = power / (smooth + 1e-9 * usual) * (smooth / usual).clamp_max(1.0)
    taper = torch.hann_window(flat.shape[1], dtype=flat.dtype)
    spectrum = torch.fft.rfft(flat * taper).abs()
    lines: Tensor = (spectrum / spectrum[:, :1].clamp_min(1e-20)).mean(0)
    lines[: int(_LOWEST_LINE_HZ * flat.shape[1] / SAMPLE_RATE)] = 0.0
    return lines


def _smoothed(power: Tensor) -> Tensor:
    """Means over a stretch around every sample, by sums up to either end of it."""
    half = int(_FLAT_S * SAMPLE_RATE) // 4
    sums = functional.pad(power, (half + 1, half)).cumsum(1)
    return (sums[:, 2 * half + 1 :] - sums[:, : -2 * half - 1]) / (2 * half + 1)


def _held(lobes: Tensor, place: int) -> float:
    """Share of the power in harmonics of a held tone, if that is why there is a line at `place`."""
    harmonics = torch.arange(1, 2 * lobes.shape[1] // place) * place // 2
    return float(lobes[:, harmonics].sum(1).mean())


def _power_of_lobes(clips: Tensor) -> Tensor:
    """Share of the power in every bin of whole clips and its neighbours ``(clip, bin)``."""
    taper = torch.hann_window(clips.shape[1], dtype=clips.dtype)
    power = torch.fft.rfft(clips * taper).abs().square()
    power = power / power.sum(1, keepdim=True).clamp_min(1e-20)
    width = 2 * _LOBE + 1
    return width * functional.avg_pool1d(power.unsqueeze(1), width, 1, _LOBE).squeeze(1)


def _carriers(line_hz: float) -> list[float]:
    """Frequencies whose own line or that of their double, folded or not, may be this one."""
    return [line_hz, line_hz / 2.0, (SAMPLE_RATE - line_hz) / 2.0]


def _mixed(lines: Tensor, carrier_hz: float, line_hz: float) -> tuple[float, float, float]:
    """The mix that explains best what is seen at a line, its half and its double.

    Returns:
        The squared error of these lines, the carrier and the mix.
    """
    mixes = torch.linspace(_LEAST_MIX, 1.0, _MIXES)
    level = (1.0 - mixes).square() + mixes.square() / 2.0
    once, twice = mixes * (1.0 - mixes) / level, mixes.square() / 4.0 / level
    error = torch.zeros_like(mixes)
    for place_hz in {_folded(hz) for hz in (line_hz / 2.0, line_hz, 2.0 * line_hz, carrier_hz)}:
        place = round(place_hz * 2.0 * (len(lines) - 1) / SAMPLE_RATE)
        seen = float(lines[max(0, place - _LOBE) : place + _LOBE + 1].max())
        expected = torch.zeros_like(mixes)
        for hz, height in ((carrier_hz, once), (2.0 * carrier_hz, twice)):
            if abs(_folded(hz) - place_hz) < 1.0:
                expected = expected + height
        error += (expected - seen).square()
    best = int(error.argmin())
    return float(error[best]), carrier_hz, float(mixes[best])


def _folded(hz: float) -> float:
    """Where a frequency between 0 and the sample rate is heard."""
    return min(hz % SAMPLE_RATE, SAMPLE_RATE - hz % SAMPLE_RATE)


def _bands_db(clips: Tensor) -> Tensor:
    """Average spectrum in dB, centred, in bands of equal width ``(band,)``: what is shifted."""
    power = spectral.power_spectrogram(clips, 1024, 512).mean(dim=(0, 1))[1:]
    bands = power.unflatten(0, (_BANDS, -1)).mean(1)
    level_db = 10.0 * torch.log10(bands / bands.mean() + 1e-6)
    return level_db - level_db.mean()
