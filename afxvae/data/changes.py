"""What treatments do to the attributes of a sound: random treatments, rendered and measured.

A treatment is rendered on a few dry clips, and each clip is measured before and after. A change is
the difference of both; that of decay counts in doublings, since decays of material differ by more
than a factor of ten.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from ..dsp.features import RUN_IN, SAMPLE_RATE
from ..timbre import attributes
from ..types import AudioError
from .crops import draw_crop
from .pairs import treat
from .treatments import random_treatments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from ..effects import Chain
    from .corpus import Recording

__all__ = [
    "AXES",
    "HEARD_SAMPLES",
    "SPREADS",
    "attribute_changes",
    "draw_heard",
    "measure_axes",
    "render_changes",
]

AXES = ("brightness", "boominess", "roughness", "decay", "hardness")
"""Attributes that may become axes of the latent, in the order of its first dimensions."""
HEARD_SAMPLES = 65_536
"""Length of the clips that are measured: 2.7 s at 24 kHz."""

SPREADS = {
    "brightness": 2.2,
    "boominess": 2.5,
    "roughness": 3.5,
    "decay": 0.43,
    "hardness": 3.0,
}
"""How far random treatments change each attribute: half the distance between the 16 % and the 84 %
quantile of 2,520 of them, which is the standard deviation where a distribution is normal. Points;
decay in doublings."""

_CLIPS = 2  # on which a treatment is rendered
_TOGETHER = 12  # treatments of the same clips
_MOST_MISSES = 50
_QUIETEST = 0.01  # RMS of a clip, full scale 1


def measure_axes(clips: Tensor, names: Sequence[str] = AXES) -> Tensor:
    """Attributes of mono clips ``(clip, time)`` at 24 kHz, ``(clip, attribute)``.

    Points, as in `afxvae.timbre`; decay is in doublings, ``log2`` of seconds.
    """
    found = attributes(clips, SAMPLE_RATE, names)
    if "decay" in found:
        found["decay"] = found["decay"].clamp_min(1e-3).log2()
    return torch.stack([found[name] for name in names], dim=1)


def attribute_changes(shard: dict[str, Tensor]) -> Tensor:
    """Mean change over the clips of each treatment of a shard, ``(treatment, attribute)``."""
    return (shard["after"] - shard["before"]).mean(1)


def draw_heard(recordings: Sequence[Recording], rng: np.random.Generator, count: int) -> Tensor:
    """Clips of `count` recordings with their run-ins, ``(count, 1, run-in + 65536)``.

    Raises:
        AudioError: The recordings are too silent or too short.
    """
    weights = np.array([recording.seconds for recording in recordings])
    clips: list[Tensor] = []
    for _ in range(_MOST_MISSES * count):
        if len(clips) == count:
            return torch.stack(clips)
        recording = recordings[int(rng.choice(len(recordings), p=weights / weights.sum()))]
        halves = draw_crop(recording, rng)
        if halves is None:
            continue
        clip = halves[0, :, : RUN_IN + HEARD_SAMPLES]
        if float(clip[..., RUN_IN:].square().mean().sqrt()) > _QUIETEST:
            clips.append(clip)
    raise AudioError("The recordings are too silent or too short to draw clips from.")


def render_changes(
    recordings: Sequence[Recording], chain: Chain, seed: int, count: int
) -> dict[str, Tensor]:
    """One shard: `count` random treatments, each measured on two clips of other recordings.

    Deterministic in `seed`.

    Returns:
        ``controls (count, control)``, ``switches (count, effect)`` boolean, and ``before`` and
        ``after``, each ``(count, 2, attribute)``, see `measure_axes`.
    """
    rng = np.random.default_rng([seed, 3])
    generator = torch.Generator().manual_seed(seed)
    controls, switches = random_treatments(chain, count, generator)
    before, after = [], []
    for rows in torch.arange(count).split(_TOGETHER):
        clips = draw_heard(recordings, rng, _CLIPS)
        before.append(measure_axes(clips[:, 0, RUN_IN:]).expand(len(rows), -1, -1))
        several = clips.repeat(len(rows), 1, 1)
        knobs, on = (part[rows].repeat_interleave(_CLIPS, 0) for part in (controls, switches))
        wet = treat(several, chain, knobs, on).squeeze(1)
        after.append(measure_axes(wet).unflatten(0, (len(rows), _CLIPS)))
    return {
        "controls": controls,
        "switches": switches,
        "before": torch.cat(before),
        "after": torch.cat(after),
    }
