"""Stage 6: the refiner, on pairs whose reference was freed of what can be measured.

Half of a batch knows the code, and learns everything. The other half does not, and learns the
equaliser from frames of like content alone. There a filter can be added to the likeness as if the
reference had been equalised: pairs without equaliser become pairs with one, as many as are wanted.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import torch
from torch import nn

from ..data.pools import clip_groups, pair_truth, pool_clips, restore_log_mel
from ..data.shards import load_shard
from ..data.treatments import random_treatments
from ..dsp.features import N_MELS, Features
from ..dsp.likeness import FILTERS, LOUD, SOFT, filters_of
from ..measure.equalizer import eq_bands_db
from ..models.aligner import Alignment
from ..models.estimate import (
    ESTIMATED,
    Wanted,
    is_equalizer,
    losses_of,
    treatment_losses,
    unlike_default,
)
from ..models.pair import fit_all
from ..models.refiner import weigh_fits
from .loop import Average, Log, descend, follow, optimizer_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from torch import Tensor

    from ..effects import Chain
    from ..models.estimate import Estimate
    from ..models.style_vae import AFXStyleVAE

__all__ = [
    "Comparisons",
    "Equalizers",
    "load_comparisons",
    "refiner_figures",
    "train_judge",
    "train_refiner",
    "weighed",
]

_EQUALIZERS = 20_000
_EQUALIZED = 0.25  # share of the pairs for which it is possible
_EQ = ESTIMATED.index("eq")
_AT_ONCE, _ALIGNED = 64, 16


@dataclass(frozen=True)
class Comparisons:
    """Pairs as the refiner sees them.

    Attributes:
        likeness: ``(pair, N_LIKENESS)``.
        verified: Probability of one source ``(pair,)``, by the aligner; one half where nobody
            asked for it.
        one_source: Whether it is one ``(pair,)``.
        code: What the VAE makes of the pair ``(pair, code)``.
        controls: ``(pair, control)``.
        switches: ``(pair, effect)``: without what was taken off the reference.
        before: Of the equaliser that the input went through ``(pair, knob)``.
        aligned: The filter between both and its expected errors in dB ``(pair, 2, 80)``, see
            `Aligner`; zeros where nobody asked for them.
    """

    likeness: Tensor
    verified: Tensor
    one_source: Tensor
    code: Tensor
    controls: Tensor
    switches: Tensor
    before: Tensor
    aligned: Tensor

    def __getitem__(self, rows: Tensor) -> Comparisons:
        return Comparisons(*(getattr(self, f.name)[rows] for f in fields(self)))

    def __len__(self) -> int:
        return len(self.likeness)


@torch.no_grad()
def load_comparisons(
    model: AFXStyleVAE, pools: Sequence[Path], compared: Sequence[Path], align: bool = False
) -> Comparisons:
    """Load shards of `compare_pool`, and encode their pairs from the pools that they are of.

    `align` if filters between pairs are wanted too.
    """
    parts = []
    for path, pairs in zip(pools, compared, strict=True):
        pool, chosen = load_shard(path), load_shard(pairs)
        pictures = pool_clips(pool, "mel")
        clips = pictures.split(_AT_ONCE)
        statistics = pool_clips(pool, "statistics").split(_AT_ONCE)
        embedded = torch.cat(
            [
                model.embed_features(Features(restore_log_mel(mel), figures.float()))
                for mel, figures in zip(clips, statistics, strict=True)
            ]
        )
        audio, reference = embedded[chosen["audio"]], embedded[chosen["reference"]]
        code = model.vae.code(model.encode(audio, reference).mean, audio)
        group = clip_groups(pool)
        one = group[chosen["audio"]] == group[chosen["reference"]]
        truth = pair_truth(pool, chosen["audio"], chosen["reference"], model.chain)
        alike = chosen["likeness"].float()
        verified, aligned = torch.full((len(alike),), 0.5), torch.zeros(len(alike), 2, N_MELS)
        if align:
            found = _aligned(model, pictures, chosen)
            verified, aligned = torch.sigmoid(found.source), torch.stack(found[:2], 1)
        parts.append(Comparisons(alike, verified, one, code, *truth, aligned))
    columns = ([getattr(part, f.name) for part in parts] for f in fields(Comparisons))
    return Comparisons(*map(torch.cat, columns))


def _aligned(model: AFXStyleVAE, pictures: Tensor, chosen: dict[str, Tensor]) -> Alignment:
    """What is between pairs of clips."""
    columns = (chosen[name].split(_ALIGNED) for name in ("audio", "reference", "likeness"))
    found = []
    for audio, reference, alike in zip(*columns, strict=True):
        heard = (restore_log_mel(pictures[rows]) for rows in (audio, reference))
        found.append(model.aligner(*heard, filters_of(alike.float())))
    return Alignment(*map(torch.cat, zip(*found, strict=True)))


class Equalizers:
    """Random equalisers and their curves in mel bands, to be added to a likeness."""

    def __init__(self, chain: Chain, seed: int, count: int = _EQUALIZERS) -> None:
        self.knobs = chain.knobs_of("eq")
        self.column = chain.names.index("eq")
        self.drive = chain.names.index("overdrive")
        self.chain = chain
        generator = torch.Generator().manual_seed(seed)
        controls, _ = random_treatments(chain, count, generator)
        self.controls = controls[:, self.knobs]
        parts = self.controls.split(1000)
        self.curves = torch.cat([eq_bands_db(chain["eq"], part) for part in parts])

    def add(self, pairs: Comparisons, chosen: Tensor, generator: torch.Generator) -> Comparisons:
        """Equalise the references of those chosen pairs that allow it: no equaliser, no drive."""
        equalized = pairs.switches[:, self.column] | unlike_default(pairs.before, self.chain)
        free = chosen & ~equalized & ~pairs.switches[:, self.drive]
        drawn = torch.randint(len(self.curves), (int(free.sum()),), generator=generator)
        curve = self.curves[drawn]
        seen, controls, switches = (
            part.clone() for part in (pairs.likeness, pairs.controls, pairs.switches)
        )
        own = seen[free]
        for place in FILTERS:
            moved = own[:, place] + curve
            own[:, place] = moved - moved.median(1, keepdim=True).values
        for place in (LOUD[1], SOFT[1]):  # of the reference
            own[:, place] += curve - curve.mean(1, keepdim=True)
        seen[free] = own
        controls[free.unsqueeze(1) & self.knobs] = self.controls[drawn].flatten()
        switches[free, self.column] = True
        return replace(pairs, likeness=seen, controls=controls, switches=switches)


@torch.no_grad()
def refiner_figures(model: AFXStyleVAE, held_out: Comparisons) -> dict[str, float]:
    """Mean losses of held-out pairs, and their sum."""
    estimate = model.vae.head(model.refiner(held_out.code, held_out.likeness))
    truth = held_out.controls, held_out.switches
    losses = treatment_losses(estimate, *truth, model.chain, held_out.before)
    figures = {name: float(value.mean()) for name, value in losses.items()}
    return {"total": sum(figures.values()), **figures}


def train_refiner(
    model: AFXStyleVAE,
    train: Comparisons,
    held_out: Comparisons,
    folder: Path,
    *,
    steps: int = 800,
    batch: int = 384,
    rate: float = 1e-3,
    seed: int = 0,
    log: Callable[[str], None] = lambda line: None,
) -> None:
    """Fit `model.refiner`; all other weights stay as they are."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    equalizers = Equalizers(model.chain, seed)
    refiner = model.refiner
    refiner.fit_scale(train.likeness, train.code)
    average = Average(refiner)
    model.requires_grad_(False)
    refiner.requires_grad_(True)
    refiner.train()

    def averaged(step: int) -> dict[str, Tensor | float]:
        average.update(refiner)
        return {}

    losses = _losses(model, train, batch, equalizers, generator)
    follow(losses, refiner, folder / "refiner.jsonl", steps=steps, rate=rate, weight_decay=0.3,
           most_norm=20.0, every=200, after=averaged, log=log)  # fmt: skip
    average.copy_to(refiner)
    model.requires_grad_(True)
    model.eval()
    figures = refiner_figures(model, held_out)
    log(f"held out {figures}")
    written = Log(folder / "refiner.jsonl")
    written.add(dict(figures))
    written.flush(step=steps)


def _losses(
    model: AFXStyleVAE,
    train: Comparisons,
    batch: int,
    equalizers: Equalizers,
    generator: torch.Generator,
) -> Iterator[Tensor]:
    """Of random batches without end; half of each knows the code."""
    known = (torch.arange(batch) % 2).float().unsqueeze(1)
    while True:
        rows = torch.randint(len(train), (batch,), generator=generator)
        chosen = (torch.rand(batch, generator=generator) < _EQUALIZED) & (known.squeeze(1) == 0.0)
        pairs = equalizers.add(train[rows], chosen, generator)
        estimate = model.vae.head(model.refiner(pairs.code, pairs.likeness, known))
        yield _loss(estimate, pairs, known.squeeze(1), model.chain)


@torch.no_grad()
def weighed(model: AFXStyleVAE, pairs: Comparisons) -> tuple[Tensor, ...]:
    """What `train_judge` takes of each pair.

    Evidence, the aligner's probability of one source, whether it is one, the refined log odds of
    an equaliser, whether there is one, and the fitted, the refined and the true curve, which is the
    difference of two where the input went through an equaliser of its own.
    """
    effect, knobs = model.chain["eq"], model.chain.knobs_of("eq")
    fits = fit_all(model, pairs.likeness, *pairs.aligned.unbind(1))
    known = pairs.code, pairs.likeness, fits, pairs.verified
    estimate, curve, evidence = weigh_fits(model, *known)
    on = pairs.switches[:, model.chain.names.index("eq")]
    true = eq_bands_db(effect, pairs.controls[:, knobs]) * on.unsqueeze(1)
    given = unlike_default(pairs.before, model.chain)
    true = true - eq_bands_db(effect, pairs.before) * given.unsqueeze(1)
    on = torch.where(given, is_equalizer(true), on).float()
    fitted = torch.stack([fit.curve_db for fit in fits])
    odds = estimate.logits[:, _EQ]
    return evidence, pairs.verified, pairs.one_source.float(), odds, on, fitted, curve, true


def _judge_loss(model: AFXStyleVAE, known: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Cross entropies of the switch and of one source, and the error of the blended curve in dB."""
    evidence, verified, one, logit, on, fitted, refined, true = known
    judged = model.judge(evidence)
    odds, shares = judged.gated(judged.same_source(verified))
    error = shares[:, :1] * fitted + shares[:, 1:] * refined - true
    error = (error - error.mean(1, keepdim=True)).abs().mean()
    entropy = nn.functional.binary_cross_entropy_with_logits
    source = entropy(judged.source_odds(verified), one)
    return entropy(logit + odds, on), source, error


def train_judge(
    model: AFXStyleVAE,
    known: tuple[Tensor, ...],
    *,
    steps: int = 500,
    batch: int = 512,
    rate: float = 2e-3,
    seed: int = 0,
    log: Callable[[str], None] = lambda line: None,
) -> None:
    """Fit `model.judge` on recordings that the model does not know.

    It knows those of its training by heart, and estimates their equalisers better than others; a
    judge trained on them would believe it too much.

    Args:
        model: Has the judge.
        known: What `weighed` gives of such pairs.
        steps: Number of batches.
        batch: Pairs in a batch.
        rate: Largest learning rate.
        seed: Of the batches.
        log: Called with a line for people.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        before = [round(float(v), 4) for v in _judge_loss(model, known)]
    judge = model.judge
    judge.fit_scale(known[0])
    judge.last.reset_parameters()
    optimizer = optimizer_for(judge, rate, 0.05)
    for _ in range(steps):
        rows = torch.randint(len(known[0]), (batch,), generator=generator)
        switch, source, error = _judge_loss(model, tuple(part[rows] for part in known))
        descend(optimizer, judge, switch + source + error / 1.5, 20.0)
    with torch.no_grad():
        after = [round(float(v), 4) for v in _judge_loss(model, known)]
    log(f"judge: entropies of equaliser and source, error of the curve {before}, judged {after}")


def _loss(estimate: Estimate, pairs: Comparisons, known: Tensor, chain: Chain) -> Tensor:
    """The equaliser's of all pairs, everything else of those whose code is known."""
    wanted = Wanted(pairs.controls, pairs.switches, chain, pairs.before)
    losses, on = losses_of(estimate, wanted, chain), wanted.switches
    entropy = nn.functional.binary_cross_entropy_with_logits(estimate.logits, on, reduction="none")
    others = losses["switches"] - entropy[:, _EQ]
    others = others + sum(v for name, v in losses.items() if name not in ("eq", "switches"))
    equalizer: Tensor = (losses["eq"] + entropy[:, _EQ]).mean()
    return equalizer + (others * known).sum() / known.sum()
