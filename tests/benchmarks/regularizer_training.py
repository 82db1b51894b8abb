"""A small VAE on tables, plain or with one regulariser: what is compared."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from afxvae.models.encoder import Residual
from afxvae.models.vae import Posterior
from afxvae.regularizers import REGULARIZERS, attribute, class_prior, free_bits, kl
from afxvae.timbre import classical_scaling
from afxvae.training.distances import strength
from afxvae.training.loop import Average, cosine, descend, optimizer_for, set_rate

from .regularizer_sets import AXES, TARGET, Table
from .regularizer_sounds import NAMES

LATENT = 16
STEPS = 600
ROWS = (
    "vanilla",
    "euclidean",
    "euclidean, largest 1",
    "gaussian",
    "student",
    "class prior",
    "pearson",
    "attribute",
)
"""What is compared; "euclidean, largest 1" has the targets of Esling's code, up to 1."""
WEIGHTS = {"euclidean": 10.0, "gaussian": 10.0, "student": 3.0, "pearson": 20.0, "attribute": 10.0}
"""Nats for a unit of a term per sample, in full strength."""
_BATCH = 128
_WIDTH = 128
_RATE = 1e-3
_AVERAGED_EVERY = 4


class TableVAE(nn.Module):
    """VAE of standardised features ``(item, feature)``."""

    def __init__(self, features: int, latent: int = LATENT) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Dropout(0.1),
            nn.Linear(features, _WIDTH),
            Residual(_WIDTH, _WIDTH, 0.1),
            nn.LayerNorm(_WIDTH),
            nn.Linear(_WIDTH, 2 * latent),
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent, _WIDTH),
            Residual(_WIDTH, _WIDTH, 0.1),
            nn.LayerNorm(_WIDTH),
            nn.Linear(_WIDTH, features),
        )

    def encode(self, x: Tensor) -> Posterior:
        """Posterior of features."""
        mean, log_var = self.encoder(x).chunk(2, dim=1)
        return Posterior(mean, log_var.clamp(-8.0, 4.0))

    def decode(self, latent: Tensor) -> Tensor:
        """Features of a latent ``(item, latent)``."""
        decoded: Tensor = self.decoder(latent)
        return decoded


class Term:
    """A row's regulariser on a table, off in the first half of training.

    Distances are matched between classes: all items of a class stand at one place, as in Esling.
    """

    def __init__(self, row: str, table: Table) -> None:
        self.row, self.name = row, row.split(",")[0]
        self.mean, self.deviation = table.mean, table.deviation
        if row == "euclidean, largest 1":
            self.mean = self.mean / self.mean.max()
        places = classical_scaling(table.mean.double().numpy(), min(LATENT, table.seen - 1)).points
        self.places = torch.zeros(table.seen, LATENT)
        self.places[:, : places.shape[1]] = torch.from_numpy(places).float()
        apart = table.deviation.sum(1) / (table.seen - 1)
        self.variance = (apart / apart.mean()).clamp(0.25, 4.0).unsqueeze(1)
        self.columns = [NAMES.index(name) for name in AXES]

    def divergence(self, posterior: Posterior, label: Tensor, share: float) -> Tensor:
        """From the prior, which is the one of the class as far as the share goes."""
        plain = kl(posterior.mean, posterior.log_var)
        if self.row != "class prior" or share == 0.0:
            return plain
        known = (self.places[label], self.variance[label])
        return plain.lerp(class_prior(posterior.mean, posterior.log_var, *known), share)

    def __call__(
        self, mean: Tensor, label: Tensor, attributes: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Weighted, in nats per sample."""
        if self.row in ("vanilla", "class prior"):
            return torch.zeros(())
        if self.row == "attribute":
            values = attributes[:, self.columns].unbind(1)
            terms = [attribute(z, a) for z, a in zip(mean.unbind(1), values, strict=False)]
            return WEIGHTS[self.name] * torch.stack(terms).sum()
        wanted = (part[label][:, label] for part in (self.mean, self.deviation))
        items = 1 if self.row == "pearson" else len(mean)
        return WEIGHTS[self.name] * REGULARIZERS[self.name](mean, *wanted, generator) / items


class Trainer:
    """One model in training: a sigma-VAE whose KL warms up in the first quarter.

    In the first half there is no regulariser, so that all rows of a seed can go on from one.

    Args:
        table: To learn from.
        seed: Of weights, batches, samples and dropout.
        steps: Of the whole training.
    """

    def __init__(self, table: Table, seed: int, steps: int = STEPS) -> None:
        self.steps, self.step = steps, 0
        self.x, self.label = table.x[table.learn], table.label[table.learn]
        self.attributes = table.attributes[table.learn]
        self.generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.model = TableVAE(table.x.shape[1])
            self.chance = torch.get_rng_state()
        self.optimizer = optimizer_for(self.model, _RATE, 1e-2)
        for group in self.optimizer.param_groups:
            group["fused"] = True
        self.average = Average(self.model, 0.96)

    def copy(self) -> Trainer:
        """Another that goes on from the same state."""
        other = copy.copy(self)
        parts = (self.model, self.optimizer, self.average)
        other.model, other.optimizer, other.average = copy.deepcopy(parts)
        other.generator = torch.Generator().set_state(self.generator.get_state())
        return other

    def run(self, term: Term, until: int) -> Trainer:
        """Go on to a step."""
        self.model.train()
        with torch.random.fork_rng():
            torch.set_rng_state(self.chance)
            while self.step < until:
                self._descend(term)
            self.chance = torch.get_rng_state()
        return self

    def finish(self, term: Term) -> TableVAE:
        """Go on to the end, and return the model with its averaged weights."""
        self.run(term, self.steps)
        self.average.copy_to(self.model)
        return self.model.eval()

    def _descend(self, term: Term) -> None:
        progress = self.step / self.steps
        share = strength(progress)
        rows = torch.randint(len(self.x), (_BATCH,), generator=self.generator)
        x, label = self.x[rows], self.label[rows]
        posterior = self.model.encode(x)
        mse = (self.model.decode(posterior.sample(self.generator)) - x).square().mean()
        loss = 0.5 * x.shape[1] * torch.log(mse + 1e-4)
        divergence = term.divergence(posterior, label, share)
        loss = loss + min(1.0, 4.0 * progress) * free_bits(divergence)
        if share > 0.0:
            shaped = term(posterior.mean, label, self.attributes[rows], self.generator)
            loss = loss + share * shaped
        set_rate(self.optimizer, _RATE * cosine(progress))
        descend(self.optimizer, self.model, loss, 20.0)
        if self.step % _AVERAGED_EVERY == 0:
            self.average.update(self.model)
        self.step += 1


def first_half(table: Table, seed: int, steps: int = STEPS) -> Trainer:
    """What all rows of a seed go on from."""
    return Trainer(table, seed, steps).run(Term("vanilla", table), steps // 2)


__all__ = [
    "LATENT",
    "ROWS",
    "STEPS",
    "TARGET",
    "WEIGHTS",
    "TableVAE",
    "Term",
    "Trainer",
    "first_half",
]
