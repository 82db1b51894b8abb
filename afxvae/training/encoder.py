"""Stage 1: encoder and comparator, supervised by treatments."""

from __future__ import annotations

import contextlib
import functools
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from ..data.pools import restore_log_mel
from ..dsp.features import Features
from ..models.encoder import Comparator, Encoder
from ..models.estimate import Estimate, TreatmentHead, treatment_losses
from .loop import Average, Checkpoint, Log, cosine, descend, optimizer_for, set_rate
from .pool import PairBatch, Pool
from .recolour import recolour
from .refiner import Equalizers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from torch import Tensor

    from ..effects import Chain
    from ..models.style_vae import AFXStyleVAE

__all__ = ["Leg", "SupervisedEncoder", "forgetful", "regularize", "train_encoder", "validate"]


@dataclass(frozen=True)
class Leg:
    """One run of the learning-rate schedule.

    Attributes:
        steps: Number of batches.
        batch: Crops in a batch.
        rate: Largest learning rate.
        dropout: In all layers that have one.
        blur: Share of the statistics that is dropped; half of it is the noise put on them.
        weight_decay: Of matrices.
    """

    steps: int
    batch: int = 24
    rate: float = 1.5e-3
    dropout: float = 0.3
    blur: float = 0.2
    weight_decay: float = 0.12


def regularize(module: nn.Module, leg: Leg) -> None:
    """Set what keeps training from learning recordings by heart; weights are unchanged."""
    for part in module.modules():
        if isinstance(part, Encoder):
            part.blur = leg.blur
        if isinstance(part, nn.Dropout):
            part.p = leg.dropout


@contextlib.contextmanager
def forgetful(encoder: Encoder, leg: Leg, seed: int = 0) -> Iterator[None]:
    """While this lasts, an encoder leaves out as much as it did in training, by `seed`.

    Recordings of its training it knows by heart, and what is trained on such embeddings believes
    them too much: of others it knows less, as much less as this makes it.
    """
    regularize(encoder, leg)
    encoder.train()
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        encoder.eval()


class SupervisedEncoder(nn.Module):
    """Encoder and comparator with a head that is thrown away after this stage."""

    def __init__(
        self, chain: Chain, statistics: int, embedding_dim: int, difference_dim: int
    ) -> None:
        super().__init__()
        self.encoder = Encoder(statistics, embedding_dim)
        self.comparator = Comparator(embedding_dim, difference_dim)
        self.head = TreatmentHead(chain, difference_dim)

    def begin_with(self, model: AFXStyleVAE) -> None:
        """Take encoder and comparator of a model; the head stays new."""
        self.encoder.load_state_dict(model.encoder.state_dict())
        self.comparator.load_state_dict(model.comparator.state_dict())

    def forward(self, batch: PairBatch) -> Estimate:
        """Estimate of every pair of a batch."""
        embeddings = self.encoder(batch.features)
        difference = self.comparator(embeddings[batch.audio], embeddings[batch.reference])
        estimate: Estimate = self.head(difference)
        return estimate


@torch.no_grad()
def validate(model: nn.Module, pool: Pool, chain: Chain, crops: int = 32) -> dict[str, float]:
    """Mean losses over a pool, for P1 and P2 apart, with a fixed pairing."""
    model.eval()
    sums: dict[str, float] = {}
    count = 0
    generator = torch.Generator().manual_seed(0)
    for raw in pool.batches(crops, generator):
        batch = PairBatch(raw, chain, generator)
        truth = batch.controls, batch.switches
        losses = treatment_losses(model(batch), *truth, chain, batch.before)
        half = len(batch.audio) // 2
        losses["total"] = torch.stack(list(losses.values())).sum(0)
        for name, value in losses.items():
            for protocol, part in (("P1", value[:half]), ("P2", value[half:])):
                key = f"{protocol} {name}"
                sums[key] = sums.get(key, 0.0) + float(part.sum())
        count += half
    model.train()
    return {name: value / count for name, value in sums.items()}


def train_encoder(
    model: SupervisedEncoder,
    chain: Chain,
    shards: Path,
    checkpoint_path: Path,
    leg: Leg,
    *,
    seed: int = 0,
    log: Callable[[str], None] = lambda line: None,
) -> None:
    """Train one leg on the pools in `shards`; resumes from the checkpoint.

    Args:
        model: To train; it ends with its averaged weights.
        chain: Of the treatments.
        shards: Folder of pools, to which more may be added meanwhile.
        checkpoint_path: Of this leg; the log stands beside it.
        leg: Length, rate and regularisation.
        seed: Of batches and pairs.
        log: Called with lines for people.
    """
    pool, held_out = Pool(shards, "train"), Pool(shards, "valid", 6)
    generator = torch.Generator().manual_seed(seed)
    equalizers = Equalizers(chain, seed)
    regularize(model, leg)
    optimizer = optimizer_for(model, leg.rate, leg.weight_decay)
    checkpoint = Checkpoint(checkpoint_path, model, optimizer)
    step = checkpoint.resume()
    if step == 0 and not bool(model.encoder.statistics_mean.any()):
        model.encoder.fit_scale(_scaling(pool))
        checkpoint.average = Average(model)
    written = Log(checkpoint_path.with_suffix(".jsonl"))
    start = time.monotonic()
    while step < leg.steps:
        pool.refresh()
        for raw in pool.batches(leg.batch, generator):
            set_rate(optimizer, leg.rate * cosine(step / leg.steps))
            losses = _batch_losses(model, raw, equalizers, generator)
            descend(optimizer, model, losses["total"], 5.0)
            checkpoint.average.update(model)
            step += 1
            written.add({name: value.detach() for name, value in losses.items()})
            if step % 100 == 0:
                seconds = round(time.monotonic() - start)
                log(written.flush(step=step, shards=len(pool), seconds=seconds))
            checkpoint.save_sometimes(step)
            if step % 1000 == 0 or step == leg.steps:
                written.add(_validate_average(model, checkpoint.average, held_out, chain))
                log("valid  " + written.flush(step=step))
            if step >= leg.steps:
                break
    checkpoint.save(step)
    checkpoint.average.copy_to(model)


def _batch_losses(
    model: SupervisedEncoder,
    raw: dict[str, Tensor],
    equalizers: Equalizers,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Mean losses of one batch, recoloured, and their sum as ``total``."""
    chain = equalizers.chain
    batch = PairBatch(recolour(raw, equalizers, generator), chain, generator)
    batch.features = _window(batch.features, generator)
    with torch.autocast("cpu", torch.bfloat16, enabled=_halves_fast()):
        estimate = model(batch)
    losses = treatment_losses(estimate, batch.controls, batch.switches, chain, batch.before)
    means = {name: value.mean() for name, value in losses.items()}
    return {"total": torch.stack(list(means.values())).sum(), **means}


@functools.lru_cache(maxsize=1)
def _halves_fast() -> bool:
    """Whether this processor multiplies bfloat16; others emulate it, ten times slower."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _validate_average(
    model: SupervisedEncoder, average: Average, held_out: Pool, chain: Chain
) -> dict[str, Tensor | float]:
    """`validate` with the averaged weights; the model keeps its own."""
    kept = {name: value.clone() for name, value in model.state_dict().items()}
    average.copy_to(model)
    figures = validate(model, held_out, chain)
    model.load_state_dict(kept)
    return dict(figures)


def _window(features: Features, generator: torch.Generator) -> Features:
    """Random stretch of the log-mel pictures, the same for a batch, against learning by heart."""
    frames = int(torch.randint(300, 420, (1,), generator=generator))
    spare = features.log_mel.shape[1] - frames
    first = int(torch.randint(spare + 1, (1,), generator=generator))
    return Features(features.log_mel[:, first : first + frames], features.statistics)


def _scaling(pool: Pool) -> Features:
    """Some treated clips of the first shards."""
    shards = pool.shards[:4]
    steps, statistics = (
        torch.cat([shard[name][:8].flatten(0, 2) for shard in shards])
        for name in ("wet_mel", "wet_statistics")
    )
    return Features(restore_log_mel(steps), statistics.float())
