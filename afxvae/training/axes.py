"""Terms that give dimensions of the latent names: they follow an attribute, and they cause it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ..data.changes import AXES
from ..models.estimate import estimated_columns
from ..regularizers import attribute

if TYPE_CHECKING:
    from torch import Tensor

    from ..models.estimate import Estimate
    from ..models.style_vae import AFXStyleVAE
    from .surrogate import Surrogate

__all__ = ["NAMED", "NamedAxes", "axis_losses", "expected_ranks", "named_ranks"]

NAMED = ("brightness", "boominess", "roughness", "decay")
"""Attributes of the first dimensions of the latent, in their order."""

_ORDER_WEIGHT, _LINE_WEIGHT, _STEER_WEIGHT = 10.0, 1.0, 4.0
_LINE_WIDTH = 0.3
_LEAST = 0.1  # ranks; smaller differences have no order
_ORDERED, _STEERED = 256, 64  # items of a batch that are put in order, and that are moved
_STEP = 1.2  # standard deviation of their moves
_FARTHEST = 2.5  # ranks that a moved treatment has to reach at most


@dataclass(frozen=True)
class NamedAxes:
    """What `vae_losses` needs to name dimensions.

    Attributes:
        surrogate: Gives treatments their attributes.
        strength: Of all terms, 0 to 1.
    """

    surrogate: Surrogate
    strength: float = 1.0


def named_ranks(surrogate: Surrogate, controls: Tensor, switches: Tensor) -> Tensor:
    """What treatments do to the attributes of `NAMED`, ``(batch, attribute)`` in ranks."""
    found: Tensor = surrogate(controls, switches)
    return found[:, [AXES.index(name) for name in NAMED]]


def expected_ranks(model: AFXStyleVAE, estimate: Estimate, surrogate: Surrogate) -> Tensor:
    """Attributes of `NAMED` of an estimate whose effects are on as far as they are probable.

    ``(batch, attribute)`` in ranks, with gradients in controls and logits.
    """
    on = estimate.logits.new_zeros(len(estimate.logits), len(model.chain.effects))
    columns = torch.tensor(estimated_columns(model.chain))
    on = on.index_copy(1, columns, torch.sigmoid(estimate.logits))
    return named_ranks(surrogate, estimate.controls, on)


def axis_losses(
    model: AFXStyleVAE,
    axes: NamedAxes,
    mean: Tensor,
    embedded: Tensor,
    treatment: tuple[Tensor, Tensor],
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Weighted terms in nats per sample, for the dimensions that `NAMED` names.

    ``order`` is that of AR-VAE (Pati and Lerch 2020, eq. 3) on posterior means, with delta 2 and
    weight 10. ``line`` is ``(mu - a)^2 / (2 0.3^2)``: one unit of the latent is one of the
    attribute. ``steer`` is about the decoder, which need not care for a dimension that the others
    know already: when a mean is moved along one axis, the attributes of what is decoded have to
    move as far along that axis, and not along the others.

    Args:
        model: The model.
        axes: Names, and how much they count.
        mean: Of the posterior ``(batch, latent)``.
        embedded: Inputs ``(batch, embedding)``.
        treatment: True controls ``(batch, control)`` and switches ``(batch, effect)``.
        generator: Draws the moves.
    """
    count = len(NAMED)
    drawn = torch.randperm(len(mean), generator=generator)
    some, rows = drawn[:_ORDERED], drawn[-_STEERED:]
    with torch.no_grad():
        wanted = named_ranks(axes.surrogate, *(part[some] for part in treatment))
    pairs = zip(mean[some].unbind(1), wanted.unbind(1), strict=False)
    order = torch.stack([attribute(z, a, least=_LEAST) for z, a in pairs]).sum()
    line = (mean[some, :count] - wanted).square().sum(1).mean() / (2.0 * _LINE_WIDTH**2)
    axis = torch.randint(count, (len(rows),), generator=generator)
    steps = _STEP * torch.randn(len(rows), generator=generator)
    shift = torch.zeros(len(rows), count).index_put((torch.arange(len(rows)), axis), steps)
    latent, condition = mean[rows].detach(), embedded[rows]
    moved = latent + torch.nn.functional.pad(shift, (0, latent.shape[1] - count))
    codes = model.vae.code(torch.cat([latent, moved]), condition.repeat(2, 1))
    before, after = expected_ranks(model, model.vae.head(codes), axes.surrogate).chunk(2)
    target = (before.detach() + shift).clamp(-_FARTHEST, _FARTHEST)
    steer = (after - target).abs().sum(1).mean()
    return {
        "order": axes.strength * _ORDER_WEIGHT * order,
        "line": axes.strength * _LINE_WEIGHT * line,
        "steer": axes.strength * _STEER_WEIGHT * steer,
    }
