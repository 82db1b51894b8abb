"""The chorus, found as a sinusoid that a cepstral peak follows through time."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from ..dsp import spectral
from ..dsp.features import CLIP_SAMPLES, SAMPLE_RATE
from ..effects.modulation import CHORUS

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Chorus", "measure_chorus"]

_WINDOW = 2048
_HOP = 512
_LAGS = 880  # quefrencies that are looked at, in samples
_PER_MS = SAMPLE_RATE / 1000.0
_CLIPPED = 4.0  # outliers, in standard deviations
_CONTENT = 14.0  # width in samples of what is content in a cepstrum

_, _DEPTH, _DELAY, _ = CHORUS.params  # what is searched ends a little outside of their ranges

# what has stood still for so long is content; and contrasts that 1 % of dry recordings reach then
_STANDING = ((1.0, 0.82), (12.0, 1.44))

# the coarse search
_STEP = 6  # samples between the delays that are tried
_BLUR = 5.0
_FIRST, _LAST = round(4.5 * _PER_MS / _STEP), round(26.0 * _PER_MS / _STEP)
_REACH = 17  # steps that a swing may take to either side
_DEPTHS_MS = (0.2, 0.45, 0.75, 1.05, 1.4, 1.8, 2.25, 2.75, 3.3, 4.0)
_SLOWEST_HZ, _FASTEST_HZ = 0.08, 6.0
_FASTEST_SWING = 2.2  # rate times depth; above that, a swing blurs the peak away
_TOLERANCE_MS = 0.22
_SURVIVORS = 4
_ALIKE_MS = 0.3  # mean distance below which two paths count as one

# the refinement
_BLURS = (4.0, 3.0, 3.0, 2.0, 1.5, 1.0, 1.0, 1.0)
_DRAWN, _ELITE = 200, 14
_SPARSE = 5  # every fifth sample is compared
_SHARPENINGS = 8
_SEEN = 0.88  # share of the correlation that whitening and interpolation leave


@dataclass(frozen=True)
class Chorus:
    """A chorus as measured from a recording; the knobs are those of the effect.

    Attributes:
        rate_hz: Swings a second.
        depth_ms: Largest deviation of the delay.
        delay_ms: Mean delay.
        mix: Share of the voice, below one half: a cepstrum does not tell voice from dry sound.
        contrast: Height of the peak along the path over that along the same path at other phases;
            1 is what one recording without chorus in a hundred reaches.
    """

    rate_hz: float
    depth_ms: float
    delay_ms: float
    mix: float
    contrast: float


def measure_chorus(
    audio: Tensor, least_contrast: float = 0.0, direct: float = 1.0, seed: int = 0
) -> Chorus:
    """Find the path ``delay + depth sin(2 pi rate t + phase)`` with the highest cepstral ridge.

    A voice of share m adds ``m / (1 - m)`` to the cepstrum of each frame at its delay of that time.
    Paths on a grid are summed over frames, the best are refined by the cross-entropy method
    (Rubinstein, 1999) at ever finer resolution. What stands still is content, such as the pitch of
    a note, and is taken off first: what stands still for a second, and, if nothing is found then,
    what stands still throughout, for slow and shallow swings. A delay that moves by more than about
    14 ms a second blurs its own trace and is not found.

    Args:
        audio: ``(131072,)`` mono at 24 kHz. Of a stereo recording, the left channel.
        least_contrast: Below this the last refinement and the mix are not worth their time.
        direct: Share of the power that no echo and no reverberation added, for the mix.
        seed: Of the refinement's draws.
    """
    audio = audio.cpu()
    generator = torch.Generator().manual_seed(seed)
    found: list[tuple[float, Tensor]] = []
    for standing_s, reached in _STANDING:
        cepstra = _cepstra(audio, standing_s)
        time = _frame_times(len(cepstra), _HOP)
        path, height = _refine(cepstra, time, _search(cepstra[::2]), generator)
        found.append((height / reached, path))
        if found[-1][0] >= 1.0:
            break
    contrast, path = max(found, key=lambda pair: pair[0])
    level = 0.0
    if contrast >= least_contrast:
        path, level = _sharpen(spectral.whiten(audio), path, generator)
    mix = _mix(level / max(direct, 0.1))
    return Chorus(float(path[0].exp()), float(path[1]), float(path[2]), mix, contrast)


def _frame_times(frames: int, hop: int) -> Tensor:
    """Middles of frames in seconds from the middle of the clip."""
    return (torch.arange(frames) * hop + _WINDOW / 2 - CLIP_SAMPLES / 2) / SAMPLE_RATE


def _blurred(cepstra: Tensor, width: float) -> Tensor:
    """Gaussian blur of ``(frame, lag)`` over the lags."""
    reach = int(3 * width) + 1
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / width).square())
    kernel = (kernel / kernel.sum()).view(1, 1, -1)
    blurred: Tensor = functional.conv1d(cepstra.unsqueeze(1), kernel, padding=reach)
    return blurred.squeeze(1)


def _cepstra(audio: Tensor, standing_s: float) -> Tensor:
    """Cepstra of frames, less what content puts there: ``(frame, lag)`` with unit spread."""
    frames = audio.unfold(0, _WINDOW, _HOP) * torch.hann_window(_WINDOW)
    magnitude = torch.fft.rfft(frames, 2 * _WINDOW).abs()
    floor = 1e-2 * magnitude.mean(dim=1, keepdim=True) + 1e-7
    cepstra: Tensor = 2.0 * torch.fft.irfft(torch.log(magnitude + floor))[:, :_LAGS]
    cepstra = cepstra - _blurred(cepstra, _CONTENT)
    cepstra[:, : int(_DELAY.minimum * _PER_MS)] = 0.0
    cepstra = cepstra.clamp(-0.4, 0.4)
    half = min(round(0.5 * standing_s * SAMPLE_RATE / _HOP), len(cepstra) // 2)
    standing: Tensor = functional.avg_pool1d(
        cepstra.mT, 2 * half + 1, 1, half, count_include_pad=False
    ).mT
    cepstra = cepstra - standing
    spread = _blurred(cepstra.square().mean(0, keepdim=True), 20.0)[0].sqrt()
    spread = spread + 0.2 * spread[100:].mean() + 1e-6
    return (cepstra / spread).clamp(-_CLIPPED, _CLIPPED)


@functools.lru_cache(maxsize=1)
@torch.inference_mode(False)
def _grid() -> tuple[list[tuple[int, int]], Tensor, Tensor, Tensor]:
    """Paths of the coarse search: numbers of rates and of phases by depth; then all of each."""
    groups: list[tuple[int, int]] = []
    rates, phases, depths = [], [], []
    for depth in _DEPTHS_MS:
        spacing = _TOLERANCE_MS / (2.0 * math.pi * depth)
        rate = torch.arange(_SLOWEST_HZ, min(_FASTEST_SWING / depth, _FASTEST_HZ), spacing)
        count = max(4, int(math.pi * depth / _TOLERANCE_MS))
        groups.append((len(rate), count))
        rates.append(rate.repeat_interleave(count))
        phases.append((torch.arange(count) / count * 2.0 * math.pi).repeat(len(rate)))
        depths.append(torch.full((len(rate) * count,), depth))
    return groups, torch.cat(rates), torch.cat(depths), torch.cat(phases)


@functools.lru_cache(maxsize=1)
@torch.inference_mode(False)
def _bags(frames: int) -> Tensor:
    """Row of the table of shifted frames that each path takes at each frame."""
    _, rates, depths, phases = _grid()
    time = _frame_times(frames, 2 * _HOP)
    swing = torch.sin(2.0 * math.pi * rates.unsqueeze(1) * time + phases.unsqueeze(1))
    shift = (depths.unsqueeze(1) * swing * _PER_MS / _STEP).round().long() + _REACH
    return shift + torch.arange(frames) * (2 * _REACH + 1)


def _search(cepstra: Tensor) -> Tensor:
    """The best paths of the grid that differ, ``(path, 4)``: log rate, depth, delay, phase.

    Args:
        cepstra: Every second frame.
    """
    time = _frame_times(len(cepstra), 2 * _HOP)
    coarse = _blurred(cepstra, _BLUR)[:, ::_STEP]
    width = _LAST - _FIRST
    padded = functional.pad(coarse, (_REACH, _REACH + width))
    shifts = [padded[:, _FIRST + s : _FIRST + s + width] for s in range(2 * _REACH + 1)]
    table = torch.stack(shifts, dim=1).flatten(0, 1)
    scores = functional.embedding_bag(_bags(len(coarse)), table, mode="mean")  # (path, delay)
    groups, rates, depths, phases = _grid()
    first = 0
    for count, turns in groups:  # what all phases share is content
        group = scores[first : first + count * turns].view(count, turns, width)
        group -= group.mean(dim=1, keepdim=True)
        first += count * turns
    height, place = scores.max(dim=1)
    kept: list[Tensor] = []
    paths: list[Tensor] = []
    for row in height.topk(60).indices.tolist():
        delay = float(place[row] + _FIRST) * _STEP / _PER_MS
        knobs = torch.stack([rates[row].log(), depths[row], torch.tensor(delay), phases[row]])
        path = _path(knobs.unsqueeze(0), time)[0]
        if all(float((path - other).abs().mean()) > _ALIKE_MS for other in paths):
            kept.append(knobs)
            paths.append(path)
        if len(kept) == _SURVIVORS:
            break
    return torch.stack(kept)


def _path(knobs: Tensor, time: Tensor) -> Tensor:
    """Delay in ms of ``(path, 4)`` at times: ``(path, frame)``."""
    rate, depth, delay, phase = knobs.unsqueeze(2).unbind(1)
    return delay + depth * torch.sin(2.0 * math.pi * rate.exp() * time + phase)


def _along(cepstra: Tensor, time: Tensor, knobs: Tensor) -> Tensor:
    """Mean of ``(frame, lag)`` along the paths ``(path, 4)``."""
    lag = (_path(knobs, time) * _PER_MS).clamp(2.0, _LAGS - 3.0)
    whole = lag.floor()
    share = lag - whole
    index = whole.long() + torch.arange(len(cepstra)) * _LAGS
    flat = cepstra.flatten()
    return ((1.0 - share) * flat[index] + share * flat[index + 1]).mean(dim=1)


def _contrast(cepstra: Tensor, time: Tensor, knobs: Tensor) -> Tensor:
    """`_along`, less its mean over three other phases."""
    others = torch.zeros(len(knobs))
    for quarter in (1, 2, 3):
        turned = knobs.clone()
        turned[:, 3] += quarter * math.pi / 2.0
        others += _along(cepstra, time, turned) / 3.0
    return _along(cepstra, time, knobs) - others


def _refine(
    cepstra: Tensor, time: Tensor, starts: Tensor, generator: torch.Generator
) -> tuple[Tensor, float]:
    """The best path ``(4,)`` near any start, by the cross-entropy method, and its contrast."""
    blurred = {width: _blurred(cepstra, width) for width in set(_BLURS)}
    centre = starts
    swing = 4.0 * math.pi * starts[:, 0].exp() * starts[:, 1]
    spread = torch.stack(
        [
            (0.25 / swing).clamp_max(0.4),
            torch.full_like(swing, 0.18),
            torch.full_like(swing, 0.18),
            (0.25 / starts[:, 1]).clamp_max(1.0),
        ],
        dim=1,
    )
    for round_, width in enumerate(_BLURS):
        rough = round_ < 3
        use = slice(None, None, 2 if rough else 1)
        noise = torch.randn(len(centre), _DRAWN, 4, generator=generator)
        drawn = centre.unsqueeze(1) + spread.unsqueeze(1) * noise
        drawn[:, 0] = centre
        drawn[..., 1] = drawn[..., 1].abs().clamp(0.5 * _DEPTH.minimum, _DEPTH.maximum)
        drawn[..., 2] = drawn[..., 2].clamp(_DELAY.minimum - 0.5, _DELAY.maximum)
        score = _along(blurred[width][use], time[use], drawn.flatten(0, 1)).view(len(centre), -1)
        best = score.topk(_ELITE, dim=1).indices
        elite = drawn.gather(1, best.unsqueeze(2).expand(-1, -1, 4))
        centre, spread = elite.mean(1), 1.2 * elite.std(1).clamp_min(1e-4)
        if round_ == 2:
            kept = _contrast(blurred[width], time, centre).topk(min(2, len(centre))).indices
            centre, spread = centre[kept], spread[kept]
    contrast = _contrast(blurred[_BLURS[-1]], time, centre)
    chosen = int(contrast.argmax())
    return centre[chosen], float(contrast[chosen])


def _sharpen(whitened: Tensor, knobs: Tensor, generator: torch.Generator) -> tuple[Tensor, float]:
    """Follow the path sample by sample: better knobs, and the correlation with the voice.

    Args:
        whitened: The clip, ``(131072,)``.
        knobs: Of the path ``(4,)``, right to a few samples.
        generator: For the cross-entropy method.
    """
    place = torch.arange(_LAGS + 8, CLIP_SAMPLES, _SPARSE)
    time = (place - CLIP_SAMPLES / 2) / SAMPLE_RATE
    now = whitened[place]

    def correlation(paths: Tensor) -> Tensor:
        lag = (_path(paths, time) * _PER_MS).clamp(2.0, _LAGS)
        whole = lag.floor()
        share = lag - whole
        index = place - whole.long()
        voice = (1.0 - share) * whitened[index] + share * whitened[index - 1]
        power = now.square().mean() * voice.square().mean(1)
        return (now * voice).mean(1) / power.clamp_min(1e-20).sqrt()

    swing = 2.0 * math.pi * float(knobs[0].exp()) * float(knobs[1]) * _PER_MS
    spread = torch.tensor(
        [min(0.8 / (2.0 * swing), 0.1), 0.06, 0.04, min(1.0 / (float(knobs[1]) * _PER_MS), 0.3)]
    )
    for _ in range(_SHARPENINGS):
        drawn = knobs + spread * torch.randn(40, 4, generator=generator)
        drawn[0] = knobs
        best = correlation(drawn).topk(8).indices
        knobs, spread = drawn[best].mean(0), 1.3 * drawn[best].std(0).clamp_min(1e-5)
    beside = knobs.repeat(4, 1)
    beside[:, 2] += torch.tensor([-1.3, -0.9, 0.9, 1.3])  # what the content does by itself
    level = float(correlation(knobs.unsqueeze(0))[0]) - float(correlation(beside).mean())
    return knobs, level


def _mix(correlation: float) -> float:
    """Share m of the voice from its correlation with the rest, m (1 - m) / ((1 - m)^2 + m^2)."""
    seen = min(max(correlation / _SEEN, 0.0), 0.5)
    return 0.5 - 0.5 * math.sqrt((1.0 - 2.0 * seen) / (1.0 + 2.0 * seen))
