"""Rooms whose response is known but for some knobs, found in a cepstrum and fitted to it.

The cepstrum, evened out, is correlated with responses over the pre-delay (a matched filter), and
least squares on the whole cepstrum then refine the knobs, pre-delay and mix.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..dsp.features import SAMPLE_RATE
from ..effects.reverb import REVERB
from .cepstra import N_FFT, cepstrum_of, clip_cepstrum, delayed, evened, heard, refine
from .echo import Echo
from .taps import Taps

__all__ = ["LENGTH", "LENGTH_S", "Found", "Rooms", "find_room", "fit_room", "room_cepstrum"]

LENGTH = 31_200
"""Samples of a response that are compared."""
LENGTH_S = LENGTH / SAMPLE_RATE
_SHORTEST_MS = 3.0  # below this quefrency a cepstrum shows the content
_CLIPPED = 12.0  # outliers, in standard deviations
_APART = 24  # samples between a peak and what it is compared with
_ROUNDS = 5
_STEPS = torch.tensor([0.05, 0.1, 0.004, 0.01])
_LARGEST_STEP = torch.tensor([0.5, 0.5, 0.02, 0.1])
_PRE_DELAY = next(param for param in REVERB.params if param.name == "pre_delay_ms")
_LONGEST_PRE_DELAY = round(_PRE_DELAY.maximum * SAMPLE_RATE / 1000.0)
_LEAST_MIX, _MOST_MIX = 0.01, 0.8


@dataclass(frozen=True, eq=False)
class Rooms:
    """Responses of one kind of room, which has two knobs.

    Attributes:
        respond: From the knobs' values to the response at 24 kHz, ``(LENGTH,)``.
        grid: Values of both knobs at which responses are compared.
        lowest: Logarithms of the least values.
        highest: Of the largest.
        searched: Which of the grid for the pre-delay, by `find_room`.
    """

    respond: Callable[[float, float], Tensor]
    grid: tuple[tuple[float, float], ...]
    lowest: tuple[float, float]
    highest: tuple[float, float]
    searched: tuple[int, ...] = ()

    def response(self, first: float, second: float) -> Tensor:
        """``(LENGTH,)``, less the share that a clip misses of what comes late."""
        return self.respond(first, second) * heard()[:LENGTH].float()

    @functools.cached_property
    @torch.inference_mode(False)
    def responses(self) -> tuple[Tensor, Tensor]:
        """Responses of the grid, and their energies."""
        responses = torch.stack([self.response(*settings) for settings in self.grid])
        return responses, responses.square().sum(1)

    @functools.cached_property
    @torch.inference_mode(False)
    def spectra(self) -> tuple[Tensor, Tensor]:
        """Of the responses that are searched, and of their squares."""
        responses = self.responses[0][list(self.searched)]
        return torch.fft.rfft(responses, N_FFT), torch.fft.rfft(responses.square(), N_FFT)

    def cepstrum(self, knobs: Tensor) -> Tensor:
        """Of the direct sound with its room, for the logarithms of both knobs, pre-delay, mix."""
        spectrum = torch.fft.rfft(self.response(*knobs[:2].exp().tolist()), N_FFT)
        late = delayed(float(knobs[2]) * SAMPLE_RATE / 1000.0).to(spectrum)
        return cepstrum_of(spectrum * late, knobs[3])[:LENGTH]


@dataclass(frozen=True)
class Found:
    """What was found, whether it is there or not.

    Attributes:
        first: Value of the first knob.
        second: Of the second.
        pre_delay_ms: Before the room's answer.
        mix: Share of the room; one above one half comes back as about its complement.
        contrast: Height of the match at the best pre-delay over the best elsewhere; about 1 where
            there is no such room.
    """

    first: float
    second: float
    pre_delay_ms: float
    mix: float
    contrast: float


def room_cepstrum(audio: Tensor, echo: Echo | Taps | None = None) -> tuple[Tensor, Tensor]:
    """Mean cepstrum of clips ``(clip, 131072)``, and 0 where it shows content or an echo.

    Returns:
        ``(LENGTH,)`` each, on the CPU.
    """
    cepstrum = clip_cepstrum(audio).mean(0)[:LENGTH].cpu()
    weights = torch.ones(LENGTH)
    weights[: round(_SHORTEST_MS * SAMPLE_RATE / 1000.0)] = 0.0
    if echo is not None:
        for place in echo.places(LENGTH):
            weights[max(0, round(place) - 4) : round(place) + 5] = 0.0
    return cepstrum, weights


def find_room(
    cepstrum: Tensor, weights: Tensor, rooms: Rooms, least_contrast: float = 0.0
) -> Found:
    """The room of this kind that a cepstrum shows best.

    Args:
        cepstrum: See `room_cepstrum`.
        weights: The same.
        rooms: Those that may be there.
        least_contrast: Below this the refinement is not worth its time and is left out.
    """
    height = _heights(cepstrum * weights, weights, rooms).amax(0)
    best = int(height.argmax())
    elsewhere = height.clone()
    elsewhere[max(0, best - _APART) : best + _APART + 1] = 0.0
    contrast = float(height[best] / elsewhere.max().clamp_min(1e-9))
    return fit_room(cepstrum, weights, rooms, best, contrast, contrast >= least_contrast)


def _heights(cepstrum: Tensor, weights: Tensor, rooms: Rooms) -> Tensor:
    """How well responses that are searched match, ``(response, pre-delay)``, in deviations.

    Quefrencies count by how little else there is: the matched filter for noise whose level is that
    of the cepstrum around each.
    """
    even, level = evened(cepstrum)
    trust = weights / level
    responses, squares = rooms.spectra

    def against(spectra: Tensor, what: Tensor) -> Tensor:
        matches: Tensor = torch.fft.irfft(torch.fft.rfft(what, N_FFT) * spectra.conj(), N_FFT)
        return matches[:, : _LONGEST_PRE_DELAY + 1]

    energies = against(squares, trust.square()).clamp_min(1e-9)
    return against(responses, even * trust) / energies.sqrt()


def fit_room(
    cepstrum: Tensor,
    weights: Tensor,
    rooms: Rooms,
    place: int,
    contrast: float = 1.0,
    refined: bool = True,
) -> Found:
    """The same where the pre-delay is known to a few samples.

    Args:
        cepstrum: See `room_cepstrum`.
        weights: The same.
        rooms: Those that may be there.
        place: The pre-delay in samples.
        contrast: What is known of that, for the result.
        refined: Whether the nearest of the grid is refined.
    """
    responses, energies = rooms.responses
    matches = responses[:, : LENGTH - place] @ _clipped(cepstrum, weights, 1.0)[place:]
    chosen = int((matches / energies.sqrt()).argmax())
    gain = max(float(matches[chosen] / energies[chosen]), 0.02)
    start = [place * 1000.0 / SAMPLE_RATE, gain / (1.0 + gain)]
    knobs = torch.tensor([*rooms.grid[chosen], *start])
    knobs[:2] = knobs[:2].log()
    if refined:
        low = torch.tensor([*rooms.lowest, _PRE_DELAY.minimum, _LEAST_MIX])
        high = torch.tensor([*rooms.highest, _PRE_DELAY.maximum, _MOST_MIX])

        def model(knobs: Tensor) -> Tensor:
            return weights * rooms.cepstrum(knobs)

        observed = _clipped(cepstrum, weights, 3.0)
        given = (low, high), _STEPS, _LARGEST_STEP, _ROUNDS
        knobs, _ = refine(model, knobs, observed, *given)
    first, second = knobs[:2].exp().tolist()
    return Found(first, second, float(knobs[2]), float(knobs[3]), contrast)


def _clipped(cepstrum: Tensor, weights: Tensor, times: float) -> Tensor:
    """Without outliers, and without what does not count."""
    most = times * _CLIPPED * float(cepstrum[_LONGEST_PRE_DELAY:].std())
    return weights * cepstrum.clamp(-most, most)
