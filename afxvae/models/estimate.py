"""From a code to a treatment: the decoder's last layers, and what an estimate costs.

Errors are measured on response curves (see `afxvae.effects.responses`) and on the knobs that curves
do not show. Amounts are judged as if an effect that is off had amount zero, so that an uncertain
estimate shrinks towards doing nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from ..dsp.features import SAMPLE_RATE
from ..effects import responses
from .encoder import Residual

if TYPE_CHECKING:
    from torch import Tensor

    from ..effects import Chain, Settings

__all__ = [
    "ESTIMATED",
    "Estimate",
    "TreatmentHead",
    "Wanted",
    "estimated_columns",
    "expected_controls",
    "is_equalizer",
    "losses_of",
    "treatment_losses",
    "unlike_default",
]

ESTIMATED = ("eq", "compressor", "overdrive", "chorus", "delay", "reverb")
"""Effects the model estimates; width and gain follow from measurements, not from the latent."""

# Weight of each knob that only matters while its effect is on, per unit of control. A cut that is
# open and a band above the analysis bandwidth leave no trace in the curve, so they stand here too.
_KNOB_WEIGHTS: dict[str, dict[str, float]] = {
    "eq": {"low_cut_hz": 1.5, "high_cut_hz": 1.5, "peak4_hz": 0.2, "high_shelf_hz": 0.2},
    "compressor": {"attack_ms": 0.3, "release_ms": 0.3},
    "chorus": {"rate_hz": 0.2, "depth_ms": 0.2, "delay_ms": 0.2},
    "delay": {"time_ms": 4.0, "feedback": 1.5},
    "reverb": {"decay_s": 2.0, "treble_ratio": 0.7, "pre_delay_ms": 0.5},
}
_STARTS = {"low_cut_hz": 0.2, "high_cut_hz": 0.75}  # half closed: an open cut has no slope
_MIX_WEIGHTS = {"chorus": 1.0, "delay": 4.0, "reverb": 4.0}
_DRIVE_SCALE_DB = 20.0
_LEAST_DB = 0.3  # mean size of a curve that is an equaliser
_CURVE_SCALE_DB = {"eq": 1.5, "compressor": 3.0, "overdrive": 2.0}


@dataclass(frozen=True)
class Estimate:
    """Of a treatment.

    Attributes:
        controls: ``(batch, control)`` in [0, 1]; knobs of effects that are not estimated stand at
            their defaults.
        logits: ``(batch, estimated effect)``: log odds that an effect is on.
    """

    controls: Tensor
    logits: Tensor


class TreatmentHead(nn.Module):
    """Code ``(batch, code)`` to an `Estimate`.

    Args:
        chain: Whose knobs are estimated.
        code_dim: Size of the code.
        width: Of the hidden layers.
    """

    defaults: Tensor
    estimated: Tensor

    def __init__(self, chain: Chain, code_dim: int, width: int = 384) -> None:
        super().__init__()
        estimated = [index for index, (name, _) in enumerate(chain.knobs) if name in ESTIMATED]
        self.register_buffer("defaults", chain.default_controls(), persistent=False)
        self.register_buffer("estimated", torch.tensor(estimated), persistent=False)
        self.layers = nn.Sequential(
            nn.Linear(code_dim, width), Residual(width, width), Residual(width, width)
        )
        self.last = nn.Linear(width, len(estimated) + len(ESTIMATED))
        with torch.no_grad():
            self.last.weight.mul_(0.1)
            start = self.defaults.clamp(0.02, 0.98)
            for index, (_, param) in enumerate(chain.knobs):
                start[index] = _STARTS.get(param.name, float(start[index]))
            self.last.bias[: len(estimated)] = torch.logit(start[self.estimated])

    def forward(self, code: Tensor) -> Estimate:
        """See `Estimate`."""
        out = self.last(self.layers(code)).float()
        knobs, logits = out.split([len(self.estimated), len(ESTIMATED)], dim=1)
        soft = torch.sigmoid(knobs)
        reached = (1.06 * soft - 0.03).clamp(0.0, 1.0)  # both ends can be reached ...
        knobs = soft + (reached - soft).detach()  # ... and left again
        controls = self.defaults.repeat(len(code), 1).index_copy(1, self.estimated, knobs)
        return Estimate(controls, logits)


def estimated_columns(chain: Chain) -> list[int]:
    """Where the effects of `ESTIMATED` stand among those of the chain, in their order."""
    return [chain.names.index(name) for name in ESTIMATED]


def expected_controls(estimate: Estimate, chain: Chain) -> Tensor:
    """Knob positions whose amounts count as far as their effects are probable.

    ``(batch, control)``: every amount has gone from its default towards the estimate by the
    probability that its effect is on, so that moving a latent fades effects in and out.
    """
    certain = estimate.controls.new_ones(len(estimate.controls), len(chain.names))
    columns = torch.tensor(estimated_columns(chain), device=certain.device)
    likely = certain.index_copy(1, columns, torch.sigmoid(estimate.logits).to(certain))
    owner = [chain.names.index(effect) for effect, _ in chain.knobs]
    defaults = chain.default_controls().to(certain)
    amounts = torch.tensor([param.amount for param in chain.params], device=certain.device)
    share = torch.where(amounts, likely[:, owner], 1.0)
    return defaults + share * (estimate.controls - defaults)


def _curve(effect: str, settings: Settings) -> Tensor:
    if effect == "eq":
        return responses.eq_curve_db(settings, SAMPLE_RATE).clamp_min(-30.0)
    if effect == "compressor":
        return responses.compressor_curve_db(settings)
    return responses.drive_curve_db(settings)


def unlike_default(before: Tensor, chain: Chain) -> Tensor:
    """Where an equaliser's knobs ``(batch, knob)`` are not all at their defaults, ``(batch,)``."""
    return (before != chain.default_controls()[chain.knobs_of("eq")].to(before)).any(1)


def is_equalizer(curve_db: Tensor) -> Tensor:
    """Whether curves ``(batch, band)`` are more than a matter of level, ``(batch,)``."""
    return (curve_db - curve_db.mean(1, keepdim=True)).abs().mean(1) > _LEAST_DB


class Wanted:
    """What an estimate should be.

    Where the input went through an equaliser of its own, the equaliser that is wanted is the
    difference of two. It has a curve but no knobs, and is there if the curve is not flat.

    Args:
        controls: True knob positions ``(batch, control)``.
        switches: True switches ``(batch, effect)`` of the whole chain.
        chain: Of the treatments.
        before: Knobs of an equaliser that the input went through ``(batch, knob)``, at their
            defaults where there was none; none at all if omitted.
    """

    def __init__(
        self, controls: Tensor, switches: Tensor, chain: Chain, before: Tensor | None = None
    ) -> None:
        self.settings = chain.to_settings(controls)
        on = switches[:, estimated_columns(chain)].to(controls.dtype)
        self.on = dict(zip(ESTIMATED, on.unbind(1), strict=True))
        self.curves = {
            effect: self.on[effect].unsqueeze(1) * _curve(effect, self.settings[effect])
            for effect in _CURVE_SCALE_DB
        }
        self.knobs = dict(self.on)  # where an effect's knobs count
        if before is None:
            return
        given = unlike_default(before, chain)
        own = controls.clone()
        own[:, chain.knobs_of("eq")] = before
        curve = self.curves["eq"] - given.unsqueeze(1) * _curve("eq", chain.to_settings(own)["eq"])
        self.curves["eq"] = curve
        self.on["eq"] = torch.where(given, is_equalizer(curve).to(on), self.on["eq"])
        self.knobs["eq"] = self.knobs["eq"] * ~given

    @property
    def switches(self) -> Tensor:
        """Of the estimated effects, ``(batch, effect)``, 0 or 1."""
        return torch.stack([self.on[effect] for effect in ESTIMATED], 1)


def treatment_losses(
    estimate: Estimate,
    controls: Tensor,
    switches: Tensor,
    chain: Chain,
    before: Tensor | None = None,
) -> dict[str, Tensor]:
    """Losses by effect, each ``(batch,)``, and ``switches``, the cross entropy of on and off.

    Args:
        estimate: Of the model.
        controls: True knob positions ``(batch, control)``.
        switches: True switches ``(batch, effect)`` of the whole chain.
        chain: Of the treatments.
        before: See `Wanted`.
    """
    return losses_of(estimate, Wanted(controls, switches, chain, before), chain)


def losses_of(estimate: Estimate, wanted: Wanted, chain: Chain) -> dict[str, Tensor]:
    """`treatment_losses` of what is wanted."""
    guess, true = chain.to_settings(estimate.controls), wanted.settings
    on = wanted.switches
    entropy = nn.functional.binary_cross_entropy_with_logits(estimate.logits, on, reduction="none")
    losses = {"switches": entropy.sum(1)}
    for effect, present in wanted.knobs.items():
        if effect in _CURVE_SCALE_DB:
            error = _curve(effect, guess[effect]) - wanted.curves[effect]
            if effect == "eq":  # a constant is a matter of loudness
                error = error - 0.9 * error.mean(1, keepdim=True)
            loss = error.abs().mean(1) / _CURVE_SCALE_DB[effect]
        else:
            amount = guess[effect]["mix"] - present * true[effect]["mix"]
            loss = _MIX_WEIGHTS[effect] * amount.abs()
        if effect == "overdrive":  # whose curve has no slope where the drive is 0
            amount = guess[effect]["drive_db"] - present * true[effect]["drive_db"]
            loss = loss + amount.abs() / _DRIVE_SCALE_DB
        for param in chain[effect].params:
            weight = _KNOB_WEIGHTS.get(effect, {}).get(param.name)
            if weight is not None:
                knobs = (guess[effect][param.name], true[effect][param.name])
                error = param.to_control(knobs[0]) - param.to_control(knobs[1])
                loss = loss + weight * present * error.abs()
        losses[effect] = loss
    return losses
