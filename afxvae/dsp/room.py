"""Sound in a room: convolution with the response of `afxvae.dsp.network`, block by block."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from .convolution import convolve
from .network import room_response
from .units import per_item

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["reverberate"]

_KEPT_DECAYS = 1.2  # the response is kept until it has fallen by 72 dB


def reverberate(
    audio: Tensor,
    size_m: Tensor,
    decay_s: Tensor,
    bass_ratio: Tensor,
    treble_ratio: Tensor,
    pre_delay_ms: Tensor,
    balance: Tensor,
    mix: Tensor,
    sample_rate: int,
    state: tuple[Tensor, ...] | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Put the sound into a room; see `afxvae.dsp.network.room_response` for the settings.

    The response is computed as far as the sound so far needs it, and kept with the settings that it
    stands for, until these change.

    Args:
        audio: ``(batch, channel, time)``; channels do not leak into one another.
        size_m: ``(batch,)``.
        decay_s: ``(batch,)``.
        bass_ratio: ``(batch,)``.
        treble_ratio: ``(batch,)``.
        pre_delay_ms: ``(batch,)``.
        balance: ``(batch,)``.
        mix: ``(batch,)`` share of the room in [0, 1].
        sample_rate: In Hz.
        state: As returned with the block before; None at the start.

    Returns:
        ``(batch, channel, time)``, at mix 0 `audio` bit for bit, and the state.
    """
    knobs = (size_m, decay_s, bass_ratio, treble_ratio, pre_delay_ms, balance)
    values = torch.stack(knobs).detach()
    longest = torch.maximum(torch.maximum(bass_ratio, treble_ratio), torch.ones_like(mix)) * decay_s
    kept = _KEPT_DECAYS * longest.detach().double() + 0.001 * pre_delay_ms.detach().double()
    kept = (kept * sample_rate).ceil()
    limit = int(kept.max())
    past, response, known = state or (audio[..., :0], audio[..., :0], values)
    needed = min(limit, past.shape[-1] + audio.shape[-1])
    stale = any(knob.requires_grad for knob in knobs) or not torch.equal(values, known)
    if stale or response.shape[-1] < needed:
        length = max(1, needed, min(limit, 2 * response.shape[-1]))
        shape = (sample_rate, audio.shape[1], length, audio.dtype)
        response = room_response(*knobs, *shape)
        time = torch.arange(length, device=audio.device)
        response = response * (time < kept.unsqueeze(1)).unsqueeze(1)
    wet, _ = convolve(audio, response[..., : max(1, needed)], past)
    start = max(0, past.shape[-1] + audio.shape[-1] - (limit - 1))
    past = torch.cat([past, audio], dim=-1)[..., start:]
    return audio + per_item(mix) * (wet - audio), (past, response, values)
