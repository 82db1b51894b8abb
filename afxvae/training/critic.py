"""Stage 7: the critic, trained on candidates whose distance to the truth is known."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from ..candidates import (
    choose,
    judge,
    knob_vector,
    render_candidates,
    with_opinions,
)
from ..data.shards import load_shard
from ..decision import infer
from ..dsp.features import RUN_IN
from ..evaluation.metrics import at_matched_loudness, mr_stft_from_magnitudes, stft_magnitudes
from ..measure import measure_settings
from ..proposals import propose
from .loop import follow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from torch import Tensor

    from ..candidates import Candidate
    from ..models.style_vae import AFXStyleVAE

__all__ = ["Trial", "calibrate", "run_trials", "train_critic"]

_EVERY = 100  # steps, after which held-out trials are looked at
_NO_DISTANCE = 1e-4  # MR-STFT below which two recordings are the same


@dataclass(frozen=True)
class Trial:
    """One pair with its rendered candidates ("nothing" left out) and what they are worth.

    Attributes:
        embedded: Of the input ``(1, embedding)``.
        reference: Of the reference ``(1, embedding)``.
        found: Of the candidates ``(candidate, embedding)``.
        candidates: The candidates.
        distances: MR-STFT to the truth at matched loudness ``(candidate,)``.
        before: That of the input.
    """

    embedded: Tensor
    reference: Tensor
    found: Tensor
    candidates: list[Candidate]
    distances: Tensor
    before: float


def distance_at_matched_loudness(output: Tensor, truth: Tensor, truth_magnitudes: Any) -> Tensor:
    """MR-STFT of ``(1, time)`` output and truth brought to one loudness, ``(1,)``."""
    return mr_stft_from_magnitudes(
        stft_magnitudes(at_matched_loudness(output, truth)), truth_magnitudes
    )


@torch.no_grad()
def run_trials(
    model: AFXStyleVAE, path: Path, most: int | None = None, seed: int = 0
) -> list[Trial]:
    """Propose, render and measure for every pair of a shard; at most `most` candidates each."""
    shard = load_shard(path)
    chooser = random.Random(seed)
    trials = []
    for index in range(len(shard["audio"])):
        audio = shard["audio"][index : index + 1].float()
        reference = shard["reference"][index].float()
        truth = shard["truth"][index].float()
        plain = audio[:, 0, RUN_IN:]
        heard, theirs = model.listen(plain), model.listen(reference)
        embedded, wanted = model.embed_features(heard), model.embed_features(theirs)
        generator = torch.Generator().manual_seed(seed * 10_000 + index)
        measured = measure_settings(model.chain, plain, reference)
        inferred = infer(model, (plain, heard), embedded, (reference, theirs), measured)
        proposed = propose(model, inferred, embedded, plain, measured, generator)[1:]
        if most is not None and len(proposed) > most:
            proposed = chooser.sample(proposed, most)
        if not proposed:
            continue
        rendered = render_candidates(model, audio, proposed)
        magnitudes = stft_magnitudes(truth)
        distances = [
            distance_at_matched_loudness(r.unsqueeze(0), truth, magnitudes) for r in rendered
        ]
        trials.append(
            Trial(
                embedded,
                wanted,
                model.embed_clips(rendered),
                proposed,
                torch.cat(distances),
                float(distance_at_matched_loudness(plain, truth, magnitudes)),
            )
        )
    return trials


def train_critic(
    model: AFXStyleVAE,
    trials: list[Trial],
    held_out: list[Trial],
    folder: Path,
    *,
    steps: int = 2000,
    batch: int = 512,
    rate: float = 1e-3,
    seed: int = 0,
    log: Callable[[str], None] = lambda line: None,
) -> None:
    """Fit mean and scale of the advantage by a Laplace likelihood, then calibrate the margin."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    tensors, others = _tensors(model, trials), _tensors(model, held_out)
    best: tuple[float, dict[str, Tensor]] = (float("inf"), {})

    def losses() -> Iterator[Tensor]:
        while True:
            model.critic.train()
            rows = torch.randint(len(tensors[-1]), (batch,), generator=generator)
            yield _loss(model, [tensor[rows] for tensor in tensors])

    def unseen(step: int) -> dict[str, Tensor | float]:
        nonlocal best
        if step % _EVERY and step != steps:
            return {}
        model.critic.eval()
        with torch.no_grad():
            cost = float(_loss(model, others))
        if cost < best[0]:
            best = (cost, {n: v.clone() for n, v in model.critic.state_dict().items()})
        return {"held_out": cost}

    follow(losses(), model.critic, folder / "critic.jsonl", steps=steps, rate=rate,
           weight_decay=0.1, most_norm=5.0, every=_EVERY, after=unseen, log=log)  # fmt: skip
    model.critic.load_state_dict(best[1])
    model.critic.eval()


def _tensors(model: AFXStyleVAE, trials: list[Trial]) -> list[Tensor]:
    columns: list[list[Tensor]] = [[] for _ in range(5)]
    for trial in trials:
        count = len(trial.candidates)
        columns[0].append(trial.embedded.expand(count, -1))
        columns[1].append(trial.reference.expand(count, -1))
        columns[2].append(trial.found)
        columns[3].append(torch.stack([knob_vector(c, model) for c in trial.candidates]))
        columns[4].append(trial.before - trial.distances)
    return [torch.cat(column) for column in columns]


def _loss(model: AFXStyleVAE, tensors: list[Tensor]) -> Tensor:
    embedded, wanted, found, knobs, advantage = tensors
    with torch.no_grad():
        differences = model.differences(embedded, wanted, found)
    mean, log_scale = model.critic(differences, knobs)
    loss: Tensor = ((advantage - mean).abs() * torch.exp(-log_scale) + log_scale).mean()
    return loss


@torch.no_grad()
def calibrate(
    model: AFXStyleVAE,
    held_out: list[Trial],
    most_worse: float = 0.06,
    most_touched: float = 0.06,
) -> list[dict[str, float]]:
    """Set the critic's margin, the smallest that keeps two promises on held-out trials.

    Args:
        model: Whose critic is calibrated.
        held_out: Trials of recordings that took no part in training.
        most_worse: Share of items that may come out worse.
        most_touched: Share of items without any treatment that may be changed.

    Returns:
        The risk-coverage curve: margin, closure, share worse, share of untreated items touched,
        share left alone; the chosen row is marked.
    """
    weighed = []
    for trial in held_out:
        mean, log_scale = judge(
            model, trial.embedded, trial.reference, trial.found, trial.candidates
        )
        rated = with_opinions(trial.candidates, mean, log_scale)
        weighed.append((trial, [trial.candidates[0], *rated]))  # the first place is "nothing"
    before = torch.tensor([trial.before for trial in held_out])
    untreated = before < _NO_DISTANCE
    rows: list[dict[str, float]] = []
    for margin in [0.1 * i for i in range(31)]:
        picks = [choose(rated, margin) for _, rated in weighed]
        after = torch.tensor(
            [
                trial.before if pick == 0 else float(trial.distances[pick - 1])
                for pick, (trial, _) in zip(picks, weighed, strict=True)
            ]
        )
        rows.append(
            {
                "margin": round(margin, 2),
                "closure": float(1.0 - after.mean() / before.mean()),
                "worse": float((after > before + 1e-9).float().mean()),
                "touched": float((after > _NO_DISTANCE)[untreated].float().mean())
                if bool(untreated.any())
                else 0.0,
                "left_alone": sum(pick == 0 for pick in picks) / len(picks),
                "chosen": 0.0,
            }
        )
    safe = [r for r in rows if r["worse"] <= most_worse and r["touched"] <= most_touched]
    row = safe[0] if safe else rows[-1]
    row["chosen"] = 1.0
    model.critic.margin.fill_(row["margin"])
    return rows
