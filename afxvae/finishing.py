"""The end of the chain, which is measured and not estimated: stereo width, then gain."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .loudness import PEAK_CEILING_DB, LoudnessMeter, PeakMeter
from .presets import Preset
from .recordings import SideMeter

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch
    from torch import Tensor

    from .recordings import Blocks, Recording

__all__ = ["SAME_LOUDNESS_DB", "finish", "through"]

SAME_LOUDNESS_DB = 0.5
"""Below this a change of level is not worth touching the samples."""
_SAME_WIDTH_DB = 4.0  # below this a difference in stereo width is content, not production
_NARROWEST_DB = -40.0  # side against mid; below this a recording counts as mono


def finish(
    preset: Preset,
    form: Recording,
    rendered: Blocks,
    side_db: float | None,
    lufs: float,
    device: torch.device,
    amount: float = 1.0,
) -> tuple[Preset, list[str]]:
    """The end of the chain, set by measurement of what was rendered: width, then gain.

    The true peak of what comes out of it is below full scale.

    Args:
        preset: What it was rendered with.
        form: Of the rendered blocks: the input.
        rendered: Gives them.
        side_db: Level of the reference's side signal against its mid; None to leave the width.
        lufs: The wanted loudness.
        device: Of the blocks.
        amount: How much of the treatment was rendered.

    Returns:
        A preset of what there is to do, and sentences about it.
    """
    side = SideMeter()
    for block in rendered():
        side.add(block)
    width, notes = _width(side.side_db(), side_db, form.side_db, amount)
    end = Preset() if width is None else Preset().changed("width", {"width": width})
    loudness, peak = LoudnessMeter(form.sample_rate), PeakMeter()
    for block in through(end, form, rendered, device):
        loudness.add(block)
        peak.add(block)
    untouched = preset.is_empty and end.is_empty
    gain_db, more = _gain_db(lufs - loudness.lufs(), peak, untouched)
    if gain_db is not None:
        end = end.changed("gain", {"gain_db": gain_db})
    return end, notes + more


def through(
    preset: Preset, form: Recording, blocks: Blocks, device: torch.device
) -> Iterator[Tensor]:
    """Blocks that have the form of a recording, through a preset."""
    stream = preset.stream(form.sample_rate, form.channels, device)
    return stream.render(block.to(device) for block in blocks())


def _width(
    mine_db: float | None, theirs_db: float | None, own_db: float | None, amount: float
) -> tuple[float | None, list[str]]:
    """By what to scale the side signal if the reference is clearly wider or narrower.

    With an `amount` other than 1, the side is wanted at a share of its way from where the input
    had it, `own_db`, and a difference is clear in proportion.
    """
    if mine_db is None or theirs_db is None or min(mine_db, theirs_db) < _NARROWEST_DB:
        return None, []
    if own_db is None or own_db < _NARROWEST_DB:  # what has no side is on no way
        own_db = mine_db
    change_db = amount * theirs_db + (1.0 - amount) * own_db - mine_db
    if not amount or abs(change_db) < amount * _SAME_WIDTH_DB:
        return None, []
    width = min(10.0 ** (change_db / 20.0), 2.0)
    return width, [f"Stereo width set to {width:.2f}: measured, not estimated."]


def _gain_db(wanted_db: float, peak: PeakMeter, untouched: bool) -> tuple[float | None, list[str]]:
    """The output gain for a change of loudness; the true peak stays in full scale."""
    if untouched and abs(wanted_db) < SAME_LOUDNESS_DB:
        return None, []
    room_db = 20.0 * math.log10(peak.limit_gain(PEAK_CEILING_DB - wanted_db))
    notes: list[str] = []
    if room_db < 0.0:
        if untouched and wanted_db + room_db < 0.0 < wanted_db:
            return None, ["No louder: the peaks of the input already reach full scale."]
        notes.append(f"{-room_db:.1f} dB below the wanted loudness, so that no peak clips.")
    return min(max(wanted_db + room_db, -60.0), 60.0), notes
