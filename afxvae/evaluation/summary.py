"""From measured items to the figures of a report: means, closures, intervals, breakdowns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ..models.estimate import ESTIMATED
from .metrics import Floats, bootstrap_interval, closure, share_worse
from .rows import COLUMNS, NORMAL, OURS
from .settings import QUANTITIES

if TYPE_CHECKING:
    from .items import ItemResult, ItemResults, Verdict

__all__ = ["TOLERANCE", "paired_p_value", "rounded", "summarize"]

TOLERANCE = 1e-4
"""An output is worse than its input if its MR-STFT is larger by more than this, not by rounding."""

_NO_WAY = 1e-3  # mean distance of the inputs below which there is nothing to close
_MANY = 4  # effects; those with more are counted with them


def summarize(results: ItemResults) -> dict[str, Any]:
    """Figures of a protocol as plain values; what cannot be had is None.

    Returns:
        By name: `protocol`, `seed`, `items`, `final` (the row that the others are tested against,
        `NORMAL` if it is there), `rows`, `by_effects_on` and `by_kind` (closure of the final row),
        `switches`, `settings` and `choices` of the final row, and `left_alone`.
    """
    ours = [row for row in results.rows if row in OURS]
    final = NORMAL if NORMAL in ours else ours[-1] if ours else None
    summary: dict[str, Any] = {
        "protocol": results.protocol,
        "seed": results.seed,
        "items": len(results.items),
        "untouched_items": len(results.untouched),
        "final": final,
        "rows": {row: _row(results, row, final) for row in results.rows},
    }
    if final is not None:
        verdicts = [item.verdicts[final] for item in results.items]
        counted = Counter(verdict.choice for verdict in verdicts)
        summary |= {
            "by_effects_on": _breakdown(results, final, _effects_label),
            "by_kind": _breakdown(results, final, lambda item: item.kind),
            "switches": _switches(results.items, verdicts),
            "settings": _settings(results.items, verdicts),
            "left_alone": {row: _left_alone(results, row) for row in ours},
            "choices": dict(counted.most_common()),
        }
    return summary


def paired_p_value(first: ArrayLike, second: ArrayLike, n: int = 10_000, seed: int = 0) -> float:
    """Two-sided p-value that two paired lists have the same mean, by the bootstrap over items.

    Twice the share of draws in which the difference of the means has not the sign it should have,
    counting the sample itself as a draw; the smallest value is 2 / (n + 1). Differences within
    `TOLERANCE` count as none.

    >>> paired_p_value([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    1.0
    """
    difference = np.subtract(first, second, dtype=np.float64)
    difference[np.abs(difference) <= TOLERANCE] = 0.0
    generator = np.random.default_rng(seed)
    draws = generator.integers(len(difference), size=(n, len(difference)))
    means = difference[draws].mean(1)
    tail = min(int((means <= 0).sum()), int((means >= 0).sum()))
    return min(1.0, 2 * (tail + 1) / (n + 1))


def rounded(value: Any, digits: int) -> Any:
    """Plain values with every float in them rounded; tuples become lists.

    >>> rounded({"a": (0.123456, 2)}, 3)
    {'a': [0.123, 2]}
    """
    if isinstance(value, float):
        return round(value, digits)
    if isinstance(value, dict):
        return {key: rounded(part, digits) for key, part in value.items()}
    return [rounded(part, digits) for part in value] if isinstance(value, list | tuple) else value


def _row(results: ItemResults, row: str, final: str | None) -> dict[str, Any]:
    figures: dict[str, Any] = {name: float(results.column(row, name).mean()) for name in COLUMNS}
    for suffix in ("", "_rendered"):
        output, before = (results.column(name, f"mr_stft{suffix}") for name in (row, "input"))
        figures[f"closure{suffix}"] = _closure(output, before)
        figures[f"closure{suffix}_interval"] = (
            list(bootstrap_interval(output, before)) if _has_way(before) else None
        )
        figures[f"worse{suffix}"] = share_worse(output, before + TOLERANCE)
    if final is not None and row != final:
        rival = results.column(final, "mr_stft")
        figures["p"] = paired_p_value(results.column(row, "mr_stft"), rival)
    return figures


def _has_way(before: Floats) -> bool:
    return float(before.mean()) > _NO_WAY


def _closure(output: Floats, before: Floats) -> float | None:
    return closure(output, before) if _has_way(before) else None


def _effects_label(item: ItemResult) -> str:
    return f"{_MANY} or more" if item.effects_on >= _MANY else str(item.effects_on)


def _breakdown(
    results: ItemResults, row: str, label: Callable[[ItemResult], str]
) -> dict[str, dict[str, Any]]:
    labels = np.array([label(item) for item in results.items])
    output, before = (results.column(name, "mr_stft") for name in (row, "input"))
    groups = {}
    for name in sorted(set(labels.tolist())):
        mine = labels == name
        verdicts = [
            item.verdicts[row] for item, wanted in zip(results.items, mine, strict=True) if wanted
        ]
        groups[name] = {
            "items": int(mine.sum()),
            "input": float(before[mine].mean()),
            "closure": _closure(output[mine], before[mine]),
            "worse": share_worse(output[mine], before[mine] + TOLERANCE),
            "left_alone": _share([verdict.left_alone for verdict in verdicts]),
        }
    return groups


def _switches(items: Sequence[ItemResult], verdicts: Sequence[Verdict]) -> dict[str, Any]:
    table = {}
    for effect in ESTIMATED:
        true = np.array([item.switches[effect] for item in items])
        found = np.array([verdict.switches[effect] for verdict in verdicts])
        likely = np.array([verdict.likely[effect] for verdict in verdicts])
        table[effect] = {
            "on": _share(true),
            "always_off": _share(~true),
            "posterior_mean": _share(likely == true),
            "decision": _share(found == true),
            "missed": _share(~found[true]),
            "false": _share(found[~true]),
        }
    return table


def _settings(items: Sequence[ItemResult], verdicts: Sequence[Verdict]) -> dict[str, Any]:
    table = {}
    for name, quantity in QUANTITIES.items():
        known = [
            (verdict.errors[name], item.switches[quantity.effect])
            for item, verdict in zip(items, verdicts, strict=True)
            if name in verdict.errors
        ]
        ratio = name == "rt60_ratio"
        present = [error for error, on in known if on]
        table[name] = {
            "items": len(known),
            "found": _mean([error.found for error, _ in known], ratio),
            "blind": _mean([error.blind for error, _ in known], ratio),
            "items_on": len(present),
            "found_on": _mean([error.found for error in present], ratio),
            "blind_on": _mean([error.blind for error in present], ratio),
        }
    return table


def _left_alone(results: ItemResults, row: str) -> dict[str, Any]:
    """How often the model did nothing: to all items, and to those to which nothing was done."""
    alone = [item.verdicts[row].left_alone for item in results.items]
    rightly = [
        left for left, item in zip(alone, results.items, strict=True) if item.effects_on == 0
    ]
    extra = [item.verdicts[row].left_alone for item in results.untouched]
    return {
        "of_all": _share(alone),
        "untouched": len(rightly) + len(extra),
        "of_untouched": _share(rightly + extra),
        "among_items": len(rightly),
        "of_those_among_items": _share(rightly),
        "of_additional": _share(extra),
    }


def _share(values: Sequence[bool] | np.ndarray[Any, Any]) -> float | None:
    return float(np.mean(values)) if len(values) else None


def _mean(values: Sequence[float], ratio: bool) -> float | None:
    """Arithmetic mean, of ratios the geometric one."""
    if not values:
        return None
    return float(np.exp(np.mean(np.log(values))) if ratio else np.mean(values))
