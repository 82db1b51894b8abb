"""Training: feature pools and the stages encoder, latent, listening and critic."""

from __future__ import annotations

from .recipe import Recipe, Stage, load_recipe, run

__all__ = ["Recipe", "Stage", "load_recipe", "run"]
