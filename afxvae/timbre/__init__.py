"""What sounds are like: perceptual attributes of clips, after the AudioCommons timbral models."""

from __future__ import annotations

from .catalogue import ATTRIBUTES, attributes
from .sound import LOWEST_RATE
from .space import (
    Dissimilarities,
    Scaling,
    classical_scaling,
    load_dissimilarities,
    nonmetric_scaling,
)

__all__ = [
    "ATTRIBUTES",
    "LOWEST_RATE",
    "Dissimilarities",
    "Scaling",
    "attributes",
    "classical_scaling",
    "load_dissimilarities",
    "nonmetric_scaling",
]
