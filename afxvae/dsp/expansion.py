"""Downward expander and gate: what lies below a threshold is turned down further."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from .convolution import continued
from .envelopes import held_max, linked_peak, smooth
from .units import db_to_gain, gain_to_db

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["LONGEST_HOLD_MS", "expand", "expansion_curve"]

LONGEST_HOLD_MS = 500.0
_SILENCE_DB = -120.0


def expansion_curve(
    level_db: Tensor, threshold_db: Tensor, ratio: Tensor, range_db: Tensor
) -> Tensor:
    """Static gain in dB (at most 0): every dB below the threshold becomes `ratio`, up to the range.

    ``-min(range, (ratio - 1) max(0, threshold - level))``; ratio 3 turns 5 dB under into 15.

    Returns:
        Gain of the shape to which the arguments broadcast.
    """
    under = torch.relu(threshold_db - level_db)
    return -torch.minimum((ratio - 1.0) * under, range_db)


def expand(
    audio: Tensor,
    threshold_db: Tensor,
    ratio: Tensor,
    range_db: Tensor,
    attack_ms: Tensor,
    hold_ms: Tensor,
    release_ms: Tensor,
    sample_rate: int,
    state: tuple[Tensor, ...] | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The largest gain that `expansion_curve` gives within the hold time, smoothed in dB.

    Before the signal begins the gate rests closed.

    Args:
        audio: ``(batch, channel, time)``; the loudest channel steers all of them.
        threshold_db: ``(batch,)`` in dB full scale.
        ratio: ``(batch,)`` at least 1.
        range_db: ``(batch,)`` largest gain reduction.
        attack_ms: ``(batch,)`` in which the gain has covered 63 % of its way up.
        hold_ms: ``(batch,)`` for which the gate waits until it begins to close, at most 500.
        release_ms: ``(batch,)`` in which the gain has covered 63 % of its way down.
        sample_rate: In Hz.
        state: As the block before left it.

    Returns:
        ``(batch, channel, time)`` and the state; at range 0, `audio` bit for bit.
    """
    curve = [setting.double() for setting in (threshold_db, ratio, range_db)]
    heard, last = state or (None, -expansion_curve(curve[0].new_tensor(_SILENCE_DB), *curve))
    longest = math.ceil(LONGEST_HOLD_MS * sample_rate / 1000.0) + 1
    joined = continued(linked_peak(audio), heard, longest)
    hold = hold_ms.double() * (sample_rate / 1000.0)
    reach = int(hold.max()) + 1
    level_db = gain_to_db(joined[:, longest - reach :], _SILENCE_DB)
    static_db = expansion_curve(level_db, *(setting.unsqueeze(1) for setting in curve))
    wanted_db = held_max(static_db, hold, reach)
    reduction, last = smooth(-wanted_db, release_ms, attack_ms, sample_rate, last)
    gain = db_to_gain(-reduction).to(audio.dtype).unsqueeze(1)
    return audio * gain, (joined[:, audio.shape[-1] :], last)
