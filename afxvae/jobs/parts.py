"""What the jobs share: the device and its model, checks of outputs, a count of the work done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .. import audio
from ..files import check_writable
from ..types import AudioError, UsageError

if TYPE_CHECKING:
    from ..models.style_vae import AFXStyleVAE

__all__ = [
    "Counter",
    "Progress",
    "check_outputs",
    "find_device",
    "load_model",
    "output_of",
    "same_file",
]

Progress = Callable[[int, int], None]
"""Told how much is done, and of how much."""


def load_model(name: str | None, revision: str | None, device: str) -> AFXStyleVAE:
    """Load a model onto a device: `auto` (CUDA where it is there, else the CPU), `cpu`, `cuda`...

    Raises:
        UsageError: the device is not there.
        WeightsError: the weights are not there or do not fit.
    """
    chosen = find_device(device)
    from ..models.style_vae import AFXStyleVAE

    return AFXStyleVAE.from_pretrained(name, revision=revision).to(chosen).eval()


def find_device(name: str) -> torch.device:
    """`auto`, `cpu`, `cuda` or `mps`; `UsageError` if it is not there."""
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


def output_of(info: audio.AudioInfo, output: Path | None) -> tuple[Path, list[str]]:
    """Where a result goes, beside its input if not given, and what to say about that."""
    if output is not None:
        return output, []
    suffix, note = audio.default_output(info)
    return info.path.with_name(f"{info.path.stem}.matched{suffix}"), [note] if note else []


def check_outputs(
    outputs: Mapping[str, Path], sources: Mapping[str, Path], overwrite: bool
) -> None:
    """Raise `UsageError` unless all can be written, over none of the sources or each other."""
    named: dict[tuple[int, int] | Path, list[str]] = {}
    for what, path in {**sources, **outputs}.items():
        named.setdefault(_identity(path), []).append(what)
    for what, path in outputs.items():
        for other in named[_identity(path)]:
            if other != what:
                raise UsageError(f"The {what} {path} would replace the {other}.")
    for what, path in outputs.items():
        try:
            if what == "output":
                audio.check_output(path, overwrite)
            else:
                check_writable(path, overwrite)
        except AudioError as error:  # an extension that is not written: a fault of the command
            raise UsageError(str(error)) from error


def same_file(one: Path, other: Path) -> bool:
    """Whether two paths are one file, there or not."""
    return _identity(one) == _identity(other)


def _identity(path: Path) -> tuple[int, int] | Path:
    """The same for all names of a file."""
    if path.exists():
        found = path.stat()
        return found.st_dev, found.st_ino
    return path.resolve()


class Counter:
    """Counts the frames of all passes over recordings, and tells how much of the work is done."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._done, self._total, self._progress = 0, total, progress

    def add(self, block: Tensor) -> None:
        """Count a block ``(channel, time)``."""
        self._done += block.shape[1]
        if self._progress:
            self._progress(min(self._done, self._total), self._total)

    def take_back(self, frames: int) -> None:
        """So many that were counted have to be done again."""
        self._done -= frames

    def watch(self, blocks: Iterator[Tensor]) -> Iterator[Tensor]:
        """The same blocks, each counted when the next is asked for."""
        for block in blocks:
            yield block
            self.add(block)
