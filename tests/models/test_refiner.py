"""What likeness adds to a code."""

from __future__ import annotations

import torch

from afxvae.dsp.features import N_MELS
from afxvae.dsp.likeness import N_LIKENESS
from afxvae.measure.equalizer import FIT_FIGURES, EqualizerFit, eq_bands_db, fit_curve
from afxvae.models.pair import Pair, one_source
from afxvae.models.refiner import JUDGE_FIGURES, Judge, Judged, Refiner
from afxvae.models.typical import feigned_odds
from tests.sounds import untrained

CODE_DIM = 6


def drawn(*size: int) -> torch.Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(len(size)))


def moving() -> Refiner:
    torch.manual_seed(0)
    refiner = Refiner(CODE_DIM, 16).eval()
    torch.nn.init.normal_(refiner.layers[-1].weight)
    return refiner


def test_before_training_a_code_stays_what_it_is() -> None:
    code, seen = drawn(3, CODE_DIM), drawn(3, N_LIKENESS)
    assert torch.equal(Refiner(CODE_DIM)(code, seen), code)
    model = untrained()
    latent, embedded = drawn(2, 16), drawn(2, 256)
    eq = model.chain["eq"]
    fit = EqualizerFit(drawn(len(eq.params)), drawn(N_MELS), drawn(FIT_FIGURES))
    refined = model.refine(latent[:1], embedded[:1], Pair(seen[:1], fit, 0.5))
    plain = model.decode(latent[:1], embedded[:1]).estimate
    assert torch.equal(refined.controls, plain.controls)
    torch.testing.assert_close(refined.logits, plain.logits, atol=1e-3, rtol=0.0)


def test_likeness_moves_a_code() -> None:
    refiner, code, seen = moving(), drawn(3, CODE_DIM), drawn(3, N_LIKENESS)
    assert not torch.allclose(refiner(code, seen), refiner(code, -seen), atol=1e-2)


def test_an_unknown_code_has_no_say() -> None:
    refiner, seen = moving(), drawn(3, N_LIKENESS)
    unknown = torch.tensor([[0.0], [1.0], [0.0]])
    one, other = (refiner(drawn(3, CODE_DIM) * size, seen, unknown) for size in (1.0, 2.0))
    assert torch.equal(one[::2], other[::2])
    assert not torch.allclose(one[1], other[1])


def test_inputs_are_standardised_but_no_filter_stays_none() -> None:
    refiner = Refiner(CODE_DIM, 16)
    seen, code = 5.0 + 3.0 * drawn(500, N_LIKENESS), 2.0 * drawn(500, CODE_DIM) - 1.0
    refiner.fit_scale(seen, code)
    scaled = (seen - refiner.likeness_mean) * refiner.likeness_scale
    torch.testing.assert_close(scaled[:, 2 * N_MELS :].std(0), torch.ones(N_LIKENESS - 2 * N_MELS))
    torch.testing.assert_close(scaled.mean(0), torch.zeros(N_LIKENESS), atol=1e-4, rtol=0.0)
    known = (code - refiner.code_mean) * refiner.code_scale
    torch.testing.assert_close(known.std(0), torch.ones(CODE_DIM))


# the judge


def evidence(count: int) -> torch.Tensor:
    return torch.randn(count, JUDGE_FIGURES, generator=torch.Generator().manual_seed(1))


def test_an_untrained_judge_leaves_the_estimate_alone() -> None:
    odds, shares, source = Judge()(evidence(5))
    assert torch.equal(odds, torch.zeros(5))
    assert torch.equal(source, torch.zeros(5))
    torch.testing.assert_close(shares, torch.tensor([[0.0, 1.0]]).expand(5, 2), atol=1e-3, rtol=0.0)


def test_a_judge_sees_how_far_fit_and_estimates_are_apart() -> None:
    figures, fitted = torch.zeros(2, FIT_FIGURES), torch.zeros(2, N_MELS)
    bent = fitted.clone()
    bent[:, : N_MELS // 2] = 3.0
    logits = torch.zeros(2, 6)
    rest = (logits, logits), torch.tensor([0.5, 1.0])
    same = Judge.evidence(figures, (fitted, fitted + 5.0, fitted), *rest)
    other = Judge.evidence(figures, (fitted, bent, fitted), *rest)
    assert same.shape == (2, JUDGE_FIGURES)
    assert same[0, -1] == 0.0 < same[1, -1] < 10.0
    assert (same != other).any(0).nonzero().flatten().tolist() == [FIT_FIGURES + 2]
    torch.testing.assert_close(other[:, FIT_FIGURES + 2], torch.full((2,), 1.7).log())


def test_a_judge_is_heard_as_far_as_the_source_is_the_same() -> None:
    shares = torch.tensor([[0.8, 0.3]]).expand(3, 2)
    judged = Judged(torch.tensor([2.0, 2.0, 2.0]), shares, torch.zeros(3))
    odds, shares = judged.gated(torch.tensor([1.0, 0.5, 0.0]))
    torch.testing.assert_close(odds, torch.tensor([2.0, 1.0, 0.0]))
    torch.testing.assert_close(shares, torch.tensor([[0.8, 0.3], [0.4, 0.65], [0.0, 1.0]]))


def test_a_judge_moves_the_odds_of_one_source() -> None:
    sure, half = torch.tensor([0.0, 1.0]), torch.tensor([0.5, 0.5])
    judged = Judged(torch.zeros(2), torch.zeros(2, 2), torch.tensor([4.0, 3.0]).log())
    torch.testing.assert_close(judged.same_source(half), torch.tensor([0.8, 0.75]))
    assert torch.equal(judged.same_source(sure), sure)


def test_an_untrained_judge_believes_the_aligner() -> None:
    model = untrained()
    fit = EqualizerFit(drawn(len(model.chain["eq"].params)), drawn(N_MELS), drawn(FIT_FIGURES))
    for verified in (0.0, 0.3, 1.0):
        pair = Pair(drawn(1, N_LIKENESS), fit, verified)
        found = one_source(model, drawn(1, 16), drawn(1, 256), pair)
        assert abs(found - verified) < 1e-6


def test_a_judge_that_trusts_the_fit_takes_its_curve() -> None:
    model = untrained()
    model.judge.last.bias.data.copy_(torch.tensor([2.0, 9.0, -9.0, 0.0]))
    eq, knobs = model.chain["eq"], torch.tensor([e == "eq" for e, _ in model.chain.knobs])
    wanted = torch.linspace(6.0, -6.0, N_MELS)
    controls, _ = fit_curve(eq, wanted, torch.ones(N_MELS))
    curve = eq_bands_db(eq, controls.unsqueeze(0))[0]
    fit = EqualizerFit(controls, curve, torch.zeros(FIT_FIGURES))
    latent, embedded, seen = drawn(1, 16), drawn(1, 256), drawn(1, N_LIKENESS)
    found = model.refine(latent, embedded, Pair(seen, fit, 1.0))
    plain = model.decode(latent, embedded).estimate
    own = eq_bands_db(eq, found.controls[:, knobs])[0]
    assert float((own - curve - (own - curve).mean()).abs().mean()) < 0.3
    assert torch.equal(found.controls[:, ~knobs], plain.controls[:, ~knobs])
    measured = plain.logits[:, 0] + 2.0
    torch.testing.assert_close(found.logits[:, 0], measured, atol=1e-3, rtol=0.0)
    alone = model.decode(model.encode(embedded, embedded).mean, embedded).estimate.logits
    others = (plain.logits - feigned_odds(alone, 1.0))[:, 1:]
    torch.testing.assert_close(found.logits[:, 1:], others)
