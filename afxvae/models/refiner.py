"""What frames of like content add to a code: where in the latent the treatment really lies.

Embeddings tell how recordings sound on the whole, and a whole holds content too. Where input and
reference have moments of like content, the difference of these is the treatment's alone (see
`afxvae.dsp.likeness`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn

from ..dsp.likeness import FILTERS, N_LIKENESS
from ..measure.equalizer import FIT_FIGURES, eq_bands_db
from .encoder import Residual

if TYPE_CHECKING:
    from torch import Tensor

    from ..measure.equalizer import EqualizerFit
    from .estimate import Estimate
    from .style_vae import AFXStyleVAE

__all__ = ["JUDGE_FIGURES", "Judge", "Judged", "Refiner", "weigh_fits"]

_CLIP = 5.0  # standardised inputs are kept within this many deviations
_FILTER_SCALE_DB = 6.0
_DROPOUT = 0.25
_EPS = 1e-4  # of probabilities
JUDGE_FIGURES = FIT_FIGURES + 7
"""Number of figures that a judge sees: of the fit, of the estimate, and the aligner's."""


class Refiner(nn.Module):
    """Moves a code towards what frames of like content show.

    Args:
        code_dim: Size of what the decoder decodes: latent and condition.
        width: Of the hidden layers.
    """

    likeness_mean: Tensor
    likeness_scale: Tensor
    code_mean: Tensor
    code_scale: Tensor

    def __init__(self, code_dim: int, width: int = 208) -> None:
        super().__init__()
        self.register_buffer("likeness_mean", torch.zeros(N_LIKENESS))
        self.register_buffer("likeness_scale", torch.ones(N_LIKENESS))
        self.register_buffer("code_mean", torch.zeros(code_dim))
        self.register_buffer("code_scale", torch.ones(code_dim))
        self.seen = _branch(N_LIKENESS, width, blocks=2)
        self.known = _branch(code_dim, width, blocks=1)
        last = nn.Linear(width, code_dim)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.layers = nn.Sequential(Residual(width, width, 0.1), nn.LayerNorm(width), last)

    def fit_scale(self, likeness: Tensor, code: Tensor) -> None:
        """Take mean and spread of the inputs from training material; filters keep their zero."""
        self.likeness_mean.copy_(likeness.mean(0))
        self.likeness_scale.copy_(1.0 / likeness.std(0).clamp_min(1e-3))
        for place in FILTERS:
            self.likeness_scale[place] = 1.0 / _FILTER_SCALE_DB
        self.code_mean.copy_(code.mean(0))
        self.code_scale.copy_(1.0 / code.std(0).clamp_min(1e-3))

    def forward(self, code: Tensor, likeness: Tensor, known: Tensor | None = None) -> Tensor:
        """The refined code ``(batch, code)``.

        Args:
            code: ``(batch, code)``.
            likeness: ``(batch, N_LIKENESS)``, see `afxvae.dsp.likeness.likeness`.
            known: ``(batch, 1)``: zero where the code counts as unknown, as in a part of training;
                it then starts from zero.
        """
        seen = ((likeness - self.likeness_mean) * self.likeness_scale).clamp(-_CLIP, _CLIP)
        own = self.known(((code - self.code_mean) * self.code_scale).clamp(-_CLIP, _CLIP))
        if known is not None:
            own, code = known * own, known * code
        refined: Tensor = code + self.layers(self.seen(seen) + own)
        return refined


class Judge(nn.Module):
    """Weighs an equaliser that was fitted to a likeness against the estimated one.

    It also corrects what the aligner says of whether two recordings are of one source, by whether
    what lies between moments that sound alike is an equaliser.

    Args:
        width: Of the hidden layer.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(JUDGE_FIGURES))
        self.register_buffer("scale", torch.ones(JUDGE_FIGURES))
        self.first = nn.Linear(JUDGE_FIGURES, width)
        self.last = nn.Linear(width, 4)
        nn.init.zeros_(self.last.weight)
        untrained = torch.tensor([0.0, -9.0, 9.0, 0.0])  # estimate and aligner stand
        self.last.bias.data.copy_(untrained)

    def fit_scale(self, evidence: Tensor) -> None:
        """Take mean and spread of the inputs from training material."""
        self.mean.copy_(evidence.mean(0))
        self.scale.copy_(1.0 / evidence.std(0).clamp_min(1e-3))

    def forward(self, evidence: Tensor) -> Judged:
        """What is known of pairs, see `evidence`, to what is made of it."""
        scaled = ((evidence - self.mean) * self.scale).clamp(-_CLIP, _CLIP)
        out = self.last(nn.functional.silu(self.first(scaled)))
        return Judged(out[:, 0], torch.sigmoid(out[:, 1:3]), out[:, 3])

    @staticmethod
    def evidence(
        figures: Tensor,
        curves_db: tuple[Tensor, Tensor, Tensor],
        logits: tuple[Tensor, Tensor],
        verified: Tensor,
    ) -> Tensor:
        """What the judge sees ``(batch, JUDGE_FIGURES)``.

        Args:
            figures: Of the fit ``(batch, FIT_FIGURES)``.
            curves_db: Fitted, refined and unrefined, each ``(batch, 80)``.
            logits: Refined and unrefined, each ``(batch, estimated effect)``, the equaliser first,
                then compressor and overdrive.
            verified: The aligner's probability of one source ``(batch,)``.
        """
        fitted, *estimated = curves_db
        apart = [(curve - fitted) for curve in estimated]
        apart = [((a - a.mean(1, keepdim=True)).abs().mean(1) + 0.2).log() for a in apart]
        refined, plain = (part.clamp(-6.0, 6.0) for part in logits)
        source = torch.logit(verified, _EPS)
        rest = [refined[:, 0], plain[:, 0], *apart, refined[:, 1], refined[:, 2], source]
        return torch.cat([figures, torch.stack(rest, 1)], 1)


class Judged(NamedTuple):
    """What a judge makes of pairs.

    Attributes:
        odds: To be added to the estimated log odds of an equaliser ``(batch,)``.
        shares: Of the fitted curve and of the estimated one ``(batch, 2)``.
        source: To be added to the aligner's log odds of one source ``(batch,)``.
    """

    odds: Tensor
    shares: Tensor
    source: Tensor

    def source_odds(self, verified: Tensor) -> Tensor:
        """Log odds of one source ``(batch,)``, finite, by the aligner's probability."""
        return torch.logit(verified, _EPS) + self.source

    def same_source(self, verified: Tensor) -> Tensor:
        """Probability of one source ``(batch,)`` by the aligner's."""
        likely = verified * self.source.exp()
        return likely / (likely + 1.0 - verified)

    def gated(self, same_source: Tensor) -> tuple[Tensor, Tensor]:
        """Log odds and shares as far as two recordings are of one source; else estimates stand.

        Args:
            same_source: Probability ``(batch,)``.
        """
        fitted, own = self.shares.unbind(1)
        kept = 1.0 - same_source
        shares = torch.stack([fitted * same_source, kept + own * same_source], 1)
        return self.odds * same_source, shares


def _branch(size: int, width: int, blocks: int) -> nn.Sequential:
    inner = [Residual(width, width, _DROPOUT) for _ in range(blocks)]
    return nn.Sequential(nn.Dropout(_DROPOUT), nn.Linear(size, width), nn.SiLU(), *inner)


def weigh_fits(
    model: AFXStyleVAE,
    code: Tensor,
    likeness: Tensor,
    fits: list[EqualizerFit],
    verified: Tensor,
) -> tuple[Estimate, Tensor, Tensor]:
    """Refine codes, and put together what the judge has to see of fitted equalisers.

    Args:
        model: Has refiner and decoder.
        code: See `TreatmentVAE.code`, ``(batch, code)``.
        likeness: ``(batch, N_LIKENESS)``.
        fits: The equaliser fitted to each.
        verified: The aligner's probability of one source ``(batch,)``.

    Returns:
        The refined estimate, the curve of its equaliser ``(batch, 80)``, and the evidence.
    """
    refined, plain = model.vae.head(model.refiner(code, likeness)), model.vae.head(code)
    effect, knobs = model.chain["eq"], model.chain.knobs_of("eq")
    own, other = (eq_bands_db(effect, e.controls[:, knobs].cpu()) for e in (refined, plain))
    fitted = torch.stack([fit.curve_db for fit in fits])
    figures = torch.stack([fit.figures for fit in fits])
    logits = (refined.logits.cpu(), plain.logits.cpu())
    return refined, own, Judge.evidence(figures, (fitted, own, other), logits, verified)
