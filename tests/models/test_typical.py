"""Typical recordings in the place of an input of another source."""

from __future__ import annotations

import pytest
import torch

from afxvae.dsp.features import N_MELS
from afxvae.dsp.likeness import N_LIKENESS
from afxvae.measure.equalizer import FIT_FIGURES, EqualizerFit, eq_bands_db
from afxvae.models.estimate import Estimate
from afxvae.models.pair import Pair
from afxvae.models.style_vae import AFXStyleVAE
from afxvae.models.typical import TypicalSources, feigned_odds, share_of_typical
from tests.sounds import untrained

EMBEDDED = torch.randn(2, 256, generator=torch.Generator().manual_seed(1))


def knowing(typical: torch.Tensor) -> AFXStyleVAE:
    """A model that tells embeddings apart, with one typical source."""
    model = untrained()
    torch.manual_seed(1)
    torch.nn.init.normal_(model.vae.head.last.weight, std=0.1)
    model.typical.embeddings[:] = typical
    return model


def estimated(
    model: AFXStyleVAE, same_source: float, reference: torch.Tensor | None = EMBEDDED[1:]
) -> Estimate:
    """Of a pair without moments that sound alike."""
    audio = EMBEDDED[:1]
    start = model.chain.default_controls()[model.chain.knobs_of("eq")]
    fit = EqualizerFit(start, torch.zeros(N_MELS), torch.zeros(FIT_FIGURES))
    latent = model.encode(audio, EMBEDDED[1:]).mean
    pair = Pair(torch.zeros(1, N_LIKENESS), fit, same_source, reference)
    return model.refine(latent, audio, pair)


def curve(model: AFXStyleVAE, estimate: Estimate) -> torch.Tensor:
    """Of the equaliser, without its mean, ``(80,)``."""
    knobs = estimate.controls[:, model.chain.knobs_of("eq")]
    found = eq_bands_db(model.chain["eq"], knobs)[0]
    return found - found.mean()


def test_averages_by_kind() -> None:
    typical = TypicalSources(3, 2)
    assert not typical.known
    embedded = torch.tensor([[0.0, 2.0], [2.0, 0.0], [9.0, 9.0]])
    typical.fit(embedded, torch.tensor([0, 0, 2]))
    assert typical.known
    assert typical.embeddings[0].tolist() == [1.0, 1.0]
    assert typical.embeddings[2].tolist() == [9.0, 9.0]
    torch.testing.assert_close(typical.embeddings[1], embedded.mean(0))
    near = typical.nearest(torch.tensor([[8.0, 9.0], [0.0, 1.0]]))
    assert near.tolist() == [[9.0, 9.0], [1.0, 1.0]]


@pytest.mark.parametrize(
    ("same_source", "share"), [(0.0, 0.5), (0.25, 0.25), (0.5, 0.0), (1.0, 0.0)]
)
def test_only_other_sources_are_stood_in_for(same_source: float, share: float) -> None:
    assert share_of_typical(same_source) == share


def test_where_the_source_is_the_same_nothing_changes() -> None:
    model = knowing(EMBEDDED.mean(0))
    plain, found = estimated(model, 0.7, None), estimated(model, 0.7)
    assert torch.equal(found.controls, plain.controls)
    assert torch.equal(found.logits, plain.logits)


@torch.no_grad()
def test_the_equaliser_goes_half_the_way() -> None:
    model = knowing(0.3 * EMBEDDED[0].flip(0))
    stand_in = model.typical.embeddings[:1]
    plain, found = estimated(model, 0.0, None), estimated(model, 0.0)
    other = model.decode(model.encode(stand_in, EMBEDDED[1:]).mean, stand_in).estimate
    half = (plain.logits[0, 0] + other.logits[0, 0]) / 2
    torch.testing.assert_close(found.logits[0, 0], half, atol=1e-3, rtol=0.0)
    assert torch.equal(found.logits[:, 1:], plain.logits[:, 1:])
    eq = model.chain.knobs_of("eq")
    rest = torch.ones(len(model.chain.knobs), dtype=torch.bool)
    rest[eq] = False
    assert torch.equal(found.controls[:, rest], plain.controls[:, rest])
    wanted = (curve(model, plain) + curve(model, other)) / 2
    assert float((wanted - curve(model, plain)).abs().mean()) > 0.5
    assert float((wanted - curve(model, found)).abs().mean()) < 0.3


@torch.no_grad()
def test_a_typical_input_needs_nobody_in_its_place() -> None:
    model = knowing(EMBEDDED[0])
    plain, found = estimated(model, 0.0, None), estimated(model, 0.0)
    torch.testing.assert_close(found.logits, plain.logits, atol=1e-3, rtol=0.0)
    assert float((curve(model, found) - curve(model, plain)).abs().mean()) < 0.3


@pytest.mark.parametrize(
    ("same_source", "taken"), [(0.0, 0.0), (0.5, 0.0), (0.75, 1.5), (1.0, 3.0)]
)
def test_only_of_one_source_is_taken_off_what_is_there_alone(
    same_source: float, taken: float
) -> None:
    found = feigned_odds(torch.tensor([[2.0, -1.0, -4.0]]), same_source)
    assert found.tolist() == [[taken, 0.0, 0.0]]


@torch.no_grad()
def test_what_an_input_has_by_itself_is_taken_off_all_but_the_equaliser() -> None:
    model = knowing(EMBEDDED.mean(0))
    audio = EMBEDDED[:1]
    model.vae.head.last.bias += 1.0  # so that something is there
    alone = model.decode(model.encode(audio, audio).mean, audio).estimate.logits
    taken = feigned_odds(alone, 1.0)
    assert float(taken.max()) > 0.0
    rather_two, one = estimated(model, 0.5, None), estimated(model, 1.0, None)
    expected = rather_two.logits - taken
    torch.testing.assert_close(one.logits[:, 1:], expected[:, 1:])
