"""What the compared models learn from: effects as differences, or instruments as dry sounds.

A `Table` has rows for items, `effects_table` and `instruments_table` make one of rendered sounds.
Scales, components and target distances come from the rows to learn from alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from afxvae.evaluation.agreement import class_means
from afxvae.evaluation.linear import principal_components
from afxvae.regularizers import distances
from afxvae.timbre import Dissimilarities
from afxvae.types import UsageError

from .regularizer_sounds import FAMILIES, KINDS, NAMES

UNSEEN = {"effects": ("phaser", "bit_crusher"), "instruments": ("piano", "percussion")}
AXES = ("brightness", "boominess", "roughness", "decay")
"""What the AR-VAE row orders its first dimensions by."""
TARGET = 4.0  # mean target distance, in deviations of the prior
_COMPONENTS = 64  # of embeddings
_DEVIATION = 0.2  # of a dissimilarity from a file, as a share of it
_HELD_OUT_EVERY = 3  # groups of a kind of instrument


@dataclass(frozen=True)
class Table:
    """Items to learn from and to test on.

    Attributes:
        x: Standardised features ``(item, feature)``, the attributes last.
        label: Class of each item ``(item,)``.
        names: Of the classes; the unseen ones are last.
        seen: Number of classes that are learned from.
        family: Of each class.
        learn: Whether an item is learned from ``(item,)``.
        test: Whether an item of a seen class is held out.
        unseen: Whether an item is of a class that is left out, and of a held-out recording.
        mean: Target distances of the seen classes, mean `TARGET`.
        deviation: Their standard deviations.
        probes: Further labels by name, ``(item,)``, -1 where there is none.
        setting: Position of the knob ``(item,)``, or None.
        said: What a reader must know, by name.
    """

    x: Tensor
    label: Tensor
    names: tuple[str, ...]
    seen: int
    family: tuple[str, ...]
    learn: Tensor
    test: Tensor
    unseen: Tensor
    mean: Tensor
    deviation: Tensor
    probes: dict[str, Tensor]
    setting: Tensor | None = None
    said: dict[str, object] = field(default_factory=dict)

    @property
    def attributes(self) -> Tensor:
        """Standardised attributes ``(item, attribute)``."""
        return self.x[:, -len(NAMES) :]


def effects_table(sounds: Mapping[str, Tensor]) -> Table:
    """Differences and changes of attributes; the classes are effects."""
    treatments = sounds["effect"].shape[1]
    held_out = sounds["held_out"].repeat_interleave(treatments)
    names, label = _reordered(list(FAMILIES), sounds["effect"].flatten(), UNSEEN["effects"])
    seen = len(names) - len(UNSEEN["effects"])
    learn = ~held_out & (label < seen)
    x = _features(sounds["difference"].flatten(0, 1), sounds["change"].flatten(0, 1), learn)
    listeners = sounds["kind"].repeat_interleave(treatments)
    mean, deviation = _targets(x[learn], label[learn], listeners[learn], seen)
    setting = sounds["setting"].flatten()
    family = tuple(FAMILIES[name] for name in names)
    return Table(
        x, label, names, seen, family, learn, held_out & (label < seen),
        held_out & (label >= seen), mean, deviation, {"family": _numbers(family)[label]}, setting,
        {"targets": "measured"},
    )  # fmt: skip


def instruments_table(
    sounds: Mapping[str, Tensor],
    group_names: Mapping[int, str],
    dissimilarities: Dissimilarities | None = None,
) -> Table:
    """Dry sounds; the classes are kinds of instruments, or the things of `dissimilarities`.

    Args:
        sounds: As rendered.
        group_names: By number, names of the groups, which things are looked for in.
        dissimilarities: Between things; sounds that are none of them are left out.

    Raises:
        UsageError: Fewer than four things have sounds of two groups.
    """
    kinds = list(KINDS)
    label = sounds["kind"]
    kept = torch.ones(len(label), dtype=torch.bool)
    classes, families = kinds, dict(KINDS)
    if dissimilarities is not None:
        classes, label = match_names(sounds, group_names, dissimilarities.names)
        kept = label >= 0
        families = {
            name: KINDS[kinds[int(sounds["kind"][label == place].mode().values)]]
            for place, name in enumerate(classes)
        }
    label, group = label[kept], sounds["group"][kept]
    names, label = _reordered(classes, label, UNSEEN["instruments"])
    seen = len(names) - len(set(UNSEEN["instruments"]) & set(names))
    held_out = _held_out_groups(label, group)
    learn = ~held_out & (label < seen)
    x = _features(sounds["dry"][kept], sounds["dry_attributes"][kept], learn)
    mean, deviation = _targets(x[learn], label[learn], group[learn], seen)
    if dissimilarities is not None:
        places = [dissimilarities.names.index(name) for name in names[:seen]]
        wanted = torch.from_numpy(dissimilarities.matrix).float()[places][:, places]
        mean = wanted * (TARGET / _off_diagonal(wanted).mean())
        deviation = _DEVIATION * mean
    family = tuple(families[name] for name in names)
    pitch, spread = sounds["pitch_hz"][kept], sounds["spread_db"][kept]
    probes = {
        "family": _numbers(family)[label],
        "pitch register": _thirds(pitch, learn & (pitch > 0.0)).where(pitch > 0.0, -1),
        "dynamics": _thirds(spread, learn),
    }
    said: dict[str, object] = {
        "targets": "measured" if dissimilarities is None else "from a file",
        "registers_hz": _edges(pitch, learn & (pitch > 0.0)).tolist(),
        "spreads_db": _edges(spread, learn).tolist(),
        "pitched": float((pitch > 0.0).float().mean()),
    }
    return Table(
        x, label, names, seen, family, learn, held_out & (label < seen),
        held_out & (label >= seen), mean, deviation, probes, None, said,
    )  # fmt: skip


def match_names(
    sounds: Mapping[str, Tensor], group_names: Mapping[int, str], wanted: Sequence[str]
) -> tuple[list[str], Tensor]:
    """Which of the things wanted each sound is, -1 if none: by its kind, or by its group's name.

    A thing that is a part of the name counts ("Cello" of "fluid-cello"), the longest first. Things
    with sounds of fewer than two groups are left out.

    Raises:
        UsageError: Fewer than four things are left.
    """
    kinds = list(KINDS)
    spelled = {name: "-".join(name.lower().replace("_", " ").split()) for name in wanted}
    order = sorted(wanted, key=lambda name: -len(spelled[name]))
    found: dict[str, list[int]] = {}
    for row, (kind, group) in enumerate(zip(sounds["kind"], sounds["group"], strict=True)):
        own = f"-{group_names.get(int(group), '').lower()}-"
        exact = (name for name in order if spelled[name] == kinds[int(kind)])
        within = (name for name in order if f"-{spelled[name]}-" in own)
        name = next(within, None) or next(exact, None)
        if name is not None:
            found.setdefault(name, []).append(row)
    kept = [
        name for name in wanted if len(sounds["group"][found.get(name, [])].unique()) > 1
    ]  # one to learn from, one to test on
    if len(kept) < 4:
        raise UsageError(f"Only {len(kept)} of {', '.join(wanted)} have sounds of two groups.")
    label = torch.full((len(sounds["kind"]),), -1)
    for place, name in enumerate(kept):
        label[found[name]] = place
    return kept, label


def _reordered(
    names: Sequence[str], label: Tensor, last: Sequence[str]
) -> tuple[tuple[str, ...], Tensor]:
    """The same classes with some at the end."""
    order = [name for name in names if name not in last] + [name for name in names if name in last]
    place = torch.tensor([order.index(name) for name in names])
    return tuple(order), place[label]


def _features(embedding: Tensor, attributes: Tensor, learn: Tensor) -> Tensor:
    """Embeddings at one scale, at most 64 components, and attributes each at its own."""
    if embedding.shape[1] > _COMPONENTS:
        mean, directions = principal_components(embedding[learn], _COMPONENTS)
        embedding = ((embedding.double() - mean) @ directions).float()
    centred = embedding - embedding[learn].mean(0)
    scaled = centred / centred[learn].square().mean().sqrt()
    shifted = attributes - attributes[learn].mean(0)
    own = shifted / shifted[learn].square().mean(0).sqrt().clamp_min(1e-6)
    return torch.cat([scaled, own], 1).clamp(-5.0, 5.0)


def _targets(x: Tensor, label: Tensor, listener: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Distances of class means, and how those scatter that listeners would give.

    A listener knows a class by the mean of one kind of sound, or of one group.
    """
    mean = distances(class_means(x, label, classes))
    each = []
    for place in range(classes):
        own = label == place
        points = [x[own & (listener == who)].mean(0) for who in listener[own].unique()]
        each.append(torch.stack(points))
    deviation = torch.zeros(classes, classes)
    for one in range(classes):
        for other in range(one):
            apart = torch.cdist(each[one], each[other]).flatten()
            spread = apart.std() if len(apart) > 1 else _DEVIATION * apart.mean()
            deviation[one, other] = deviation[other, one] = spread
    unit = TARGET / _off_diagonal(mean).mean()
    return mean * unit, deviation * unit


def _off_diagonal(matrix: Tensor) -> Tensor:
    return matrix[~torch.eye(len(matrix), dtype=torch.bool)]


def _held_out_groups(label: Tensor, group: Tensor) -> Tensor:
    """Every third group of each class, the second of two."""
    held_out = torch.zeros(len(label), dtype=torch.bool)
    for place in label.unique():
        own = label == place
        held_out |= own & torch.isin(group, group[own].unique()[1::_HELD_OUT_EVERY])
    return held_out


def _numbers(names: Sequence[str]) -> Tensor:
    known = list(dict.fromkeys(names))
    return torch.tensor([known.index(name) for name in names])


def _edges(values: Tensor, learn: Tensor) -> Tensor:
    return values[learn].quantile(torch.tensor([1 / 3, 2 / 3]))


def _thirds(values: Tensor, learn: Tensor) -> Tensor:
    """Low, middle or high, as 0, 1, 2."""
    return torch.bucketize(values, _edges(values, learn))
