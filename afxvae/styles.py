"""`Style`: what a match needs of a reference, to be kept in a file and used in its place.

A style file is a safetensors file. Its tensors are the clips that a match hears; its metadata are
what was measured over the whole recording::

    mixed (clip, 131072)   of the mean of all channels, at 24 kHz
    first (clip, 131072)   of the first channel; left out if there is one channel only

    {"afxvae_style": "1", "name": "podcast.wav", "sample_rate": "48000", "channels": "2",
     "frames": "1440000", "lufs": "-16.2", "side_db": "-14.1"}
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from .dsp.features import CLIP_SAMPLES, RUN_IN, SAMPLE_RATE
from .files import check_writable, replacing
from .recordings import Facts, Recording
from .types import AudioError, PathLike, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

__all__ = ["SUFFIX", "Style", "check_style_name", "is_style", "with_mean_levels"]

SUFFIX = ".style"
"""What the names of style files end in."""

_KEY, _VERSION = "afxvae_style", "1"


@dataclass(frozen=True, eq=False)
class Style(Facts):
    """What a match needs of a reference: what there is to say about it, and clips.

    Attributes:
        mixed: Clips of the mean of all channels at 24 kHz, ``(clip, 131072)``.
        first: Clips of the first channel.
        start_s: When the first of these begins.
    """

    mixed: Tensor
    first: Tensor
    start_s: float = 0.0

    @classmethod
    def of(cls, recording: Recording) -> Style:
        """The style of a recording, which is gone through once more for its clips."""
        mixed, first = (clips[:, 0, RUN_IN:].cpu().contiguous() for clips in recording.clips())
        start_s = recording.first.starts[0] / SAMPLE_RATE
        return cls(**recording.facts(), mixed=mixed, first=first, start_s=start_s)

    def is_of(self, recording: Recording) -> bool:
        """Whether it is the style of this recording: the same form, levels and clips."""
        if self.facts() != {**recording.facts(), "name": self.name}:
            return False
        other = Style.of(recording)
        return torch.equal(self.mixed, other.mixed) and torch.equal(self.first, other.first)

    def save(self, path: PathLike, overwrite: bool = False) -> None:
        """Write the style, so that `path` is either complete or untouched.

        Raises:
            UsageError: The name does not end in ``.style``, the file exists and `overwrite` is not
                set, or it cannot be written.
        """
        path = Path(path)
        check_style_name(path)
        check_writable(path, overwrite)
        clips = {"mixed": self.mixed}
        if self.channels > 1:
            clips["first"] = self.first
        known = {fact: str(value) for fact, value in self.facts().items() if value is not None}
        known["start_s"] = str(self.start_s)
        with replacing(path) as unfinished:
            unfinished.write_bytes(save(clips, {_KEY: _VERSION, **known}))

    @classmethod
    def load(cls, path: PathLike) -> Style:
        """Read a style, strictly.

        Raises:
            AudioError: The file is missing, not a style, of another version, or damaged.
        """
        path = Path(path)
        if not path.exists():
            raise AudioError(f"{path} does not exist.")
        if path.is_dir():
            raise AudioError(f"{path} is a folder, not a style.")
        try:
            with path.open("rb"):
                pass
            with safe_open(path, "pt") as file:
                facts = file.metadata() or {}
                clips = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        except OSError as error:
            raise AudioError(f"{path} cannot be read: {error.strerror}.") from error
        except SafetensorError as error:
            raise AudioError(f"{path} is not a style, or it is truncated or damaged.") from error
        if _KEY not in facts:
            raise AudioError(f"{path} is not a style: afxvae style makes one of a recording.")
        if facts[_KEY] != _VERSION:
            version = f"is a style of version {facts[_KEY]}, but this afxvae reads {_VERSION}"
            raise AudioError(f"{path} {version}: make it anew with afxvae style.")
        try:
            known = _numbers(facts)
            mixed, first = _clips(clips, known["channels"] == 1)
        except ValueError as error:
            raise AudioError(f"{path} is a damaged style: {error}.") from error
        return cls(mixed=mixed, first=first, **known)


def is_style(path: PathLike) -> bool:
    """Whether a file is to be read as a style: by the end of its name."""
    return Path(path).suffix.lower() == SUFFIX


def check_style_name(path: Path) -> None:
    """Raise `UsageError` unless the name of a file is that of a style."""
    if not is_style(path):
        raise UsageError(f"{path} must end in {SUFFIX} to be a style.")


def _numbers(facts: Mapping[str, str]) -> dict[str, Any]:
    """What was measured; `ValueError` with what is wrong."""
    found: dict[str, Any] = {"name": _fact(facts, "name"), "side_db": None}
    for fact in ("sample_rate", "channels", "frames"):
        text = _fact(facts, fact)
        if not (text.isascii() and text.isdigit() and int(text) > 0):
            raise ValueError(f"{fact} is {text!r}, but it must be a number above 0")
        found[fact] = int(text)
    facts = {"start_s": "0.0", **facts}  # earlier styles do not have it
    for fact in ("lufs", "side_db", "start_s") if found["channels"] == 2 else ("lufs", "start_s"):
        text = _fact(facts, fact)
        try:
            found[fact] = float(text)
        except ValueError:
            raise ValueError(f"{fact} is {text!r}, but it must be a number") from None
        if not math.isfinite(float(text)):
            raise ValueError(f"{fact} is {text}, but it must be finite")
    return found


def _fact(facts: Mapping[str, str], name: str) -> str:
    if name not in facts:
        raise ValueError(f"it has no {name}")
    return facts[name]


def _clips(clips: Mapping[str, Tensor], mono: bool) -> tuple[Tensor, Tensor]:
    """Of the mean of all channels and of the first; `ValueError` with what is wrong."""
    names = {"mixed"} if mono else {"mixed", "first"}
    if set(clips) != names:
        raise ValueError(f"its clips are {', '.join(sorted(clips)) or 'missing'}")
    for name, rows in clips.items():
        form = rows.dim() == 2 and len(rows) > 0 and rows.shape[1] == CLIP_SAMPLES
        if not form or rows.dtype != torch.float32:
            shape = f"{tuple(rows.shape)} {rows.dtype}".replace("torch.", "")
            raise ValueError(f"the clips {name} are {shape}, not (clip, {CLIP_SAMPLES}) float32")
        if not bool(torch.isfinite(rows).all()):
            raise ValueError(f"the clips {name} have samples that are not finite")
    return clips["mixed"], clips["mixed" if mono else "first"]


def with_mean_levels(first: Style, others: Sequence[tuple[Style, float]]) -> Style:
    """The first reference with loudness and width as the weighted means of all."""
    if not others:
        return first
    all_of_them = [(first, 1.0), *others]

    def mean(pairs: list[tuple[float, float]]) -> float:
        return sum(level * weight for level, weight in pairs) / sum(weight for _, weight in pairs)

    sides = [(one.side_db, weight) for one, weight in all_of_them]
    stereo = [(side_db, weight) for side_db, weight in sides if side_db is not None]
    lufs = mean([(one.lufs, weight) for one, weight in all_of_them])
    return replace(first, lufs=lufs, side_db=mean(stereo) if stereo else None)
