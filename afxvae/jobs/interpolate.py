"""Presets between two presets, and how they sound."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from .. import audio
from ..files import kept_unless_done, made_folder
from ..interpolation import check_chain, check_steps, interpolate
from ..loudness import LoudnessMeter, check_heard
from ..presets import Preset
from ..ranges import STEPS
from ..types import UsageError
from .apply import applied, lowered, write_applied
from .level import Rendering, write_at_one_loudness
from .parts import Counter, Progress, check_outputs, find_device

__all__ = ["Between", "interpolate_files"]


@dataclass(frozen=True)
class Between:
    """Presets that were written, in order, and the files of how they sound, if any.

    `gains_db` is what each file was changed by after its preset; `lufs` is the loudness of all of
    them, where they were brought to one.
    """

    folder: Path
    presets: list[Path]
    outputs: list[Path]
    gains_db: list[float]
    lufs: float | None
    notes: list[str] = field(default_factory=list)


def interpolate_files(
    input_path: Path,
    a_path: Path,
    b_path: Path,
    *,
    steps: int = STEPS,
    folder: Path | None = None,
    render: bool = True,
    same_loudness: bool = False,
    device: str = "auto",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Between:
    """Write presets from one to another, and a file through each; all of them or none.

    Args:
        input_path: The recording, of any length.
        a_path: The first preset.
        b_path: The last.
        steps: How many presets, both ends included.
        folder: Where they go, made if need be; `<stem>.steps` beside the input if not given.
        render: Write the recording through every preset, as `apply_file` does.
        same_loudness: Bring these files to one loudness, see `write_at_one_loudness`. The presets
            stay as they are.
        device: See `load_model`.
        overwrite: Replace outputs that exist.
        progress: Called with the frames done and how many there are.

    Raises:
        AfxError: anything that is wrong, in one sentence.
    """
    if same_loudness and not render:
        raise UsageError("--same-loudness is about what --no-render leaves out.")
    check_steps(steps)
    chosen = find_device(device)
    ends = [Preset.load(path) for path in (a_path, b_path)]
    for path, preset in zip((a_path, b_path), ends, strict=True):
        check_chain(preset, str(path))
    info = audio.info(input_path)
    suffix, note = audio.default_output(info)
    folder = folder or input_path.with_name(f"{input_path.stem}.steps")
    names = [f"{input_path.stem}.{step:0{len(str(steps))}d}" for step in range(1, steps + 1)]
    presets = [folder / f"{name}.afx.json" for name in names]
    outputs = [folder / f"{name}{suffix}" for name in names] if render else []
    sources = {"input": input_path, "first preset": a_path, "second preset": b_path}
    found = interpolate(ends[0], ends[1], steps)
    counter = Counter((1 + same_loudness) * steps * info.frames if render else 0, progress)
    with made_folder(folder), ExitStack() as kept:
        wanted = {f"step {place}": path for place, path in enumerate(outputs, 1)}
        wanted |= {f"preset {place}": path for place, path in enumerate(presets, 1)}
        check_outputs(wanted, sources, overwrite)
        for path in (*presets, *outputs):
            kept.enter_context(kept_unless_done(path))
        for preset, path in zip(found, presets, strict=True):
            preset.save(path, overwrite)
        rendering = _Rendering(found if render else [], info, chosen, counter)
        lufs: float | None = None
        gains_db: list[float] = []
        if same_loudness:
            lufs, gains_db = write_at_one_loudness(
                rendering.measured(presets), outputs, info, overwrite
            )
        elif render:
            gains_db = rendering.write(outputs, overwrite)
    notes = [note] if note and render else []
    if not same_loudness:
        pairs = zip(outputs, gains_db, strict=True)
        notes += [lowered(path, gain_db) for path, gain_db in pairs if gain_db < 0.0]
    return Between(folder, presets, outputs, gains_db, lufs, notes)


class _Rendering:
    """A recording through some presets."""

    def __init__(
        self,
        presets: Sequence[Preset],
        info: audio.AudioInfo,
        device: torch.device,
        counter: Counter,
    ) -> None:
        self._presets, self._info = presets, info
        self._device, self._counter = device, counter

    def _through(self, preset: Preset) -> Iterator[Tensor]:
        return applied(preset, self._info, self._device, self._counter)

    def write(self, outputs: Sequence[Path], overwrite: bool) -> list[float]:
        """As `apply_file` does; return the gains that keep peaks in full scale, dB."""
        return [
            write_applied(path, one, self._info, self._device, self._counter, overwrite)
            for one, path in zip(self._presets, outputs, strict=True)
        ]

    def measured(self, paths: Sequence[Path]) -> list[Rendering]:
        """Each with its level; `paths` are those of the presets, for messages."""
        found = []
        for preset, path in zip(self._presets, paths, strict=True):
            loudness, peak, frames = LoudnessMeter(self._info.sample_rate), audio.PeakMeter(), 0
            for block in self._through(preset):
                loudness.add(block)
                peak.add(block)
                frames += block.shape[1]
            heard = f"{self._info.path} through {path}"
            check_heard(frames, peak.sample_peak, self._info.sample_rate, heard)
            found.append(Rendering(partial(self._through, preset), loudness.lufs(), peak))
        return found
