"""The attributes by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from ..types import UsageError
from .colour import boominess, brightness, sharpness, warmth
from .depth import depth
from .hardness import hardness
from .lasting import decay, modulation, reverberation
from .roughness import roughness
from .sound import Sound

__all__ = ["ATTRIBUTES", "attributes"]

ATTRIBUTES: dict[str, Callable[[Sound], Tensor]] = {
    "brightness": brightness,
    "sharpness": sharpness,
    "boominess": boominess,
    "warmth": warmth,
    "roughness": roughness,
    "depth": depth,
    "hardness": hardness,
    "reverberation": reverberation,
    "decay": decay,
    "modulation": modulation,
}
"""The eight attributes of AudioCommons, then two of our own."""


def attributes(
    audio: Tensor, sample_rate: int, names: Iterable[str] | None = None
) -> dict[str, Tensor]:
    """Measure what clips sound like.

    Clips are brought to -24 LUFS and 44.1 kHz first: the level does not matter, and what lies above
    22 kHz is not heard. Silence is 0 in every attribute. Gradients reach `audio` as each attribute
    says; reverberation has none. Without gradients, a second of audio needs about 7 MB.

    Args:
        audio: ``(batch, time)`` mono, float32 or float64, of any length above 0.
        sample_rate: In Hz, at least 8000.
        names: Of `ATTRIBUTES`; all by default. What several need is computed once.

    Returns:
        For each name ``(batch,)``. Brightness to hardness are points, about 0 to 100 but not
        limited; reverberation is a probability, decay in s, modulation in dB.

    Raises:
        AudioError: No samples, or some that are not finite.
        UsageError: Another shape or type, a rate below 8 kHz, or a name that there is not.

    >>> found = attributes(torch.ones(2, 4410).cumsum(1).sin(), 44100, ["brightness"])
    >>> found["brightness"].shape
    torch.Size([2])
    """
    wanted = tuple(ATTRIBUTES if names is None else names)
    for name in wanted:
        if name not in ATTRIBUTES:
            raise UsageError(f"There is no attribute {name!r}; there are {', '.join(ATTRIBUTES)}.")
    sound = Sound(audio, sample_rate)
    found = {name: ATTRIBUTES[name](sound) for name in wanted}
    return {name: torch.where(sound.silent, 0.0, value) for name, value in found.items()}
