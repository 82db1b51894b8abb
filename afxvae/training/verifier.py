"""Stage 4: the verifier, which has to tell halves of one crop from those of others.

Half of the batches compare dry halves, half a dry one with a treated one; equalisers are added to
the log-mels of either, as the verifier has to hear through them.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch
from torch import nn

from ..data.pools import restore_log_mel
from .loop import Log, cosine, descend, optimizer_for, set_rate
from .refiner import Equalizers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

    from ..models.style_vae import AFXStyleVAE
    from ..models.verifier import Verifier
    from .pool import Pool

__all__ = ["train_verifier", "verification"]

_EQUALIZED = {"dry": 0.7, "wet": 0.2}  # shares of either kind of batch
_SHORTEST, _LONGEST = 300, 500  # frames


def train_verifier(
    model: AFXStyleVAE,
    pool: Pool,
    held_out: Pool,
    folder: Path,
    *,
    steps: int = 1500,
    batch: int = 64,
    rate: float = 2e-3,
    seed: int = 0,
    log: Callable[[str], None] = lambda line: None,
) -> None:
    """Fit `model.verifier`; no other weights take part.

    Args:
        model: Has the verifier.
        pool: Shards of `render_pool`.
        held_out: The same of other recordings.
        folder: Gets ``verifier.jsonl``.
        steps: Number of batches.
        batch: Crops in a batch.
        rate: Largest learning rate.
        seed: Of everything random.
        log: Called with lines for people.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    curves = Equalizers(model.chain, seed).curves
    verifier = model.verifier.train()
    optimizer = optimizer_for(verifier, rate, 0.05)
    written = Log(folder / "verifier.jsonl")
    start, step = time.monotonic(), 0
    while step < steps:
        for raw in pool.batches(batch, generator):
            step += 1
            set_rate(optimizer, rate * cosine(step / steps))
            mine, theirs = _halves(raw, step % 2 == 0, curves, generator)
            loss = _loss(verifier, mine, theirs, raw["kind"])
            descend(optimizer, verifier, loss, 20.0)
            written.add({"loss": loss.detach()})
            if step % 100 == 0 or step == steps:
                log(written.flush(step=step, seconds=round(time.monotonic() - start)))
            if step == steps:
                break
    model.eval()
    log(f"held out {verification(verifier, held_out)}")


def _halves(
    raw: dict[str, Tensor], treated: bool, curves: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Stretches of one half of each crop, dry, and of its other half, equalised or treated too."""
    crops, halves, treatments = raw["wet_mel"].shape[:3]
    half = int(torch.randint(halves, (), generator=generator))
    theirs = raw["dry_mel"][:, 1 - half]
    if treated:
        which = torch.randint(treatments, (crops,), generator=generator)
        theirs = raw["wet_mel"][torch.arange(crops), 1 - half, which]
    mine, theirs = restore_log_mel(raw["dry_mel"][:, half]), restore_log_mel(theirs)
    chosen = torch.rand(crops, 1, generator=generator) < _EQUALIZED["wet" if treated else "dry"]
    drawn = curves[torch.randint(len(curves), (crops,), generator=generator)]
    theirs = theirs + (chosen * drawn).unsqueeze(1)
    frames = int(torch.randint(_SHORTEST, _LONGEST, (), generator=generator))
    return mine[:, :frames], theirs[:, -frames:]


def _loss(verifier: Verifier, mine: Tensor, theirs: Tensor, kind: Tensor) -> Tensor:
    """Cross entropy, one other source of the same kind weighing as much as the same source."""
    odds = verifier.log_odds(verifier(mine) @ verifier(theirs).mT)
    same = torch.eye(len(odds), dtype=torch.bool)
    others = (kind.unsqueeze(0) == kind.unsqueeze(1)) & ~same
    apart = (nn.functional.softplus(odds) * others).sum(1)[others.any(1)]
    missed = nn.functional.softplus(-odds[same]).mean()
    return missed + (apart / others.sum(1)[others.any(1)]).mean() if len(apart) else missed


@torch.no_grad()
def verification(verifier: Verifier, pool: Pool) -> dict[str, float]:
    """How well treated halves of crops are told from those of other groups of their kind.

    Returns:
        ``auc``, the probability that a pair of one source gets more than one of two, and ``error``,
        the share of wrong answers at even odds, both kinds of pairs weighing the same.
    """
    one, two = [], []
    for shard in pool.shards:
        mine = verifier(restore_log_mel(shard["dry_mel"][:, 0]))
        theirs = verifier(restore_log_mel(shard["wet_mel"][:, 1, 0]))
        odds = verifier.log_odds(mine @ theirs.mT)
        alike, group = (
            shard[name].unsqueeze(0) == shard[name].unsqueeze(1) for name in ("kind", "group")
        )
        one.append(odds.diagonal())
        two.append(odds[alike & ~group])
    same, other = torch.cat(one), torch.cat(two)
    auc = float((same.unsqueeze(1) > other).float().mean())
    wrong = 0.5 * float((same <= 0.0).float().mean() + (other > 0.0).float().mean())
    return {"auc": round(auc, 4), "error": round(wrong, 4)}
