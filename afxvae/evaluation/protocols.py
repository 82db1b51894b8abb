"""P1 and P2: a model and the rows beside it on items whose truth is known.

Items come in chunks, each drawn from a seed of its own and evaluated by one of several processes,
so that the result does not depend on how many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors.torch import load

from ..data.corpus import Recording
from ..data.pairs import make_pairs
from ..dsp.features import CLIP_SAMPLES, RUN_IN, SAMPLE_RATE
from ..effects import Chain
from ..models.style_vae import AFXStyleVAE
from ..processes import spread
from ..types import UsageError
from .evidence import gather
from .items import PROTOCOLS, ItemResult, ItemResults, Protocol, Verdict
from .rows import (
    OURS,
    Item,
    PresetTable,
    chosen_rows,
    mean_preset,
    measure,
    render_rows,
)
from .settings import settings_errors, switched_on
from .workers import CarriedModel, as_bytes, one_thread

if TYPE_CHECKING:
    from ..decision import Decision

__all__ = [
    "PROTOCOLS",
    "ItemResult",
    "ItemResults",
    "Protocol",
    "Verdict",
    "evaluate_items",
    "usable_recordings",
]

_CHUNK = 10
_CROP_SECONDS = (RUN_IN + 2 * CLIP_SAMPLES + 2) / SAMPLE_RATE
_NOTHING = Chain(())  # a treatment that is nothing


def usable_recordings(recordings: Sequence[Recording], protocol: Protocol) -> list[Recording]:
    """Recordings long enough for a crop, for P2 those of a kind of which there are several.

    Raises:
        UsageError: there are none.
    """
    usable = [recording for recording in recordings if recording.seconds >= _CROP_SECONDS]
    if not usable:
        raise UsageError(f"There is no recording of at least {_CROP_SECONDS:.1f} s to evaluate on.")
    if protocol == "P2":
        kinds = [recording.kind for recording in usable]
        usable = [recording for recording in usable if kinds.count(recording.kind) > 1]
        if not usable:
            raise UsageError("P2 needs at least two recordings of the same kind.")
    return usable


def evaluate_items(
    model: AFXStyleVAE,
    recordings: Sequence[Recording],
    protocol: Protocol,
    count: int,
    seed: int = 0,
    *,
    rows: Sequence[str] | None = None,
    presets: PresetTable | None = None,
    untouched: int = 0,
    workers: int = 1,
    log: Callable[[str], None] | None = None,
) -> ItemResults:
    """Run every row on `count` random items and measure the distances to the truth.

    Args:
        model: To evaluate.
        recordings: Where items come from; they should not have been trained on.
        protocol: `P1` or `P2`, see `afxvae.data.pairs.make_pairs`.
        count: Number of items.
        seed: Of everything that is random.
        rows: Some of `ROWS`, all if not given; `input` is always there.
        presets: For the row `nearest preset`.
        untouched: Number of additional items without treatment.
        workers: Processes; with 1 the work is done in this one.
        log: Called with a line for each chunk of items.

    Raises:
        UsageError: an unknown row or protocol, no items, or no recording to take them from.
    """
    if protocol not in PROTOCOLS:
        raise UsageError(f"protocol is {protocol!r}, but it must be one of {', '.join(PROTOCOLS)}.")
    if count < 1:
        raise UsageError(f"The number of items must be positive, not {count}.")
    kept = chosen_rows(rows, presets is not None)
    setup = _Setup(
        CarriedModel.of(model),
        None if presets is None else as_bytes(vars(presets)),
        usable_recordings(recordings, protocol),
        protocol,
        seed,
        kept,
    )
    jobs = [*_jobs(count, False), *_jobs(untouched, True)]
    done: list[ItemResult] = []
    for chunk in _spread(setup, jobs, workers):
        done += chunk
        if log is not None:
            log(f"{protocol}: {len(done)} of {count + untouched} items")
    return ItemResults(protocol, seed, kept, done[:count], done[count:])


@dataclass(frozen=True)
class _Setup:
    """What a process has to know."""

    model: CarriedModel
    presets: bytes | None
    recordings: list[Recording]
    protocol: Protocol
    seed: int
    rows: tuple[str, ...]


@dataclass(frozen=True)
class _Job:
    index: int
    count: int
    untouched: bool


class _Bench:
    """A model and recordings in one process."""

    def __init__(self, setup: _Setup) -> None:
        self.setup = setup
        self.model = setup.model.model()
        self.presets = None if setup.presets is None else PresetTable(**load(setup.presets))
        self.constant = mean_preset(self.model.chain)

    @torch.no_grad()
    def run(self, job: _Job) -> list[ItemResult]:
        """The items of a chunk."""
        setup, chain = self.setup, self.model.chain
        place = [setup.seed, PROTOCOLS.index(setup.protocol), job.index, int(job.untouched)]
        seeds = np.random.SeedSequence(place).generate_state(2)
        treatments = _NOTHING if job.untouched else chain
        pairs = make_pairs(setup.recordings, treatments, int(seeds[0]), job.count, setup.protocol)
        controls, switches = pairs.controls, pairs.switches
        if job.untouched:
            controls = chain.default_controls().repeat(job.count, 1)
            switches = torch.zeros(job.count, len(chain.effects), dtype=torch.bool)
        rows = tuple(row for row in setup.rows if not job.untouched or row in OURS)
        generator = torch.Generator().manual_seed(int(seeds[1]))
        results = []
        for index, kind in enumerate(pairs.kinds):
            item = Item(
                pairs.audio[index : index + 1],
                pairs.reference[index],
                pairs.truth[index],
                controls[index],
                switches[index],
                len(set(pairs.groups[index])) == 1,
            )
            results.append(self._evaluate(item, kind, rows, generator))
        return results

    def _evaluate(
        self, item: Item, kind: str, rows: tuple[str, ...], generator: torch.Generator
    ) -> ItemResult:
        renderings, decisions = render_rows(
            self.model, item, rows, self.presets, generator, self.setup.seed
        )
        distances = {row: measure(rendering, item.truth) for row, rendering in renderings.items()}
        verdicts = {row: self._verdict(item, decision) for row, decision in decisions.items()}
        if "input" in rows and decisions:
            final = list(decisions)[-1]
            known = {0: distances["input"]["mr_stft"]}
            known[decisions[final].index] = distances[final]["mr_stft"]
            evidence = gather(self.model, item, decisions[final], known)
            verdicts[final] = replace(verdicts[final], evidence=evidence)
        return ItemResult(kind, switched_on(self.model.chain, item.switches), distances, verdicts)

    def _verdict(self, item: Item, decision: Decision) -> Verdict:
        model, best = self.model, decision.best
        return Verdict(
            best.name,
            switched_on(model.chain, best.switches),
            decision.likely,
            settings_errors(
                model.chain,
                (best.controls, best.switches),
                (item.controls, item.switches),
                self.constant,
            ),
            best.is_nothing,
        )


def _jobs(count: int, untouched: bool) -> list[_Job]:
    starts = range(0, count, _CHUNK)
    return [
        _Job(index, min(_CHUNK, count - start), untouched) for index, start in enumerate(starts)
    ]


_setup: _Setup | None = None
_bench: _Bench | None = None


def _start(setup: _Setup) -> None:
    """Tell this process what to do; a fault in here would start processes for ever."""
    global _setup
    _setup = setup
    torch.set_num_threads(1)


def _work(job: _Job) -> list[ItemResult]:
    global _bench
    if _setup is None:
        raise RuntimeError("the process was not made a worker")
    _bench = _bench or _Bench(_setup)
    return _bench.run(job)


def _spread(setup: _Setup, jobs: list[_Job], workers: int) -> Iterator[list[ItemResult]]:
    """Results of the jobs in their order."""
    if workers <= 1:
        with one_thread():
            bench = _Bench(setup)
            yield from map(bench.run, jobs)
        return
    yield from spread(_work, jobs, min(workers, len(jobs)), start=_start, arguments=(setup,))
