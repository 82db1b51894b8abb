"""Linear probes: logistic regression on frozen features, and what they are compared with."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from ..types import UsageError

__all__ = ["LinearProbe", "accuracy_interval", "principal_components", "random_projection"]

_STEPS = 200
_STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)


class LinearProbe:
    """Multinomial logistic regression with a penalty on the squared weights.

    Features are standardised. The strength of the penalty is chosen by groups that are left out;
    without groups it is the weakest of the four that are tried. L-BFGS in double precision: the
    same data give the same probe.

    Args:
        features: ``(item, feature)``.
        labels: ``(item,)``, from 0.
        groups: ``(item,)``, speakers or instruments.

    Raises:
        UsageError: Features and labels do not fit together.
    """

    def __init__(self, features: Tensor, labels: Tensor, groups: Tensor | None = None) -> None:
        if features.ndim != 2 or labels.shape != features.shape[:1] or not len(labels):
            raise UsageError(f"A probe needs a label for each row of features, not {labels.shape}.")
        self.classes = int(labels.max()) + 1
        strength = _STRENGTHS[0]
        if groups is not None and len(groups.unique()) > 1:
            strength = self._strength(features, labels, groups)
        self._fit(features, labels, strength)

    def predict(self, features: Tensor) -> Tensor:
        """Most probable labels ``(item,)`` of features ``(item, feature)``."""
        return self._logits(features).argmax(1)

    def _logits(self, features: Tensor) -> Tensor:
        return ((features.double() - self.mean) / self.scale) @ self.weight + self.bias

    def _strength(self, features: Tensor, labels: Tensor, groups: Tensor) -> float:
        names = groups.unique()
        left_out = torch.isin(groups, names[::4])
        scores = []
        for strength in _STRENGTHS:
            self._fit(features[~left_out], labels[~left_out], strength)
            logits = self._logits(features[left_out])
            scores.append(float(functional.cross_entropy(logits, labels[left_out])))
        return _STRENGTHS[scores.index(min(scores))]

    def _fit(self, features: Tensor, labels: Tensor, strength: float) -> None:
        x = features.double()
        self.mean, self.scale = x.mean(0), x.std(0, correction=0).clamp_min(1e-9)
        x = (x - self.mean) / self.scale
        weight = torch.zeros(x.shape[1], self.classes, dtype=x.dtype, requires_grad=True)
        bias = torch.zeros(self.classes, dtype=x.dtype, requires_grad=True)
        optimizer = torch.optim.LBFGS([weight, bias], max_iter=_STEPS, history_size=20,
                                      line_search_fn="strong_wolfe")  # fmt: skip

        def loss() -> Tensor:
            optimizer.zero_grad()
            value = functional.cross_entropy(x @ weight + bias, labels)
            value = value + strength * weight.square().sum()
            value.backward()
            return value

        with torch.enable_grad():
            optimizer.step(loss)
        self.weight, self.bias = weight.detach(), bias.detach()


def accuracy_interval(right: Tensor, groups: Tensor, draws: int = 2000) -> tuple[float, float]:
    """95 % interval of an accuracy, by the percentile bootstrap over groups.

    Args:
        right: Whether each item was classified rightly ``(item,)``.
        groups: Items of a group are drawn together ``(item,)``.
        draws: Number of draws.
    """
    _, place = groups.unique(return_inverse=True)
    count = torch.bincount(place).double()
    hits = torch.bincount(place, right.double())
    generator = torch.Generator().manual_seed(0)
    chosen = torch.randint(len(count), (draws, len(count)), generator=generator)
    shares = hits[chosen].sum(1) / count[chosen].sum(1)
    low, high = shares.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return low, high


def principal_components(features: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Mean ``(feature,)`` and main directions ``(feature, component)``, at most `most` of them."""
    x = features.double()
    mean = x.mean(0)
    x = x - mean
    values, vectors = torch.linalg.eigh(x @ x.mT)  # fewer items than features
    kept = (values > 1e-9 * values[-1]).nonzero().squeeze(1)[-most:].flip(0)
    return mean, x.mT @ (vectors[:, kept] / values[kept].sqrt())


def random_projection(features: int, most: int) -> Tensor:
    """Uniform random weights ``(feature, projection)``, always the same."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.rand(features, most, generator=generator, dtype=torch.float64)
    return weights / math.sqrt(features)
