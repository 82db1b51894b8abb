"""Look-ahead limiter: the gain is down before the peak arrives, so no peak passes the ceiling.

Over the samples that a peak must wait, the largest gain reduction that any of them will need is
found (a sliding maximum), made to fall back slowly, and averaged. An average of values that are all
at least what a sample needs is at least that too: this is the whole proof that the ceiling holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from .convolution import continued
from .envelopes import fall_back, linked_peak, moving_average, sliding_max
from .oversampling import DELAY, MEMORY, upsample
from .units import db_to_gain, gain_to_db, per_item

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["limit", "limiter_latency"]

_LOOK_AHEAD_S = 0.005
_FACTOR = 4  # of the rate at which peaks are looked for, as in ITU-R BS.1770
_ROUNDING_DB = 1e-5  # so far below the ceiling that no rounding passes it


def _look_ahead(sample_rate: int) -> int:
    return max(MEMORY, round(_LOOK_AHEAD_S * sample_rate))


def limiter_latency(sample_rate: int) -> int:
    """Samples by which `limit` is late: 5 ms, and the filter that finds peaks between samples."""
    return _look_ahead(sample_rate) + DELAY


def _averaged(x: Tensor, history: Tensor | None, span: int) -> tuple[Tensor, Tensor]:
    """Two moving averages after one another, which together reach over `span` samples."""
    joined = continued(x, history, span - 1)
    first = span // 2
    return moving_average(moving_average(joined, first), span + 1 - first), joined[:, x.shape[1] :]


def limit(
    audio: Tensor,
    gain_db: Tensor,
    ceiling_db: Tensor,
    release_ms: Tensor,
    off_db: float,
    sample_rate: int,
    state: tuple[Tensor, ...] | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Amplify, then keep peaks at or below a ceiling, also those between samples.

    Args:
        audio: ``(batch, channel, time)``; the loudest channel steers all of them.
        gain_db: ``(batch,)`` in front of the limiter.
        ceiling_db: ``(batch,)``. No sample passes it, and peaks of the four times oversampled
            signal hardly: by 0.3 dB at most, unless it is loud above 0.9 of half the sample rate.
        release_ms: ``(batch,)`` in which the gain reduction falls by 63 %.
        off_db: Ceiling at which there is none.
        sample_rate: In Hz.
        state: As the block before left it.

    Returns:
        ``(batch, channel, time)``, late by `limiter_latency`, and the state. What needs no gain
        passes bit for bit.
    """
    heard, asked, last, reduced = state or (None,) * 4
    ahead = _look_ahead(sample_rate)
    late, length = ahead + DELAY, audio.shape[-1]
    driven = audio * db_to_gain(per_item(gain_db))
    joined = continued(driven, heard, late)
    wide = upsample(driven, joined[..., :late], _FACTOR, 1.0)[0]
    peak = linked_peak(wide).unflatten(1, (length, _FACTOR)).amax(2)
    over = gain_to_db(peak) - (ceiling_db.unsqueeze(1) - _ROUNDING_DB)
    over = torch.relu(over) * (ceiling_db < off_db).unsqueeze(1)
    waiting = continued(over, asked, ahead + 1)
    last = over.new_zeros(len(over)) if last is None else last
    needed, last = fall_back(sliding_max(waiting, ahead + 2), release_ms, sample_rate, last)
    reduction, reduced = _averaged(needed, reduced, ahead + 1)
    gain = db_to_gain(-reduction).to(audio.dtype).unsqueeze(1)
    state = (joined[..., length:], waiting[:, length:], last, reduced)
    return joined[..., :length] * gain, state
