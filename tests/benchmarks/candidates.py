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
import torch

from afxvae import AFXStyleVAE
from afxvae.candidates import Candidate, choose, render_candidates
from afxvae.evaluation.items import PROTOCOLS
from afxvae.evaluation.metrics import matched_mr_stft
from afxvae.evaluation.report import find_recordings
from afxvae.evaluation.rows import NORMAL, Item, render_rows
from afxvae.processes import spread
from afxvae.rehearing import HEARD_AGAIN

from .jobs import Job, items_of, jobs_of, parser_of

if TYPE_CHECKING:
    from afxvae.decision import Decision

_ROWS = ("match", "nothing because it is almost certain", "the most probable, always",
         "the best in hindsight")  # fmt: skip
_WORSE = 1e-4
_model: AFXStyleVAE | None = None


@torch.no_grad()
def work(job: Job) -> list[list[float]]:
    """Distances of some items: of the input, and by row."""
    global _model
    torch.set_num_threads(1)
    _model = _model or AFXStyleVAE.from_pretrained()
    return [_distances(_model, item) for item in items_of(job, _model)]


def _distances(model: AFXStyleVAE, item: Item) -> list[float]:
    renderings, decisions = render_rows(model, item, [NORMAL])
    decision = decisions[NORMAL]
    mean = next((c for c in decision.candidates if c.name == "posterior mean"), decision.best)
    taken = [decision.best, _doubting(model, decision), mean, *decision.candidates]
    sounds = [render_candidates(model, item.audio, [one]) for one in taken]
    of_input = float(matched_mr_stft(renderings["input"].shape, item.truth))
    *rows, hindsight = (float(matched_mr_stft(sound, item.truth)) for sound in sounds[:4])
    for sound in sounds[4:]:
        hindsight = min(hindsight, float(matched_mr_stft(sound, item.truth)))
    return [of_input, *rows, hindsight]


def _doubting(model: AFXStyleVAE, decision: Decision) -> Candidate:
    """What is chosen if nothing is almost certain."""
    if decision.best.name.endswith(HEARD_AGAIN) or not decision.best.certain:
        return decision.best
    doubted = [replace(one, certain=False) for one in decision.candidates]
    return doubted[choose(doubted, float(model.critic.margin), decision.caution)]


def table(protocol: str, items: list[list[float]]) -> str:
    """Closure and share worse than the input, by row."""
    distances = np.array(items)
    before = distances[:, :1]
    lines = [f"{protocol}, {len(items)} items", "", "| what is taken | closure | worse | alone |",
             "|---|---|---|---|"]  # fmt: skip
    for row, after in zip(_ROWS, distances[:, 1:].T, strict=True):
        worse, same = (
            (after > before[:, 0] + _WORSE).mean(),
            np.isclose(after, before[:, 0], atol=_WORSE).mean(),
        )
        closure = 1.0 - after.mean() / before.mean()
        lines.append(f"| {row} | {closure:.3f} | {worse:.1%} | {same:.0%} |")
    return "\n".join(lines)


def main() -> None:
    given = parser_of(__doc__, 80, "valid").parse_args()
    recordings = tuple(find_recordings(given.manifest, given.split))
    for protocol in PROTOCOLS:
        items: list[list[float]] = []
        for chunk in spread(work, jobs_of([protocol], given.items, given.seed, recordings),
                            given.workers):  # fmt: skip
            items += chunk
        print(table(protocol, items), end="\n\n")


if __name__ == "__main__":
    main()
