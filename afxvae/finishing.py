"""From a candidate to a whole preset: the end of the chain is measured on what it makes.

That end is stereo width, then gain.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from .dsp.features import ANALYSIS_LUFS
from .loudness import PEAK_CEILING_DB, LoudnessMeter, PeakMeter
from .presets import Preset
from .recordings import SideMeter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from .candidates import Candidate
    from .models.style_vae import AFXStyleVAE
    from .recordings import Blocks, Recording, Spool
    from .styles import Style
    from .wishes import Wishes

__all__ = ["SAME_LOUDNESS_DB", "Rendering", "render", "through"]

SAME_LOUDNESS_DB = 0.5
"""Below this a change of level is not worth touching the samples."""
_SAME_WIDTH_DB = 4.0  # below this a difference in stereo width is content, not production
_NARROWEST_DB = -40.0  # side against mid; below this a recording counts as mono


@dataclass(frozen=True)
class Rendering:
    """What a candidate makes of the input.

    Attributes:
        preset: All that is done to the input.
        end: The part of it that comes last, and that `blocks` do not have yet.
        blocks: Give the input through the rest.
        lufs: Integrated loudness of all.
        notes: Sentences about the end.
    """

    preset: Preset
    end: Preset
    blocks: Blocks
    lufs: float
    notes: list[str]


def render(
    model: AFXStyleVAE,
    candidate: Candidate,
    source: Recording,
    reference: Style,
    wishes: Wishes,
    spool: Spool,
) -> Rendering:
    """Render the input once, and set the end of the chain by measurement of that.

    The true peak of what comes out of it is below full scale.

    Args:
        model: Whose chain it is.
        candidate: What is done.
        source: The input.
        reference: Whose width and loudness may be wanted.
        wishes: See there.
        spool: Takes the rendering, in place of what it holds, unless nothing is done.
    """
    device = next(model.parameters()).device
    preset, blocks = _preset(model, candidate, source, wishes.amount), source.blocks
    if not preset.is_empty:
        spool.fill(through(preset, source, source.blocks, device))
        blocks = spool.blocks
    end, lufs, notes = _finish(preset, source, blocks, reference, wishes, device)
    for effect, knobs in end.settings.items():
        preset = preset.changed(effect, knobs)
    return Rendering(preset, end, blocks, lufs, notes)


def _preset(model: AFXStyleVAE, best: Candidate, source: Recording, amount: float) -> Preset:
    """A candidate as a preset whose input gain brings this input to the analysis loudness."""
    controls = model.chain.scaled(best.controls, amount)
    switches = best.switches if amount else torch.zeros_like(best.switches)
    settings, on = {}, {}
    for (name, knobs), switch in zip(
        model.chain.to_settings(controls.unsqueeze(0)).items(), switches, strict=True
    ):
        make = best.makes.get(name) if bool(switch) else None
        place = make.effect.name if make else name
        settings[place], on[place] = make.settings(knobs) if make else knobs, switch
    preset = Preset.from_tensors(
        settings,
        on,
        input_gain_db=ANALYSIS_LUFS - source.lufs if bool(switches.any()) else 0.0,
        model=model.identifier,
        model_checksum=model.checksum,
    )
    if best.ring is None or not amount:
        return preset
    mix = min(1.0, amount * best.ring.mix)  # width and gain after it do the same before it
    return preset.changed("ring_modulator", best.ring.settings | {"mix": mix})


def _finish(
    preset: Preset,
    source: Recording,
    rendered: Blocks,
    reference: Style,
    wishes: Wishes,
    device: torch.device,
) -> tuple[Preset, float, list[str]]:
    """What there is to do at the end, width and gain, the loudness then, and sentences on it."""
    theirs_db = reference.side_db if wishes.allows("width") else None
    wanted_lufs = wishes.wanted_lufs(source.lufs, reference.lufs)
    side = SideMeter()
    for block in rendered():
        side.add(block)
    width, notes = _width(side.side_db(), theirs_db, source.side_db, wishes.amount)
    end = Preset() if width is None else Preset().changed("width", {"width": width})
    loudness, peak = LoudnessMeter(source.sample_rate), PeakMeter()
    for block in through(end, source, rendered, device):
        loudness.add(block)
        peak.add(block)
    untouched = preset.is_empty and end.is_empty
    lufs = loudness.lufs()
    gain_db, more = _gain_db(wanted_lufs - lufs, peak, untouched)
    if gain_db is not None:
        end, lufs = end.changed("gain", {"gain_db": gain_db}), lufs + gain_db
    return end, lufs, notes + more


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
