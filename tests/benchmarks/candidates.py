"""What the choice among candidates is worth, on items of P1 and P2.

python -m tests.benchmarks.candidates CORPUS/manifest.jsonl [--items 80] [--split valid]

Beside what `match` at effort normal makes of the items stands what would be made of them if less
were believed, or more: no candidate because it is almost certain; the most probable treatment
whatever the critic expects of it; and the best candidate in hindsight. All is measured by the
MR-STFT at matched loudness; what a second hearing corrects stays with the first row.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from afxvae import AFXStyleVAE
from afxvae.candidates import choose, render_candidates
from afxvae.evaluation.metrics import matched_mr_stft
from afxvae.evaluation.rows import NORMAL, Item, render_rows
from afxvae.rehearing import HEARD_AGAIN

from .jobs import print_by_protocol

if TYPE_CHECKING:
    from afxvae.decision import Decision

_ROWS = ("match", "nothing because it is almost certain", "the most probable, always",
         "the best in hindsight")  # fmt: skip
_WORSE = 1e-4


def _distances(model: AFXStyleVAE, item: Item) -> list[float]:
    """Distances of the input, and by row."""
    _, decisions = render_rows(model, item, [NORMAL])
    decision = decisions[NORMAL]
    sounds = render_candidates(model, item.audio, decision.candidates)
    each = [float(matched_mr_stft(sound, item.truth)) for sound in sounds.split(1)]
    names = [one.name for one in decision.candidates]
    mean = names.index("posterior mean") if "posterior mean" in names else decision.index
    taken = decision.index, _doubting(model, decision), mean
    return [each[0], *(each[index] for index in taken), min(each)]


def _doubting(model: AFXStyleVAE, decision: Decision) -> int:
    """Index of what is chosen if nothing is almost certain."""
    best = decision.best
    if HEARD_AGAIN in best.name or best.by_ear or not best.certain:
        return decision.index
    doubted = [replace(one, certain=False) for one in decision.candidates]
    return choose(doubted, float(model.critic.margin), decision.caution)


def table(protocol: str, items: list[list[float]]) -> str:
    """Closure and share worse than the input, by row."""
    distances = np.array(items)
    before = distances[:, 0]
    lines = [f"{protocol}, {len(items)} items", "", "| what is taken | closure | worse | alone |",
             "|---|---|---|---|"]  # fmt: skip
    for row, after in zip(_ROWS, distances[:, 1:].T, strict=True):
        closure, more = 1.0 - after.mean() / before.mean(), after - before
        worse, same = (more > _WORSE).mean(), (abs(more) <= _WORSE).mean()
        lines.append(f"| {row} | {closure:.3f} | {worse:.1%} | {same:.0%} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print_by_protocol(__doc__, _distances, table)
