"""Stage 2: the conditional VAE on frozen embeddings."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from ..data.pools import pair_truth, pair_up, restore_log_mel
from ..dsp.features import Features
from ..evaluation.disentanglement import dci, mutual_information_gap, sap, spearman_matrix
from ..models.estimate import ESTIMATED, Wanted, estimated_columns, treatment_losses
from ..regularizers import free_bits, kl
from .axes import NAMED, NamedAxes, axis_losses, named_ranks
from .distances import ClassPrior, DistanceTerm
from .loop import Average, Checkpoint, Log, cosine, descend, optimizer_for, set_rate
from .pool import Pool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

    from ..effects import Chain
    from ..models.style_vae import AFXStyleVAE
    from .distances import Regularizer
    from .surrogate import Surrogate

__all__ = [
    "EmbeddedPool",
    "axis_figures",
    "embed_pool",
    "latent_figures",
    "train_latent",
    "vae_losses",
]

_TREATMENT_WEIGHT = 6.0
_FREE_BITS = 0.1
_SAMPLED = 0.6  # share of a batch decoded from a sample; the rest from the mean
_NAMED_FROM, _NAMED_AT = 0.05, 0.25  # shares of the training between which names come to count


@dataclass(frozen=True)
class EmbeddedPool:
    """Embeddings of a pool with the truth.

    Attributes:
        dry: ``(crop, 2, embedding)``.
        wet: ``(crop, 2, treatment, embedding)``.
        equalized: ``(crop, 2, embedding)``, dry clips through an equaliser of their own.
        before: Its knobs ``(crop, 2, knob)``.
        kind: ``(crop,)``.
        controls: ``(crop, 2, treatment, control)``.
        switches: ``(crop, 2, treatment, effect)``.
        twin: Whether both halves went through a treatment ``(crop, treatment)``.
    """

    dry: Tensor
    wet: Tensor
    equalized: Tensor
    before: Tensor
    kind: Tensor
    controls: Tensor
    switches: Tensor
    twin: Tensor

    def draw(self, rows: Tensor, chain: Chain, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Pairs among some crops.

        Embeddings of input and reference, controls, switches, and what the input went through
        before, see `Wanted`.
        """
        treatments = self.wet.shape[2]
        chosen = {name: part[rows] for name, part in vars(self).items()}
        parts = chosen["dry"], chosen["wet"].flatten(1, 2), chosen["equalized"]
        embeddings = torch.cat([part.flatten(0, 1) for part in parts])
        audio, reference = pair_up(chosen["kind"], treatments, generator, chosen["twin"])
        truth = pair_truth(chosen, audio, reference, chain)
        return embeddings[audio], embeddings[reference], *truth


@torch.no_grad()
def embed_pool(model: AFXStyleVAE, pool: Pool) -> EmbeddedPool:
    """Embed every clip of a pool once, with the encoder as it is."""
    parts: dict[str, list[Tensor]] = {name: [] for name in EmbeddedPool.__dataclass_fields__}
    for shard in pool.shards:
        for side, axes in (("dry", 2), ("wet", 3), ("equalized", 2)):
            mel, statistics = shard[f"{side}_mel"], shard[f"{side}_statistics"]
            flat = (clips.flatten(0, axes - 1).split(64) for clips in (mel, statistics))
            found = [
                model.embed_features(Features(restore_log_mel(m), s.float()))
                for m, s in zip(*flat, strict=True)
            ]
            parts[side].append(torch.cat(found).unflatten(0, mel.shape[:axes]))
        for name in ("kind", "controls", "switches", "before", "twin"):
            parts[name].append(shard[name])
    return EmbeddedPool(**{name: torch.cat(values) for name, values in parts.items()})


def vae_losses(
    model: AFXStyleVAE,
    pairs: tuple[Tensor, ...],
    beta: float,
    generator: torch.Generator,
    axes: NamedAxes | None = None,
    regularizer: Regularizer | None = None,
) -> dict[str, Tensor]:
    """Terms of the objective in nats per sample, already weighted.

    The reconstruction is the sigma-VAE's optimal-variance Gaussian likelihood, ``D/2 ln MSE``
    (Rybkin, Daniilidis and Levine 2021), of the items decoded from a sample. With `axes`, the terms
    of `axis_losses` are added; with a `regularizer`, that on the posterior means, or its prior in
    place of the common one. `pairs` are of `EmbeddedPool.draw`.
    """
    embedded, reference, controls, switches, before = pairs
    difference = model.compare(embedded, reference).detach()
    posterior = model.vae.encode(embedded, difference)
    noisy = torch.rand(len(embedded), 1, generator=generator) < _SAMPLED
    latent = torch.where(noisy, posterior.sample(generator), posterior.mean)
    decoded = model.decode(latent, embedded)
    mse = (decoded.difference - difference)[noisy.squeeze(1)].square().mean()
    divergence = kl(posterior.mean, posterior.log_var)
    if isinstance(regularizer, ClassPrior):
        divergence = regularizer.divergence(
            posterior, divergence, switches[:, estimated_columns(model.chain)]
        )
    losses = {
        "reconstruction": 0.5 * difference.shape[1] * torch.log(mse + 1e-4),
        "kl": beta * free_bits(divergence, _FREE_BITS),
    }
    terms = treatment_losses(decoded.estimate, controls, switches, model.chain, before)
    losses |= {name: _TREATMENT_WEIGHT * value.mean() for name, value in terms.items()}
    truth = (controls, switches)
    if axes is not None:
        losses |= axis_losses(model, axes, posterior.mean, embedded, truth, generator)
    if isinstance(regularizer, DistanceTerm):
        losses |= regularizer(model.chain, posterior.mean, truth, generator)
    return losses


def _by_effect(values: Tensor) -> dict[str, float]:
    return {name: round(float(v), 4) for name, v in zip(ESTIMATED, values, strict=True)}


@torch.no_grad()
def latent_figures(
    model: AFXStyleVAE,
    held_out: EmbeddedPool,
    seed: int = 0,
    surrogate: Surrogate | None = None,
) -> dict[str, Any]:
    """Held-out figures: R2 beside that of PCA of the same size, active units, switch accuracy.

    Beside the accuracy stands that of saying that no effect is ever on.

    PCA is fitted to the held-out differences themselves, which favours it. With a surrogate, also
    how well the first dimensions stand for `NAMED`, see `axis_figures`.
    """
    model.eval()
    generator = torch.Generator().manual_seed(seed)
    rows = torch.arange(len(held_out.kind))
    parts = [held_out.draw(part, model.chain, generator) for part in rows.split(64)]
    embedded, reference, controls, switches, before = (
        torch.cat(column) for column in zip(*parts, strict=True)
    )
    difference = model.compare(embedded, reference)
    posterior = model.vae.encode(embedded, difference)
    decoded = model.decode(posterior.mean, embedded)
    centred = difference - difference.mean(0)
    total = centred.square().sum()
    latent_dim = posterior.mean.shape[1]
    values = torch.linalg.svdvals(centred)
    losses = treatment_losses(decoded.estimate, controls, switches, model.chain, before)
    on = Wanted(controls, switches, model.chain, before).switches > 0.0
    right = ((decoded.estimate.logits > 0) == on).float().mean(0)
    divergence = kl(posterior.mean, posterior.log_var).mean(0)
    named: dict[str, Any] = {}
    if surrogate is not None:
        named["axes"] = axis_figures(posterior.mean, named_ranks(surrogate, controls, switches))
    return {
        **named,
        "r2": float(1.0 - (decoded.difference - difference).square().sum() / total),
        "pca_r2": float(values[:latent_dim].square().sum() / total),
        "active_units": int((posterior.mean.var(0) > 0.01).sum()),
        "kl_nats": float(divergence.sum()),
        "switch_accuracy": _by_effect(right),
        "always_off": _by_effect((~on).float().mean(0)),
        "losses": {name: round(float(value.mean()), 4) for name, value in losses.items()},
    }


def axis_figures(mean: Tensor, values: Tensor) -> dict[str, Any]:
    """How well the first dimensions stand for attributes: Spearman, off-axis, SAP, MIG, DCI.

    Off-axis is the largest Spearman of a dimension with another attribute, and beside it that of
    the attributes themselves, which a perfect axis shares.

    Args:
        mean: Of posteriors ``(item, latent)``.
        values: Of the attributes of `NAMED` ``(item, attribute)``.
    """
    own = spearman_matrix(mean[:, : len(NAMED)], values)
    between = spearman_matrix(values, values).fill_diagonal_(0.0).abs().amax(1)
    off = own.clone().fill_diagonal_(0.0).abs().amax(1)
    rows = {
        "spearman": own.diagonal(),
        "off_axis": off,
        "between_attributes": between,
        "sap": sap(mean, values),
        "mig": mutual_information_gap(mean, values),
    }
    shown = {name: [round(v, 3) for v in row.tolist()] for name, row in rows.items()}
    named = {name: dict(zip(NAMED, row, strict=True)) for name, row in shown.items()}
    return {**named, "dci": {name: round(v, 3) for name, v in dci(mean, values).items()}}


def _axes(surrogate: Surrogate | None, progress: float) -> NamedAxes | None:
    """How much names count at a share of the training, if they do."""
    strength = min(1.0, (progress - _NAMED_FROM) / (_NAMED_AT - _NAMED_FROM))
    return NamedAxes(surrogate, strength) if surrogate is not None and strength > 0.0 else None


def train_latent(
    model: AFXStyleVAE,
    train: EmbeddedPool,
    held_out: EmbeddedPool,
    folder: Path,
    *,
    steps: int,
    crops: int = 64,
    rate: float = 1e-3,
    seed: int = 0,
    surrogate: Surrogate | None = None,
    regularizer: Regularizer | None = None,
    log: Callable[[str], None] = lambda line: None,
) -> None:
    """Train `model.vae` for `steps` batches; resumes from `folder`.

    With a surrogate, the first dimensions of the latent are named, see `axis_losses`; names begin
    to count after a twentieth of the steps, and count in full after a quarter.
    The `regularizer` comes to count in the second half, see `DistanceTerm.at`.
    """
    generator = torch.Generator().manual_seed(seed)
    optimizer = optimizer_for(model.vae, rate, 1e-2)
    checkpoint = Checkpoint(folder / "latent.safetensors", model.vae, optimizer)
    step = checkpoint.resume()
    if step == 0:
        some = torch.arange(min(1000, len(train.kind)))
        embedded, reference, *_ = train.draw(some, model.chain, generator)
        with torch.no_grad():
            model.vae.fit_scale(model.comparator(embedded, reference))
        checkpoint.average = Average(model.vae)
    order = train.kind.argsort(stable=True)
    written = Log(folder / "latent.jsonl")
    start = time.monotonic()
    model.eval()
    while step < steps:
        model.vae.train()
        set_rate(optimizer, rate * cosine(step / steps))
        # neighbours in kind, so that P2 finds partners
        first = int(torch.randint(len(order), (1,), generator=generator))
        window = order.roll(-first)[: 4 * crops]
        rows = window[torch.randperm(len(window), generator=generator)[:crops]]
        beta = min(1.0, step / (0.25 * steps))
        axes = _axes(surrogate, step / steps)
        term = None if regularizer is None else regularizer.at(step / steps)
        pairs = train.draw(rows, model.chain, generator)
        losses = vae_losses(model, pairs, beta, generator, axes, term)
        descend(optimizer, model.vae, torch.stack(list(losses.values())).sum(), 20.0)
        checkpoint.average.update(model.vae)
        step += 1
        written.add({name: value.detach() for name, value in losses.items()})
        if step % 250 == 0:
            log(written.flush(step=step, seconds=round(time.monotonic() - start)))
        checkpoint.save_sometimes(step)
        if step % 1500 == 0:
            log(f"held out {latent_figures(model, held_out, surrogate=surrogate)}")
    checkpoint.save(step)
    checkpoint.average.copy_to(model.vae)
    model.eval()
    log(f"held out {latent_figures(model, held_out, surrogate=surrogate)}")
