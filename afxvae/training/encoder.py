"""Stage 1: encoder and comparator, supervised by treatments."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ..data.pairs import restore_log_mel
from ..dsp.features import Features
from ..models.encoder import Comparator, Encoder
from ..models.estimate import Estimate, TreatmentHead, treatment_losses
from .loop import Average, Checkpoint, Log, cosine, optimizer_for
from .pool import PairBatch, Pool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

    from ..effects import Chain

__all__ = ["SupervisedEncoder", "train_encoder", "validate"]


class SupervisedEncoder(nn.Module):
    """Encoder and comparator with a head that is thrown away after this stage."""

    def __init__(
        self, chain: Chain, statistics: int, embedding_dim: int, difference_dim: int
    ) -> None:
        super().__init__()
        self.encoder = Encoder(statistics, embedding_dim)
        self.comparator = Comparator(embedding_dim, difference_dim)
        self.head = TreatmentHead(chain, difference_dim)

    def forward(self, batch: PairBatch) -> Estimate:
        """Estimate of every pair of a batch."""
        embeddings = self.encoder(batch.features)
        difference = self.comparator(embeddings[batch.audio], embeddings[batch.reference])
        estimate: Estimate = self.head(difference)
        return estimate


def _mean_losses(losses: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.mean() for name, value in losses.items()}


@torch.no_grad()
def validate(model: nn.Module, pool: Pool, chain: Chain, crops: int = 32) -> dict[str, float]:
    """Mean losses over a pool, for P1 and P2 apart, with a fixed pairing."""
    model.eval()
    sums: dict[str, float] = {}
    count = 0
    generator = torch.Generator().manual_seed(0)
    for raw in pool.batches(crops, generator):
        batch = PairBatch(raw, generator)
        losses = treatment_losses(model(batch), batch.controls, batch.switches, chain)
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
    folder: Path,
    *,
    steps: int,
    crops: int = 24,
    rate: float = 1.5e-3,
    seed: int = 0,
    log: Callable[[str], None] = lambda line: None,
) -> None:
    """Train for `steps` batches of `crops` crops on the pools in `shards`; resumes from `folder`."""
    pool, held_out = Pool(shards, "train"), Pool(shards, "valid", 6)
    generator = torch.Generator().manual_seed(seed)
    optimizer = optimizer_for(model, rate, 0.05)
    checkpoint = Checkpoint(folder / "encoder.safetensors", model, optimizer)
    step = checkpoint.resume()
    if step == 0:
        first = torch.cat([pool.shards[i]["wet_mel"][:8].flatten(0, 2) for i in range(4)])
        model.encoder.fit_scale(_scaling(pool, first))
        checkpoint.average = Average(model)
    written = Log(folder / "encoder.jsonl")
    start = time.monotonic()
    while step < steps:
        pool.refresh()
        for raw in pool.batches(crops, generator):
            for group in optimizer.param_groups:
                group["lr"] = rate * cosine(step / steps)
            batch = PairBatch(raw, generator)
            batch.features = _window(batch.features, generator)
            with torch.autocast("cpu", torch.bfloat16):
                estimate = model(batch)
            losses = treatment_losses(estimate, batch.controls, batch.switches, chain)
            means: dict[str, Any] = _mean_losses(losses)
            total = torch.stack(list(means.values())).sum()
            optimizer.zero_grad()
            total.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            checkpoint.average.update(model)
            step += 1
            written.add({"total": total.detach(), **{n: v.detach() for n, v in means.items()}})
            if step % 100 == 0:
                seconds = round(time.monotonic() - start)
                log(written.flush(step=step, shards=len(pool), seconds=seconds))
            checkpoint.save_sometimes(step)
            if step % 1000 == 0 or step == steps:
                kept = {name: value.clone() for name, value in model.state_dict().items()}
                checkpoint.average.copy_to(model)
                figures = validate(model, held_out, chain)
                model.load_state_dict(kept)
                written.add({n: v for n, v in figures.items()})
                log("valid  " + written.flush(step=step))
            if step >= steps:
                break
    checkpoint.save(step)
    checkpoint.average.copy_to(model)


def _window(features: Features, generator: torch.Generator) -> Features:
    """Random stretch of the log-mel pictures, the same for a batch, against learning by heart."""
    frames = int(torch.randint(300, 420, (1,), generator=generator))
    spare = features.log_mel.shape[1] - frames
    first = int(torch.randint(spare + 1, (1,), generator=generator))
    return Features(features.log_mel[:, first : first + frames], features.statistics)


def _scaling(pool: Pool, first: Tensor) -> Features:
    statistics = [pool.shards[i]["wet_statistics"][:8].flatten(0, 2) for i in range(4)]
    return Features(restore_log_mel(first), torch.cat(statistics).float())
