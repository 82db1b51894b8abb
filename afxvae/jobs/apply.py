"""Apply a preset to a file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from .. import audio
from ..presets import BLOCK, Preset
from .parts import Counter, Progress, check_outputs, find_device, output_of

__all__ = ["Applied", "applied", "apply_file", "lowered", "write_applied"]


class _TooLoudError(Exception):
    """What is being written would exceed full scale."""


@dataclass(frozen=True)
class Applied:
    """A preset that was applied: where the result is, and what else there is to say."""

    output: Path
    preset: Preset
    gain_db: float = 0.0
    notes: list[str] = field(default_factory=list)


def apply_file(
    preset_path: Path,
    input_path: Path,
    *,
    output: Path | None = None,
    device: str = "auto",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Applied:
    """Apply a preset to a file, block by block; lower a result that would exceed full scale.

    Args:
        preset_path: The preset.
        input_path: The recording, of any length.
        output: Where the result goes, `<stem>.matched` beside the input if not given.
        device: See `load_model`.
        overwrite: Replace an output that exists.
        progress: Called with the frames done and how many there are, again from 0 if the result has
            to be lowered.

    Raises:
        AfxError: anything that is wrong, in one sentence.
    """
    chosen = find_device(device)
    preset = Preset.load(preset_path)
    info = audio.info(input_path)
    output, notes = output_of(info, output)
    check_outputs({"output": output}, {"input": input_path, "preset": preset_path}, overwrite)

    counter = Counter(info.frames, progress)
    gain_db = write_applied(output, preset, info, chosen, counter, overwrite)
    if gain_db < 0.0:
        notes.append(lowered(output, gain_db))
    return Applied(output, preset, gain_db, notes)


def applied(
    preset: Preset, info: audio.AudioInfo, device: torch.device, counter: Counter
) -> Iterator[Tensor]:
    """Blocks ``(channel, time)`` of a file through a preset, counted as they are asked for."""
    stream = preset.stream(info.sample_rate, info.channels, device)
    blocks = counter.watch(audio.read_blocks(info.path, BLOCK))
    return (block.cpu() for block in stream.render(block.to(device) for block in blocks))


def write_applied(
    output: Path,
    preset: Preset,
    info: audio.AudioInfo,
    device: torch.device,
    counter: Counter,
    overwrite: bool,
) -> float:
    """Write a file through a preset; return the gain in dB that keeps it in full scale, at most 0.

    Args:
        output: Where to.
        preset: An empty one leaves samples beyond full scale as they are.
        info: Of the input, whose form is kept.
        device: Where it is rendered.
        counter: Counts the frames, anew if what is written has to be lowered.
        overwrite: Replace a file that exists.

    Raises:
        AfxError: it cannot be read or written.
    """
    meter = audio.PeakMeter()
    form = (info.sample_rate, info.channels, info)
    blocks = applied(preset, info, device, counter)
    gain = 1.0
    try:
        with audio.writing(output, *form, overwrite=overwrite) as put:
            for block in blocks:
                meter.add(block)
                if meter.sample_peak > 1.0 and not preset.is_empty:
                    raise _TooLoudError
                put(block)
    except _TooLoudError:
        for block in blocks:
            meter.add(block)
        gain = meter.limit_gain()
        counter.take_back(info.frames)
        with audio.writing(output, *form, overwrite=overwrite) as put:
            for block in applied(preset, info, device, counter):
                put(block * gain)
    return 20.0 * math.log10(gain)


def lowered(output: Path, gain_db: float) -> str:
    """What to say about it."""
    return f"{output} is {-gain_db:.1f} dB below the preset's level, so as not to clip."
