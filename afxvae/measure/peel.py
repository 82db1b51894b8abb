"""Take the echoes and the reverberation that were measured off a recording again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..dsp.features import CLIP_SAMPLES, SAMPLE_RATE
from ..dsp.units import fast_length

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from ..effects import Chain
    from .settings import Measured

__all__ = ["LINEAR", "of_one_channel", "peel"]

LINEAR = ("delay", "reverb")
"""Measured effects that are a fixed filter, which can be undone."""

_FLOOR = 1e-2  # of the mean power of the response; what lies below is not raised


def of_one_channel(measured: Mapping[str, Measured]) -> bool:
    """Whether delay or reverb were found, and only in the first channel."""
    found = [measured[effect] for effect in LINEAR if measured[effect].found]
    return bool(found) and all(one.channels == 1 for one in found)


def peel(
    chain: Chain,
    clips: Tensor,
    measured: Mapping[str, Measured],
    channel: int | None = None,
    period: int = CLIP_SAMPLES,
) -> Tensor:
    """Undo the delay and the reverb that were found, as far as one clip tells.

    The response to an impulse of the chain, or of what was found in its place, is divided out in
    the frequency domain, regularised (Tikhonov). What sounds on from before a clip stays, and so
    does what the measurement missed.

    Args:
        chain: Whose delay and reverb were measured.
        clips: ``(clip, 131072)``, mono at 24 kHz.
        measured: What `measure_settings` found.
        channel: That the clips are of, the mean of all if omitted.
        period: Samples after which clips begin again, as those of shorter recordings do.

    Returns:
        ``(clip, 131072)``; `clips` itself if neither was found.
    """
    known = {name: one for name in LINEAR if (one := measured.get(name)) and one.found}
    if not known:
        return clips
    length = clips.shape[-1]
    channels = max(one.channels for one in known.values())
    impulse = torch.zeros(1, channels, length, device=clips.device)
    impulse[..., 0] = 1.0
    settings = {
        name: {
            param.name: param.to_setting(control.reshape(1).to(clips))
            for param, control in zip(chain[name].params, one.controls, strict=True)
        }
        for name, one in known.items()
    }
    on = {name: torch.ones(1, dtype=torch.bool, device=clips.device) for name in known}
    makes = {name: one.make for name, one in known.items() if one.make}
    n_fft = fast_length(3 * length)
    made = chain.process(impulse, settings, on, SAMPLE_RATE, makes)
    response = torch.fft.rfft(made[0].mean(0) if channel is None else made[0, channel], n_fft)
    power = response.real.square() + response.imag.square()
    inverse = response.conj() / (power + _FLOOR * power.mean())
    spectrum = torch.fft.rfft(clips[..., :period], n_fft) * inverse
    peeled: Tensor = torch.fft.irfft(spectrum, n_fft)[..., :period]
    return peeled.repeat(*(1 for _ in clips.shape[:-1]), -(-length // period))[..., :length]
