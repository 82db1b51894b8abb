"""The filter between two recordings, by attention between their moments.

`afxvae.dsp.likeness` compares frames as they are. This network has learned which frames are of the
same sound, which of them a treatment has left as they were but for its equaliser, and how far to
trust what is found: frames of one recording attend to those of the other (Vaswani et al.,
*Attention Is All You Need*, NeurIPS 2017), by several heads and in both directions, and every head
gives a filter, the mean difference of frames and what they attend to. The filter that is returned
is a weighted mean of these by band, with a small correction. As keys and weights hardly see the
filter that was found so far, another equaliser on either recording adds its curve to the result,
and changes little else.

How near moments of one recording come to those of the other also tells whether both are of one
source: of one voice or instrument, in one place. Of one source, whatever differs between moments
that sound alike was done to it. Of two sources, the difference may be their own.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn

from ..dsp.features import CLIP_SAMPLES, HOP_LENGTH, N_MELS

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["STRIDE", "Aligner", "Alignment"]

STRIDE = 2
"""Frames are taken in steps of so many."""
_CLIP_FRAMES = CLIP_SAMPLES // (HOP_LENGTH * STRIDE)  # of a clip, in these steps
_NEARER = 0.4
"""Log odds by which two sources seem more like one with each further clip of either recording, as
more moments that sound alike are found (355 pairs of validation recordings of up to four clips; 110
of up to eight, which changed no more)."""
_NEAREST_CLIPS = 4
_RANGE_DB = 97.0  # below the peak; what is softer is silence
_SOFT = 0.4  # share of the frames that hardly count towards the average spectrum
_SCALE_DB = 12.0
_CLIP = 5.0
_SHARPNESS = (6.0, 12.0, 20.0, 35.0)  # of attention at the beginning, by head
_CORRECTION_DB = 3.0
_GIVEN = 3  # filters that are known before: of averages, and of likeness, either way
_DROPOUT = 0.1
_VOICE = 32  # size of embeddings of voices
_CLUES = 12  # to the source, of a head in one direction
_EPS = 0.1  # dB squared


class Alignment(NamedTuple):
    """A filter between two recordings.

    Attributes:
        curve_db: Its gain by mel band, of mean 0, ``(batch, 80)``.
        error_db: Mean absolute errors to be expected ``(batch, 80)``.
        source: Log odds of one source against two ``(batch,)``; equally many are expected.
    """

    curve_db: Tensor
    error_db: Tensor
    source: Tensor


class Aligner(nn.Module):
    """Finds the filter between log-mel pictures.

    Args:
        heads: Of attention.
        key_dim: Size of the keys of a head.
        rounds: How often pictures are compared, each time under the filter found before.
    """

    def __init__(self, heads: int = 4, key_dim: int = 32, rounds: int = 2) -> None:
        super().__init__()
        given = [_GIVEN + (index > 0) for index in range(rounds)]
        self.rounds = nn.ModuleList(_Round(heads, key_dim, count) for count in given)
        clues = rounds * (2 * heads * _CLUES + _VOICE + 3)
        layers = (nn.Linear(clues, 48), nn.SiLU(), nn.Dropout(_DROPOUT), nn.Linear(48, 1))
        self.source = nn.Sequential(*layers)
        nn.init.zeros_(layers[-1].weight)
        nn.init.zeros_(layers[-1].bias)

    def forward(
        self, mine: Tensor, theirs: Tensor, start: Tensor, stride: int = STRIDE
    ) -> Alignment:
        """The filter from `mine` to `theirs`.

        Args:
            mine: Log-mel frames in dB ``(batch, frame, 80)``.
            theirs: The same of the other recordings; the number of frames may differ.
            start: The filter forwards and backwards, see `afxvae.dsp.likeness.filters_of`,
                ``(batch, 2, 80)``.
            stride: Frames are taken in steps of so many.
        """
        return self.stages(mine, theirs, start, stride)[-1]

    def stages(
        self, mine: Tensor, theirs: Tensor, start: Tensor, stride: int = STRIDE
    ) -> list[Alignment]:
        """What each round finds; the source follows from all of them."""
        mine, theirs = _floored(mine)[:, ::stride], _floored(theirs)[:, ::stride]
        level = start.mean((1, 2)).view(-1, 1, 1)
        theirs, start = theirs - level, start - level
        averages = _average(mine), _average(theirs)
        given = torch.cat([averages[1] - averages[0], start], 1)
        curve, found, clues = start.mean(1, keepdim=True), [], []
        for index, compare in enumerate(self.rounds):
            known = torch.cat([given, curve], 1) if index else given
            curve, error, clue = compare(mine, theirs, averages, curve, known)
            found.append((curve.squeeze(1), error))
            clues.append(clue)
        heard = (min(_parts(frames.shape[1]), _NEAREST_CLIPS) for frames in (mine, theirs))
        nearer = _NEARER * (sum(heard) - 2)
        source = self.source(torch.cat(clues, 1)).squeeze(1) - nearer
        return [Alignment(*one, source) for one in found]


class _Round(nn.Module):
    """One comparison; `given` filters are known before."""

    cosines: Tensor

    def __init__(self, heads: int, key_dim: int, given: int, width: int = 96) -> None:
        super().__init__()
        self.heads = heads
        self.trunk = nn.Sequential(
            nn.Conv1d(N_MELS, width, 5, padding=2),
            nn.GroupNorm(8, width),
            nn.SiLU(),
            nn.Dropout(_DROPOUT),
            nn.Conv1d(width, width, 5, padding=4, dilation=2),
            nn.GroupNorm(8, width),
            nn.SiLU(),
            nn.Dropout(_DROPOUT),
        )
        self.keys = nn.Conv1d(width, heads * key_dim, 1)
        nn.init.normal_(self.keys.weight, std=0.01)
        self.gain = nn.Parameter(torch.ones(heads, key_dim, 1))
        self.voice = nn.Linear(2 * width, _VOICE)
        self.register_buffer("cosines", _cosines(key_dim), persistent=False)
        self.trust = nn.Conv1d(width + N_MELS, heads, 1)
        self.sharpness = nn.Parameter(torch.tensor(_SHARPNESS[:heads]).log().view(1, -1, 1, 1))
        last = nn.Linear(16, 1)
        self.frame = nn.Sequential(nn.Linear(5, 16), nn.SiLU(), last)
        self.band = nn.Parameter(torch.zeros(heads, 8))
        self.band.data[:, 6] = -1.0  # outliers
        self.mixer = _Mixer(2 * heads + given, 4 * heads + 3)
        for still in (*self.trust.parameters(), *last.parameters()):
            nn.init.zeros_(still)

    def forward(
        self,
        mine: Tensor,
        theirs: Tensor,
        averages: tuple[Tensor, Tensor],
        curve: Tensor,
        given: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """A better filter ``(batch, 1, 80)``, its errors ``(batch, 80)``, clues to the source."""
        own, other = self._hear(mine - averages[0]), self._hear(theirs - curve - averages[0])
        there = self._attend(own, mine, other, theirs)
        back = self._attend(other, theirs, own, mine)
        curves = torch.cat([there[0], -back[0], given], 1)
        curves = curves - curves.mean(2, keepdim=True)
        levels = [(a - a.amax(2, keepdim=True)) / 20.0 for a in averages]
        place = torch.linspace(-1.0, 1.0, N_MELS, device=mine.device).expand_as(levels[0])
        seen = [there[1] / 2.0, back[1] / 2.0, there[2] / 3.0, back[2] / 3.0, place, *levels]
        curve, error = self.mixer(curves, torch.cat(seen, 1))
        voices = own[2] * other[2]
        sizes = [error.log().mean(1, keepdim=True), (curve.square().mean(2) + _EPS).log()]
        clues = [there[3], back[3], 4.0 * voices, voices.sum(1, keepdim=True), *sizes]
        return curve, error, torch.cat(clues, 1)

    def _hear(self, picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Keys ``(batch, head, frame, key)`` of frames, how far to trust each, and the voice.

        A voice is an embedding ``(batch, voice)`` of length 1, of mean and spread of loud frames as
        in Snyder et al., *X-Vectors: Robust DNN Embeddings for Speaker Recognition*, ICASSP 2018.
        """
        scaled = (picture / _SCALE_DB).clamp(-_CLIP, _CLIP).mT
        hidden = self.trunk(scaled)
        learned = self.keys(hidden).unflatten(1, (self.heads, -1))
        keys = learned + self.gain * (self.cosines @ scaled).unsqueeze(1)
        level = picture.mean(2) - picture.mean((1, 2)).unsqueeze(1)
        loud = (level.clamp(-20.0, 6.0) / 4.0).softmax(1).unsqueeze(1)
        mean = (hidden * loud).sum(2)
        spread = ((hidden - mean.unsqueeze(2)).square() * loud).sum(2).clamp_min(1e-4).sqrt()
        voice = nn.functional.normalize(self.voice(torch.cat([mean, spread], 1)), dim=1)
        return keys.mT, self.trust(torch.cat([hidden, scaled], 1)), voice

    def _attend(
        self,
        known: tuple[Tensor, ...],
        mine: Tensor,
        asking: tuple[Tensor, ...],
        theirs: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Frames of `theirs` attend to those of `mine`.

        The more frames there are, the likelier is one that sounds by itself as a filter would make
        another sound, which takes from that filter. So no frame chooses among more than those of a
        clip: longer recordings are dealt out to several comparisons, whose mean is taken.

        Returns:
            By head and band, each ``(batch, head, 80)``: the filter between, the logarithm of how
            far frames differ from it, and of how many frames it is a mean. Then clues to the
            source ``(batch, head x clue)``.
        """
        mines, others = _parts(mine.shape[1]), _parts(theirs.shape[1])
        dealt = []
        for index in range(max(mines, others)):
            own, other = slice(index % mines, None, mines), slice(index % others, None, others)
            mind = known[0][:, :, own], mine[:, own]
            asked = asking[0][:, :, other], asking[1][..., other], theirs[:, other]
            dealt.append(self._choose(*mind, *asked))
        there, differing, count, clues = (torch.stack(f).mean(0) for f in zip(*dealt, strict=True))
        return there, differing, count, clues

    def _choose(
        self, keys: Tensor, mine: Tensor, queries: Tensor, trust: Tensor, theirs: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """`_attend` of so many frames at once."""
        if self.training:  # half of them are enough
            queries, trust, theirs = queries[:, :, ::2], trust[..., ::2], theirs[:, ::2]
        squares = queries.square().sum(-1, keepdim=True) + keys.square().sum(-1).unsqueeze(2)
        distance = (squares - 2.0 * queries @ keys.mT).clamp_min(0.0) / N_MELS
        weight = (-distance * self.sharpness.exp()).softmax(-1)
        matched = weight @ mine.unsqueeze(1)
        spread = weight @ mine.square().unsqueeze(1) - matched.square()
        rest = theirs.unsqueeze(1) - matched
        apart = rest - rest.median(2, keepdim=True).values
        level = (theirs.mean(2) - theirs.mean((1, 2)).unsqueeze(1)).unsqueeze(1)
        seen = [
            (distance.amin(-1) + 0.01).log(),
            -(weight * (weight + 1e-9).log()).sum(-1),
            (apart.abs().mean(3) + 1.0).log(),
            level.expand_as(trust) / 10.0,
            trust,
        ]
        first = amount = self.frame(torch.stack(seen, -1))
        causes = (
            (matched - _peak(mine)) / 20.0,
            (theirs.unsqueeze(1) - _peak(theirs)) / 20.0,
            (spread.clamp_min(0.0) + _EPS).log() / 2.0,
            (apart.square() + 1.0).log(),
        )
        factors = self.band.view(1, self.heads, 1, 1, -1).unbind(-1)
        for index, cause in enumerate(causes):
            amount = amount + cause * (factors[2 * index] + factors[2 * index + 1] * cause)
        share = amount.clamp(-15.0, 15.0).softmax(2)
        curve = (share * rest).sum(2)
        differing = (share * (rest - curve.unsqueeze(2)).square()).sum(2)
        differing = (differing + _EPS).log()
        near = torch.stack(seen[:4], -1)
        weighed = (near * first.clamp(-15.0, 15.0).softmax(2)).sum(2)
        best = near[..., :3].quantile(0.25, dim=2)
        clues = torch.cat([near.mean(2), weighed, best, differing.mean(2, keepdim=True)], 2)
        return curve, differing, -share.square().sum(2).log(), clues.flatten(1)


class _Mixer(nn.Module):
    """Weighs filters by band, from what they differ by and what else is `seen`."""

    def __init__(self, curves: int, seen: int, width: int = 48) -> None:
        super().__init__()
        self.first = nn.Conv1d(curves + seen, width, 5, padding=2)
        self.second = nn.Conv1d(width, width, 5, padding=4, dilation=2)
        self.third = nn.Conv1d(width, width, 5, padding=2)
        self.last = nn.Conv1d(width, curves + 2, 1)
        for still in self.last.parameters():
            nn.init.zeros_(still)

    def forward(self, curves: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        apart = curves - curves.median(1, keepdim=True).values
        hidden = nn.functional.silu(self.first(torch.cat([apart / 3.0, seen], 1)))
        hidden = hidden + nn.functional.silu(self.second(hidden))
        hidden = hidden + nn.functional.silu(self.third(hidden))
        shares, correction, error = self.last(hidden).split([curves.shape[1], 1, 1], 1)
        curve = (shares.softmax(1) * curves).sum(1, keepdim=True)
        curve = curve + _CORRECTION_DB * torch.tanh(correction)
        return curve - curve.mean(2, keepdim=True), (error + 0.5).exp().squeeze(1)


def _parts(frames: int) -> int:
    """Of about a clip each, into which so many frames are dealt out."""
    return max(1, round(frames / _CLIP_FRAMES))


def _peak(frames: Tensor) -> Tensor:
    return frames.amax((1, 2)).view(-1, 1, 1, 1)


def _floored(frames: Tensor) -> Tensor:
    return torch.maximum(frames, frames.amax((1, 2), keepdim=True) - _RANGE_DB)


def _average(frames: Tensor) -> Tensor:
    """Spectrum of what is loud ``(batch, 1, band)``."""
    level = frames.mean(2, keepdim=True)
    loud = torch.sigmoid((level - level.quantile(_SOFT, 1, keepdim=True)) / 2.0)
    return (frames * loud).sum(1, keepdim=True) / loud.sum(1, keepdim=True)


def _cosines(count: int) -> Tensor:
    """The first cosines of the orthonormal transform over the bands ``(count, 80)``."""
    order, band = torch.arange(count).unsqueeze(1), torch.arange(N_MELS)
    cosines = torch.cos(math.pi * order * (band + 0.5) / N_MELS) * math.sqrt(2.0 / N_MELS)
    cosines[0] /= math.sqrt(2.0)
    return cosines
