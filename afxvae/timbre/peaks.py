"""Peaks of many spectra at once, after `mirpeaks` of the MIR toolbox.

Lartillot and Toiviainen, *A Matlab toolbox for musical feature extraction from audio*, DAFx 2007.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .zwicker import RATE

__all__ = ["lowest_peak", "pick_peaks", "refine_peaks"]


def pick_peaks(spectrum: Tensor, contrast: float) -> Tensor:
    """Which bins of spectra ``(spectrum, bin)`` are peaks: a mask of the same shape.

    A peak is at least `contrast` high and, between it and the next, the spectrum falls so far below
    both. The first is spared this on its left, the last on its right.
    """
    peaks = torch.zeros_like(spectrum, dtype=torch.bool)
    high = (spectrum >= contrast).any(0).nonzero()
    if not len(high):
        return peaks
    spectrum = spectrum[:, : int(high[-1]) + 2]  # nothing above can be a peak
    before, after = spectrum[:, :-1], spectrum[:, 1:]
    rises = torch.ones_like(spectrum, dtype=torch.bool)
    rises[:, 1:] = after > before
    falls = torch.ones_like(rises)
    falls[:, :-1] = after <= before
    candidates = rises & falls & (spectrum >= contrast)
    rows, bins = candidates.nonzero(as_tuple=True)
    number = candidates.cumsum(1) - 1
    count = int(number.max()) + 1
    order = number[rows, bins]
    heights = spectrum.new_full((len(spectrum), count), -1.0)  # nothing: never above another
    heights[rows, order] = spectrum[rows, bins]
    positions = torch.zeros(heights.shape, dtype=torch.long, device=spectrum.device)
    positions[rows, order] = bins
    notches = _notches(spectrum, number, positions, count)
    kept = _scan(heights, notches, contrast)
    chosen, which = kept.nonzero(as_tuple=True)
    peaks[chosen, positions[chosen, which]] = True
    return peaks


def _notches(spectrum: Tensor, number: Tensor, positions: Tensor, count: int) -> Tensor:
    """Lowest value from each candidate up to, but for one bin, the next: ``(spectrum, count)``."""
    last = torch.zeros_like(spectrum, dtype=torch.bool)
    last.scatter_(1, (positions - 1).clamp_min(0), True)
    values = torch.where(last & (number >= 0), torch.inf, spectrum)
    lowest = spectrum.new_full((len(spectrum), count + 1), torch.inf)
    return lowest.scatter_reduce(1, number + 1, values, "amin")[:, 1:]


def _scan(heights: Tensor, notches: Tensor, contrast: float) -> Tensor:
    """Go through the candidates from low to high; which of them stand out."""
    rows = torch.arange(len(heights), device=heights.device)
    kept = torch.zeros_like(heights, dtype=torch.bool)
    best = torch.zeros_like(rows)  # the candidate that would be next
    top = heights[:, 0]
    left = torch.full_like(top, -torch.inf)  # lowest between it and the one before
    right = torch.full_like(top, torch.inf)
    for index in range(1, heights.shape[1]):
        height = heights[:, index]
        there = height >= 0.0
        right = torch.where(there, torch.minimum(right, notches[:, index - 1]), right)
        parted = there & (top - right >= contrast)
        stored = parted & (top - left >= contrast)
        kept[rows[stored], best[stored]] = True
        higher = there & (height > top) & ~parted
        low = torch.minimum(left, right)
        left = torch.where(stored, right, torch.where(there, low, left))
        moves = parted | higher
        top, best = torch.where(moves, height, top), torch.where(moves, index, best)
        right = torch.where(moves, torch.inf, right)
    final = (heights[:, 0] >= 0.0) & (top - left >= contrast)
    kept[rows[final], best[final]] = True
    return kept


def refine_peaks(spectrum: Tensor, rows: Tensor, bins: Tensor) -> tuple[Tensor, Tensor]:
    """Heights and frequencies in Hz of parabolas through bins of spectra and their neighbours.

    At both ends of the spectrum the bin itself counts.
    """
    last = spectrum.shape[1] - 1
    mid = spectrum[rows, bins]
    low, high = spectrum[rows, (bins - 1).clamp_min(0)], spectrum[rows, (bins + 1).clamp_max(last)]
    inner = (bins > 0) & (bins < last)
    curve = torch.where(inner, 2.0 * mid - high - low, 1.0).clamp_min(1e-30)
    shift = torch.where(inner, 0.5 * (high - low) / curve, 0.0)
    return mid + 0.25 * (high - low) * shift, (bins + shift) * (RATE / 2 / last)


def lowest_peak(spectrum: Tensor, contrast: float) -> tuple[Tensor, Tensor]:
    """Bin and frequency in Hz of the lowest peak of each spectrum; 0 where there is none."""
    bins = pick_peaks(spectrum.detach(), contrast).to(torch.uint8).argmax(-1)
    return bins, refine_peaks(spectrum, torch.arange(len(bins), device=bins.device), bins)[1]
