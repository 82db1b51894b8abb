"""Whether pictures can be drawn."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from ..types import UsageError

__all__ = ["check_matplotlib", "check_picture"]


def check_matplotlib() -> None:
    """Raise `UsageError` unless pictures can be drawn."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "Pictures need matplotlib, which is not installed: pip install 'afxvae[figures]'."
        ) from error


def check_picture(path: Path, formats: Collection[str]) -> None:
    """Raise unless a picture can be drawn into a file of this name.

    Args:
        path: The file.
        formats: What its name may end in, in small letters with the dot.

    Raises:
        UsageError: It ends in something else, or matplotlib is not installed.
    """
    if path.suffix.lower() not in formats:
        raise UsageError(f"{path} must end in one of {', '.join(formats)} to be a picture.")
    check_matplotlib()
