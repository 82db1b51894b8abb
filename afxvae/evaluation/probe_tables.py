"""Linear probes as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .markdown import markdown_table, number, percent
from .probes import ALL_SAID, QUARTERS, TASKS

__all__ = ["probes_markdown"]


def probes_markdown(result: Mapping[str, Any]) -> str:
    """Tables of `afxvae.evaluation.probes.run_probes`, below a heading of third order."""
    domains = result["domains"]
    parts = [
        "### P5: linear probes",
        "Share of clips classified rightly, with its 95 % bootstrap interval over crops; split: "
        f"{result['split']}, seed {result['seed']}. *Both* sees the dry other half of a crop too.",
    ]
    about = ", ".join(
        f"{name} ({domain['crops']} crops of {domain['groups']} speakers or instruments)"
        for name, domain in domains.items()
    )
    for task, classes in TASKS.items():
        lines = []
        for row, first in next(iter(domains.values()))[task].items():
            cells = [_accuracy(domain[task][row]) for domain in domains.values()]
            lines.append([row, str(first["dimensions"]), *cells])
        head = [f"{len(classes)} {task}", "dimensions", *domains]
        parts += [f"{task.capitalize()}: {about}.", markdown_table(head, lines)]
    return "\n\n".join([*parts, *_by_change(domains)]) + "\n"


def _by_change(domains: Mapping[str, Any]) -> list[str]:
    """Of the treatment embedding, by how far treatments changed their clips."""
    lines = [
        [f"{len(classes)} {task}, {name}", *(percent(shares[part], 1) for part in QUARTERS)]
        for task, classes in TASKS.items()
        for name, domain in domains.items()
        if (shares := domain[task][ALL_SAID]["by_change"])
    ]
    if not lines:
        return []
    about = (
        "The treatment embedding, by how far the treatments of each class changed their clips "
        "(MR-STFT at matched loudness), in quarters:"
    )
    return [about, markdown_table(["", *QUARTERS], lines)]


def _accuracy(row: Mapping[str, Any]) -> str:
    low, high = (number(100 * end, 1) for end in row["interval"])
    return f"{percent(row['accuracy'], 1)} ({low} to {high})"
