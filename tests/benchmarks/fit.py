"""How exactly a preset is found again from a dry recording and what it made of it.

python -m tests.benchmarks.fit CORPUS/manifest.jsonl [--items 40] [--split valid] [--seconds 20]

Each item is 10 s of a dry recording at -23 LUFS and the same through a random treatment (see
`afxvae.data.treatments`). Prints the power of the null test's residual in dB relative to the wet
sound: median and quartiles, of doing nothing and of the best gain alone too, the share of items
that got worse, and the same by effect: of all items in which it was on.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from afxvae import default_chain
from afxvae.audio import info, read_segment
from afxvae.data.corpus import Recording
from afxvae.data.treatments import random_treatments
from afxvae.dsp.features import ANALYSIS_LUFS
from afxvae.evaluation.report import find_recordings
from afxvae.fitting import fit
from afxvae.loudness import normalize_loudness
from afxvae.processes import spread

from .jobs import parser_of

_DURATION_S = 10
_TOLERANCE_DB = 0.01


@dataclass(frozen=True)
class Job:
    index: int
    seed: int
    seconds: float
    recordings: tuple[Recording, ...]


@torch.no_grad()
def work(job: Job) -> dict[str, Any]:
    """Residuals of one item, and which effects were on and were found."""
    torch.set_num_threads(1)
    rng = np.random.default_rng([job.seed, job.index])
    while True:
        recording = job.recordings[int(rng.integers(len(job.recordings)))]
        source = info(recording.path)
        frames = _DURATION_S * source.sample_rate
        start = int(rng.integers(0, source.frames - frames + 1))
        dry = read_segment(recording.path, start, frames).mean(0, keepdim=True)
        if float(dry.abs().max()) > 1e-3:
            break
    rate = source.sample_rate
    dry = normalize_loudness(dry.unsqueeze(0), rate, ANALYSIS_LUFS)[0]
    chain = default_chain()
    generator = torch.Generator().manual_seed(1000 * job.seed + job.index)
    controls, switches = random_treatments(chain, 1, generator)
    on = dict(zip(chain.names, switches.unbind(1), strict=True))
    wet = chain.process(dry, chain.to_settings(controls), on, rate)
    since = time.process_time()
    found = fit(dry[0], wet[0], sample_rate=rate, seconds=job.seconds, seed=job.seed)
    return {
        "item": job.index,
        "kind": recording.kind,
        "on": [name for name, switch in on.items() if bool(switch) and name != "width"],
        "found": [name for name, switch in found.preset.switches.items() if switch],
        **found.report,
        "seconds": found.seconds,
        "cpu_seconds": time.process_time() - since,
    }


def _quartiles(values: np.ndarray) -> str:
    low, middle, high = np.percentile(values, [25, 50, 75])
    return f"{middle:.1f} ({low:.1f} to {high:.1f})"


def table(items: list[dict[str, Any]]) -> str:
    """Residuals of all items, and of those with each effect."""
    lines = [
        "| on | items | nothing, dB | gain only, dB | fit, dB | worse | <= -30 dB | s | CPU s |",
        "|---" * 9 + "|",
    ]
    groups: dict[str, list[dict[str, Any]]] = {"all": items}
    for name in default_chain().names:
        groups[name] = [item for item in items if name in item["on"]]
    groups["none"] = [item for item in items if not item["on"]]
    for name, own in groups.items():
        if not own:
            continue
        before, gain, after, seconds, cpu = (
            np.array([item[key] for item in own])
            for key in ("before", "gain_only", "after", "seconds", "cpu_seconds")
        )
        worse = float((after > before + _TOLERANCE_DB).mean())
        lines.append(
            f"| {name} | {len(own)} | {_quartiles(before)} | {_quartiles(gain)} | "
            f"{_quartiles(after)} | {worse:.0%} | {float((after <= -30.0).mean()):.0%} | "
            f"{np.median(seconds):.0f} | {np.median(cpu):.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = parser_of(__doc__, 40, "valid")
    parser.add_argument("--seconds", type=float, default=20.0, help="time for each fit")
    parser.add_argument("--out", type=Path, help="gets a line of JSON for every item")
    given = parser.parse_args()
    dry = find_recordings(given.manifest, given.split)
    recordings = tuple(recording for recording in dry if recording.seconds >= _DURATION_S)
    jobs = [Job(index, given.seed, given.seconds, recordings) for index in range(given.items)]
    items = []
    for item in spread(work, jobs, given.workers):
        items.append(item)
        if given.out:
            with given.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(item) + "\n")
    print(table(items))


if __name__ == "__main__":
    main()
