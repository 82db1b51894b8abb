"""What the commands do with files, without printing: match, apply, demo.

Outputs are checked before any work is done, and are either all written or none.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from . import audio
from .files import check_writable, kept_unless_done
from .presets import BLOCK, Preset
from .recordings import Recording, Spool
from .types import AudioError, UsageError

if TYPE_CHECKING:
    from .matching import Finding
    from .models.style_vae import AFXStyleVAE

__all__ = [
    "DEMO_INPUT",
    "DEMO_REFERENCE",
    "Applied",
    "Matched",
    "Progress",
    "apply_file",
    "demo",
    "load_model",
    "match_files",
    "parse_loudness",
]

DEMO_INPUT = Path(__file__).resolve().parent / "demo" / "guitar.flac"
DEMO_REFERENCE = DEMO_INPUT.with_name("reference.flac")

Progress = Callable[[int, int], None]
"""Told how much is done, and of how much."""

_LOUDEST_LUFS, _QUIETEST_LUFS = 0.0, -60.0


class _TooLoudError(Exception):
    """What is being written would exceed full scale."""


@dataclass(frozen=True)
class Matched:
    """A match that was written: what was found, where it is, and by which model."""

    match: Finding
    output: Path
    preset: Path
    model: str
    model_checksum: str
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Applied:
    """A preset that was applied: where the result is, and what else there is to say."""

    output: Path
    preset: Preset
    gain_db: float = 0.0
    notes: list[str] = field(default_factory=list)


def load_model(name: str | None, revision: str | None, device: str) -> AFXStyleVAE:
    """Load a model onto a device: `auto` (CUDA where it is there, else the CPU), `cpu`, `cuda`...

    Raises:
        UsageError: the device is not there.
        WeightsError: the weights are not there or do not fit.
    """
    chosen = _device(device)
    from .models.style_vae import AFXStyleVAE

    return AFXStyleVAE.from_pretrained(name, revision=revision).to(chosen).eval()


def parse_loudness(text: str) -> str | float:
    """`keep`, `reference`, or a number of LUFS from -60 to 0.

    Raises:
        UsageError: it is none of them.
    """
    if text in ("keep", "reference"):
        return text
    with suppress(ValueError):
        if _QUIETEST_LUFS <= (lufs := float(text)) <= _LOUDEST_LUFS:
            return lufs
    raise UsageError(
        f"--loudness is {text!r}, but it must be keep, reference, or a number from "
        f"{_QUIETEST_LUFS:g} to {_LOUDEST_LUFS:g} LUFS."
    )


def match_files(
    input_path: Path,
    reference_path: Path,
    *,
    output: Path | None = None,
    preset: Path | None = None,
    model: Callable[[], AFXStyleVAE],
    effort: str = "normal",
    loudness: str | float = "reference",
    seed: int = 0,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Matched:
    """Match one file to another, block by block; write the result and its preset.

    What is rendered is kept beside the output, in a file without a name, until its gain is known.

    Args:
        input_path: The recording to change.
        reference_path: The recording whose style is wanted.
        output: Where the result goes, `<stem>.matched` beside the input if not given.
        preset: Where the preset goes, beside the output if not given.
        model: Called for the model once files and outputs are known to be usable.
        effort: `fast` or `normal`.
        loudness: See `parse_loudness`.
        seed: Of the candidates that are drawn at random.
        overwrite: Replace outputs that exist.
        progress: Called with the work done and all there may be, in frames.

    Raises:
        AfxError: anything that is wrong, in one sentence.
    """
    since = time.perf_counter()
    info = audio.info(input_path)
    reference_info = audio.info(reference_path)
    if _same_file(input_path, reference_path):
        raise UsageError(f"The reference {reference_path} is the input: it has no style to lend.")
    output, notes = _output(info, output)
    if preset is None:
        stem = output.stem.removesuffix(".matched")
        preset = output.with_name(f"{stem}.afx.json")
    outputs = {"output": output, "preset": preset}
    _check_outputs(outputs, {"input": input_path, "reference": reference_path}, overwrite)
    # both are listened to and then cut; the input is also rendered and written
    counter = _Counter(4 * info.frames + 2 * reference_info.frames, progress)
    source = Recording.of_file(input_path, counter.watch)
    reference = Recording.of_file(reference_path, counter.watch)
    if source.same_samples(reference):
        raise UsageError(f"{reference_path} has the samples of the input: it has no style to lend.")
    loaded = model()
    from .matching import match_recordings

    form = (info.sample_rate, info.channels, info)
    with (
        kept_unless_done(preset),
        audio.writing(output, *form, overwrite=overwrite) as put,
        Spool(output.resolve().parent) as spool,
    ):

        def write(block: Tensor) -> None:
            put(block)
            counter.add(block)

        match = match_recordings(
            loaded,
            source,
            reference,
            spool=spool,
            put=write,
            effort=effort,
            loudness=loudness,
            seed=seed,
            since=since,
        )
        match.preset.save(preset, overwrite)
    notes += match.notes
    return Matched(match, output, preset, loaded.identifier, loaded.checksum, notes)


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
    chosen = _device(device)
    preset = Preset.load(preset_path)
    info = audio.info(input_path)
    output, notes = _output(info, output)
    _check_outputs({"output": output}, {"input": input_path, "preset": preset_path}, overwrite)

    def applied() -> Iterator[Tensor]:
        stream = preset.stream(info.sample_rate, info.channels, chosen)
        blocks = _Counter(info.frames, progress).watch(audio.read_blocks(input_path, BLOCK))
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


def demo(
    folder: Path,
    *,
    model: Callable[[], AFXStyleVAE],
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Matched:
    """Match the two bundled clips into `folder`, and put copies of them beside the result.

    Raises:
        AfxError: anything that is wrong, in one sentence.
    """
    copies = {clip: folder / clip.name for clip in (DEMO_INPUT, DEMO_REFERENCE)}
    new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be made a folder: {error.strerror}.") from error
    try:
        for copy in copies.values():
            check_writable(copy, overwrite)
        output = folder / f"{DEMO_INPUT.stem}.matched{DEMO_INPUT.suffix}"
        result = match_files(
            DEMO_INPUT,
            DEMO_REFERENCE,
            output=output,
            model=model,
            overwrite=overwrite,
            progress=progress,
        )
    except BaseException:
        if new:
            with suppress(OSError):
                folder.rmdir()
        raise
    for clip, copy in copies.items():
        shutil.copyfile(clip, copy)
    return result


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if not there.get(name, False):
        found = ", ".join(device for device, is_there in there.items() if is_there)
        raise UsageError(f"--device {name} is not there on this machine, which has {found}.")
    return torch.device(name)


def _output(info: audio.AudioInfo, output: Path | None) -> tuple[Path, list[str]]:
    if output is not None:
        return output, []
    suffix, note = audio.default_output(info)
    return info.path.with_name(f"{info.path.stem}.matched{suffix}"), [note] if note else []


def _check_outputs(
    outputs: Mapping[str, Path], sources: Mapping[str, Path], overwrite: bool
) -> None:
    """Raise `UsageError` unless all can be written, over none of the sources or each other."""
    names = {**sources, **outputs}
    for what, path in outputs.items():
        for other, source in names.items():
            if what != other and _same_file(path, source):
                raise UsageError(f"The {what} {path} would replace the {other}.")
    for what, path in outputs.items():
        try:
            if what == "output":
                audio.check_output(path, overwrite)
            else:
                check_writable(path, overwrite)
        except AudioError as error:  # an extension that is not written: a fault of the command
            raise UsageError(str(error)) from error


def _same_file(one: Path, other: Path) -> bool:
    if one.exists() and other.exists():
        return one.samefile(other)
    return one.resolve() == other.resolve()


class _Counter:
    """Counts the frames of all passes over recordings, and tells how much of the work is done."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._done, self._total, self._progress = 0, total, progress

    def add(self, block: Tensor) -> None:
        self._done += block.shape[1]
        if self._progress:
            self._progress(min(self._done, self._total), self._total)

    def watch(self, blocks: Iterator[Tensor]) -> Iterator[Tensor]:
        for block in blocks:
            yield block
            self.add(block)
