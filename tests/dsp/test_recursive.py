"""Recursive filters equal scipy's, alone, in chains and in blocks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.signal
import torch

from afxvae.dsp.recursive import add_filtered, bilinear, series

NUMERATOR, DENOMINATOR = [0.3, 2.0, 1.0, 0.1], [2.0, 5.0, 3.4, 0.8]
STEP = math.tan(math.pi * 300.0 / 44100)


def system(numerator=NUMERATOR, denominator=DENOMINATOR, step=STEP):
    rows = (torch.tensor([row], dtype=torch.float64) for row in (numerator, denominator))
    return bilinear(*rows, torch.tensor([step], dtype=torch.float64))


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def scipys(x, numerator=NUMERATOR, denominator=DENOMINATOR, step=STEP) -> np.ndarray:
    b, a = scipy.signal.bilinear(numerator, denominator, fs=0.5 / step)
    return scipy.signal.lfilter(b, a, np.asarray(x))


@pytest.mark.parametrize("length", [0, 1, 127, 128, 129, 5000])
def test_filter_equals_scipys(length):
    x = noise(2, 3, length)
    np.testing.assert_allclose(add_filtered(x, system())[0].numpy(), scipys(x), rtol=0, atol=1e-9)


def test_chain_is_one_after_the_other():
    x = noise(1, 2, 2000)
    both = series([system(), system([0.0, 1.0], [1.0, 1.0], 0.1)])
    want = scipys(scipys(x), [0.0, 1.0], [1.0, 1.0], 0.1)
    np.testing.assert_allclose(add_filtered(x, both)[0].numpy(), want, rtol=0, atol=1e-9)


def test_blocks_equal_whole():
    x, state, pieces = noise(1, 2, 3000), None, []
    for block in x.split([1, 0, 7, 120, 128, 129, 1000, 1615], dim=-1):
        piece, state = add_filtered(block, system(), state)
        pieces.append(piece)
    torch.testing.assert_close(
        torch.cat(pieces, -1), add_filtered(x, system())[0], rtol=0, atol=1e-12
    )


def test_items_have_filters_of_their_own():
    rows = [torch.tensor(row, dtype=torch.float64) for row in (NUMERATOR, DENOMINATOR)]
    steps = torch.tensor([0.01, 0.3], dtype=torch.float64)
    x = noise(2, 1, 700)
    found = add_filtered(x, bilinear(*(row.expand(2, -1) for row in rows), steps))[0]
    for item, step in enumerate(steps.tolist()):
        want = add_filtered(x[item : item + 1], system(step=step))[0]
        torch.testing.assert_close(found[item : item + 1], want)


def test_float32_at_a_low_corner_keeps_its_digits():
    x = noise(1, 1, 20000).float()
    low = system([0.0, 0.0, 1.0], [1.0, 1.4, 1.0], math.tan(math.pi * 20.0 / 192000))
    error = add_filtered(x, low)[0] - add_filtered(x.double(), low)[0]
    assert float(error.abs().max() / x.abs().max()) < 1e-7


def test_gradients_are_exact():
    rows = [torch.tensor([row], dtype=torch.float64) for row in (NUMERATOR, DENOMINATOR)]
    knobs = [value.requires_grad_() for value in (*rows, torch.tensor([0.2], dtype=torch.float64))]
    x = noise(1, 1, 140).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x, *knobs: add_filtered(x, bilinear(*knobs))[0], (x, *knobs), fast_mode=True
    )
