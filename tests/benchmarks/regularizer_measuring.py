"""What a latent of a table is worth: reconstruction, agreement, probes, the unseen, the between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from afxvae.evaluation.agreement import (
    class_distances,
    class_means,
    distance_agreement,
    nearest_class,
)
from afxvae.evaluation.disentanglement import spearman
from afxvae.evaluation.linear import LinearProbe, principal_components
from afxvae.regularizers import kl

from .regularizer_sets import AXES, Table
from .regularizer_sounds import NAMES
from .regularizer_training import LATENT, TableVAE

Decoder = Callable[[Tensor], Tensor]
Latent = tuple[Tensor, Decoder, dict[str, Any]]
"""Of all items ``(item, latent)``, its decoder, and figures of the model."""
LINES = 200  # between items of different classes
STEPS_OF_LINE = 11
LEAST = 0.5  # deviations between the ends of a line whose attribute counts


@torch.no_grad()
def of_vae(table: Table, model: TableVAE) -> Latent:
    """Latent means of all items, the decoder, and figures that only a VAE has."""
    posterior = model.encode(table.x)
    divergence = kl(posterior.mean, posterior.log_var)[table.test].mean(0)
    figures = {
        "kl_nats": float(divergence.sum()),
        "active": int((posterior.mean[table.test].var(0) > 0.01).sum()),
    }
    return posterior.mean, model.decode, figures


def of_pca(table: Table) -> Latent:
    """The row without a VAE: as many principal components."""
    mean, directions = (part.float() for part in principal_components(table.x[table.learn], LATENT))
    return (table.x - mean) @ directions, lambda z: z @ directions.mT + mean, {}


@torch.no_grad()
def measure(table: Table, latent: Tensor, decode: Decoder) -> dict[str, Any]:
    """Figures of a latent ``(item, latent)``; all but those of the unseen on held-out items."""
    decoded = decode(latent)
    found: dict[str, Any] = {
        "r2": r2(table, decoded, table.test),
        "unseen_r2": r2(table, decoded, table.unseen) if table.unseen.any() else None,
    }
    own = class_distances(latent[table.test], table.label[table.test], table.seen)
    found |= distance_agreement(own, table.mean)
    labels = {"class": table.label, **table.probes}
    found["probes"] = {name: _accuracy(table, latent, label) for name, label in labels.items()}
    if table.setting is not None:
        found["probes"]["setting"] = _setting_accuracy(table, latent, table.setting)
    found["axes"] = {
        name: spearman(latent[table.test, axis], _attribute(table, name)[table.test])
        for axis, name in enumerate(AXES)
    }
    return found | _unseen(table, latent) | _between(table, latent, decode)


def chances(table: Table) -> dict[str, float]:
    """Accuracy of always saying the commonest label of the held-out items, by probe."""
    labels = {"class": table.label, **table.probes}
    found = {}
    for name, label in labels.items():
        own = label[table.test & (label >= 0)]
        found[name] = float(own.bincount().max() / len(own))
    if table.setting is not None:
        found["setting"] = 0.5
    return found


def r2(table: Table, decoded: Tensor, rows: Tensor) -> float:
    """Share of the variance about the learned items' mean."""
    x = table.x[rows]
    total = (x - table.x[table.learn].mean(0)).square().sum()
    return float(1.0 - (decoded[rows] - x).square().sum() / total)


def line(start: Tensor, end: Tensor) -> Tensor:
    """Points between latents ``(line, latent)``, ``(line, step, latent)``."""
    share = torch.linspace(0.0, 1.0, STEPS_OF_LINE).view(1, -1, 1)
    return start.unsqueeze(1) + share * (end - start).unsqueeze(1)


def monotone(values: Tensor) -> Tensor:
    """Whether steps ``(line, step, attribute)`` never turn back, and whether their ends count."""
    steps = values.diff(dim=1)
    way = values[:, -1:] - values[:, :1]
    forth = (steps * way.sign() >= -1e-3 * way.abs()).all(1)
    return torch.stack([forth, way[:, 0].abs() > LEAST])


def _attribute(table: Table, name: str) -> Tensor:
    return table.attributes[:, NAMES.index(name)]


def _accuracy(table: Table, latent: Tensor, label: Tensor) -> float:
    learn, test = (rows & (label >= 0) for rows in (table.learn, table.test))
    probe = LinearProbe(latent[learn], label[learn])
    return float((probe.predict(latent[test]) == label[test]).double().mean())


def _setting_accuracy(table: Table, latent: Tensor, setting: Tensor) -> float:
    """Whether an effect's knob stands high or low, mean over seen effects."""
    shares = []
    for place in range(table.seen):
        learn, test = (rows & (table.label == place) for rows in (table.learn, table.test))
        high = (setting > setting[learn].median()).long()
        probe = LinearProbe(latent[learn], high[learn])
        shares.append((probe.predict(latent[test]) == high[test]).double().mean())
    return float(torch.stack(shares).mean())


def _unseen(table: Table, latent: Tensor) -> dict[str, Any]:
    """Where classes that were left out land: nearest seen class, by items and by their mean."""
    means = class_means(latent[table.learn], table.label[table.learn], table.seen)
    right, places = [], {}
    for place in range(table.seen, len(table.names)):
        own = table.unseen & (table.label == place)
        nearest = nearest_class(latent[own], means).tolist()
        share = sum(table.family[near] == table.family[place] for near in nearest) / len(nearest)
        whole = int(nearest_class(latent[own].mean(0, keepdim=True), means))
        right.append(share)
        places[table.names[place]] = {
            "items": len(nearest),
            "family_right": share,
            "nearest_to_mean": table.names[whole],
            "mean_family_right": table.family[whole] == table.family[place],
            "nearest": {
                table.names[near]: nearest.count(near) for near in sorted(set(nearest))
            },
        }  # fmt: skip
    return {"unseen": places, "unseen_family": sum(right) / len(right) if right else None}


def _between(table: Table, latent: Tensor, decode: Decoder) -> dict[str, Any]:
    """Lines between held-out items of two seen classes: do decoded attributes go one way?"""
    generator = torch.Generator().manual_seed(0)
    rows = table.test.nonzero().squeeze(1)
    pairs = rows[torch.randint(len(rows), (4 * LINES, 2), generator=generator)]
    pairs = pairs[table.label[pairs[:, 0]] != table.label[pairs[:, 1]]][:LINES]
    points = line(latent[pairs[:, 0]], latent[pairs[:, 1]])
    decoded = decode(points.flatten(0, 1)).unflatten(0, points.shape[:2])
    values = decoded[..., -len(NAMES) :]
    forth, counts = monotone(values)
    straight = line(values[:, 0], values[:, -1])
    bend = (values - straight).abs().amax(1) / (values[:, -1] - values[:, 0]).abs().clamp_min(LEAST)
    return {"monotone": float(forth[counts].double().mean()), "bend": float(bend[counts].mean())}
