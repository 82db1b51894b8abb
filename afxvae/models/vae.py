"""The conditional VAE whose latent is a space of treatments, and the critic of candidates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from ..measure import MEASURED
from .encoder import Residual
from .estimate import ESTIMATED, Estimate, TreatmentHead

if TYPE_CHECKING:
    from torch import Tensor

    from ..effects import Chain

__all__ = ["EVIDENCE", "Critic", "Decoded", "Posterior", "TreatmentVAE"]

EVIDENCE = len(ESTIMATED) + len(MEASURED)
"""What a critic knows of a pair: a probability for each effect, a flag for each measured one."""


@dataclass(frozen=True)
class Posterior:
    """Diagonal Gaussian over the latent.

    Attributes:
        mean: ``(batch, latent)``.
        log_var: ``(batch, latent)``.
    """

    mean: Tensor
    log_var: Tensor

    def sample(self, generator: torch.Generator | None = None, least: float = 0.0) -> Tensor:
        """Draw ``(batch, latent)``; the standard deviation is at least `least`."""
        noise = torch.randn(self.mean.shape, generator=generator, dtype=self.mean.dtype)
        spread = torch.exp(0.5 * self.log_var).clamp_min(least)
        return self.mean + spread * noise.to(self.mean.device)


@dataclass(frozen=True)
class Decoded:
    """What the decoder makes of a latent.

    Attributes:
        difference: Reconstructed difference embedding ``(batch, difference)``, standardised.
        estimate: Of the treatment.
    """

    difference: Tensor
    estimate: Estimate


class TreatmentVAE(nn.Module):
    """VAE over difference embeddings, conditioned on the input's embedding.

    Args:
        chain: Whose knobs the decoder sets.
        embedding_dim: Size of the style embedding.
        difference_dim: Size of the difference embedding.
        latent_dim: Size of the latent.
        condition_dim: What the decoder may know of the input.
        width: Of the hidden layers.
    """

    difference_mean: Tensor
    difference_scale: Tensor

    def __init__(
        self,
        chain: Chain,
        embedding_dim: int,
        difference_dim: int,
        latent_dim: int,
        condition_dim: int = 32,
        width: int = 320,
    ) -> None:
        super().__init__()
        self.register_buffer("difference_mean", torch.zeros(difference_dim))
        self.register_buffer("difference_scale", torch.ones(()))
        self.condition = nn.Sequential(
            nn.LayerNorm(embedding_dim), nn.Linear(embedding_dim, condition_dim)
        )
        self.encoder = nn.Sequential(
            nn.Linear(difference_dim + condition_dim, width),
            Residual(width, width, 0.05),
            Residual(width, width, 0.05),
            nn.LayerNorm(width),
            nn.Linear(width, 2 * latent_dim),
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim + condition_dim, width),
            Residual(width, width),
            Residual(width, width),
            nn.LayerNorm(width),
            nn.Linear(width, difference_dim),
        )
        self.code_dim = latent_dim + condition_dim
        self.head = TreatmentHead(chain, self.code_dim, width)

    def fit_scale(self, difference: Tensor) -> None:
        """Take mean and overall spread of difference embeddings ``(item, difference)``."""
        self.difference_mean.copy_(difference.mean(0))
        self.difference_scale.copy_(1.0 / difference.std(0).square().mean().sqrt())

    def standardize(self, difference: Tensor) -> Tensor:
        """What is reconstructed: centred, with unit mean variance, within +-5."""
        return ((difference - self.difference_mean) * self.difference_scale).clamp(-5.0, 5.0)

    def encode(self, audio: Tensor, difference: Tensor) -> Posterior:
        """Posterior from the input's embedding and the standardised difference."""
        hidden = self.encoder(torch.cat([difference, self.condition(audio)], dim=1))
        mean, log_var = hidden.chunk(2, dim=1)
        return Posterior(mean, log_var.clamp(-8.0, 4.0))

    def code(self, latent: Tensor, audio: Tensor) -> Tensor:
        """What is decoded: the latent, and what of the input's embedding matters."""
        return torch.cat([latent, self.condition(audio)], dim=1)

    def decode(self, latent: Tensor, audio: Tensor) -> Decoded:
        """Latent ``(batch, latent)`` and the input's embedding to `Decoded`."""
        code = self.code(latent, audio)
        return Decoded(self.decoder(code), self.head(code))


class Critic(nn.Module):
    """Predicts how much nearer to the unknown truth a candidate is than the input.

    Sees what lies between input, reference and candidate, and the candidate's knobs; it does not
    see the recordings themselves, which it would learn by heart. The output is a mean and a log
    scale of the *advantage* ``d(input, truth) - d(candidate, truth)`` in MR-STFT at matched
    loudness.

    Args:
        difference_dim: Size of the difference embedding.
        knobs: Number of controls, switches and `EVIDENCE`.
        width: Of the hidden layers.
    """

    margin: Tensor

    def __init__(self, difference_dim: int, knobs: int, width: int = 192) -> None:
        super().__init__()
        self.register_buffer("margin", torch.zeros(()))
        self.layers = nn.Sequential(
            nn.Dropout(0.2),
            nn.Linear(3 * difference_dim + knobs, width),
            Residual(width, width, 0.4),
            Residual(width, width, 0.4),
            nn.LayerNorm(width),
            nn.Linear(width, 2),
        )

    def forward(
        self, differences: tuple[Tensor, Tensor, Tensor], knobs: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Mean and log scale of the advantage, each ``(batch,)``.

        Args:
            differences: Input to reference, candidate to reference, input to candidate, each
                ``(batch, difference)``.
            knobs: Controls times switches, switches, and evidence, ``(batch, knobs)``.
        """
        mean, log_scale = self.layers(torch.cat([*differences, knobs], dim=1)).unbind(1)
        return mean, log_scale.clamp(-6.0, 2.0)
