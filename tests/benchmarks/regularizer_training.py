"""A small VAE on tables, plain or with one regulariser: what is compared."""

from __future__ import annotations

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
STEPS = 1600
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
_WIDTH = 192
_RATE = 1e-3


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


def train(table: Table, row: str, seed: int, steps: int = STEPS) -> TableVAE:
    """Train one model: sigma-VAE, KL warm-up in the first quarter, the term from half on."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # of weights and dropout
        model = TableVAE(table.x.shape[1])
        term = Term(row, table)
        optimizer, average = optimizer_for(model, _RATE, 1e-2), Average(model, 0.99)
        x, label = table.x[table.learn], table.label[table.learn]
        attributes = table.attributes[table.learn]
        model.train()
        for step in range(steps):
            share = strength(step / steps)
            rows = torch.randint(len(x), (_BATCH,), generator=generator)
            posterior = model.encode(x[rows])
            mse = (model.decode(posterior.sample(generator)) - x[rows]).square().mean()
            loss = 0.5 * x.shape[1] * torch.log(mse + 1e-4)
            divergence = term.divergence(posterior, label[rows], share)
            loss = loss + min(1.0, step / (0.25 * steps)) * free_bits(divergence)
            if share > 0.0:
                shaped = term(posterior.mean, label[rows], attributes[rows], generator)
                loss = loss + share * shaped
            set_rate(optimizer, _RATE * cosine(step / steps))
            descend(optimizer, model, loss, 20.0)
            average.update(model)
    average.copy_to(model)
    return model.eval()


__all__ = ["LATENT", "ROWS", "STEPS", "TARGET", "WEIGHTS", "TableVAE", "Term", "train"]
