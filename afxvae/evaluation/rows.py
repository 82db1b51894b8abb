"""The rows of a table: what doing nothing, simple ways and the model make of one item."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..candidates import render_candidates
from ..data.treatments import random_treatments
from ..decision import Decision, decide
from ..dsp.features import CLIP_SAMPLES, SAMPLE_RATE
from ..finishing import SAME_LOUDNESS_DB
from ..loudness import loudness_lufs
from ..measure import measure_ring, measure_settings
from ..ranges import EFFORTS
from ..types import UsageError
from . import baselines, peers
from .metrics import METRICS, at_matched_loudness

if TYPE_CHECKING:
    from ..candidates import Candidate
    from ..effects import Chain
    from ..measure import Measured, Ring
    from ..models.style_vae import AFXStyleVAE

__all__ = [
    "COLUMNS",
    "MATCHERING",
    "NETWORK_ONLY",
    "NORMAL",
    "OURS",
    "ROWS",
    "TOLD",
    "Item",
    "PresetTable",
    "Rendering",
    "chosen_rows",
    "mean_preset",
    "measure",
    "render_rows",
]

MATCHERING = "matchering"
"""The row of a peer, which is there where it is installed."""
NETWORK_ONLY = "ours, nothing measured"
"""As `match` at effort normal, but delay, reverb and chorus are estimated like the rest."""
NORMAL = "ours (normal)"
"""What `match` does by default."""
TOLD = "ours (told the source)"
"""As `match` at effort normal when it is told whether both recordings are of one source."""
OURS = {
    NETWORK_ONLY: "normal",
    TOLD: "normal",
    **{f"ours ({effort})": effort for effort in EFFORTS},
}
"""The rows of the model, and the effort of `match` that each is."""
ROWS = (
    "input",
    "loudness only",
    "spectrum only",
    "rule-based",
    MATCHERING,
    "mean preset",
    "nearest preset",
    "random",
    *OURS,
    "oracle",
)
"""All rows in the order of the tables."""
COLUMNS = ("mr_stft_rendered", *METRICS)
"""What `measure` returns: `METRICS`, MR-STFT at matched loudness, and MR-STFT as rendered."""

_MEAN_DRAWS = 4096
_BASELINES: dict[str, Callable[[Tensor, Tensor, int], Tensor]] = {
    "loudness only": baselines.loudness_only,
    "spectrum only": baselines.spectrum_only,
    "rule-based": baselines.rule_based,
    MATCHERING: peers.matchering,
}


@dataclass(frozen=True)
class Item:
    """One input and reference with the truth.

    Attributes:
        audio: ``(1, 1, run-in + 131072)``.
        reference: ``(1, 131072)``.
        truth: ``(1, 131072)``.
        controls: ``(control,)``, of the true treatment.
        switches: ``(effect,)``, of the true treatment.
        same_source: Whether both recordings are of one source.
    """

    audio: Tensor
    reference: Tensor
    truth: Tensor
    controls: Tensor
    switches: Tensor
    same_source: bool = True


@dataclass(frozen=True)
class Rendering:
    """What a row makes of an item.

    Attributes:
        shape: ``(1, 131072)``, before its level is set: what is compared at matched loudness. Were
            it the output, rounding would make items that were left alone better or worse.
        output: ``(1, 131072)``, as rendered.
    """

    shape: Tensor
    output: Tensor


@dataclass(frozen=True)
class PresetTable:
    """Treatments with the differences that they made, for the row `nearest preset`.

    Attributes:
        differences: ``(preset, difference)``, between the embeddings of input and reference.
        controls: ``(preset, control)``.
        switches: ``(preset, effect)``.
    """

    differences: Tensor
    controls: Tensor
    switches: Tensor

    def nearest(self, difference: Tensor) -> tuple[Tensor, Tensor]:
        """Controls ``(control,)`` and switches ``(effect,)`` of the nearest treatment."""
        index = (self.differences - difference).square().sum(1).argmin()
        return self.controls[index], self.switches[index]


def chosen_rows(rows: Sequence[str] | None, with_presets: bool) -> tuple[str, ...]:
    """Rows in the order of the tables: all that can be had, or those asked for and `input`.

    Raises:
        UsageError: there is no such row, `nearest preset` has no presets to choose from, or
            `matchering` is not installed.
    """
    if unknown := [row for row in rows or () if row not in ROWS]:
        raise UsageError(f"There is no row {unknown[0]!r}: rows are {', '.join(ROWS)}.")
    missing = set() if with_presets else {"nearest preset"}
    if not peers.matchering_installed():
        missing.add(MATCHERING)
    if rows is None:
        return tuple(row for row in ROWS if row not in missing)
    if "nearest preset" in rows and not with_presets:
        raise UsageError("The row 'nearest preset' needs a pool of training material.")
    if MATCHERING in missing.intersection(rows):
        raise UsageError(f"The row {MATCHERING!r} needs matchering: pip install 'afxvae[bench]'.")
    return tuple(row for row in ROWS if row == "input" or row in rows)


def mean_preset(chain: Chain) -> Tensor:
    """Controls ``(control,)`` of the average treatment, to be run with every effect on.

    The mean of knob positions over many random treatments. An effect that is off counts with the
    amounts (gains, mixes, ratio, drive) at which it does nothing, so amounts shrink by how often it
    is on.
    """
    controls, switches = random_treatments(chain, _MEAN_DRAWS, torch.Generator().manual_seed(0))
    effects = [chain.names.index(name) for name, _ in chain.knobs]
    amounts = torch.tensor([param.amount for param in chain.params])
    absent = ~switches[:, effects] & amounts
    return torch.where(absent, chain.default_controls(), controls).mean(0)


def render_rows(
    model: AFXStyleVAE,
    item: Item,
    rows: Sequence[str],
    presets: PresetTable | None = None,
    generator: torch.Generator | None = None,
    seed: int = 0,
) -> tuple[dict[str, Rendering], dict[str, Decision]]:
    """What every row makes of an item, and the decisions of the model's rows.

    Only `oracle` sees the true settings, and only `TOLD` whether there are two sources.

    Args:
        model: Estimates, chooses, and has the chain.
        item: The item.
        rows: See `chosen_rows`.
        presets: For `nearest preset`.
        generator: Of `random`.
        seed: Of `match`.
    """
    dry = item.audio[:, 0, -CLIP_SAMPLES:]
    renderings, decisions = {"input": Rendering(dry, dry)}, {}
    measured: dict[str, Measured] = {}
    ring: Ring | None = None
    if any(row in OURS and row != NETWORK_ONLY for row in rows):
        measured = measure_settings(model.chain, dry, item.reference)
        ring = measure_ring(dry, item.reference)
    for row in rows:
        if row in OURS:
            known = {} if row == NETWORK_ONLY else measured
            given = item.audio, item.reference, known, OURS[row], seed
            told = item.same_source if row == TOLD else None
            heard = None if row == NETWORK_ONLY else ring
            decision = decide(model, *given, ring=heard, same_source=told)
            out = render_candidates(model, item.audio, [decision.best])
            renderings[row] = Rendering(out, _levelled(out, item.reference, decision.best))
            decisions[row] = decision
        elif row in _BASELINES:
            out = _BASELINES[row](dry[None], item.reference[None], SAMPLE_RATE)[0]
            renderings[row] = Rendering(out, out)
        elif row != "input":
            controls, switches = _settings(model, item, row, presets, generator)
            out = _run(model, item, controls, switches)
            renderings[row] = Rendering(out, out)
    return renderings, decisions


def measure(rendering: Rendering, truth: Tensor) -> dict[str, float]:
    """Distances to the truth ``(1, 131072)``, by column.

    `rms_db`, `lufs` and `mr_stft_rendered` are of the output as rendered; the others of what was
    brought to the loudness of the truth.
    """
    matched = at_matched_loudness(rendering.shape, truth)
    distances = {"mr_stft_rendered": float(METRICS["mr_stft"](rendering.output, truth))}
    for name, metric in METRICS.items():
        output = rendering.output if name in ("rms_db", "lufs") else matched
        distances[name] = float(metric(output, truth))
    return distances


def _settings(
    model: AFXStyleVAE,
    item: Item,
    row: str,
    presets: PresetTable | None,
    generator: torch.Generator | None,
) -> tuple[Tensor, Tensor]:
    """Controls ``(control,)`` and switches ``(effect,)`` of the rows that are presets."""
    if row == "oracle":
        return item.controls, item.switches
    if row == "mean preset":
        controls = mean_preset(model.chain)
        return controls, torch.ones(len(model.chain.effects), dtype=torch.bool)
    if row == "random":
        drawn = random_treatments(model.chain, 1, generator or torch.Generator().manual_seed(0))
        return drawn[0][0], drawn[1][0]
    if presets is None:
        raise UsageError("The row 'nearest preset' needs a pool of training material.")
    embedded = model.embed_clips(item.audio[:, 0, -CLIP_SAMPLES:])
    return presets.nearest(model.compare(embedded, model.embed_clips(item.reference)))


def _run(model: AFXStyleVAE, item: Item, controls: Tensor, switches: Tensor) -> Tensor:
    """The chain on an item, ``(1, 131072)``."""
    out = model.render(item.audio, controls.unsqueeze(0), switches.unsqueeze(0), SAMPLE_RATE)
    return out[:, 0, -CLIP_SAMPLES:]


def _levelled(out: Tensor, reference: Tensor, best: Candidate) -> Tensor:
    """At the reference's loudness, as `match` does by default; what was left alone may stay so."""
    if best.is_nothing:
        lufs = [loudness_lufs(audio.unsqueeze(0), SAMPLE_RATE) for audio in (out, reference)]
        if abs(float(lufs[0] - lufs[1])) < SAME_LOUDNESS_DB:
            return out
    return at_matched_loudness(out, reference)
