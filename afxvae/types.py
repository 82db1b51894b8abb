"""Names shared by every room of the package: tensor aliases, shape checks and errors.

Nothing here imports torch at run time, so that errors and aliases cost nothing to load.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor

    Audio: TypeAlias = Tensor
    """Waveforms, float32, full scale +-1, `(batch, channel, time)`; `(channel, time)` at doors."""
    Controls: TypeAlias = Tensor
    """Knob positions in [0, 1]: `(batch, control)`."""
    Settings: TypeAlias = dict[str, dict[str, Tensor]]
    """Knob values in their units, `{effect: {param: (batch,)}}`."""
    Switches: TypeAlias = dict[str, Tensor]
    """Which effects are on, `{effect: (batch,) bool}`."""
else:
    Audio = Controls = Any
    Settings = Switches = dict

PathLike: TypeAlias = str | os.PathLike[str]
"""Anything that names a file."""

__all__ = [
    "AfxError",
    "Audio",
    "AudioError",
    "Controls",
    "PathLike",
    "PresetError",
    "Settings",
    "Switches",
    "UsageError",
    "WeightsError",
    "check_shape",
]


class AfxError(Exception):
    """Base of every error this package raises on purpose; its text is one clear sentence.

    `exit_code` is what the command line returns for it.
    """

    exit_code: int = 1


class UsageError(AfxError, ValueError):
    """A call or a command line that cannot be carried out as written (exit code 2)."""

    exit_code = 2


class PresetError(AfxError, ValueError):
    """A preset that cannot be read, or names an unknown effect or a value out of range (exit 2)."""

    exit_code = 2


class AudioError(AfxError):
    """Audio that cannot be read, used or written (exit code 3)."""

    exit_code = 3


class WeightsError(AfxError):
    """Model weights that are missing, altered or do not fit this version (exit code 4)."""

    exit_code = 4


def check_shape(name: str, tensor: Tensor, pattern: str) -> None:
    """Raise a sentence that says what is wrong unless `tensor` has the shape of `pattern`.

    Args:
        name: what the caller calls the tensor, for the message.
        tensor: the tensor to check.
        pattern: one word an axis; a number fixes a size, a word used twice must have one size,
            e.g. `"batch channel time"` or `"batch 2 time"`.

    Raises:
        UsageError: wrong number of axes, a fixed size that differs, or unequal sizes for a word.
    """
    axes = pattern.split()
    shape = tuple(int(size) for size in tensor.shape)
    sizes: dict[str, int] = {}
    fits = len(axes) == len(shape)
    for axis, size in zip(axes, shape, strict=False):
        wanted = int(axis) if axis.isdigit() else sizes.setdefault(axis, size)
        fits = fits and size == wanted
    if not fits:
        raise UsageError(f"{name} must have the shape ({', '.join(axes)}), not {shape}.")
