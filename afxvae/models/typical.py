"""What untreated recordings sound like: on average, kind by kind, and each to the model itself.

Between two recordings of different sources, the way in which the input's source is unusual looks
like a treatment. A typical recording of its kind in its place does not have that way. Speaker
verification normalises its scores by cohorts for the same reason (Auckenthaler, Carey and
Lloyd-Thomas 2000).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["TypicalSources", "feigned_odds", "share_of_typical"]

_MOST = 0.5
_SAME = 0.5
_LEAST_ODDS = -1.0  # log odds that an effect may have between a recording and itself


class TypicalSources(nn.Module):
    """Average style embeddings of untreated recordings, one of each kind.

    Args:
        kinds: How many kinds there are.
        embedding_dim: Size of the style embedding.
    """

    embeddings: Tensor

    def __init__(self, kinds: int, embedding_dim: int) -> None:
        super().__init__()
        self.register_buffer("embeddings", torch.zeros(kinds, embedding_dim))

    @property
    def known(self) -> bool:
        """Whether there are any."""
        return bool(self.embeddings.any())

    def fit(self, embedded: Tensor, kind: Tensor) -> None:
        """Take the averages.

        Args:
            embedded: Of untreated clips ``(clip, embedding)``.
            kind: Of each, ``(clip,)``: integers below the number of kinds. One that is not among
                them gets the average of all.
        """
        for index, row in enumerate(self.embeddings):
            chosen = embedded[kind == index]
            row.copy_((chosen if len(chosen) else embedded).mean(0))

    def nearest(self, embedded: Tensor) -> Tensor:
        """For each embedding ``(batch, embedding)`` the average that is nearest to it."""
        return self.embeddings[torch.cdist(embedded, self.embeddings).argmin(1)]


def share_of_typical(same_source: float) -> float:
    """How much an estimate from a typical recording weighs beside that from the input itself.

    A half where two recordings are surely of different sources, nothing where it is at least as
    probable that they are of one. By the EQ curves of 3,072 pairs of validation recordings.
    """
    return _MOST * max(0.0, 1.0 - same_source / _SAME)


def feigned_odds(own: Tensor, same_source: float) -> Tensor:
    """What to take off an estimate because the model sees it between a recording and itself, too.

    There is nothing between a recording and itself. Where it is unlike all that the model knows, a
    voice with a rattle, say, that looks like an effect, and will do so in a reference of the same
    voice. Nothing is taken off where two recordings are rather of two sources.

    Args:
        own: Log odds ``(1, effect)`` between the input and itself.
        same_source: Probability that input and reference are of one source.

    Returns:
        Log odds ``(1, effect)``.
    """
    return max(0.0, 2.0 * same_source - 1.0) * (own - _LEAST_ODDS).clamp_min(0.0)
