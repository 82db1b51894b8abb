"""Whether two recordings are of one source: of one voice or instrument, in one place.

Of one source, whatever differs between moments that sound alike was done to it. Of two sources, the
difference may be their own. The task is that of speaker verification, with embeddings pooled from
the mean and spread of frames (Snyder et al., *X-Vectors: Robust DNN Embeddings for Speaker
Recognition*, ICASSP 2018), learned to survive equalisers and other treatments.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import torch
from torch import nn

from ..dsp.features import N_MELS

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Verifier"]

_RANGE_DB = 70.0  # below the peak; what is softer is silence
_SOFT = 0.4  # share of the frames that do not count towards the average spectrum
_SCALE_DB = 12.0
_DROPOUT = 0.1


class Verifier(nn.Module):
    """Embeds log-mel pictures without their average spectra, which any filter would change.

    Args:
        width: Channels of the convolutions.
        embedding_dim: Size of the embeddings.
    """

    def __init__(self, width: int = 56, embedding_dim: int = 48) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise((N_MELS // 2, width, width, 64)):
            layers += [
                nn.Conv1d(before, after, 5, stride=2, padding=2),
                nn.GroupNorm(8, after),
                nn.SiLU(),
                nn.Dropout(_DROPOUT),
            ]
        self.trunk = nn.Sequential(*layers)
        self.last = nn.Linear(2 * 64, embedding_dim)
        self.slope = nn.Parameter(torch.tensor(8.0))
        self.offset = nn.Parameter(torch.tensor(-3.0))

    def forward(self, log_mel: Tensor) -> Tensor:
        """``(batch, frame, 80)`` in dB to embeddings of length 1, ``(batch, embedding)``."""
        picture = torch.maximum(log_mel, log_mel.amax((1, 2), keepdim=True) - _RANGE_DB)
        level = picture.mean(2, keepdim=True)
        loud = (level > level.quantile(_SOFT, 1, keepdim=True)).to(picture.dtype)
        average = (picture * loud).sum(1, keepdim=True) / loud.sum(1, keepdim=True).clamp_min(1.0)
        pairs = ((picture - average) / _SCALE_DB).unflatten(2, (N_MELS // 2, 2)).mean(3)
        hidden = self.trunk(pairs.mT)
        pooled = torch.cat([hidden.mean(-1), hidden.std(-1)], 1)
        return nn.functional.normalize(self.last(pooled), dim=1)

    def log_odds(self, similarity: Tensor) -> Tensor:
        """Of one source against two, for inner products of embeddings, of the same shape."""
        return similarity * self.slope + self.offset
