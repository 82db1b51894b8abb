"""Convolution by pieces and by blocks is convolution."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import signal

from afxvae.dsp import convolution


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("length", "taps"), [(1, 1), (1, 50), (500, 7), (7, 500), (90_000, 3001)])
def test_it_equals_scipy(length, taps, channels):
    """With a response for all channels or each; also where it takes several pieces."""
    x, response = noise(2, 2, length), noise(2, channels, taps, seed=1)
    found, _ = convolution.convolve(x, response)
    want = signal.fftconvolve(x.numpy(), response.expand(-1, 2, -1).numpy(), axes=-1)
    np.testing.assert_allclose(found.numpy(), want[..., :length], atol=1e-10)


@pytest.mark.parametrize("taps", [1, 40, 3000])
def test_blocks_equal_whole(taps):
    x, response = noise(1, 2, 2000), noise(1, 1, taps, seed=1)
    want, _ = convolution.convolve(x, response)
    history, pieces = None, []
    for block in x.split([1, 0, 999, 5, 995], -1):
        piece, history = convolution.convolve(block, response, history)
        pieces.append(piece)
        assert history.shape == (1, 2, taps - 1)
    torch.testing.assert_close(torch.cat(pieces, -1), want)


def test_gradients_are_exact():
    x, response = noise(1, 2, 30).requires_grad_(), noise(1, 1, 8, seed=1).requires_grad_()
    history = noise(1, 2, 7, seed=2).requires_grad_()
    assert torch.autograd.gradcheck(convolution.convolve, (x, response, history))


@pytest.mark.parametrize("samples", [0, 3, 10, 12])
def test_history_is_cut_or_preceded_by_silence(samples):
    history, block = noise(1, 1, 10), noise(1, 1, 4, seed=1)
    joined = convolution.continued(block, history, samples)
    silence = torch.zeros(1, 1, max(0, samples - 10), dtype=torch.float64)
    kept = history[..., max(0, 10 - samples) :]
    assert torch.equal(joined, torch.cat([silence, kept, block], -1))
