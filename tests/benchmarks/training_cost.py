"""What attributes cost in training: steps of the latent stage with named axes, and without.

python -m tests.benchmarks.training_cost [--rounds 12] [--steps 10]

Embeddings and treatments are random, of the size of real ones: time does not depend on them. Rounds
with and without names take turns; the ratio is that of the median round.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from afxvae import AFXStyleVAE
from afxvae.data.treatments import random_treatments
from afxvae.training.axes import NamedAxes
from afxvae.training.latent import EmbeddedPool, vae_losses
from afxvae.training.loop import descend, optimizer_for
from afxvae.training.surrogate import Surrogate

CROPS, TREATMENTS = 48, 3


def random_pool(model: AFXStyleVAE, generator: torch.Generator) -> EmbeddedPool:
    """Embeddings of a batch of crops, as `embed_pool` would give them."""
    count = CROPS * 2 * TREATMENTS
    controls, switches = random_treatments(model.chain, count, generator)
    before, _ = random_treatments(model.chain, 2 * CROPS, generator)
    size = int(model.config["embedding_dim"])

    def embedded(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, size, generator=generator)

    return EmbeddedPool(
        dry=embedded(CROPS, 2),
        wet=embedded(CROPS, 2, TREATMENTS),
        equalized=embedded(CROPS, 2),
        before=before[:, model.chain.knobs_of("eq")].unflatten(0, (CROPS, 2)),
        kind=torch.zeros(CROPS, dtype=torch.long),
        controls=controls.unflatten(0, (CROPS, 2, TREATMENTS)),
        switches=switches.unflatten(0, (CROPS, 2, TREATMENTS)),
        twin=torch.zeros(CROPS, TREATMENTS, dtype=torch.bool),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--steps", type=int, default=10, help="in a round")
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    model = AFXStyleVAE.from_pretrained().requires_grad_(False)
    model.vae.requires_grad_(True).train()
    optimizer = optimizer_for(model.vae, 1e-4, 1e-2)
    pool, rows = random_pool(model, generator), torch.arange(CROPS)
    surrogate = Surrogate(model.chain).eval().requires_grad_(False)
    seconds: dict[bool, list[float]] = {False: [], True: []}
    for turn in range(2 * (given.rounds + 1)):
        named = bool(turn % 2)
        since = time.process_time()
        for _ in range(given.steps):
            pairs = pool.draw(rows, model.chain, generator)
            axes = NamedAxes(surrogate) if named else None
            losses = vae_losses(model, pairs, 1.0, generator, axes)
            descend(optimizer, model.vae, torch.stack(list(losses.values())).sum(), 20.0)
        if turn > 1:  # the first round warms up
            seconds[named].append((time.process_time() - since) / given.steps)
    without, with_names = (1000.0 * statistics.median(seconds[named]) for named in (False, True))
    print(f"a step of {2 * CROPS * 2 * TREATMENTS} pairs: {without:.0f} ms without names, "
          f"{with_names:.0f} ms with, {with_names / without:.2f} times as long")  # fmt: skip


if __name__ == "__main__":
    main()
