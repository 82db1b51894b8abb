"""What is known of one input and its reference, and the treatment that follows from it.

A latent is what embeddings say of a pair. Moments that sound alike correct it, a judge says how
much of the equaliser between these to take and whether both are of one source, and where they are
not, a typical recording stands in for the input.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch

from ..dsp.likeness import filters_of, likeness
from ..measure.equalizer import blend, eq_bands_db, measure_equalizer
from .estimate import ESTIMATED, Estimate
from .mixes import doubted_in_mixes
from .refiner import Judged, weigh_fits
from .typical import feigned_odds, share_of_typical
from .waveform import with_bends

if TYPE_CHECKING:
    from torch import Tensor

    from ..dsp.features import Features
    from ..measure.equalizer import EqualizerFit
    from .style_vae import AFXStyleVAE
    from .waveform import Bends

__all__ = ["Compared", "Pair", "compare", "compare_clips", "fit_all", "one_source", "refined"]

_LEAST_SHARE = 0.02  # of another equaliser than the estimated one, to be worth a blend
_EQ = ESTIMATED.index("eq")


class Compared(NamedTuple):
    """What moments of recordings that sound alike say of pairs.

    Attributes:
        likeness: ``(batch, N_LIKENESS)``.
        fits: The equaliser fitted to each.
        verified: The aligner's probability of one source ``(batch,)``.
    """

    likeness: Tensor
    fits: list[EqualizerFit]
    verified: Tensor


@dataclass(frozen=True)
class Pair:
    """What is known of an input and its reference besides a latent.

    Attributes:
        likeness: Of both, where they sound alike ``(1, N_LIKENESS)``.
        fitted: The equaliser that `measure_equalizer` fitted to it.
        verified: The aligner's probability that both are of one voice or instrument.
        reference: Its style embedding ``(1, embedding)``. If given, and of another source, the
            equaliser is half of what it is between a typical recording and the reference.
        bends: What waveforms say of both, if they were compared.
        mix: Probability that the input is a mix of many sources, see `afxvae.models.mixes`.
    """

    likeness: Tensor
    fitted: EqualizerFit
    verified: float
    reference: Tensor | None = None
    bends: Bends | None = None
    mix: float = 0.0


@torch.no_grad()
def compare(model: AFXStyleVAE, mine: Tensor, theirs: Tensor) -> Compared:
    """What moments of recordings that sound alike say.

    Args:
        model: Has the aligner.
        mine: Log-mel frames in dB ``(batch, frame, 80)``.
        theirs: The same of the other recordings.
    """
    alike = likeness(mine, theirs)
    aligned = model.aligner(mine, theirs, filters_of(alike))
    fits = fit_all(model, alike, aligned.curve_db, aligned.error_db)
    return Compared(alike, fits, torch.sigmoid(aligned.source).cpu())


def compare_clips(model: AFXStyleVAE, mine: Features, theirs: Features) -> Compared:
    """The same of one pair, of whose recordings there are several clips."""
    frames = (one.log_mel.flatten(0, 1).unsqueeze(0) for one in (mine, theirs))
    return compare(model, *frames)


def fit_all(
    model: AFXStyleVAE, likeness: Tensor, curve_db: Tensor, error_db: Tensor
) -> list[EqualizerFit]:
    """The equaliser fitted to the filter of each pair, see `Alignment`, on the CPU."""
    rows = (part.cpu() for part in (likeness, curve_db, error_db))
    return [measure_equalizer(model.chain["eq"], *row) for row in zip(*rows, strict=True)]


@torch.no_grad()
def one_source(model: AFXStyleVAE, latent: Tensor, audio: Tensor, pair: Pair) -> float:
    """Probability that input and reference are of one voice or instrument, by all that is known.

    See `refined` for the arguments.
    """
    *_, judged, verified = _judged(model, latent, audio, pair)
    return float(judged.same_source(verified)[0])


@torch.no_grad()
def refined(model: AFXStyleVAE, latent: Tensor, audio: Tensor, pair: Pair) -> Estimate:
    """Treatment of a latent, by all that is known of the pair.

    Of other effects than the equaliser, what is found between the input and itself does not count.

    Args:
        model: Decodes and judges.
        latent: ``(1, latent)``.
        audio: Embedding of the input ``(1, embedding)``.
        pair: The pair.
    """
    estimate, own, judged, verified = _judged(model, latent, audio, pair)
    same_source = judged.same_source(verified)
    odds, shares = judged.gated(same_source)
    same, fitted, effect = float(same_source[0]), pair.fitted, model.chain["eq"]
    eq = model.chain.knobs_of("eq")
    itself = model.decode(model.encode(audio, audio).mean, audio).estimate.logits
    likely = estimate.logits - feigned_odds(itself, same)
    controls = estimate.controls.clone()
    curve = shares[0, 0] * fitted.curve_db + shares[0, 1] * own[0]
    logit = float(estimate.logits[0, _EQ] + odds[0])
    typical = share_of_typical(same) if model.typical.known else 0.0
    if pair.reference is not None and typical:
        stand_in = model.typical.nearest(audio)
        other = model.decode(model.encode(stand_in, pair.reference).mean, stand_in).estimate
        curve = torch.lerp(curve, eq_bands_db(effect, other.controls[:, eq].cpu())[0], typical)
        logit += typical * (float(other.logits[0, _EQ]) - logit)
    if max(float(shares[0, 0]), typical) > _LEAST_SHARE:
        controls[0, eq] = blend(effect, curve, fitted.controls).to(controls)
    likely[0, _EQ] = logit
    found = Estimate(controls, doubted_in_mixes(likely, pair.mix))
    if pair.bends is None:
        return found
    return with_bends(model.waveform, model.chain, found, pair.bends, pair.mix)


def _judged(
    model: AFXStyleVAE, latent: Tensor, audio: Tensor, pair: Pair
) -> tuple[Estimate, Tensor, Judged, Tensor]:
    """The refined estimate, the curve of its equaliser, and what the judge and aligner say."""
    code, verified = model.vae.code(latent, audio), torch.tensor([pair.verified])
    known = pair.likeness, [pair.fitted], verified
    estimate, own, evidence = weigh_fits(model, code, *known)
    judged = model.judge(evidence.to(code))
    return estimate, own, Judged(*(part.cpu() for part in judged)), verified
