"""How often an effect is measured in references that have it, and in those that have not.

python -m tests.benchmarks.found CORPUS/manifest.jsonl [--items 60] [--split valid] [--cell SoX]
    [--seconds 2]

As in P1, a crop is cut in halves: what is looked for is in the second, and the first is the input.
A row is one kind of reference; cells are the share of them in which an effect was found. Of chains
of this package, rows are those that have the effect, and those that have not. With `--seconds`,
neither half is longer than that.

Needs what `makers` does.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch

from afxvae import Chain, default_chain
from afxvae.analysis import clip_period, once
from afxvae.data.crops import draw_crop
from afxvae.data.treatments import random_treatments
from afxvae.dsp.features import RUN_IN, SAMPLE_RATE
from afxvae.effects.modulation import FLANGER
from afxvae.evaluation.report import find_recordings
from afxvae.measure import MEASURED, measure_settings
from afxvae.processes import spread

from .jobs import Job, jobs_of, parser_of, usable
from .makers import CELLS, CORRUPT

EFFECTS = ("delay", "dual_delay", "reverb", "freeverb", "sox_reverb", "chorus", "flanger")
DRY, OURS, FLANGED = "nothing", "this package's chain", "this package's flanger"
ROWS = (DRY, *(cell for cell in CELLS if cell != CORRUPT), OURS, FLANGED)


@dataclass(frozen=True)
class Reference:
    """What was found in one, and which effects of this package's chain it has."""

    row: str
    found: frozenset[str]
    has: frozenset[str]


@torch.no_grad()
def work(seconds: float, job: Job) -> list[Reference]:
    """What is found in some references of a row."""
    torch.set_num_threads(1)
    chain, done, period = default_chain(), [], clip_period(round(seconds * 1000), 1000)
    for index in range(job.first, job.first + job.count):
        rng = np.random.default_rng([job.seed, ROWS.index(job.cell), index])
        while True:
            halves = draw_crop(job.recordings[int(rng.integers(len(job.recordings)))], rng)
            if halves is None:
                continue
            wet, has = _treated(chain, job.cell, halves[1:], rng)
            wet = once(wet, period)
            if usable(wet.numpy()):
                break
        measured = measure_settings(chain, once(halves[:1, 0, RUN_IN:], period), wet)
        found = {name: measured[name] for name in MEASURED if measured[name].found}
        names = {one.make.effect.name if one.make else name for name, one in found.items()}
        done.append(Reference(job.cell, frozenset(names), has))
    return done


def _treated(
    chain: Chain, row: str, dry: torch.Tensor, rng: np.random.Generator
) -> tuple[torch.Tensor, frozenset[str]]:
    """A clip ``(1, 131072)``, and which effects of the chain are in it."""
    if row == OURS:
        generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
        controls, switches = random_treatments(chain, 1, generator)
        on = dict(zip(chain.names, switches.unbind(1), strict=True))
        wet = chain.process(dry, chain.to_settings(controls), on, SAMPLE_RATE)[:, 0, RUN_IN:]
        return wet, frozenset(name for name in MEASURED if bool(on[name]))
    if row == DRY:
        return dry[:, 0, RUN_IN:], frozenset()
    if row == FLANGED:
        wet = FLANGER.process(dry, _flanger(rng), SAMPLE_RATE)[:, 0, RUN_IN:]
        return wet, frozenset()
    made = CELLS[row](rng)(dry[0, 0].numpy().astype(float))[RUN_IN:]
    return torch.from_numpy(made).float().unsqueeze(0), frozenset()


def _flanger(rng: np.random.Generator) -> dict[str, torch.Tensor]:
    """Random settings, of a voice that follows in most cases and has feedback in half of them."""
    depth_ms = rng.uniform(0.3, 2.5)
    knobs = {
        "rate_hz": 0.1 * 30.0 ** rng.uniform(),
        "depth_ms": depth_ms,
        "delay_ms": max(0.0, depth_ms + rng.uniform(-0.3, 1.5)),
        "feedback": rng.choice([0.0, 0.0, 0.0, 0.3, 0.6, -0.5]),
        "stereo_phase_deg": 0.0,
        "mix": rng.uniform(0.2, 0.5),
        "phase_deg": rng.uniform(0.0, 360.0),
    }
    return {name: torch.tensor([float(value)]) for name, value in knobs.items()}


def table(references: list[Reference]) -> str:
    lines = [f"| references | items | {' | '.join(EFFECTS)} |", "|---" * (len(EFFECTS) + 2) + "|"]
    for row in ROWS:
        own = [reference for reference in references if reference.row == row]
        if own and row != OURS:
            lines.append(_line(row, str(len(own)), dict.fromkeys(EFFECTS, own)))
        for name, wanted in (("with the effect", True), ("without it", False)):
            if own and row == OURS:
                groups = {e: [r for r in own if (e in r.has) is wanted] for e in EFFECTS}
                counts = [str(len(groups[effect])) for effect in MEASURED]
                lines.append(_line(f"{row}, {name}", "/".join(counts), groups))
    return "\n".join(lines)


def _line(name: str, items: str, groups: dict[str, list[Reference]]) -> str:
    cells = []
    for effect, group in groups.items():
        share = sum(effect in one.found for one in group) / max(len(group), 1)
        cells.append(f"{share:.0%}" if group else "")
    return f"| {name} | {items} | {' | '.join(cells)} |"


def main() -> None:
    parser = parser_of(__doc__, 60, "valid")
    parser.add_argument("--cell", action="append", help="start of a row's name; all if omitted")
    parser.add_argument("--seconds", type=float, default=6.0, help="that are heard at most")
    given = parser.parse_args()
    recordings = tuple(find_recordings(given.manifest, given.split))
    rows = [name for name in ROWS if name.startswith(tuple(given.cell or [""]))]
    jobs = jobs_of(rows, given.items, given.seed, recordings)
    chunks = spread(functools.partial(work, given.seconds), jobs, given.workers)
    references = [one for chunk in chunks for one in chunk]
    print(table(references))


if __name__ == "__main__":
    main()
