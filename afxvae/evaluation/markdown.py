"""Figures and tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["markdown_table", "number", "percent"]


def markdown_table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table whose first column is text and whose others are figures."""
    alignment = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, alignment, *lines))


def number(value: float | None, digits: int) -> str:
    """With so many digits, never -0; nothing of None."""
    if value is None:
        return ""
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def percent(share: float | None, digits: int = 0) -> str:
    """A share in per cent; nothing of None."""
    return "" if share is None else f"{100 * share:.{digits}f} %"
