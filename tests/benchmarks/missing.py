"""What closure is still lost to each effect, on items of P1 and P2.

python -m tests.benchmarks.missing CORPUS/manifest.jsonl [--items 80] [--split valid]

The first column is lost if everything is true but one effect, which is as `match` at effort normal
has it. The second is gained if one effect of what `match` makes is replaced by the true one. All is
measured by the MR-STFT at matched loudness. Effects act on each other, so neither column adds up.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from afxvae import AFXStyleVAE
from afxvae.candidates import Candidate, render_candidates
from afxvae.evaluation.metrics import matched_mr_stft
from afxvae.evaluation.rows import NORMAL, Item, render_rows
from afxvae.models.estimate import ESTIMATED

from .jobs import print_by_protocol


def _distances(model: AFXStyleVAE, item: Item) -> list[float]:
    """Distances of the input, of ours, and of the two mixtures by effect."""
    renderings, decisions = render_rows(model, item, [NORMAL])
    ours = replace(decisions[NORMAL].best, ring=None)
    true = replace(ours, controls=item.controls, switches=item.switches, makes={})

    sounds = [renderings["input"].shape, renderings[NORMAL].shape]
    for effect in ESTIMATED:
        mixed = [_with(model, *both, effect) for both in ((true, ours), (ours, true))]
        sounds += [render_candidates(model, item.audio, [one]) for one in mixed]
    return [float(matched_mr_stft(sound, item.truth)) for sound in sounds]


def _with(model: AFXStyleVAE, most: Candidate, one: Candidate, effect: str) -> Candidate:
    """A candidate with one effect of another."""
    knobs, place = model.chain.knobs_of(effect), model.chain.names.index(effect)
    controls, switches = most.controls.clone(), most.switches.clone()
    controls[knobs], switches[place] = one.controls[knobs], one.switches[place]
    makes = {name: make for name, make in most.makes.items() if name != effect}
    makes |= {name: make for name, make in one.makes.items() if name == effect}
    return replace(most, controls=controls, switches=switches, makes=makes)


def table(protocol: str, items: list[list[float]]) -> str:
    """By effect, in shares of the distance of the input."""
    distances = np.array(items)
    mean = distances.mean(0) / distances[:, 0].mean()
    lines = [f"{protocol}, {len(items)} items, closure {1 - mean[1]:.2f}", "",
             "| effect | lost by it alone | gained if it were true |", "|---|---|---|"]  # fmt: skip
    for effect, alone, other in zip(ESTIMATED, mean[2::2], mean[3::2], strict=True):
        lines.append(f"| {effect} | {alone:.3f} | {mean[1] - other:.3f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print_by_protocol(__doc__, _distances, table)
