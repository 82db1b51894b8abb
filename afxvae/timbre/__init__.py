"""What sounds are like: perceptual attributes of clips, after the AudioCommons timbral models."""

from __future__ import annotations

from .catalogue import ATTRIBUTES, attributes
from .sound import LOWEST_RATE

__all__ = ["ATTRIBUTES", "LOWEST_RATE", "attributes"]
