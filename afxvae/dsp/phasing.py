"""The phaser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from .allpass import allpass_cascade, allpass_coefficients
from .lfo import lag_odd_channels, phase, start_clock
from .units import per_item

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["PHASER_STAGES", "phaser"]

PHASER_STAGES = 6


def phaser(
    audio: Tensor,
    rate_hz: Tensor,
    centre_hz: Tensor,
    depth_octaves: Tensor,
    feedback: Tensor,
    stereo_phase_deg: Tensor,
    mix: Tensor,
    sample_rate: int,
    state: tuple[Tensor, ...] | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Six all-passes in series whose frequency swings, blended with the dry sound.

    ``f(t) = centre 2^(depth sin(2 pi rate t))``, at every sample. Half voice and half dry cancel
    where the voice is turned by an odd multiple of 180 degrees: with six stages at .27, 1 and 3.73
    times f. See `afxvae.dsp.allpass` for the stages and the feedback, which has no delay.

    Args:
        audio: ``(batch, channel, time)``.
        rate_hz: ``(batch,)`` swings a second.
        centre_hz: ``(batch,)`` where the all-passes turn by 90 degrees each, at rest.
        depth_octaves: ``(batch,)`` largest deviation; f stays below .49 of the sample rate.
        feedback: ``(batch,)`` between -1 and 1.
        stereo_phase_deg: ``(batch,)`` by which the swing of odd channels is late.
        mix: ``(batch,)`` share of the voice in [0, 1].
        sample_rate: In Hz.
        state: As returned with the block before; None at the start.

    Returns:
        ``(batch, channel, time)``; at mix 0, `audio` bit for bit. Then the states of the stages and
        the samples so far.
    """
    channels, length = audio.shape[1:]
    stages, clock = state or (None, start_clock(audio))
    angle = lag_odd_channels(phase(rate_hz, clock, length, sample_rate), stereo_phase_deg, channels)
    octaves = per_item(depth_octaves) * torch.sin(angle)
    coefficients = allpass_coefficients(per_item(centre_hz) * torch.exp2(octaves), sample_rate)
    voice, stages = allpass_cascade(audio, coefficients, feedback, PHASER_STAGES, stages)
    return audio + per_item(mix) * (voice - audio), (stages, clock + length)
