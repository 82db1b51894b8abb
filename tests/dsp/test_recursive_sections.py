"""Recursive filters are the difference equation, whatever the blocks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from afxvae.dsp import recursive


def draw(*shape: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def system(batch: int = 2) -> recursive.System:
    """Two sections, one with two real poles and one that rings, different for each item."""
    corner, share = torch.linspace(0.2, 1.5, batch).double(), draw(6, batch, seed=1)
    first = recursive.first_order(corner, share[0], share[1])
    second = recursive.second_order(corner, 0.2 + share[2].abs(), share[3], share[4], share[5])
    return recursive.series([first, second])


def loop(x: np.ndarray, filters: recursive.System, item: int) -> np.ndarray:
    a, b, c, d = (part[item].numpy() for part in filters)
    state, y = np.zeros(len(b)), np.empty_like(x)
    for n, value in enumerate(x):
        y[n] = c @ state + d * value
        state = a @ state + b * value
    return y


@pytest.mark.parametrize("length", [1, 2, 127, 128, 129, 1000])
def test_equals_the_loop_over_samples(length):
    x = draw(2, 3, length, seed=0)
    filters = system()
    found, _ = recursive.add_filtered(x, filters, None)
    for item in range(2):
        for channel in range(3):
            want = loop(x[item, channel].numpy(), filters, item)
            np.testing.assert_allclose(found[item, channel].numpy(), want, rtol=0, atol=1e-11)


@pytest.mark.parametrize("blocks", [[1] * 60, [0, 7, 130, 0, 1, 300], [256, 128]])
def test_blocks_equal_the_whole(blocks):
    x, filters = draw(2, 2, sum(blocks), seed=2), system()
    whole, end = recursive.add_filtered(x, filters, None)
    state, parts = None, []
    for block in x.split(blocks, dim=-1):
        part, state = recursive.add_filtered(block, filters, state)
        parts.append(part)
    torch.testing.assert_close(torch.cat(parts, dim=-1), whole, rtol=0, atol=1e-12)
    torch.testing.assert_close(state, end, rtol=0, atol=1e-12)


def test_gradients_in_audio_filter_and_state():
    filters = [part.clone().requires_grad_() for part in system()]
    x, state = draw(2, 1, 11, seed=3), draw(2, 1, 3, seed=4)

    def run(x, state, *parts):
        return recursive.add_filtered(x, recursive.System(*parts), state)

    inputs = (x.requires_grad_(), state.requires_grad_(), *filters)
    assert torch.autograd.gradcheck(run, inputs)
