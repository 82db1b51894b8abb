"""P1 with treatments by effects we did not write: SoX, pedalboard and the mda plug-ins.

python -m tests.benchmarks.foreign CORPUS/manifest.jsonl [--items 100] [--split test] [--kind mix]
    [--cell SoX] [--row input] [--out ITEMS.jsonl] [--also EARLIER.jsonl]

Each cell is one effect with random settings, or chains of two to four of one maker's. As in P1, the
reference is treatment(B) and the truth treatment(A) of two halves of a crop, rendered with a second
of run-in. There are no true settings in our terms, so no oracle; all else is as in the evaluation.
A second table takes the effects of a maker together, their distances averaged and then compared.

Needs what `makers` does; matchering, which the extra `bench` brings too, gets a row where it is
installed.
"""

from __future__ import annotations

import functools
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from afxvae import AFXStyleVAE
from afxvae.data.crops import draw_crop
from afxvae.dsp.features import ANALYSIS_LUFS, RUN_IN, SAMPLE_RATE
from afxvae.evaluation.metrics import (
    bootstrap_interval,
    closure,
    matched_mr_stft,
    share_worse,
)
from afxvae.evaluation.peers import matchering_installed
from afxvae.evaluation.report import find_recordings
from afxvae.evaluation.rows import MATCHERING, TOLD, Item, render_rows
from afxvae.evaluation.summary import TOLERANCE, paired_p_value
from afxvae.loudness import normalize_loudness
from afxvae.processes import spread

from .jobs import Job, jobs_of, parser_of, usable
from .makers import CELLS, CORRUPT, corrupted

PEERS = (MATCHERING,) if matchering_installed() else ()
BASELINES = ("input", "loudness only", "spectrum only", "rule-based", *PEERS)
ROWS = (*BASELINES, "ours (fast)", "ours (normal)")
TOLD_OF = (CORRUPT,)
"""Cells with a row that knows of the one source: inputs there have a colour of their own."""
_model: AFXStyleVAE | None = None


@torch.no_grad()
def work(rows: tuple[str, ...], job: Job) -> list[dict[str, Any]]:
    """Distances to the truth by row, and what was chosen, of some items of a cell."""
    global _model
    torch.set_num_threads(1)
    _model = _model or AFXStyleVAE.from_pretrained()
    weights = np.array([recording.seconds for recording in job.recordings])
    found = []
    for index in range(job.first, job.first + job.count):
        rng = np.random.default_rng([job.seed, list(CELLS).index(job.cell), index])
        while True:
            place = int(rng.choice(len(weights), p=weights / weights.sum()))
            halves = draw_crop(job.recordings[place], rng)
            if halves is None:
                continue
            treatment = CELLS[job.cell](rng)
            given = halves[:1]
            if job.cell == CORRUPT:
                given = _levelled(corrupted(rng)(given[0, 0].numpy().astype(float)))
            wet = np.stack([treatment(half.numpy().astype(float)) for half in halves[:, 0]])
            wet = wet[:, RUN_IN:]
            if usable(wet):
                break
        truth, reference = torch.from_numpy(wet).float().split(1)
        none = _model.chain.default_controls(), torch.zeros(len(_model.chain.names)).bool()
        item = Item(given, reference, truth, *none)
        wanted = [row for row in rows if row != TOLD or job.cell in TOLD_OF]
        renderings, decisions = render_rows(_model, item, wanted)
        best = decisions["ours (normal)"].best
        on = [n for n, s in zip(_model.chain.names, best.switches.tolist(), strict=True) if s]
        distances = {
            row: matched_mr_stft(rendering.shape, truth) for row, rendering in renderings.items()
        }
        kind, group = job.recordings[place].kind, job.recordings[place].group
        found.append({"cell": job.cell, "item": index, "kind": kind, "group": group,
                      "choice": best.name, "on": on, **distances})  # fmt: skip
    return found


def _levelled(audio: np.ndarray) -> torch.Tensor:
    """``(1, 1, time)`` at the loudness of all items: what a level is worth is seen beside it."""
    whole = torch.from_numpy(audio).float()[None, None]
    _, gain_db = normalize_loudness(whole[..., RUN_IN:], SAMPLE_RATE, ANALYSIS_LUFS)
    return whole * 10.0 ** (gain_db.view(1, 1, 1) / 20.0)


GROUPS: dict[str, list[str]] = {
    **{f"{maker}, single effects": [c for c in CELLS if c.startswith(maker) and "chains" not in c]
       for maker in ("SoX", "pedalboard", "mda")},
    "SoX and pedalboard, single effects": [
        c for c in CELLS if c.startswith(("SoX", "pedalboard")) and "chains" not in c
    ],
    "SoX and pedalboard, chains": [c for c in CELLS if "chains" in c],
}  # fmt: skip


def table(items: list[dict[str, Any]], groups: dict[str, list[str]]) -> str:
    """Closure at matched loudness, and share worse than the input, by group of cells and row."""
    known = [row for row in ROWS if all(row in item for item in items)]
    lines = ["| treatment | items | input | " + " | ".join(known[1:]) + " | largest p |",
             "|---" * (len(known) + 3) + "|"]  # fmt: skip
    for name, cells_of_it in groups.items():
        own = [item for item in items if item["cell"] in cells_of_it]
        if not own:
            continue
        column = {row: np.array([item[row] for item in own]) for row in known}
        before = column["input"]
        cells, final = [], column[ROWS[-1]]
        for row in known[1:]:
            worse = share_worse(column[row], before + TOLERANCE)
            text = f"{closure(column[row], before):.2f}, {worse:.0%}"
            if row == ROWS[-1]:
                low, high = bootstrap_interval(final, before)
                text = f"**{text}** ({low:.2f} to {high:.2f})"
            cells.append(text)
        p = max(paired_p_value(column[row], final) for row in BASELINES if row in known)
        lines.append(f"| {name} | {len(own)} | {before.mean():.2f} | {' | '.join(cells)} | "
                     f"{p:.3f} |")  # fmt: skip
    return "\n".join(lines)


def told(items: list[dict[str, Any]]) -> str:
    """The same of the row that knows of the one source, cell by cell."""
    lines = []
    for cell in TOLD_OF:
        own = [item for item in items if item["cell"] == cell and TOLD in item]
        if own:
            found, before = (np.array([item[row] for item in own]) for row in (TOLD, "input"))
            low, high = bootstrap_interval(found, before)
            worse = share_worse(found, before + TOLERANCE)
            lines.append(f"{cell}, {TOLD}: {closure(found, before):.2f} ({low:.2f} to {high:.2f}), "
                         f"{worse:.0%} worse, {len(own)} items")  # fmt: skip
    return "\n".join(lines)


def main() -> None:
    parser = parser_of(__doc__, 100, "test")
    parser.add_argument("--kind", help="of the recordings, mix for songs; all but those if omitted")
    parser.add_argument("--cell", action="append", help="start of a cell's name; all if omitted")
    parser.add_argument("--row", action="append", choices=(*ROWS, TOLD),
                        help="beside input and ours (normal); all if omitted")  # fmt: skip
    parser.add_argument("--out", type=Path, help="gets a line of JSON for every item")
    parser.add_argument("--also", type=Path, action="append", default=[],
                        help="items that an earlier run wrote, for the tables")  # fmt: skip
    given = parser.parse_args()
    if not PEERS:
        print("without matchering, which needs pip install -e .[bench]", file=sys.stderr)
    recordings = tuple(find_recordings(given.manifest, given.split, given.kind))
    cells = [name for name in CELLS if name.startswith(tuple(given.cell or [""]))]
    jobs = jobs_of(cells, given.items, given.seed, recordings)
    rows = tuple(given.row or (*ROWS, TOLD))
    rows = tuple(row for row in (*ROWS, TOLD) if row in {*rows, ROWS[0], ROWS[-1]})
    items: list[dict[str, Any]] = []
    for chunk in spread(functools.partial(work, rows), jobs, given.workers):
        items += chunk
        if given.out:
            text = "".join(json.dumps(item) + "\n" for item in items)
            given.out.write_text(text, encoding="utf-8")
    for path in given.also:
        items += [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    print(table(items, {cell: [cell] for cell in CELLS}))
    print()
    print(table(items, GROUPS))
    print()
    print(told(items))


if __name__ == "__main__":
    main()
