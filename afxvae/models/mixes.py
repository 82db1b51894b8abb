"""Whether a recording is a mix of many sources, a song, say: what the networks never learned from.

They were trained on one voice or instrument at a time, whose treatments are known. Sections of a
song differ as recordings of one instrument do not, and a song has its producer's equaliser, room
and drive, so there they believe in too much. How likely a style embedding is one of a mix follows
from a logistic regression on recordings of the training split, with and without random treatments;
``python -m tests.benchmarks.mixes`` fits it and writes `mixes.json`, which belongs to the weights.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..files import replacing
from .estimate import ESTIMATED

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["MIXES_FILE", "doubted_in_mixes", "mix_probability", "read_mixes", "write_mixes"]

MIXES_FILE = Path(__file__).parents[1] / "mixes.json"
_DOUBTS = {"eq": 1.2, "reverb": 3.0}
"""Log odds that are taken off these effects in a mix. Validation songs: an equaliser was seen
between two sections of 14 % of the untreated ones, and the rooms that were estimated, not measured,
were those of their production."""
_DIGITS = 5


@functools.lru_cache(maxsize=1)
def read_mixes() -> dict[str, Any]:
    """The table that belongs to the bundled weights: ``checksum``, ``weight`` and ``bias``."""
    found: dict[str, Any] = json.loads(MIXES_FILE.read_text(encoding="utf-8"))
    return found


def write_mixes(weight: Tensor, bias: float, checksum: str, path: Path = MIXES_FILE) -> None:
    """Keep a regression on style embeddings of weights with this checksum.

    Args:
        weight: ``(embedding,)``.
        bias: Added to the product; log odds result.
        checksum: Of the weights.
        path: Where to.
    """
    rounded = [round(value, _DIGITS) for value in weight.tolist()]
    table = {"checksum": checksum, "bias": round(bias, _DIGITS), "weight": rounded}
    with replacing(path) as part:
        part.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    read_mixes.cache_clear()


def mix_probability(embedded: Tensor, checksum: str) -> float:
    """How likely a style embedding ``(1, embedding)`` is that of a mix; 0 for unknown weights."""
    table = read_mixes()
    if table["checksum"] != checksum:
        return 0.0
    weight = torch.tensor(table["weight"], dtype=torch.float64)
    return float(torch.sigmoid(embedded[0].cpu().double() @ weight + table["bias"]))


def doubted_in_mixes(logits: Tensor, mix: float) -> Tensor:
    """Log odds ``(batch, estimated effect)`` less what is taken off where `mix` is probable."""
    doubts = torch.tensor([_DOUBTS.get(effect, 0.0) for effect in ESTIMATED])
    return logits - mix * doubts.to(logits)
