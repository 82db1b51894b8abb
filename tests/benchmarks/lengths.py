"""What longer recordings are worth: the same items, of which `match` hears more or less.

python -m tests.benchmarks.lengths CORPUS/manifest.jsonl [--items 80] [--split valid]

Input and reference, 14 s of one recording (P1) or of two (P2), went through one random treatment of
the default chain and are cut to what is heard of both; every fourth item is untreated. The distance
to the truth, MR-STFT at matched loudness, is always that of the first 5.5 s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from afxvae.audio import info, read_segment, resample
from afxvae.data.treatments import random_treatments
from afxvae.dsp.features import CLIP_SAMPLES, SAMPLE_RATE
from afxvae.evaluation.items import PROTOCOLS
from afxvae.evaluation.metrics import bootstrap_interval, closure, matched_mr_stft
from afxvae.evaluation.report import find_recordings
from afxvae.processes import spread

from .jobs import Job, bundled, jobs_of, parser_of, usable

if TYPE_CHECKING:
    from torch import Tensor

    from afxvae.data.corpus import Recording

_SECONDS = (5.5, 8.0, 11.0, 14.0)
_LONGEST = round(_SECONDS[-1] * SAMPLE_RATE)
_RMS = 0.05
_UNTREATED = 4  # every so many items
_WORSE = 1e-3  # the rounding of a gain alone moves distances by up to 2e-4


def _excerpt(recording: Recording, samples: int, rng: np.random.Generator) -> Tensor:
    """``(time,)`` of a recording that is long enough, mono, at 24 kHz."""
    source = info(recording.path)
    needed = -(-samples * source.sample_rate // SAMPLE_RATE)
    start = int(rng.integers(0, source.frames - needed + 1))
    sound = read_segment(recording.path, start, needed).mean(0)
    return resample(sound, source.sample_rate, SAMPLE_RATE)[:samples]


def _sounds(job: Job, rng: np.random.Generator) -> Tensor:
    """Input and reference without a treatment, ``(2, time)``."""
    one = job.cell == "P1"
    needed = (2 if one else 1) * _SECONDS[-1] + 0.1
    long = [each for each in job.recordings if each.dry and each.seconds > needed]
    while True:
        mine = long[int(rng.integers(len(long)))]
        others = [each for each in long if each.kind == mine.kind and each.group != mine.group]
        if one:
            both: Tensor = _excerpt(mine, 2 * _LONGEST, rng).unflatten(0, (2, -1))
        elif others:
            theirs = others[int(rng.integers(len(others)))]
            both = torch.stack([_excerpt(each, _LONGEST, rng) for each in (mine, theirs)])
        else:
            continue
        if usable(both[:, :CLIP_SAMPLES].numpy()):
            return _RMS * both / both.square().mean(1, keepdim=True).sqrt()


@torch.no_grad()
def _distances(job: Job, index: int) -> list[float]:
    """Whether it is treated; distances of the input, and by length of what was heard."""
    seed = job.seed, PROTOCOLS.index(job.cell), index
    rng, model = np.random.default_rng([*seed, 14]), bundled()
    chain, sounds = model.chain, _sounds(job, rng)
    generator = torch.Generator().manual_seed(int(rng.integers(1 << 31)))
    controls, switches = random_treatments(chain, 1, generator)
    switches = switches & bool(index % _UNTREATED)
    on = dict(zip(chain.names, switches.expand(2, -1).unbind(1), strict=True))
    settings = chain.to_settings(controls.expand(2, -1))
    wet = chain.process(sounds.unsqueeze(1), settings, on, SAMPLE_RATE)[:, 0]
    start = sounds[:1, :CLIP_SAMPLES], wet[:1, :CLIP_SAMPLES]
    found = [float(switches.any()), float(matched_mr_stft(*start))]
    for seconds in _SECONDS:
        heard = round(seconds * SAMPLE_RATE)
        match = model.match(sounds[0, :heard], wet[1, :heard], sample_rate=SAMPLE_RATE)
        found.append(float(matched_mr_stft(match.audio[:, :CLIP_SAMPLES], start[1])))
    return found


def _work(job: Job) -> list[list[float]]:
    return [_distances(job, index) for index in range(job.first, job.first + job.count)]


def table(protocol: str, items: list[list[float]]) -> str:
    """Closure with its interval, share worse than the input, and untreated ones left alone."""
    found = np.array(items)
    treated, before = found[:, 0] > 0.0, found[:, 1]
    lines = [
        f"{protocol}, {len(items)} items, {treated.sum()} treated",
        "",
        "| heard | closure (95 %) | worse | untreated left alone |",
        "|---|---|---|---|",
    ]
    for seconds, after in zip(_SECONDS, found[:, 2:].T, strict=True):
        distances = after[treated], before[treated]
        low, high = bootstrap_interval(*distances)
        worse, alone = (after - before > _WORSE).mean(), (after[~treated] < _WORSE).mean()
        interval = f"{closure(*distances):.2f} ({low:.2f} to {high:.2f})"
        lines.append(f"| {seconds:g} s | {interval} | {worse:.1%} | {alone:.0%} |")
    return "\n".join(lines)


if __name__ == "__main__":
    given = parser_of(__doc__, 80, "valid").parse_args()
    recordings = tuple(find_recordings(given.manifest, given.split))
    for protocol in PROTOCOLS:
        jobs = jobs_of([protocol], given.items, given.seed, recordings)
        chunks = spread(_work, jobs, given.workers)
        print(table(protocol, [item for chunk in chunks for item in chunk]), end="\n\n", flush=True)
