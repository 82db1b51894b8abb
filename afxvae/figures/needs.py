"""Whether pictures can be drawn."""

from __future__ import annotations

from ..types import UsageError

__all__ = ["check_matplotlib"]


def check_matplotlib() -> None:
    """Raise `UsageError` unless pictures can be drawn."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "Pictures need matplotlib, which is not installed: pip install 'afxvae[figures]'."
        ) from error
