"""Test directions of the latent that are found after training: a field of them, and fixed ones.

python -m tests.benchmarks.directions CORPUS/manifest.jsonl CHANGES [--kind fixed] [--items 24]

CHANGES holds shards of ``changes``, to which a surrogate is fitted. Of its expectation for what is
decoded, *field* follows the slope from latent to latent: one attribute goes where it is asked to,
the three others stay. *fixed* is the pseudo-inverse of the mean slope at latents of training pairs.
What is rendered stands beside what the surrogate expects of the very same moves.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from afxvae import AFXStyleVAE
from afxvae.data.changes import AXES, SPREADS
from afxvae.data.pairs import make_pairs
from afxvae.dsp.features import RUN_IN
from afxvae.evaluation.axes import Responses, judge_axes, moved_responses, passing
from afxvae.evaluation.report import find_recordings
from afxvae.models.estimate import expected_controls
from afxvae.training.axes import NAMED
from afxvae.training.surrogate import Surrogate, fit_surrogate
from tests.benchmarks.axes import table

DAMPING, FARTHEST, MOST = 0.05, 0.25, 0.5  # of a step: of the inverse, in attributes, in the latent
Attributes = Callable[[Tensor], Tensor]


def expectation(model: AFXStyleVAE, surrogate: Surrogate, embedded: Tensor) -> Attributes:
    """From latents to expected changes in standard deviations, one column an attribute."""
    units = torch.tensor([SPREADS[name] for name in NAMED])

    def attributes(latent: Tensor) -> Tensor:
        estimate = model.decode(latent, embedded.expand(len(latent), -1)).estimate
        on = torch.ones(len(latent), len(model.chain.names))
        changes = surrogate.changes(expected_controls(estimate, model.chain), on)
        return changes[:, [AXES.index(name) for name in NAMED]] / units

    return attributes


def slopes(attributes: Attributes, latent: Tensor) -> tuple[Tensor, Tensor]:
    """Attributes ``(item, attribute)`` and their slopes ``(item, attribute, latent)``."""
    with torch.enable_grad():
        latent = latent.detach().requires_grad_()
        found = attributes(latent)
        rows = [torch.autograd.grad(f.sum(), latent, retain_graph=True)[0] for f in found.unbind(1)]
    return found.detach(), torch.stack(rows, 1)


def follow(attributes: Attributes, latent: Tensor, asked: Tensor) -> Tensor:
    """Latents whose attributes differ as `asked`, by damped Gauss-Newton steps, two a place."""
    start, count = attributes(latent).detach(), int(asked.abs().max() / FARTHEST) + 1
    for place in torch.arange(1, count + 1).repeat_interleave(2):
        found, slope = slopes(attributes, latent)
        square = slope @ slope.mT + DAMPING * torch.eye(slope.shape[1])
        missing = (start + asked * place / count - found).unsqueeze(-1)
        step = (slope.mT @ torch.linalg.solve(square, missing)).squeeze(-1)
        latent = latent + step * (MOST / step.norm(dim=1, keepdim=True)).clamp_max(1.0)
    return latent


def embedded_pairs(model: AFXStyleVAE, data: Path, items: int) -> tuple[Tensor, Tensor]:
    """Embeddings of the inputs of training pairs, and posterior means."""
    pairs = make_pairs(find_recordings(data, "train"), model.chain, 0, items, "P1")
    embedded = torch.cat([model.embed_clips(clip[:, RUN_IN:]) for clip in pairs.audio])
    reference = torch.cat([model.embed_clips(clip) for clip in pairs.reference])
    return embedded, model.encode(embedded, reference).mean


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("changes", type=Path)
    parser.add_argument("--kind", default="field", choices=("field", "fixed"))
    parser.add_argument("--share", type=float, default=1.0, help="of the moves that are asked for")
    parser.add_argument("--items", type=int, default=24)
    parser.add_argument("--seed", type=int, default=1, help="of the held-out pairs")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = AFXStyleVAE.from_pretrained().requires_grad_(False)
    shards = [sorted(arguments.changes.glob(f"changes-{s}-*")) for s in ("train", "valid")]
    surrogate, _ = fit_surrogate(model.chain, *shards)
    if arguments.kind == "fixed":
        known, means = embedded_pairs(model, arguments.data, 64)
        steps = torch.linalg.pinv(slopes(expectation(model, surrogate, known), means)[1].mean(0)).mT
    expected, lengths = [], []

    def mover(latent: Tensor, embedded: Tensor, moves: list[dict[str, float]]) -> Tensor:
        attributes = expectation(model, surrogate, embedded)
        asked = torch.tensor([[move.get(name, 0.0) for name in NAMED] for move in moves])
        start, asked = latent.repeat(len(moves), 1), arguments.share * asked
        fixed = arguments.kind == "fixed"
        moved = start + asked @ steps if fixed else follow(attributes, start, asked)
        found = attributes(torch.cat([start[:1], moved[1:]]))
        changes = (found[1:] - found[0]).unflatten(0, (len(NAMED), -1))
        still, middle = torch.zeros_like(changes[:, :1]), changes.shape[1] // 2
        expected.append(torch.cat([changes[:, :middle], still, changes[:, middle:]], 1))
        lengths.append((moved - start).norm(dim=1)[1:].unflatten(0, (len(NAMED), -1)))
        return moved

    held_out = find_recordings(arguments.data, "valid")
    pairs = make_pairs(held_out, model.chain, arguments.seed, arguments.items, "P1")
    responses = moved_responses(model, pairs, NAMED, mover)
    rows = judge_axes(responses)
    print(table("Rendered", rows, passing(rows)))
    rows = judge_axes(Responses(NAMED, responses.steps, torch.stack(expected)))
    print(table("Expected by the surrogate", rows, passing(rows)))
    far = torch.stack(lengths)[:, :, [0, -1]].mean(2).median(0).values
    print("Length of the longest moves:", [round(value, 1) for value in far.tolist()])


if __name__ == "__main__":
    main()
