"""What sounds are like: perceptual attributes of clips, after the AudioCommons timbral models."""

from __future__ import annotations

from .catalogue import ATTRIBUTES, attributes

__all__ = ["ATTRIBUTES", "attributes"]
