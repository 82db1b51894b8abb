"""Audio files in and out, sample rates, loudness and peaks.

The only room that touches audio files. Reading refuses what cannot be used with one clear sentence;
writing is atomic, keeps the bit depth, never clips and never overwrites unasked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import soundfile
import torch
from torch import Tensor

from .dsp.resampling import change_rate
from .files import check_writable, replacing
from .loudness import loudness_lufs, normalize_loudness, peak_limit_gain, true_peak
from .types import AudioError, PathLike, UsageError, check_shape

__all__ = [
    "AudioInfo",
    "check_output",
    "check_usable",
    "default_output",
    "info",
    "loudness_lufs",
    "normalize_loudness",
    "output_format",
    "peak_limit_gain",
    "read",
    "read_segment",
    "resample",
    "true_peak",
    "write",
]

FORMATS = {".wav": "WAV", ".flac": "FLAC", ".ogg": "OGG", ".opus": "OGG", ".mp3": "MP3"}
FORMATS |= {".aif": "AIFF", ".aiff": "AIFF"}
_WAV_KINDS = ("WAV", "WAVEX", "RF64")
_BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
_BLOCK = 1 << 18
_UNKNOWN_FRAMES = 1 << 48
_SILENCE_DB = -90.0


@dataclass(frozen=True)
class AudioInfo:
    """What a file says about itself: rate in Hz, channels, frames, container and sample format."""

    path: Path
    sample_rate: int
    channels: int
    frames: int
    format: str
    subtype: str

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.frames / self.sample_rate


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
        AudioError: the file is missing, a folder, not audio, truncated, damaged, without a single
            frame, or has samples that are not finite.
    """
    path = Path(path)
    with _open(path) as file:
        described = _describe(path, file)
        missing = _missing_bytes(path)
        if missing:
            promise = f"{missing} bytes of audio more than there are"
            raise AudioError(f"{path} is truncated: its header promises {promise}.")
        if described.frames > _UNKNOWN_FRAMES:
            raise AudioError(f"{path} is a stream that does not say its length: convert it first.")
        blocks: list[np.ndarray[Any, Any]] = []
        try:
            while len(block := file.read(_BLOCK, dtype="float32", always_2d=True)):
                blocks.append(block)
        except (soundfile.SoundFileError, RuntimeError) as error:
            raise AudioError(f"{path} is truncated or damaged ({_reason(error)}).") from error
    frames = sum(len(block) for block in blocks)
    exact = described.format not in ("MP3", "OGG")  # those only estimate their length
    if exact and frames < described.frames:
        promise = f"{described.frames} frames, {frames} are there"
        raise AudioError(f"{path} is truncated: its header promises {promise}.")
    if not frames:
        raise AudioError(f"{path} has no audio in it (0 frames).")
    audio = torch.from_numpy(np.ascontiguousarray(np.concatenate(blocks).T))
    if not bool(torch.isfinite(audio).all()):
        raise AudioError(f"{path} has samples that are not finite numbers (NaN or infinity).")
    return audio, replace(described, frames=frames)


def read_segment(path: PathLike, start: int, frames: int) -> Tensor:
    """Read `frames` frames from `start` on as `(channel, time)`; fewer where the file ends.

    Raises:
        AudioError: the file is missing, a folder, not audio, or damaged.
    """
    with _open(Path(path)) as file:
        try:
            file.seek(start)
            block = file.read(frames, dtype="float32", always_2d=True)
        except (soundfile.SoundFileError, RuntimeError) as error:
            raise AudioError(f"{path} is truncated or damaged ({_reason(error)}).") from error
    return torch.from_numpy(np.ascontiguousarray(block.T))


def check_usable(audio: Tensor, sample_rate: int, name: str, minimum_s: float = 0.1) -> None:
    """Raise unless there is something to hear in `audio`, `(..., time)`, called `name`.

    Raises:
        AudioError: shorter than `minimum_s` seconds, samples that are not finite, or silence (no
            sample above -90 dBFS).
    """
    frames = int(audio.shape[-1])
    if frames < minimum_s * sample_rate or not audio.numel():
        raise AudioError(
            f"{name} is too short: {frames / sample_rate:.3f} s, {minimum_s:g} s is needed."
        )
    low, high = (float(value) for value in torch.aminmax(audio.detach()))  # both carry NaN
    if not (math.isfinite(low) and math.isfinite(high)):
        raise AudioError(f"{name} has samples that are not finite numbers (NaN or infinity).")
    if max(-low, high) < 10 ** (_SILENCE_DB / 20):
        raise AudioError(f"{name} is silent: no sample is above {_SILENCE_DB:g} dBFS.")


def default_output(source: AudioInfo) -> tuple[str, str | None]:
    """File suffix for what is made from `source`, and a one-line note if its format changes."""
    suffix = source.path.suffix.lower()
    if source.format == FORMATS.get(suffix, "") and source.format != "MP3":
        return suffix, None
    if source.format in ("FLAC", "AIFF", "OGG"):
        return f".{source.format.lower()}", None
    if source.format in _WAV_KINDS:
        return ".wav", None
    if source.format == "MP3":
        return ".flac", "The input is MP3; the output is FLAC, so that it is not compressed twice."
    return ".wav", f"The input is {source.format}; the output is WAV."


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
    if source is not None and container == "WAV" and source.format in _WAV_KINDS:
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
    path = Path(path)
    check_shape("audio", audio, "channel time")
    check_output(path, overwrite)
    container, kept = output_format(like, path)
    subtype = subtype or kept
    samples = audio.detach().cpu().numpy().T
    if not soundfile.check_format(container, subtype):
        raise AudioError(f"{path} cannot be written: {container} has no sample format {subtype}.")
    if not samples.size:
        raise AudioError(f"{path} was not written: there is no audio to write.")
    peak = float(np.abs(samples).max())
    if not math.isfinite(peak):
        raise AudioError(f"{path} was not written: samples are not finite numbers.")
    if subtype not in ("FLOAT", "DOUBLE") and peak > 1 + 2.0 ** (1 - _BITS.get(subtype, 16)):
        raise AudioError(
            f"{path} was not written: its peak of {20 * math.log10(peak):+.2f} dBFS would clip "
            f"in {subtype}."
        )
    form = (sample_rate, samples.shape[1], subtype)
    try:
        with (
            replacing(path) as unfinished,
            soundfile.SoundFile(unfinished, "w", *form, format=container) as file,
        ):
            for start in range(0, len(samples), _BLOCK):
                file.write(_quantize(samples[start : start + _BLOCK], subtype))
    except (soundfile.SoundFileError, RuntimeError) as error:
        what = f"{samples.shape[1]} channels at {sample_rate} Hz as {container} {subtype}"
        raise AudioError(f"{path} cannot be written with {what} ({_reason(error)}).") from error


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


def _describe(path: Path, file: Any) -> AudioInfo:
    return AudioInfo(path, file.samplerate, file.channels, file.frames, file.format, file.subtype)


def _reason(error: BaseException) -> str:
    """The part of a libsndfile error that says something, without the file name."""
    return str(getattr(error, "error_string", error)).removeprefix("Error : ").strip().rstrip(".")


def _missing_bytes(path: Path) -> int:
    """By how much the audio chunk of a WAV or AIFF file is shorter than its header says."""
    long_size = 0
    with path.open("rb") as file:
        head = file.read(12)[:4]
        if head not in (b"RIFF", b"RIFX", b"RF64", b"FORM"):
            return 0
        order: Literal["big", "little"] = "big" if head in (b"FORM", b"RIFX") else "little"
        while len(chunk := file.read(8)) == 8:
            name, length, start = chunk[:4], int.from_bytes(chunk[4:], order), file.tell()
            if name == b"ds64":
                long_size = int.from_bytes(file.read(16)[8:], order)
            if name in (b"data", b"SSND"):
                if length >= 0x7FFFF000:  # unknown when it was written (a stream), or in ds64
                    length = long_size
                return max(0, start + length - path.stat().st_size)
            file.seek(start + length + length % 2)
    return 0
