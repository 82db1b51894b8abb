"""The same treatments by other makes of the effects, so that a model does not learn one maker's.

Compressors differ in what they smooth, overdrives in their curve, choruses in where their swing
begins and reverberations in nearly everything. Here such effects stand behind the knobs of ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..dsp import dynamics, modulation
from ..dsp.lfo import start_clock
from ..dsp.units import db_to_gain, gain_to_db, per_item, time_constant_to_pole
from ..effects.drive import DISTORTION
from ..effects.reverb import ROOM

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from ..effects import Chain

__all__ = ["OTHER_MAKES", "process_otherwise"]

_LATEST_S = 60.0  # where the swing of a chorus may stand when the clip begins


def _draw(count: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(count, generator=generator)


def _compressor(
    audio: Tensor, knobs: Mapping[str, Tensor], sample_rate: int, generator: torch.Generator
) -> Tensor:
    """Smooths the level instead of the gain in dB, as SoX and JUCE do."""
    attack, release = (
        time_constant_to_pole(knobs[name].double(), sample_rate)
        for name in ("attack_ms", "release_ms")
    )
    level = dynamics.attack_release(audio.abs().amax(1).double(), attack, release)
    curve = (knobs[name].unsqueeze(1) for name in ("threshold_db", "ratio", "knee_db"))
    gain_db = dynamics.compression_curve(gain_to_db(level.to(audio.dtype)), *curve)
    return audio * db_to_gain(gain_db.unsqueeze(1) + per_item(knobs["makeup_db"]))


def _overdrive(
    audio: Tensor, knobs: Mapping[str, Tensor], sample_rate: int, generator: torch.Generator
) -> Tensor:
    """A clipper of another curve, from soft to hard."""
    settings = {
        "drive_db": knobs["drive_db"],
        "hardness": _draw(len(audio), 0.0, 1.0, generator),
        "fuzz": 0.5 * knobs["bias"],
        "tone_hz": torch.full_like(knobs["mix"], 20_000.0),
        "level_db": torch.zeros_like(knobs["mix"]),
        "mix": knobs["mix"],
    }
    return DISTORTION.process(audio, settings, sample_rate)


def _chorus(
    audio: Tensor, knobs: Mapping[str, Tensor], sample_rate: int, generator: torch.Generator
) -> Tensor:
    """Its swing may stand anywhere when the clip begins."""
    late = _draw(1, 0.0, _LATEST_S, generator) * sample_rate
    clock = start_clock(audio) + late.round().to(start_clock(audio).dtype)
    history = audio.new_zeros(*audio.shape[:2], sample_rate)
    return modulation.chorus(audio, **knobs, sample_rate=sample_rate, state=(history, clock))[0]


def _reverb(
    audio: Tensor, knobs: Mapping[str, Tensor], sample_rate: int, generator: torch.Generator
) -> Tensor:
    """A room with walls."""
    count = len(audio)
    settings = {
        **knobs,
        "size_m": 4.0 * 6.0 ** _draw(count, 0.0, 1.0, generator),
        "bass_ratio": _draw(count, 0.6, 1.3, generator),
        "balance": _draw(count, 0.4, 1.0, generator),
    }
    return ROOM.process(audio, settings, sample_rate)


OTHER_MAKES: dict[str, Callable[[Tensor, Mapping[str, Tensor], int, torch.Generator], Tensor]] = {
    "compressor": _compressor,
    "overdrive": _overdrive,
    "chorus": _chorus,
    "reverb": _reverb,
}
"""Effects of another make by the name of the effect whose knobs they have."""


def process_otherwise(
    audio: Tensor,
    controls: Tensor,
    switches: Tensor,
    chain: Chain,
    sample_rate: int,
    generator: torch.Generator,
) -> Tensor:
    """`Chain.process` with effects of another make where there are any.

    Args:
        audio: ``(batch, channel, time)``.
        controls: ``(batch, control)``.
        switches: ``(batch, effect)``.
        chain: Whose knobs are meant.
        sample_rate: In Hz.
        generator: Draws what the knobs leave open.

    Returns:
        ``(batch, channel, time)``, without latency.
    """
    settings = chain.to_settings(controls)
    for effect, on in zip(chain.effects, switches.unbind(1), strict=True):
        rows = on.nonzero().squeeze(1)
        if len(rows) == 0:
            continue
        knobs = {name: value[rows] for name, value in settings[effect.name].items()}
        other = OTHER_MAKES.get(effect.name)
        if other is None:
            done = effect.process(audio[rows], knobs, sample_rate)
        else:
            done = other(audio[rows], knobs, sample_rate, generator)
        audio = audio.index_copy(0, rows, done)
    return audio
