"""What audio files say about themselves, and which kind of file is made from which."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["FORMATS", "WAV_KINDS", "AudioInfo", "default_output", "missing_bytes"]

FORMATS = {".wav": "WAV", ".flac": "FLAC", ".ogg": "OGG", ".opus": "OGG", ".mp3": "MP3"}
FORMATS |= {".aif": "AIFF", ".aiff": "AIFF"}
WAV_KINDS = ("WAV", "WAVEX", "RF64")


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


def default_output(source: AudioInfo) -> tuple[str, str | None]:
    """File suffix for what is made from `source`, and a one-line note if its format changes."""
    suffix = source.path.suffix.lower()
    if source.format == FORMATS.get(suffix, "") and source.format != "MP3":
        return suffix, None
    if source.format in ("FLAC", "AIFF", "OGG"):
        return f".{source.format.lower()}", None
    if source.format in WAV_KINDS:
        return ".wav", None
    if source.format == "MP3":
        return ".flac", "The input is MP3; the output is FLAC, so that it is not compressed twice."
    return ".wav", f"The input is {source.format}; the output is WAV."


def missing_bytes(path: Path) -> int:
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
