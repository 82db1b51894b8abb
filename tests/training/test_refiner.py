"""Pairs without an equaliser become pairs with one, as if the reference had been equalised."""

from __future__ import annotations

import pytest
import torch

from afxvae.dsp.features import CLIP_SAMPLES, N_MELS, SAMPLE_RATE
from afxvae.dsp.likeness import likeness
from afxvae.effects import default_chain
from afxvae.training.refiner import Comparisons, Equalizers
from tests.sounds import sound, untrained

CHAIN = default_chain()
COUNT = 6


@pytest.fixture(scope="module")
def equalizers() -> Equalizers:
    return Equalizers(CHAIN, seed=0, count=50)


@pytest.fixture(scope="module")
def pairs() -> Comparisons:
    """The same pair over and over; the last two are equalised or driven already."""
    model = untrained()
    seconds = CLIP_SAMPLES / SAMPLE_RATE
    mine, theirs = (model.listen(sound(s, seconds)[:, :CLIP_SAMPLES]).log_mel for s in (1, 2))
    switches = torch.zeros(COUNT, len(CHAIN.effects), dtype=torch.bool)
    switches[-1, CHAIN.names.index("eq")] = True
    switches[-2, CHAIN.names.index("overdrive")] = True
    switches[0, CHAIN.names.index("compressor")] = True
    controls = CHAIN.default_controls().repeat(COUNT, 1)
    seen = likeness(mine, theirs).repeat(COUNT, 1)
    return Comparisons(seen, torch.zeros(COUNT, 4), controls, switches)


def added(equalizers: Equalizers, pairs: Comparisons, *chosen: int) -> Comparisons:
    mask = torch.zeros(COUNT, dtype=torch.bool)
    mask[list(chosen)] = True
    return equalizers.add(pairs, mask, torch.Generator().manual_seed(3))


def test_only_chosen_pairs_that_allow_it_are_equalised(
    equalizers: Equalizers, pairs: Comparisons
) -> None:
    found = added(equalizers, pairs, 0, 2, 4, 5)
    eq = CHAIN.names.index("eq")
    assert found.switches[:, eq].tolist() == [True, False, True, False, False, True]
    for row in (1, 3, 4, 5):
        assert torch.equal(found.likeness[row], pairs.likeness[row])
        assert torch.equal(found.controls[row], pairs.controls[row])
    for row in (0, 2):
        assert not torch.equal(found.likeness[row], pairs.likeness[row])
    others = [index for index in range(len(CHAIN.effects)) if index != eq]
    assert torch.equal(found.switches[:, others], pairs.switches[:, others])


def test_the_filter_that_is_added_is_that_of_the_knobs(
    equalizers: Equalizers, pairs: Comparisons
) -> None:
    """Against the likeness of a reference that really went through this equaliser."""
    found = added(equalizers, pairs, 2)[torch.tensor([2])]
    model = untrained()
    seconds = CLIP_SAMPLES / SAMPLE_RATE
    mine, theirs = (sound(s, seconds)[:, :CLIP_SAMPLES] for s in (1, 2))
    knobs = CHAIN.to_settings(found.controls)["eq"]
    bent = CHAIN["eq"].process(theirs.unsqueeze(0), knobs, SAMPLE_RATE)[0]
    heard = likeness(model.listen(mine).log_mel, model.listen(bent).log_mel)[0, :N_MELS]
    moved = found.likeness[0, :N_MELS] - pairs.likeness[2, :N_MELS]
    real = heard - pairs.likeness[2, :N_MELS]
    difference = (moved - moved.median()) - (real - real.median())
    assert float(real.std()) > 1.5
    assert float(difference[8:-8].abs().mean()) < 0.3 * float(real.std())
