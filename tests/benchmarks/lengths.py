"""What more of a recording is worth: the same items, of which `match` hears more or less.

python -m tests.benchmarks.lengths CORPUS/manifest.jsonl [--items 80] [--split valid] [--filters]
    [--seconds 2 --seconds 14]

Input and reference, 14 s of one recording (P1) or of two (P2), went through one random treatment of
the default chain and are cut to what is heard of both; every fourth item is untreated. The distance
to the truth, MR-STFT at matched loudness, is that of the first 5.5 s, or of less. With `--filters`
nothing is matched: what the aligner finds where the equaliser of each item is all that was done.
"""

from __future__ import annotations

import functools
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import torch

from afxvae.analysis import analysis_clips
from afxvae.audio import info, read_segment, resample
from afxvae.data.treatments import random_treatments
from afxvae.dsp.features import CLIP_SAMPLES, SAMPLE_RATE
from afxvae.dsp.likeness import filters_between
from afxvae.evaluation.items import PROTOCOLS
from afxvae.evaluation.metrics import bootstrap_interval, closure, matched_mr_stft
from afxvae.evaluation.report import find_recordings
from afxvae.measure.equalizer import eq_bands_db
from afxvae.processes import spread

from .jobs import Job, bundled, jobs_of, parser_of, usable

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from afxvae.data.corpus import Recording

_SECONDS = (5.5, 8.0, 11.0, 14.0)
_MOST_SECONDS = 14.0
_LONGEST = round(_MOST_SECONDS * SAMPLE_RATE)
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
    needed = (2 if one else 1) * _MOST_SECONDS + 0.1
    long = [each for each in job.recordings if each.dry and each.seconds > needed]
    groups = Counter(kind for kind, _ in {(each.kind, each.group) for each in long})
    assert one or max(groups.values(), default=0) > 1, "no kind has recordings of two sources"
    while True:
        mine = long[int(rng.integers(len(long)))]
        if one:
            both: Tensor = _excerpt(mine, 2 * _LONGEST, rng).unflatten(0, (2, -1))
        elif groups[mine.kind] > 1:
            others = [each for each in long if each.kind == mine.kind and each.group != mine.group]
            theirs = others[int(rng.integers(len(others)))]
            both = torch.stack([_excerpt(each, _LONGEST, rng) for each in (mine, theirs)])
        else:
            continue
        if usable(both[:, :CLIP_SAMPLES].numpy()):
            return _RMS * both / both.square().mean(1, keepdim=True).sqrt()


def _drawn(job: Job, index: int) -> tuple[Tensor, Tensor, Tensor]:
    """`_sounds`, and a treatment: controls ``(1, control)`` and switches ``(1, effect)``."""
    seed = job.seed, PROTOCOLS.index(job.cell), index
    rng = np.random.default_rng([*seed, 14])
    sounds = _sounds(job, rng)
    generator = torch.Generator().manual_seed(int(rng.integers(1 << 31)))
    return sounds, *random_treatments(bundled().chain, 1, generator)


@torch.no_grad()
def _filters(seconds: tuple[float, ...], job: Job, index: int) -> list[float]:
    """By length, how far the filter is off in dB, and the log odds of one source."""
    model, (sounds, controls, _) = bundled(), _drawn(job, index)
    eq, knobs = model.chain["eq"], model.chain.knobs_of("eq")
    settings = model.chain.to_settings(controls)["eq"]
    both = sounds[0], eq.process(sounds[1].view(1, 1, -1), settings, SAMPLE_RATE)[0, 0]
    true, found = eq_bands_db(eq, controls[:, knobs])[0], []
    for each_s in seconds:
        samples = round(each_s * SAMPLE_RATE)
        clips = (analysis_clips(sound[None, :samples], SAMPLE_RATE) for sound in both)
        heard = (model.listen(model.level(each)).log_mel for each in clips)
        frames = [each.flatten(0, 1).unsqueeze(0) for each in heard]
        aligned = model.aligner(*frames, filters_between(*frames))
        apart = aligned.curve_db[0] - true
        found += [float((apart - apart.median()).abs().mean()), float(aligned.source[0])]
    return found


@torch.no_grad()
def _distances(seconds: tuple[float, ...], job: Job, index: int) -> list[float]:
    """Whether it is treated; by length of what was heard, distances of the input and the result."""
    model, (sounds, controls, switches) = bundled(), _drawn(job, index)
    chain = model.chain
    switches = switches & bool(index % _UNTREATED)
    on = dict(zip(chain.names, switches.expand(2, -1).unbind(1), strict=True))
    settings = chain.to_settings(controls.expand(2, -1))
    wet = chain.process(sounds.unsqueeze(1), settings, on, SAMPLE_RATE)[:, 0]
    found = [float(switches.any())]
    for each_s in seconds:
        heard = round(each_s * SAMPLE_RATE)
        match = model.match(sounds[0, :heard], wet[1, :heard], sample_rate=SAMPLE_RATE)
        ends = (one[:1, : min(heard, CLIP_SAMPLES)] for one in (sounds, match.audio, wet))
        before, after, truth = ends
        found += [float(matched_mr_stft(one, truth)) for one in (before, after)]
    return found


def _work(of_item: Callable[[Job, int], list[float]], job: Job) -> list[list[float]]:
    return [of_item(job, index) for index in range(job.first, job.first + job.count)]


def table(seconds: tuple[float, ...], protocol: str, items: list[list[float]]) -> str:
    """Closure with its interval, share worse than the input, and untreated ones left alone."""
    found = np.array(items)
    treated, columns = found[:, 0] > 0.0, found[:, 1:].reshape(-1, len(seconds), 2)
    lines = [
        f"{protocol}, {len(items)} items, {treated.sum()} treated",
        "",
        "| heard | closure (95 %) | worse | untreated left alone |",
        "|---|---|---|---|",
    ]
    for each_s, before, after in zip(seconds, *columns.transpose(2, 1, 0), strict=True):
        distances = after[treated], before[treated]
        low, high = bootstrap_interval(*distances)
        worse, alone = (after - before > _WORSE).mean(), (after[~treated] < _WORSE).mean()
        interval = f"{closure(*distances):.2f} ({low:.2f} to {high:.2f})"
        lines.append(f"| {each_s:g} s | {interval} | {worse:.1%} | {alone:.0%} |")
    return "\n".join(lines)


def filter_table(seconds: tuple[float, ...], protocol: str, items: list[list[float]]) -> str:
    """How far filters are off, and how well one source is told."""
    one = protocol == "P1"
    lines = [
        f"{protocol}, {len(items)} items, equalised",
        "",
        f"| heard | filter off: mean, median | taken for {'one' if one else 'two'} | log odds |",
        "|---|---|---|---|",
    ]
    columns = np.array(items).reshape(-1, len(seconds), 2).transpose(2, 1, 0)
    for each_s, off, odds in zip(seconds, *columns, strict=True):
        right = ((odds > 0.0) == one).mean()
        middle = f"{off.mean():.2f} dB, {np.median(off):.2f} dB"
        lines.append(f"| {each_s:g} s | {middle} | {right:.0%} | {odds.mean():.1f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = parser_of(__doc__, 80, "valid")
    parser.add_argument("--filters", action="store_true")
    parser.add_argument("--seconds", type=float, action="append", help="5.5, 8, 11, 14 if omitted")
    given = parser.parse_args()
    seconds = tuple(given.seconds or _SECONDS)
    if max(seconds) > _MOST_SECONDS:
        parser.error(f"at most {_MOST_SECONDS:g} s are heard")
    recordings = tuple(find_recordings(given.manifest, given.split))
    of_item, shown = (_filters, filter_table) if given.filters else (_distances, table)
    for protocol in PROTOCOLS:
        jobs = jobs_of([protocol], given.items, given.seed, recordings)
        work = functools.partial(_work, functools.partial(of_item, seconds))
        chunks = spread(work, jobs, given.workers)
        print(
            shown(seconds, protocol, [item for chunk in chunks for item in chunk]),
            end="\n\n",
            flush=True,
        )
