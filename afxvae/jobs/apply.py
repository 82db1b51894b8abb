"""Apply a preset to a file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from .. import audio
from ..presets import BLOCK, Preset
from .parts import Counter, Progress, check_outputs, find_device, output_of

__all__ = ["Applied", "apply_file"]


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

    def applied() -> Iterator[Tensor]:
        stream = preset.stream(info.sample_rate, info.channels, chosen)
        blocks = Counter(info.frames, progress).watch(audio.read_blocks(input_path, BLOCK))
        return (block.cpu() for block in stream.render(block.to(chosen) for block in blocks))

    meter = audio.PeakMeter()
    form = (info.sample_rate, info.channels, info)
    blocks = applied()
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
        with audio.writing(output, *form, overwrite=overwrite) as put:
            for block in applied():
                put(block * gain)
    gain_db = 20.0 * math.log10(gain)
    if gain < 1.0:
        notes.append(f"{output} is {-gain_db:.1f} dB below the preset's level, so as not to clip.")
    return Applied(output, preset, gain_db, notes)
