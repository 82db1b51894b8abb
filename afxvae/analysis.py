"""From recordings of any rate, length and channels to the clips that the model sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from .audio import resample
from .dsp.features import CLIP_SAMPLES, RUN_IN, SAMPLE_RATE
from .types import check_shape

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["analysis_clips", "as_audio", "clips_with_run_in"]

_MOST_CLIPS = 4


def as_audio(audio: Any) -> Tensor:
    """Array or tensor ``(channel, time)`` or ``(time,)`` to float32 ``(channel, time)``.

    Raises:
        UsageError: It has other than one or two axes.
    """
    tensor = torch.as_tensor(audio, dtype=torch.float32)
    if tensor.dim() == 1:
        tensor = tensor.unsqueeze(0)
    check_shape("audio", tensor, "channel time")
    return tensor


def clips_with_run_in(audio: Tensor, sample_rate: int, most: int = _MOST_CLIPS) -> Tensor:
    """The loudest stretches of a recording with what precedes them.

    Args:
        audio: ``(channel, time)``; channels are averaged. What is shorter than a clip is repeated.
        sample_rate: In Hz.
        most: Largest number of clips.

    Returns:
        ``(clip, 1, 24000 + 131072)`` at 24 kHz, in the order of the recording, not overlapping; the
        second before the first is silence.
    """
    mono = resample(audio.mean(0), sample_rate, SAMPLE_RATE)
    if len(mono) < CLIP_SAMPLES:
        mono = mono.repeat(-(-CLIP_SAMPLES // len(mono)))[:CLIP_SAMPLES]
    count = len(mono) // CLIP_SAMPLES
    # evenly spread candidates that do not overlap; quiet ones are dropped, the loudest kept
    starts = torch.linspace(0, len(mono) - CLIP_SAMPLES, count).round().long()
    power = torch.stack([mono[s : s + CLIP_SAMPLES].square().mean() for s in starts.tolist()])
    loudest = power.argsort(descending=True)[:most]
    kept = loudest[power[loudest] > 1e-2 * power[loudest[0]]].sort().values
    padded = torch.nn.functional.pad(mono, (RUN_IN, 0))
    whole = RUN_IN + CLIP_SAMPLES
    return torch.stack([padded[s : s + whole] for s in starts[kept].tolist()]).unsqueeze(1)


def analysis_clips(audio: Tensor, sample_rate: int, most: int = _MOST_CLIPS) -> Tensor:
    """`clips_with_run_in` without the run-in: ``(clip, 131072)``."""
    return clips_with_run_in(audio, sample_rate, most)[:, 0, RUN_IN:]
