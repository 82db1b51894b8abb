"""Runs of the comparison to figures with intervals, and those to a table in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.stats

from afxvae.evaluation.markdown import markdown_table, number

Figure = Mapping[str, Any]

COLUMNS = {
    "r2": ("R2", 3),
    "spearman": ("Spearman", 2),
    "kl": ("KL, nats", 3),
    "probes.class": ("class", 2),
    "probes.family": ("family", 2),
    "probes.setting": ("setting", 2),
    "probes.pitch register": ("pitch", 2),
    "probes.dynamics": ("dynamics", 2),
    "unseen_r2": ("unseen: R2", 2),
    "unseen_family": ("unseen: family", 2),
    "monotone": ("lines: monotone", 2),
    "bend": ("lines: bend", 2),
}
"""Figures by their place in a run: heading and digits."""
BASELINE, REFERENCE = "PCA", "vanilla"


def summarize(runs: Sequence[Figure]) -> dict[str, dict[str, float | None]]:
    """Mean and half of the 95 % interval of each figure over the seeds of a row."""
    return {
        name: {"mean": float(np.mean(values)), "half": half_interval(values)}
        for name in COLUMNS
        if (values := [value for run in runs if (value := at(run, name)) is not None])
    }


def half_interval(values: Sequence[float]) -> float | None:
    """Half the 95 % interval of a mean, by Student's t; None of a single value."""
    count = len(values)
    if count < 2:
        return None
    quantile = float(scipy.stats.t.ppf(0.975, count - 1))
    return quantile * float(np.std(values, ddof=1)) / count**0.5


def differs(runs: Sequence[Figure], others: Sequence[Figure], name: str) -> bool:
    """Whether the interval of the differences, seed by seed, leaves out 0."""
    pairs = [(at(one, name), at(other, name)) for one, other in zip(runs, others, strict=True)]
    gaps = [one - other for one, other in pairs if one is not None and other is not None]
    half = half_interval(gaps)
    return half is not None and abs(float(np.mean(gaps))) > half


def at(run: Figure, name: str) -> float | None:
    """A figure of a run by its place, None if it has none."""
    found: Any = run
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return None if found is None else float(found)


def table_markdown(result: Figure) -> str:
    """The table of a set, see `tests.benchmarks.regularizers`, with what must be said of it."""
    rows = result["rows"]
    shown = [name for name in COLUMNS if any(name in row["summary"] for row in rows.values())]
    lines = []
    for label, row in rows.items():
        other = rows.get(REFERENCE, row)["runs"]
        cells = [_cell(row["summary"].get(name), COLUMNS[name][1]) for name in shown]
        if label not in (BASELINE, REFERENCE):
            marks = ["*" if differs(row["runs"], other, name) else "" for name in shown]
            cells = [cell + mark for cell, mark in zip(cells, marks, strict=True)]
        lines.append([label, *cells])
    chance = [_cell({"mean": result["chance"].get(name.removeprefix("probes."))}, 2)
              if name.startswith("probes.") else "" for name in shown]  # fmt: skip
    lines.append(["commonest label", *chance])
    head = ["", *(COLUMNS[name][0] for name in shown)]
    unseen = [unseen_markdown(result)] if result["seen"] < len(result["names"]) else []
    return "\n\n".join([markdown_table(head, lines), *unseen, axes_note(result)])


def unseen_markdown(result: Figure) -> str:
    """Where the classes that were left out land, by row: shares of all seeds' items."""
    names = result["names"][result["seen"] :]
    lines = []
    for label, row in result["rows"].items():
        cells = []
        for name in names:
            counts: dict[str, int] = {}
            for run in row["runs"]:
                for near, count in run["unseen"][name]["nearest"].items():
                    counts[near] = counts.get(near, 0) + count
            total = sum(counts.values())
            first = sorted(counts.items(), key=lambda pair: -pair[1])[:3]
            cells.append(", ".join(f"{near} {count / total:.2f}" for near, count in first))
        lines.append([label, *cells])
    families = dict(zip(result["names"], result["family"], strict=True))
    head = ["nearest seen classes of", *(f"{name} ({families[name]})" for name in names)]
    return markdown_table(head, lines)


def axes_note(result: Figure) -> str:
    """How the first dimensions follow attributes in the AR-VAE row, beside the plain one."""
    parts = []
    for label in ("attribute", REFERENCE):
        if label in result["rows"]:
            runs = result["rows"][label]["runs"]
            means = {
                name: float(np.mean([run["axes"][name] for run in runs]))
                for name in runs[0]["axes"]
            }
            shown = ", ".join(f"{name} {number(value, 2)}" for name, value in means.items())
            parts.append(f"{label}: {shown}")
    return "Spearman of the first dimensions with their attributes, held out. " + "; ".join(parts)


def _cell(figure: Mapping[str, float | None] | None, digits: int) -> str:
    if figure is None or figure["mean"] is None:
        return ""
    half = figure.get("half")
    text = number(figure["mean"], digits)
    return text if half is None else f"{text} ± {number(half, digits)}"
