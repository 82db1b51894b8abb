"""Regularisers of the latent by what treatments have in common, for stage 2."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..regularizers import REGULARIZERS, class_prior
from ..types import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from ..effects import Chain
    from ..models.vae import Posterior

__all__ = [
    "ClassPrior",
    "DistanceTerm",
    "Regularizer",
    "regularizer_named",
    "strength",
    "treatment_distances",
]

_DEVIATION = 0.2  # of a target distance, as a share of it
_CLASS_PRIOR = "class prior"
_FROM, _AT = 0.5, 0.6  # shares of the training between which it comes to count


def treatment_distances(chain: Chain, controls: Tensor, switches: Tensor) -> Tensor:
    """Distances between treatments from their knobs, ``(treatment, treatment)``.

    An effect that only one of two treatments has counts 1, one that both have the mean square
    difference of its knobs; the distance is the root of the sum.

    Args:
        chain: Of the treatments.
        controls: ``(treatment, control)`` in [0, 1].
        switches: ``(treatment, effect)`` boolean.
    """
    total = torch.zeros(len(controls), len(controls), device=controls.device)
    for index, name in enumerate(chain.names):
        on = switches[:, index].bool()
        knobs = controls[:, chain.knobs_of(name)]
        apart = (knobs.unsqueeze(0) - knobs.unsqueeze(1)).square().mean(-1)
        both, one = on.unsqueeze(0) & on.unsqueeze(1), on.unsqueeze(0) ^ on.unsqueeze(1)
        total += both * apart + one
    return total.sqrt()


def strength(progress: float) -> float:
    """How much a term on distances counts at a share of the training in [0, 1].

    Nothing in the first half; it reaches 1 in the tenth that follows.
    """
    return min(1.0, max(0.0, (progress - _FROM) / (_AT - _FROM)))


class DistanceTerm:
    """One of `REGULARIZERS` on the posterior means of a batch.

    How much it counts when is said by `strength`.

    Args:
        name: Of the regulariser.
        weight: In nats per sample.

    Raises:
        UsageError: There is no such regulariser, or the weight is negative.
    """

    def __init__(self, name: str, weight: float) -> None:
        if name not in REGULARIZERS:
            known = ", ".join((*REGULARIZERS, _CLASS_PRIOR))
            raise UsageError(f"There is no regularizer {name!r}; there are {known}.")
        if weight < 0.0:
            raise UsageError(f"The weight of a regularizer is {weight:g}; it must be at least 0.")
        self.name, self.weight = name, weight

    def at(self, progress: float) -> DistanceTerm | None:
        """As it counts at a share of the training, see `strength`; None while it is off."""
        share = strength(progress)
        return DistanceTerm(self.name, share * self.weight) if share > 0.0 else None

    def __call__(
        self,
        chain: Chain,
        mean: Tensor,
        treatment: tuple[Tensor, Tensor],
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        """The weighted term by its name.

        Args:
            chain: Of the treatments.
            mean: Of the posterior ``(batch, latent)``.
            treatment: True controls ``(batch, control)`` and switches ``(batch, effect)``.
            generator: Draws target distances.
        """
        targets = treatment_distances(chain, *treatment)
        term = REGULARIZERS[self.name](mean, targets, _DEVIATION * targets, generator)
        return {self.name: self.weight * term}


class ClassPrior:
    """A prior of its own for each set of effects, in place of the common one: see `class_prior`.

    Classes stand at the corners of a cube around the origin, one of the latent's last dimensions
    an effect, so that their squared distance is proportional to the number of effects that only
    one of them has.

    Args:
        edge: Of the cube. A posterior that is certain of its class is half of it from the origin
            in each of these dimensions; at 2 the classes together have the common prior's
            variance.
        share: How far the common prior gives way, 0 to 1.

    Raises:
        UsageError: The edge is negative.
    """

    def __init__(self, edge: float, share: float = 1.0) -> None:
        if edge < 0.0:
            raise UsageError(f"The weight of a regularizer is {edge:g}; it must be at least 0.")
        self.edge, self.share = edge, share

    def at(self, progress: float) -> ClassPrior | None:
        """As it counts at a share of the training, see `strength`; None while it is off."""
        share = strength(progress)
        return ClassPrior(self.edge, share) if share > 0.0 else None

    def divergence(self, posterior: Posterior, common: Tensor, switches: Tensor) -> Tensor:
        """What stands in place of the divergence from the common prior, ``(batch, latent)``.

        Args:
            posterior: Over the latent.
            common: Its divergence from the common prior, ``(batch, latent)``.
            switches: True ones ``(batch, effect)``.
        """
        places = torch.zeros_like(posterior.mean)
        places[:, -switches.shape[1] :] = self.edge * (switches.float() - 0.5)
        own = class_prior(posterior.mean, posterior.log_var, places, 1.0)
        return common.lerp(own, self.share)


Regularizer = DistanceTerm | ClassPrior


def regularizer_named(name: str, weight: float) -> Regularizer:
    """A regulariser by the name it has in recipes, with its weight there.

    Raises:
        UsageError: There is none of that name, or the weight is negative.
    """
    return ClassPrior(weight) if name == _CLASS_PRIOR else DistanceTerm(name, weight)
