"""The job of `afxvae attributes`: measure what recordings sound like."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from .. import audio
from ..timbre import attributes
from ..types import AfxError, AudioError, UsageError
from .parts import Progress, find_device

__all__ = ["measure_files"]

_SHORTEST_S = 0.05


def measure_files(
    paths: Sequence[Path], device: str, progress: Progress | None = None
) -> tuple[dict[str, dict[str, float]], dict[str, AfxError]]:
    """Attributes of files by their path, and what was wrong with the others.

    Channels are mixed. A file must last 50 ms and be heard (see `afxvae.audio.check_usable`).
    """
    found: dict[str, dict[str, float]] = {}
    failures: dict[str, AfxError] = {}
    place = find_device(device)
    for number, path in enumerate(paths):
        try:
            sound, info = audio.read(path)
            mono = sound.mean(0, keepdim=True)
            audio.check_usable(mono, info.sample_rate, str(path), _SHORTEST_S)
            with torch.inference_mode():
                values = attributes(mono.to(place), info.sample_rate)
        except (AudioError, UsageError) as error:
            failures[str(path)] = error
        else:
            found[str(path)] = {name: round(float(value), 4) for name, value in values.items()}
        if progress is not None:
            progress(number + 1, len(paths))
    return found, failures
