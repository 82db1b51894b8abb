"""Whether a waveform was bent or its level held down, from how it is shaped.

An encoder of spectra has to tell an overdrive by its harmonics and a compressor by how levels are
spread. The shape of a waveform shows both more directly, see `afxvae.dsp.waveform`, and a small
network that compares those of input and reference learns it from few recordings. What it says is
weighed against the estimate of a latent by a logistic regression on pairs of held-out recordings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn

from ..dsp.waveform import N_WAVEFORM, waveform_statistics
from .estimate import ESTIMATED, Estimate

if TYPE_CHECKING:
    from torch import Tensor

    from ..effects import Chain

__all__ = ["BENDING", "Bends", "WaveformComparator", "as_estimate", "with_bends"]

BENDING = {
    "compressor": ("threshold_db", "ratio", "knee_db"),
    "overdrive": ("drive_db", "bias", "mix"),
}
"""Effects that show in the shape of a waveform, and those of their knobs that do."""
_SHARE = 0.5
"""How far knobs go from the latent's estimate to this one, which is near the best for the curves of
768 pairs of validation recordings."""
_IN_MIXES = {"overdrive": (0.1, 1.0, 0.07)}
"""Opinions of these effects in a mix, where the latent knows less than waveforms do: the networks
behind it never learned from songs, and the comparator did. Of 1,008 pairs of validation songs."""
_CLIP = 5.0
_CODE = 128
_DROPOUT = 0.3


class Bends(NamedTuple):
    """What waveforms say of treatments.

    Attributes:
        logits: Log odds that the effects of `BENDING` are on ``(batch, effect)``.
        knobs: Positions of their knobs ``(batch, knob)``, in the order of `BENDING`.
    """

    logits: Tensor
    knobs: Tensor


class WaveformComparator(nn.Module):
    """Compares waveform statistics of an input and a reference.

    Args:
        width: Of the hidden layers.
    """

    mean: Tensor
    scale: Tensor
    opinion: Tensor

    def __init__(self, width: int = 384) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(N_WAVEFORM))
        self.register_buffer("scale", torch.ones(N_WAVEFORM))
        undecided = torch.tensor([1.0, 0.0, 0.0]).repeat(len(BENDING), 1)
        self.register_buffer("opinion", undecided)  # of the latent's odds, of these, a constant
        self.shape = nn.Sequential(
            nn.Dropout(0.5 * _DROPOUT), *_hidden(N_WAVEFORM, width), nn.Linear(width, _CODE)
        )
        self.change = nn.Sequential(nn.Dropout(0.5 * _DROPOUT), nn.Linear(N_WAVEFORM, _CODE))
        self.body = nn.Sequential(*_hidden(3 * _CODE, width), *_hidden(width, width))
        self.last = nn.Linear(width, len(BENDING) + sum(map(len, BENDING.values())))
        nn.init.zeros_(self.last.weight)

    def forward(self, mine: Tensor, theirs: Tensor) -> Bends:
        """What was done between waveforms whose statistics are ``(batch, N_WAVEFORM)`` each."""
        own, other = self.scaled(mine), self.scaled(theirs)
        codes = [self.shape(own), self.shape(other), self.change(other - own)]
        found = self.last(self.body(torch.cat(codes, 1)))
        return Bends(found[:, : len(BENDING)], torch.sigmoid(found[:, len(BENDING) :]))

    @torch.no_grad()
    def compare(self, clips: Tensor, reference: Tensor) -> Bends:
        """What all pairs of clips ``(clip, time)`` say on average, batch 1.

        The clips are mono, at 24 kHz and the analysis loudness.
        """
        return self.between(waveform_statistics(clips), waveform_statistics(reference))

    @torch.no_grad()
    def between(self, mine: Tensor, theirs: Tensor) -> Bends:
        """The same of clips whose statistics are ``(clip, N_WAVEFORM)``."""
        pairs = mine.repeat_interleave(len(theirs), 0), theirs.repeat(len(mine), 1)
        return Bends(*(part.mean(0, keepdim=True) for part in self(*pairs)))

    def scale_to(self, statistics: Tensor) -> None:
        """Standardise by statistics ``(clip, N_WAVEFORM)`` like those that will be seen."""
        self.mean.copy_(statistics.mean(0))
        self.scale.copy_(statistics.std(0) + 0.02)

    def scaled(self, statistics: Tensor) -> Tensor:
        """Standardised statistics ``(clip, N_WAVEFORM)``."""
        return ((statistics - self.mean) / self.scale).clamp(-_CLIP, _CLIP)


def as_estimate(chain: Chain, bends: Bends) -> Estimate:
    """A treatment with nothing but the effects of `BENDING`; of the others, even odds."""
    controls = chain.default_controls().to(bends.knobs).repeat(len(bends.knobs), 1)
    controls = controls.index_copy(1, _columns(chain).to(controls.device), bends.knobs)
    places = torch.tensor([ESTIMATED.index(effect) for effect in BENDING], device=controls.device)
    logits = bends.logits.new_zeros(len(bends.logits), len(ESTIMATED))
    return Estimate(controls, logits.index_copy(1, places, bends.logits))


def with_bends(
    model: WaveformComparator, chain: Chain, estimate: Estimate, bends: Bends, mix: float = 0.0
) -> Estimate:
    """The estimate of a latent, corrected by what waveforms say.

    Args:
        model: Has the opinion of either.
        chain: Of the treatments.
        estimate: Of a latent.
        bends: What waveforms say.
        mix: How likely the input is a mix of many sources.
    """
    controls, logits = estimate.controls.clone(), estimate.logits.clone()
    columns = _columns(chain)
    controls[:, columns] = torch.lerp(controls[:, columns], bends.knobs, _SHARE)
    for index, effect in enumerate(BENDING):
        opinion = model.opinion[index]
        in_mixes = opinion.new_tensor(_IN_MIXES[effect]) if effect in _IN_MIXES else opinion
        of_latent, own, constant = torch.lerp(opinion, in_mixes, mix)
        place = ESTIMATED.index(effect)
        logits[:, place] = of_latent * logits[:, place] + own * bends.logits[:, index] + constant
    return Estimate(controls, logits)


def _columns(chain: Chain) -> Tensor:
    """Of the knobs of `BENDING` among all."""
    names = [(effect, param.name) for effect, param in chain.knobs]
    return torch.tensor([names.index((e, knob)) for e, knobs in BENDING.items() for knob in knobs])


def _hidden(size: int, width: int) -> list[nn.Module]:
    return [nn.Linear(size, width), nn.LayerNorm(width), nn.GELU(), nn.Dropout(_DROPOUT)]
