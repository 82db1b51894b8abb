"""Stage 5: the waveform comparator, which has to find compressors and overdrives between clips.

It learns from the pairs of pools, like the encoder; how far to believe it beside the latent follows
from pairs of held-out recordings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from ..data.pools import pair_truth, pair_up, pool_clips
from ..models.estimate import ESTIMATED, estimated_columns, treatment_losses
from ..models.waveform import BENDING, as_estimate
from .loop import follow
from .pool import PairBatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from torch import Tensor

    from ..effects import Chain
    from ..models.style_vae import AFXStyleVAE
    from ..models.waveform import Bends, WaveformComparator
    from .pool import Pool

__all__ = ["fit_opinion", "train_waveform", "waveform_loss"]

_SCALING = 4  # shards
_MOST_ODDS = 8.0
_ROUNDS = 100
_PULL = 1e-3  # towards the latent's odds as they are


def train_waveform(
    model: AFXStyleVAE,
    pool: Pool,
    held_out: Pool,
    folder: Path,
    *,
    steps: int = 2500,
    batch: int = 24,
    rate: float = 2e-3,
    seed: int = 0,
    log: Callable[[str], None] = lambda line: None,
) -> None:
    """Fit `model.waveform`; no other weights take part.

    Args:
        model: Has the comparator, and says what a latent knows.
        pool: Shards of `render_pool`.
        held_out: The same of other recordings.
        folder: Gets ``waveform.jsonl``.
        steps: Number of batches.
        batch: Crops in a batch.
        rate: Largest learning rate.
        seed: Of everything random.
        log: Called with lines for people.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    comparator, chain = model.waveform.train(), model.chain
    known = [pool_clips(shard, "waveform").float() for shard in pool.shards[:_SCALING]]
    comparator.scale_to(torch.cat(known))
    losses = _losses(comparator, chain, pool.endless(batch, generator), generator)
    follow(losses, comparator, folder / "waveform.jsonl", steps=steps, rate=rate,
           weight_decay=0.05, most_norm=2.0, log=log)  # fmt: skip
    model.eval()
    log(f"held out {_believed(model, held_out, generator)}")


def _losses(
    comparator: WaveformComparator,
    chain: Chain,
    batches: Iterable[dict[str, Tensor]],
    generator: torch.Generator,
) -> Iterator[Tensor]:
    for raw in batches:
        clips, treatments = pool_clips(raw, "waveform").float(), raw["wet_mel"].shape[2]
        pairs = pair_up(raw["kind"], treatments, generator, raw["twin"])
        found = comparator(*(clips[rows] for rows in pairs))
        yield waveform_loss(chain, found, *pair_truth(raw, *pairs, chain)[:2])


def waveform_loss(chain: Chain, found: Bends, controls: Tensor, switches: Tensor) -> Tensor:
    """What an estimate costs, see `treatment_losses`, and how far the mix of a drive is off.

    Args:
        chain: Of the treatments.
        found: By the comparator.
        controls: True knob positions ``(batch, control)``.
        switches: True switches ``(batch, effect)``.
    """
    estimate = as_estimate(chain, found)
    costs = treatment_losses(estimate, controls, switches, chain)
    loss = 2.0 * costs["switches"] + sum(costs[effect] for effect in BENDING)
    mix = chain.to_settings(estimate.controls)["overdrive"]["mix"]
    wanted = chain.to_settings(controls)["overdrive"]["mix"]
    driven = switches[:, chain.names.index("overdrive")]
    return (loss + driven * (mix - wanted).abs()).mean()


@torch.no_grad()
def _believed(model: AFXStyleVAE, pool: Pool, generator: torch.Generator) -> dict[str, float]:
    """Fit how far to believe latent and comparator to pairs of `pool`; entropies after that."""
    latent, own, true = [], [], []
    for raw in pool.batches(16, generator):
        pairs = PairBatch(raw, model.chain, generator)
        clips = pool_clips(raw, "waveform").float()
        embedded = model.embed_features(pairs.features)
        audio = embedded[pairs.audio]
        mean = model.encode(audio, embedded[pairs.reference]).mean
        latent.append(model.decode(mean, audio).estimate.logits)
        own.append(model.waveform(clips[pairs.audio], clips[pairs.reference]).logits)
        true.append(pairs.switches[:, estimated_columns(model.chain)].float())
    return fit_opinion(model, torch.cat(latent), torch.cat(own), torch.cat(true))


@torch.enable_grad()
def fit_opinion(
    model: AFXStyleVAE, latent: Tensor, own: Tensor, switches: Tensor
) -> dict[str, float]:
    """Logistic regression of effects on what a latent and the waveforms say.

    Args:
        model: Gets the weights.
        latent: Log odds of the latent's estimates ``(pair, estimated effect)``.
        own: Those of the comparator ``(pair, effect)``.
        switches: What is true ``(pair, estimated effect)``.

    Returns:
        Cross entropies in nats by effect.
    """
    entropies = {}
    for index, effect in enumerate(BENDING):
        place = ESTIMATED.index(effect)
        odds = [latent[:, place], own[:, index], torch.ones(len(own))]
        causes = torch.stack(odds, 1).clamp(-_MOST_ODDS, _MOST_ODDS)
        start = torch.tensor([1.0, 0.0, 0.0])
        weights = start.clone().requires_grad_()
        optimizer = torch.optim.LBFGS([weights], max_iter=_ROUNDS, line_search_fn="strong_wolfe")

        def entropy(weights: Tensor, causes: Tensor = causes, place: int = place) -> Tensor:
            found = causes @ weights
            true = switches[:, place]
            return nn.functional.binary_cross_entropy_with_logits(found, true)

        def closure(weights: Tensor = weights, start: Tensor = start) -> Tensor:
            weights.grad = None
            cost = entropy(weights) + _PULL * (weights - start).square().sum()
            cost.backward()
            return cost

        optimizer.step(closure)
        model.waveform.opinion[index] = weights.detach()
        entropies[effect] = round(float(entropy(weights.detach())), 3)
    return entropies
