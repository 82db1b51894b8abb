"""What likeness adds to a code."""

from __future__ import annotations

import torch

from afxvae.dsp.features import N_MELS
from afxvae.dsp.likeness import N_LIKENESS
from afxvae.models.refiner import Refiner
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
    refined = model.refine(latent, embedded, seen[:2])
    plain = model.decode(latent, embedded).estimate
    assert torch.equal(refined.controls, plain.controls)
    assert torch.equal(refined.logits, plain.logits)


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
