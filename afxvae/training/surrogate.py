"""A stand-in for rendering and measuring: from a treatment to what it does to attributes.

It is fitted to rendered treatments (`afxvae.data.changes`), gives every treatment of a batch its
attributes without any audio, and has gradients in all knobs. Training needs it, the model does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ..data.changes import AXES, attribute_changes
from ..data.shards import load_shard
from ..dsp.features import SAMPLE_RATE
from ..effects import responses
from ..evaluation.disentanglement import spearman
from .loop import cosine, descend, optimizer_for, set_rate

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from ..effects import Chain

__all__ = ["Surrogate", "fit_surrogate", "load_changes"]

_WIDTH = 40
_LEVELS = 129  # of the tables of ranks
_DROPOUT = 0.1
_STEPS, _BATCH, _RATE, _WEIGHT_DECAY = 1000, 256, 3e-3, 0.3


def load_changes(paths: Sequence[Path]) -> tuple[Tensor, Tensor, Tensor]:
    """Shards of ``"changes"``: controls, switches, and changes ``(treatment, attribute)``."""
    shards = [load_shard(path) for path in paths]
    controls, switches = (torch.cat([s[name] for s in shards]) for name in ("controls", "switches"))
    return controls, switches, torch.cat([attribute_changes(shard) for shard in shards])


class Surrogate(nn.Module):
    """Treatments to gaussianised changes of the attributes of `AXES`.

    A small network sees the knobs of effects that are on, as distances from their defaults, and
    coarse response curves. An effect may be on in part: its knobs then go as far from their
    defaults. What it gives is measured in *ranks of what random treatments do*: the quantile of a
    normal distribution at the share of random treatments that change the attribute less. One unit
    is one standard deviation.

    Args:
        chain: Of the treatments.
    """

    defaults: Tensor
    mean: Tensor
    spread: Tensor
    table: Tensor
    ranks: Tensor

    def __init__(self, chain: Chain) -> None:
        super().__init__()
        self.chain = chain
        self.register_buffer("defaults", chain.default_controls())
        self.register_buffer("mean", torch.zeros(len(AXES)))
        self.register_buffer("spread", torch.ones(len(AXES)))
        self.register_buffer("table", torch.zeros(len(AXES), _LEVELS))
        shares = (torch.arange(_LEVELS) + 0.5) / _LEVELS
        self.register_buffer("ranks", torch.special.ndtri(shares))
        self._owner = [chain.names.index(effect) for effect, _ in chain.knobs]
        size = self.describe(self.defaults.unsqueeze(0), torch.zeros(1, len(chain.names))).shape[1]
        self.straight = nn.Linear(size, len(AXES))
        self.layers = nn.Sequential(
            nn.Dropout(_DROPOUT),
            nn.Linear(size, _WIDTH),
            nn.SiLU(),
            nn.Dropout(_DROPOUT),
            nn.Linear(_WIDTH, _WIDTH),
            nn.SiLU(),
            nn.Linear(_WIDTH, len(AXES)),
        )

    def describe(self, controls: Tensor, switches: Tensor) -> Tensor:
        """What is seen of treatments, ``(batch, feature)``: knobs and curves."""
        away = (controls - self.defaults) * switches.to(controls)[:, self._owner]
        settings = self.chain.to_settings(self.defaults + away)
        eq = responses.eq_curve_db(settings["eq"], SAMPLE_RATE).clamp_min(-30.0)
        bands = (eq - eq.mean(1, keepdim=True)).unflatten(1, (16, 4)).mean(2) / 10.0
        squeeze = responses.compressor_curve_db(settings["compressor"])[:, 3::4] / 10.0
        drive = responses.drive_curve_db(settings["overdrive"])[:, 1::2] / 10.0
        return torch.cat([2.0 * away, bands, squeeze, drive], dim=1)

    def changes(self, controls: Tensor, switches: Tensor) -> Tensor:
        """Expected change of each attribute in its unit, ``(batch, attribute)``.

        Args:
            controls: ``(batch, control)``.
            switches: ``(batch, effect)``, boolean or between 0 and 1.
        """
        return self.judge(self.describe(controls, switches))

    def judge(self, seen: Tensor) -> Tensor:
        """`changes` of what `describe` gives."""
        standard: Tensor = self.straight(seen) + self.layers(seen)
        return self.mean + self.spread * standard

    def forward(self, controls: Tensor, switches: Tensor) -> Tensor:
        """`changes` in ranks, ``(batch, attribute)``."""
        return self.gaussianize(self.changes(controls, switches))

    def gaussianize(self, changes: Tensor) -> Tensor:
        """Changes ``(batch, attribute)`` to ranks, about -2.7 to 2.7; beyond, there is no slope."""
        columns = []
        for table, values in zip(self.table, changes.unbind(1), strict=True):
            above = torch.searchsorted(table, values.detach().contiguous()).clamp(1, _LEVELS - 1)
            low, high = table[above - 1], table[above]
            share = ((values - low) / (high - low).clamp_min(1e-6)).clamp(0.0, 1.0)
            columns.append(self.ranks[above - 1].lerp(self.ranks[above], share))
        return torch.stack(columns, dim=1)


def fit_surrogate(
    chain: Chain,
    train: Sequence[Path],
    held_out: Sequence[Path],
    *,
    steps: int = _STEPS,
    seed: int = 0,
) -> tuple[Surrogate, dict[str, Any]]:
    """Fit a `Surrogate` to shards of ``"changes"``; takes less than a minute.

    Returns:
        The surrogate, frozen; and by attribute the Spearman correlation of what it expects with
        what was measured in held-out shards, of other recordings and treatments.
    """
    controls, switches, changes = load_changes(train)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        surrogate = Surrogate(chain)
    surrogate.mean.copy_(changes.mean(0))
    surrogate.spread.copy_(changes.std(0).clamp_min(1e-6))
    shares = (torch.arange(_LEVELS) + 0.5) / _LEVELS
    surrogate.table.copy_(changes.quantile(shares, dim=0).mT)
    generator = torch.Generator().manual_seed(seed)
    optimizer = optimizer_for(surrogate, _RATE, _WEIGHT_DECAY)
    seen = surrogate.describe(controls, switches)
    for step in range(steps):
        set_rate(optimizer, _RATE * cosine(step / steps))
        rows = torch.randint(len(changes), (_BATCH,), generator=generator)
        error = surrogate.judge(seen[rows]) - changes[rows]
        loss = nn.functional.smooth_l1_loss(error / surrogate.spread, torch.zeros_like(error))
        descend(optimizer, surrogate, loss, 1.0)
    surrogate.requires_grad_(False).eval()
    controls, switches, changes = load_changes(held_out)
    expected = surrogate.changes(controls, switches)
    found = [spearman(*pair) for pair in zip(expected.unbind(1), changes.unbind(1), strict=True)]
    return surrogate, {"spearman": dict(zip(AXES, found, strict=True))}
