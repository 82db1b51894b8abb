"""The style encoder: one clip in, one embedding out; and the comparison of two embeddings."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import torch
from torch import nn

from ..dsp.features import N_MELS

if TYPE_CHECKING:
    from torch import Tensor

    from ..dsp.features import Features

__all__ = ["Comparator", "Encoder", "Residual"]

_CLIP = 5.0  # standardised inputs are kept within this many deviations
_DROPOUT = 0.15


class Residual(nn.Module):
    """Pre-norm residual block of two linear layers."""

    def __init__(self, width: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, hidden),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, width)`` to the same."""
        return x + self.inner(x)  # type: ignore[no-any-return]


class Encoder(nn.Module):
    """Statistics and a convolutional trunk over the log-mel picture, joined in one embedding.

    Args:
        statistics: Number of statistics of the front end.
        embedding_dim: Size of the embedding.
        width: Channels of the trunk and of the statistics' branch.
    """

    statistics_mean: Tensor
    statistics_scale: Tensor
    mel_mean: Tensor
    mel_scale: Tensor

    def __init__(self, statistics: int, embedding_dim: int = 256, width: int = 128) -> None:
        super().__init__()
        self.register_buffer("statistics_mean", torch.zeros(statistics))
        self.register_buffer("statistics_scale", torch.ones(statistics))
        self.register_buffer("mel_mean", torch.zeros(N_MELS))
        self.register_buffer("mel_scale", torch.ones(N_MELS))
        self.blur = 0.0  # while training, how far the statistics are blurred
        self.branch = nn.Sequential(
            nn.Dropout(_DROPOUT),
            nn.Linear(statistics, 3 * width),
            nn.SiLU(),
            Residual(3 * width, 3 * width, _DROPOUT),
        )
        layers: list[nn.Module] = []
        channels = (N_MELS, width, width, 2 * width, 2 * width)
        for before, after in itertools.pairwise(channels):
            layers += [
                nn.Conv1d(before, after, 5, stride=2, padding=2),
                nn.GroupNorm(8, after),
                nn.SiLU(),
            ]
        self.trunk = nn.Sequential(*layers)
        self.direct = nn.Linear(statistics, embedding_dim)  # differences of spectra survive as such
        self.join = nn.Sequential(
            nn.Dropout(_DROPOUT), nn.Linear(3 * width + 3 * channels[-1], embedding_dim)
        )

    def fit_scale(self, features: Features) -> None:
        """Take the mean and spread of the inputs from training material."""
        values = features.statistics.double()
        self.statistics_mean.copy_(values.mean(0))
        self.statistics_scale.copy_(1.0 / values.std(0).clamp_min(1e-3))
        mel = features.log_mel.flatten(0, 1).double()
        self.mel_mean.copy_(mel.mean(0))
        self.mel_scale.copy_(1.0 / mel.std(0).clamp_min(1.0))

    def forward(self, features: Features) -> Tensor:
        """Features of clips to embeddings ``(batch, embedding)``."""
        scaled = (features.statistics - self.statistics_mean) * self.statistics_scale
        scaled = scaled.clamp(-_CLIP, _CLIP)
        if self.training and self.blur > 0.0:
            noise = 0.5 * self.blur * torch.randn_like(scaled)
            scaled = nn.functional.dropout(scaled + noise, self.blur)
        branch = self.branch(scaled)
        picture = (features.log_mel - self.mel_mean) * self.mel_scale
        hidden = self.trunk(picture.mT)
        pooled = [hidden.mean(-1), hidden.std(-1), hidden.amax(-1)]
        return self.direct(scaled) + self.join(torch.cat([branch, *pooled], dim=1))  # type: ignore[no-any-return]


class Comparator(nn.Module):
    """Difference embedding of two style embeddings: what was done, apart from what sounds.

    Args:
        embedding_dim: Size of the style embeddings.
        difference_dim: Size of the difference embedding.
        width: Of the hidden layers.
    """

    def __init__(self, embedding_dim: int, difference_dim: int = 64, width: int = 512) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(3 * embedding_dim, width),
            Residual(width, width, _DROPOUT),
            Residual(width, width, _DROPOUT),
            nn.LayerNorm(width),
            nn.Linear(width, difference_dim),
        )

    def forward(self, audio: Tensor, reference: Tensor) -> Tensor:
        """Embeddings of input and reference to ``(batch, difference)``."""
        return self.layers(torch.cat([audio, reference, reference - audio], dim=1))  # type: ignore[no-any-return]
