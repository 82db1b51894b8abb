"""The waveform comparator: what becomes of its opinion."""

from __future__ import annotations

import pytest
import torch

from afxvae.dsp.waveform import N_WAVEFORM, waveform_statistics
from afxvae.effects import default_chain
from afxvae.models.estimate import ESTIMATED, Estimate
from afxvae.models.waveform import (
    BENDING,
    Bends,
    WaveformComparator,
    as_estimate,
    with_bends,
)
from tests.sounds import clips

CHAIN = default_chain()
KNOBS = sum(map(len, BENDING.values()))


@pytest.fixture
def comparator() -> WaveformComparator:
    torch.manual_seed(0)
    made = WaveformComparator().eval()
    torch.nn.init.normal_(made.last.weight)
    return made


def estimate() -> Estimate:
    generator = torch.Generator().manual_seed(1)
    controls = torch.rand(1, len(CHAIN.knobs), generator=generator)
    return Estimate(controls, torch.randn(1, len(ESTIMATED), generator=generator))


def test_several_clips_say_what_their_pairs_say_on_average(comparator: WaveformComparator) -> None:
    mine, theirs = clips(2), clips(3, seed=1)
    found = comparator.compare(mine, theirs)
    each = [comparator.compare(a[None], b[None]) for a in mine for b in theirs]
    for part, parts in zip(found, zip(*each, strict=True), strict=True):
        assert torch.allclose(part, torch.stack(parts).mean(0), atol=1e-4)


def test_statistics_are_standardised_by_what_was_seen(
    comparator: WaveformComparator,
) -> None:
    seen = waveform_statistics(clips(6))
    comparator.scale_to(seen)
    scaled = comparator.scaled(seen)
    assert float(scaled.mean(0).abs().max()) < 0.5
    assert float(scaled.abs().max()) <= 5.0


def test_an_estimate_has_the_knobs_at_their_places() -> None:
    knobs = torch.linspace(0.1, 0.6, KNOBS)[None]
    found = as_estimate(CHAIN, Bends(torch.tensor([[3.0, -2.0]]), knobs))
    expected = [(effect, knob) for effect, names in BENDING.items() for knob in names]
    for (effect, knob), value in zip(expected, knobs[0].tolist(), strict=True):
        place = [(e, p.name) for e, p in CHAIN.knobs].index((effect, knob))
        assert float(found.controls[0, place]) == pytest.approx(value)
    assert float(found.logits[0, ESTIMATED.index("compressor")]) == 3.0
    assert float(found.logits[0, ESTIMATED.index("overdrive")]) == -2.0
    assert float(found.logits[0, ESTIMATED.index("eq")]) == 0.0


def test_an_undecided_model_keeps_the_odds_of_the_latent(comparator: WaveformComparator) -> None:
    known, bends = estimate(), Bends(torch.tensor([[9.0, 9.0]]), torch.full((1, KNOBS), 0.5))
    found = with_bends(comparator, CHAIN, known, bends)
    assert torch.equal(found.logits, known.logits)


def test_odds_are_weighed_and_knobs_go_part_of_the_way(comparator: WaveformComparator) -> None:
    known, bends = estimate(), Bends(torch.tensor([[2.0, -3.0]]), torch.full((1, KNOBS), 0.5))
    comparator.opinion.copy_(torch.tensor([[0.5, 1.0, 0.25], [1.0, 2.0, 0.0]]))
    found = with_bends(comparator, CHAIN, known, bends)
    one, other = ESTIMATED.index("compressor"), ESTIMATED.index("overdrive")
    assert float(found.logits[0, one]) == pytest.approx(0.5 * float(known.logits[0, one]) + 2.25)
    assert float(found.logits[0, other]) == pytest.approx(float(known.logits[0, other]) - 6.0)
    shown = {(effect, knob) for effect, names in BENDING.items() for knob in names}
    for place, (effect, param) in enumerate(CHAIN.knobs):
        before, after = float(known.controls[0, place]), float(found.controls[0, place])
        if (effect, param.name) in shown:
            assert abs(after - 0.5) < abs(before - 0.5)
            assert (after - 0.5) * (before - 0.5) >= 0
        else:
            assert after == before


def test_in_mixes_waveforms_have_most_of_the_say_about_drives(
    comparator: WaveformComparator,
) -> None:
    known, bends = estimate(), Bends(torch.tensor([[2.0, -3.0]]), torch.full((1, KNOBS), 0.5))
    comparator.opinion.copy_(torch.tensor([[0.5, 1.0, 0.25], [0.5, 0.5, 0.0]]))
    dry, between, mix = (
        with_bends(comparator, CHAIN, known, bends, share).logits for share in (0.0, 0.5, 1.0)
    )
    place = ESTIMATED.index("overdrive")
    others = [index for index in range(len(ESTIMATED)) if index != place]
    torch.testing.assert_close(between, 0.5 * (dry + mix))
    assert torch.equal(dry[:, others], mix[:, others])
    assert float(mix[0, place]) == pytest.approx(-3.0, abs=0.5)


def test_clips_have_as_many_statistics_as_the_comparator_takes() -> None:
    assert len(WaveformComparator().mean) == N_WAVEFORM
