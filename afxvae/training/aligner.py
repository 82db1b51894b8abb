"""Stage 4: the aligner, which has to find the equaliser between two clips, and their source.

Half of the batches compare dry clips, the reference with an equaliser, a compressor and a floor of
noise that are made in its log-mel picture; half compare a dry clip, or one with an equaliser of its
own, with a really treated one. Most pairs are halves of one crop; the others are of two sources of
one kind, so that the aligner learns to tell these, and how little there is to be known of them.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn

from ..data.crops import random_bends
from ..data.pools import restore_log_mel
from ..dsp.features import FLOOR_DB
from ..dsp.likeness import filters_between
from ..dsp.units import POWER_NEPERS_PER_DB
from ..measure.equalizer import band_hz, eq_bands_db
from .loop import follow
from .recolour import chance
from .refiner import Equalizers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from torch import Tensor

    from ..models.aligner import Aligner, Alignment
    from ..models.style_vae import AFXStyleVAE
    from .pool import Pool

__all__ = ["alignment", "train_aligner"]

_STRIDE = 3
_TWO_SOURCES = 0.4
_WIDE = 0.4  # share of the loss in which bands count by their width in Hz
_SOURCE = 0.7  # weight of the entropy of whether the source is one
_EARLIER = 0.3  # weight of rounds before the last
_COLOURED, _COLOUR_DB = 0.5, 3.0  # share of batches with another colour, which is so large at most
_EQUALIZED, _BEFORE = 0.75, 0.5  # shares of dry references and inputs with an equaliser
_BENT = 0.35  # share of treated references whose inputs are equalised
_OWN = 0.45  # share of treated references whose inputs get an equaliser in their picture
_MORE = 0.5  # share of treated references that get an equaliser, of those that may
_COMPRESSED, _NOISY = 0.4, 0.3
_LEVEL_DB = 6.0


class _Pairs(NamedTuple):
    """Log-mels ``(pair, frame, 80)``, the curve between them, and whether the source is one."""

    mine: Tensor
    theirs: Tensor
    curve_db: Tensor
    one_source: Tensor


def train_aligner(
    model: AFXStyleVAE,
    pool: Pool,
    held_out: Pool,
    folder: Path,
    *,
    steps: int = 3000,
    batch: int = 24,
    rate: float = 1.5e-3,
    seed: int = 0,
    log: Callable[[str], None] = lambda line: None,
) -> None:
    """Fit `model.aligner`; no other weights take part.

    Args:
        model: Has the aligner.
        pool: Shards of `render_pool`.
        held_out: The same of other recordings.
        folder: Gets ``aligner.jsonl``.
        steps: Number of batches.
        batch: Pairs in a batch.
        rate: Largest learning rate.
        seed: Of everything random.
        log: Called with lines for people.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    equalizers = Equalizers(model.chain, seed)
    losses = _losses(model.aligner.train(), pool, batch, equalizers, generator)
    follow(losses, model.aligner, folder / "aligner.jsonl", steps=steps, rate=rate,
           weight_decay=0.02, most_norm=5.0, log=log)  # fmt: skip
    model.eval()
    log(f"held out {alignment(model, held_out)}")


def _losses(
    aligner: Aligner,
    pool: Pool,
    batch: int,
    equalizers: Equalizers,
    generator: torch.Generator,
) -> Iterator[Tensor]:
    """Of batches without end, dry and treated ones in turns."""
    makes = itertools.cycle((_dry, _treated))
    for raw in pool.endless(batch, generator):
        pairs = next(makes)(raw, equalizers, generator)
        if float(chance(generator, 1)) < _COLOURED:
            pairs = _coloured(pairs, generator)
        yield _loss(aligner, pairs, int(torch.randint(_STRIDE, (), generator=generator)))


@torch.no_grad()
def alignment(model: AFXStyleVAE, pool: Pool, seed: int = 0) -> dict[str, float]:
    """Mean errors in dB of the filter between halves of crops, one treated, and of the source.

    Returns:
        ``aligner``, ``likeness``, which it starts from, and ``none``, of a flat filter; and
        ``auc``, the probability that a pair of one source gets more for that than one of two, if
        there are any.
    """
    generator = torch.Generator().manual_seed(seed)
    equalizers = Equalizers(model.chain, seed, 1)
    found: dict[str, list[Tensor]] = {"aligner": [], "likeness": [], "none": []}
    one, two = [], []
    for raw in pool.batches(16, generator):
        pairs = _treated(raw, equalizers, generator, plain=True)
        start = filters_between(pairs.mine, pairs.theirs)
        aligned = model.aligner(pairs.mine, pairs.theirs, start)
        one.append(aligned.source)
        other, itself = _partners(raw, 1.0, generator)
        if not bool(itself.all()):
            others = pairs.mine[other[~itself]], pairs.theirs[~itself]
            two.append(model.aligner(*others, filters_between(*others)).source)
        curves = {
            "aligner": aligned.curve_db,
            "likeness": start.mean(1),
            "none": torch.zeros_like(pairs.curve_db),
        }
        for name, curve in curves.items():
            found[name].append(_errors(curve, pairs.curve_db).mean(1))
    errors = {name: round(float(torch.cat(parts).mean()), 3) for name, parts in found.items()}
    if two:
        auc = (torch.cat(one).unsqueeze(1) > torch.cat(two)).float().mean()
        errors["auc"] = round(float(auc), 4)
    return errors


def _loss(aligner: Aligner, pairs: _Pairs, offset: int) -> Tensor:
    mine, theirs = pairs.mine[:, offset:], pairs.theirs[:, offset:]
    start = filters_between(mine[:, ::_STRIDE], theirs[:, ::_STRIDE])
    *earlier, last = aligner.stages(mine, theirs, start, _STRIDE)
    loss = _likelihood(last, pairs.curve_db) + _SOURCE * _entropy(last.source, pairs.one_source)
    return loss + _EARLIER * sum(_likelihood(found, pairs.curve_db) for found in earlier)


def _entropy(odds: Tensor, one_source: Tensor) -> Tensor:
    return nn.functional.binary_cross_entropy_with_logits(odds, one_source.float())


def _likelihood(found: Alignment, true_db: Tensor) -> Tensor:
    """Negative, of errors by a distribution of Laplace."""
    errors = _errors(found.curve_db, true_db)
    return (_weights() * (errors / found.error_db + found.error_db.log())).mean()


def _weights() -> Tensor:
    """Of bands ``(80,)``: as distances are measured, wide ones count for more."""
    width = torch.gradient(band_hz())[0]
    return 1.0 - _WIDE + _WIDE * width / width.mean()


def _errors(curve_db: Tensor, true_db: Tensor) -> Tensor:
    """By band, but for the level."""
    errors = curve_db - true_db
    return (errors - errors.median(1, keepdim=True).values).abs()


def _partners(
    raw: dict[str, Tensor], share: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """For a share of crops another of its kind and another group, else itself; whether it is."""
    kind, group = raw["kind"], raw["group"]
    fits = (kind.unsqueeze(0) == kind.unsqueeze(1)) & (group.unsqueeze(0) != group.unsqueeze(1))
    wanted = chance(generator, len(kind)) < share
    itself = torch.eye(len(kind), dtype=torch.bool)
    fits = torch.where((wanted & fits.any(1)).unsqueeze(1), fits, itself)
    other = torch.multinomial(fits.float(), 1, generator=generator).squeeze(1)
    return other, other == torch.arange(len(kind))


def _dry(raw: dict[str, Tensor], equalizers: Equalizers, generator: torch.Generator) -> _Pairs:
    """Dry halves; what is between them is made here."""
    rows = torch.arange(len(raw["kind"]))
    other, one = _partners(raw, _TWO_SOURCES, generator)
    half = torch.randint(2, rows.shape, generator=generator)
    mine = restore_log_mel(raw["dry_mel"][other, half])
    theirs = restore_log_mel(raw["dry_mel"][rows, 1 - half])
    curve = _drawn(equalizers, len(rows), _EQUALIZED, generator)
    own = _drawn(equalizers, len(rows), _BEFORE, generator)
    mine, theirs = _filtered(mine, own), _filtered(theirs, curve)
    theirs = _compressed(theirs, generator)
    return _Pairs(_noisy(mine, generator), _noisy(theirs, generator), curve - own, one)


def _treated(
    raw: dict[str, Tensor],
    equalizers: Equalizers,
    generator: torch.Generator,
    plain: bool = False,
) -> _Pairs:
    """Dry or equalised halves, and the others treated; `plain` if of one source and as they are."""
    rows = torch.arange(len(raw["kind"]))
    other, one = (rows, rows == rows) if plain else _partners(raw, _TWO_SOURCES, generator)
    half = torch.randint(2, rows.shape, generator=generator)
    which = torch.randint(raw["wet_mel"].shape[2], rows.shape, generator=generator)
    bent = (chance(generator, len(rows), 1) < _BENT) & (not plain)
    place = rows, 1 - half, which
    mine = torch.where(
        bent.unsqueeze(2), raw["equalized_mel"][other, half], raw["dry_mel"][other, half]
    )
    effect, knobs = equalizers.chain["eq"], equalizers.knobs
    switches = raw["switches"][place]
    on, driven = (switches[:, [column]] for column in (equalizers.column, equalizers.drive))
    curve = eq_bands_db(effect, raw["controls"][place][:, knobs]) * on
    curve = curve - eq_bands_db(effect, raw["before"][other, half]) * bent
    free = ~(on | driven) & (not plain)
    more = _drawn(equalizers, len(rows), _MORE, generator) * free
    own = _drawn(equalizers, len(rows), _OWN * (not plain), generator)
    theirs = _filtered(restore_log_mel(raw["wet_mel"][place]), more)
    return _Pairs(_filtered(restore_log_mel(mine), own), theirs, curve + more - own, one)


def _coloured(pairs: _Pairs, generator: torch.Generator) -> _Pairs:
    """The same, heard through a microphone of another colour, and not as loud."""
    count = len(pairs.mine)
    colour = _COLOUR_DB * chance(generator, count, 1) * _bends(count, generator)
    level = _LEVEL_DB * (2.0 * chance(generator, count, 1, 1) - 1.0)
    mine, theirs = _filtered(pairs.mine, colour), _filtered(pairs.theirs, colour) + level
    return pairs._replace(mine=mine.clamp_min(FLOOR_DB), theirs=theirs.clamp_min(FLOOR_DB))


def _filtered(frames: Tensor, curve_db: Tensor) -> Tensor:
    """Frames behind a filter ``(pair, 80)``. Silence stays silent: its floor would show it."""
    return torch.where(frames > FLOOR_DB, frames + curve_db.unsqueeze(1), frames)


def _drawn(equalizers: Equalizers, count: int, share: float, generator: torch.Generator) -> Tensor:
    """Curves of random equalisers ``(count, 80)``, a share of them flat otherwise."""
    curves = equalizers.curves
    chosen = curves[torch.randint(len(curves), (count,), generator=generator)]
    return chosen * (chance(generator, count, 1) < share)


def _compressed(frames: Tensor, generator: torch.Generator) -> Tensor:
    """Some with loud moments turned down, in all bands alike."""
    shape = len(frames), 1, 1
    level = (frames * POWER_NEPERS_PER_DB).logsumexp(2, keepdim=True) / POWER_NEPERS_PER_DB
    threshold = level.quantile(0.3, 1, keepdim=True) - 5.0 + 15.0 * chance(generator, *shape)
    slope = (0.2 + 0.7 * chance(generator, *shape)) * (chance(generator, *shape) < _COMPRESSED)
    return frames - slope * (level - threshold).clamp_min(0.0)


def _noisy(frames: Tensor, generator: torch.Generator) -> Tensor:
    """Some with a floor of noise."""
    count = len(frames)
    floor = frames.amax((1, 2), keepdim=True) - 25.0 - 60.0 * chance(generator, count, 1, 1)
    floor = floor + 3.0 * _bends(count, generator).unsqueeze(1)
    noisy = (
        torch.logaddexp(frames * POWER_NEPERS_PER_DB, floor * POWER_NEPERS_PER_DB)
        / POWER_NEPERS_PER_DB
    )
    return torch.where(chance(generator, count, 1, 1) < _NOISY, noisy, frames)


def _bends(count: int, generator: torch.Generator) -> Tensor:
    return random_bends(band_hz().log2(), count, generator)
