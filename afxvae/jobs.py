"""What the commands do with files, without printing: match, apply, demo.

Outputs are checked before any work is done, and are either all written or none.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from . import audio
from .files import check_writable
from .presets import BLOCK, Preset
from .types import AudioError, UsageError

if TYPE_CHECKING:
    from .matching import Match
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

    match: Match
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
) -> Matched:
    """Match one file to another; write the result and its preset.

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

    Raises:
        AfxError: anything that is wrong, in one sentence.
    """
    info = audio.info(input_path)
    audio.info(reference_path)
    if _same_file(input_path, reference_path):
        raise UsageError(f"The reference {reference_path} is the input: it has no style to lend.")
    output, notes = _output(info, output)
    if preset is None:
        stem = output.stem.removesuffix(".matched")
        preset = output.with_name(f"{stem}.afx.json")
    outputs = {"output": output, "preset": preset}
    _check_outputs(outputs, {"input": input_path, "reference": reference_path}, overwrite)
    sound, info = audio.read(input_path)
    reference, reference_info = audio.read(reference_path)
    audio.check_usable(sound, info.sample_rate, str(input_path))
    audio.check_usable(reference, reference_info.sample_rate, str(reference_path))
    if info.sample_rate == reference_info.sample_rate and torch.equal(sound, reference):
        raise UsageError(f"{reference_path} has the samples of the input: it has no style to lend.")
    loaded = model()
    device = next(loaded.parameters()).device
    match = loaded.match(
        sound.to(device),
        reference.to(device),
        sample_rate=info.sample_rate,
        reference_rate=reference_info.sample_rate,
        effort=effort,
        loudness=loudness,
        seed=seed,
    )
    _write_both(match.audio.cpu(), info, output, match.preset, preset, overwrite)
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
        done = 0
        stream = preset.stream(info.sample_rate, info.channels, chosen)
        blocks = audio.read_blocks(input_path, BLOCK)
        for block in stream.render(block.to(chosen) for block in blocks):
            yield block.cpu()
            done += block.shape[1]
            if progress:
                progress(done, info.frames)

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


def demo(folder: Path, *, model: Callable[[], AFXStyleVAE], overwrite: bool = False) -> Matched:
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
            DEMO_INPUT, DEMO_REFERENCE, output=output, model=model, overwrite=overwrite
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


def _write_both(
    sound: Tensor,
    info: audio.AudioInfo,
    output: Path,
    preset: Preset,
    preset_path: Path,
    overwrite: bool,
) -> None:
    """Write audio and preset, or leave both as they were."""
    before = preset_path.read_bytes() if preset_path.exists() else None
    preset.save(preset_path, overwrite)
    try:
        audio.write(output, sound, info.sample_rate, like=info, overwrite=overwrite)
    except BaseException:
        if before is None:
            preset_path.unlink(missing_ok=True)
        else:
            preset_path.write_bytes(before)
        raise
