"""Audio files in and out, sample rates, loudness and peaks.

The only room that touches audio files. Reading refuses what cannot be used with one clear sentence;
writing is atomic, keeps the bit depth, never clips and never overwrites unasked.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from torch import Tensor

from .containers import FORMATS, WAV_KINDS, AudioInfo, default_output, missing_bytes
from .dsp.resampling import change_rate
from .files import check_writable, replacing
from .loudness import (
    PeakMeter,
    check_usable,
    loudness_lufs,
    normalize_loudness,
    peak_limit_gain,
    true_peak,
)
from .types import AudioError, PathLike, UsageError, check_shape

__all__ = [
    "AudioInfo",
    "PeakMeter",
    "check_output",
    "check_usable",
    "default_output",
    "info",
    "loudness_lufs",
    "normalize_loudness",
    "output_format",
    "peak_limit_gain",
    "read",
    "read_blocks",
    "read_segment",
    "resample",
    "through_codec",
    "true_peak",
    "write",
    "writing",
]

_BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
_BLOCK = 1 << 18
_UNKNOWN_FRAMES = 1 << 48


def info(path: PathLike) -> AudioInfo:
    """What the header of an audio file says.

    Raises:
        AudioError: the file is missing, a folder, empty, or not audio.
    """
    with _open(Path(path)) as file:
        return _describe(Path(path), file)


def read(path: PathLike) -> tuple[Tensor, AudioInfo]:
    """Read a whole audio file as `(channel, time)` float32, full scale +-1, and its `AudioInfo`.

    Raises:
        AudioError: see `read_blocks`.
    """
    described = info(path)
    sound = torch.cat(list(read_blocks(path, _BLOCK)), -1)
    return sound, replace(described, frames=sound.shape[1])


def read_blocks(path: PathLike, frames: int) -> Iterator[Tensor]:
    """Read an audio file in blocks `(channel, time)` of `frames`; the last may be shorter.

    Raises:
        AudioError: the file is missing, a folder, not audio, truncated, damaged, without a single
            frame, or has samples that are not finite.
    """
    path = Path(path)
    read = 0
    with _open(path) as file:
        described = _describe(path, file)
        if missing := missing_bytes(path):
            promise = f"{missing} bytes of audio more than there are"
            raise AudioError(f"{path} is truncated: its header promises {promise}.")
        if described.frames > _UNKNOWN_FRAMES:
            raise AudioError(f"{path} is a stream that does not say its length: convert it first.")
        while len(samples := _read(path, file, frames)):
            block = torch.from_numpy(np.ascontiguousarray(samples.T))
            if not bool(torch.isfinite(block).all()):
                raise AudioError(
                    f"{path} has samples that are not finite numbers (NaN or infinity)."
                )
            read += len(samples)
            yield block
    exact = described.format not in ("MP3", "OGG")  # those only estimate their length
    if exact and read < described.frames:
        promise = f"{described.frames} frames, {read} are there"
        raise AudioError(f"{path} is truncated: its header promises {promise}.")
    if not read:
        raise AudioError(f"{path} has no audio in it (0 frames).")


def read_segment(path: PathLike, start: int, frames: int) -> Tensor:
    """Read `frames` frames from `start` on as `(channel, time)`; fewer where the file ends.

    Raises:
        AudioError: the file is missing, a folder, not audio, or damaged.
    """
    with _open(Path(path)) as file:
        samples = _read(Path(path), file, frames, start)
    return torch.from_numpy(np.ascontiguousarray(samples.T))


def output_format(source: AudioInfo | None, path: PathLike) -> tuple[str, str]:
    """Container and sample format for writing `path`, as close to `source` as its suffix allows.

    The sample format of `source` is kept where the container has it; otherwise, as without a
    `source`, it is 24 bits (what float becomes in FLAC, and what is made from a lossy file).

    Raises:
        AudioError: a suffix this package does not write.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise AudioError(
            f"{path} cannot be written: the extension must be one of {', '.join(sorted(FORMATS))}."
        )
    container = FORMATS[suffix]
    if source is not None and container == "WAV" and source.format in WAV_KINDS:
        container = source.format
    if suffix == ".opus":
        return container, "OPUS"
    kept = source and (source.format == container or source.subtype.startswith(("PCM", "FLOAT")))
    if source and kept and soundfile.check_format(container, source.subtype):
        return container, source.subtype
    if container in ("OGG", "MP3"):
        return container, soundfile.default_subtype(container)
    return container, "PCM_24"


def check_output(path: PathLike, overwrite: bool = False) -> None:
    """Raise if `write` could not write `path`: for asking before the work is done.

    Raises:
        AudioError: a suffix this package does not write.
        UsageError: see `afxvae.files.check_writable`.
    """
    path = Path(path)
    if not path.is_dir():
        output_format(None, path)
    check_writable(path, overwrite)


def write(
    path: PathLike,
    audio: Tensor,
    sample_rate: int,
    like: AudioInfo | None = None,
    subtype: str | None = None,
    overwrite: bool = False,
) -> None:
    """Write `audio`, `(channel, time)`, so that `path` is either complete or untouched.

    Integer formats are rounded to the nearest step, without dither, so that samples read from
    such a file are written back bit for bit.

    Args:
        path: where to; the extension says which container.
        audio: full scale +-1.
        sample_rate: in Hz.
        like: the file whose sample format is kept, see `output_format`.
        subtype: a soundfile subtype such as `"PCM_16"`, instead of that of `like`.
        overwrite: replace a file that exists.

    Raises:
        AudioError: the suffix or the sample format cannot be written, `audio` is empty, not finite,
            or beyond full scale in a format that would clip it.
        UsageError: see `check_output`.
    """
    check_shape("audio", audio, "channel time")
    form = (sample_rate, audio.shape[0])
    with writing(path, *form, like=like, subtype=subtype, overwrite=overwrite) as put:
        put(audio)


@contextmanager
def writing(
    path: PathLike,
    sample_rate: int,
    channels: int,
    like: AudioInfo | None = None,
    subtype: str | None = None,
    overwrite: bool = False,
) -> Iterator[Callable[[Tensor], None]]:
    """Write in blocks, as `write` does: give a function that takes one block `(channel, time)`.

    What was written becomes `path` when the context is left, and nothing if it is left by an error.

    Raises:
        AudioError: see `write`; also from the function.
        UsageError: see `check_output`.
    """
    path = Path(path)
    check_output(path, overwrite)
    container, kept = output_format(like, path)
    subtype = subtype or kept
    if not soundfile.check_format(container, subtype):
        raise AudioError(f"{path} cannot be written: {container} has no sample format {subtype}.")
    what = f"{channels} channels at {sample_rate} Hz as {container} {subtype}"
    with replacing(path) as unfinished:
        with _explained(path, what):
            file = soundfile.SoundFile(
                unfinished, "w", sample_rate, channels, subtype, format=container
            )

        written = 0

        def put(block: Tensor) -> None:
            nonlocal written
            samples = block.detach().cpu().numpy().T
            _check_samples(path, samples, subtype)
            with _explained(path, what):
                for start in range(0, len(samples), _BLOCK):
                    file.write(_quantize(samples[start : start + _BLOCK], subtype))
            written += len(samples)

        try:
            yield put
            if not written:
                raise AudioError(f"{path} was not written: there is no audio to write.")
        finally:
            with _explained(path, what):
                file.close()


def resample(audio: Tensor, from_rate: int, to_rate: int) -> Tensor:
    """Change the sample rate of `(..., time)` audio; time becomes `round(time * to / from)`.

    See `afxvae.dsp.resampling.change_rate`.

    Raises:
        UsageError: a rate that is not positive.
    """
    if from_rate <= 0 or to_rate <= 0:
        raise UsageError(f"Sample rates must be positive, not {from_rate} and {to_rate} Hz.")
    if from_rate == to_rate:
        return audio
    return change_rate(audio, from_rate, to_rate)


def through_codec(audio: Tensor, sample_rate: int, loss: float) -> Tensor:
    """MP3 and back, in memory: ``(channel, time)`` in full scale to the same.

    `loss` is from 0, the best there is, to 1.
    """
    coded = io.BytesIO()
    form = {"format": "MP3", "subtype": "MPEG_LAYER_III", "compression_level": loss}
    soundfile.write(coded, audio.mT.numpy(), sample_rate, **form)
    coded.seek(0)
    decoded = soundfile.read(coded, dtype="float32", always_2d=True)[0]
    back = torch.zeros_like(audio)
    length = min(len(decoded), audio.shape[1])
    back[:, :length] = torch.from_numpy(decoded[:length].T)
    return back


def _check_samples(path: Path, samples: np.ndarray[Any, Any], subtype: str) -> None:
    peak = float(np.abs(samples).max()) if samples.size else 0.0
    if not math.isfinite(peak):
        raise AudioError(f"{path} was not written: samples are not finite numbers.")
    if subtype not in ("FLOAT", "DOUBLE") and peak > 1 + 2.0 ** (1 - _BITS.get(subtype, 16)):
        raise AudioError(
            f"{path} was not written: its peak of {20 * math.log10(peak):+.2f} dBFS would clip "
            f"in {subtype}."
        )


@contextmanager
def _explained(path: Path, what: str) -> Iterator[None]:
    """Say in a sentence that libsndfile does not write `what`."""
    try:
        yield
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise AudioError(f"{path} cannot be written with {what} ({_reason(error)}).") from error


def _quantize(samples: np.ndarray[Any, Any], subtype: str) -> np.ndarray[Any, Any]:
    """Nearest integers, in the top bits of int32, for integer formats; float32 for others."""
    bits = _BITS.get(subtype)
    if bits is None:
        return np.ascontiguousarray(samples, np.float32)
    full = 2.0 ** (bits - 1)
    steps = np.clip(np.rint(samples.astype(np.float64) * full), -full, full - 1)
    return np.ascontiguousarray(steps.astype(np.int32) << (32 - bits))


def _open(path: Path) -> Any:
    if not path.exists():
        raise AudioError(f"{path} does not exist.")
    if path.is_dir():
        raise AudioError(f"{path} is a folder, not an audio file.")
    try:
        if not path.stat().st_size:
            raise AudioError(f"{path} is empty (0 bytes).")
        with path.open("rb"):
            pass
        return soundfile.SoundFile(path)
    except OSError as error:
        raise AudioError(f"{path} cannot be read: {error.strerror}.") from error
    except (soundfile.SoundFileError, RuntimeError, TypeError, ValueError) as error:
        raise AudioError(f"{path} is not audio of a kind that can be read.") from error


def _read(path: Path, file: Any, frames: int, start: int | None = None) -> np.ndarray[Any, Any]:
    """The next frames, or those from `start` on, `(time, channel)`; fewer where the file ends."""
    try:
        if start is not None:
            file.seek(start)
        samples: np.ndarray[Any, Any] = file.read(frames, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise AudioError(f"{path} is truncated or damaged ({_reason(error)}).") from error
    return samples


def _describe(path: Path, file: Any) -> AudioInfo:
    return AudioInfo(path, file.samplerate, file.channels, file.frames, file.format, file.subtype)


def _reason(error: BaseException) -> str:
    """The part of a libsndfile error that says something, without the file name."""
    return str(getattr(error, "error_string", error)).removeprefix("Error : ").strip().rstrip(".")
