"""The job of `afxvae attributes`: measure what recordings sound like."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from .. import audio
from ..timbre import LOWEST_RATE, attributes
from ..types import AfxError, AudioError
from .parts import Progress, find_device

__all__ = ["measure_files"]

_SHORTEST_S, _PIECE_S = 0.05, 60


def measure_files(
    paths: Sequence[Path], device: str, progress: Progress | None = None
) -> tuple[dict[str, dict[str, float]], dict[str, AfxError]]:
    """Attributes of files by their path, and what was wrong with the others.

    Channels are mixed. A file must last 50 ms and be heard (see `afxvae.audio.check_usable`). One
    of more than a minute is measured in equal pieces of at most a minute; what is given is the mean
    of those that are not silent.
    """
    found: dict[str, dict[str, float]] = {}
    failures: dict[str, AfxError] = {}
    place = find_device(device)
    if place.type == "mps":  # has no float64, which some of them need
        place = torch.device("cpu")
    for number, path in enumerate(paths):
        try:
            sound, info = audio.read(path)
            mono = sound.mean(0, keepdim=True)
            audio.check_usable(mono, info.sample_rate, str(path), _SHORTEST_S)
            if info.sample_rate < LOWEST_RATE:
                needed = f"{info.sample_rate} Hz: at least {LOWEST_RATE} Hz are needed"
                raise AudioError(f"{path} has a sample rate of {needed}.")
            found[str(path)] = _measure(mono.to(place), info.sample_rate)
        except AudioError as error:
            failures[str(path)] = error
        if progress is not None:
            progress(number + 1, len(paths))
    return found, failures


@torch.inference_mode()
def _measure(mono: Tensor, sample_rate: int) -> dict[str, float]:
    """Attributes of ``(1, time)``, in pieces."""
    pieces = -(-mono.shape[1] // (_PIECE_S * sample_rate))
    clips = mono.split(-(-mono.shape[1] // pieces), 1)
    rows = [attributes(clip, sample_rate) for clip in clips]
    heard = [row for row in rows if any(bool(value) for value in row.values())]
    return {
        name: round(sum(float(row[name]) for row in heard) / len(heard), 4) for name in heard[0]
    }
