"""Convolution by FFT, of signals that come in blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from .units import fast_length

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from torch import Tensor

__all__ = ["continued", "convolve", "kept"]

_SHORTEST_PIECE = 1 << 15
_PIECE_PER_TAP = 3  # pieces so much longer than the response cost about the least per sample


def continued(audio: Tensor, history: Tensor | None, samples: int) -> Tensor:
    """`audio` behind the last `samples` of `history`; silence where there is none.

    Args:
        audio: ``(batch, channel, time)``.
        history: What came before it, ``(batch, channel, any)``, or None.
        samples: At least 0.

    Returns:
        ``(batch, channel, samples + time)``. The end of it is the history of the next block.
    """
    if history is None:
        return torch.nn.functional.pad(audio, (samples, 0))
    missing = max(0, samples - history.shape[-1])
    recent = history[..., history.shape[-1] - (samples - missing) :]
    return torch.nn.functional.pad(torch.cat([recent, audio], -1), (missing, 0))


def convolve(
    audio: Tensor, response: Tensor, history: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Convolve a block with a response, by overlap-save (Oppenheim and Schafer, section 8.7.3).

    Long blocks are done in pieces, so memory for spectra stays proportional to the response.

    Args:
        audio: ``(batch, channel, time)``.
        response: ``(batch, channel or 1, tap)``.
        history: What came before the block, as returned with the last one; None at the start.

    Returns:
        ``(batch, channel, time)``, and the ``(batch, channel, tap - 1)`` inputs to remember.
    """
    length, taps = audio.shape[-1], response.shape[-1]
    joined = continued(audio, history, taps - 1)
    remembered = joined[..., length:]
    if not length:
        return audio, remembered
    piece = min(length, max(_SHORTEST_PIECE, _PIECE_PER_TAP * taps))
    n_fft = fast_length(piece + taps - 1)
    piece = min(length, n_fft - taps + 1)
    spectrum = torch.fft.rfft(response, n_fft)
    done = []
    for start in range(0, length, piece):
        segment = joined[..., start : start + n_fft]
        wrapped = torch.fft.irfft(torch.fft.rfft(segment, n_fft) * spectrum, n_fft)
        done.append(wrapped[..., taps - 1 : min(taps - 1 + piece, segment.shape[-1])])
    return torch.cat(done, -1), remembered


def kept(
    settings: Collection[Tensor], compute: Callable[[], Tensor], known: tuple[Tensor, ...]
) -> tuple[Tensor, Tensor]:
    """A response that is computed anew only where settings have changed or want gradients.

    Args:
        settings: What it depends on, each ``(batch,)``.
        compute: Gives the response.
        known: As returned with the block before; empty at the start.

    Returns:
        The response and the settings that it stands for.
    """
    values = torch.stack(tuple(settings)).detach()
    stale = any(setting.requires_grad for setting in settings)
    if known and not stale and torch.equal(values, known[1]):
        return known[0], values
    return compute(), values
