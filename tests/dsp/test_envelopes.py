"""Sliding maxima, averages and releases equal the loops that define them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import maximum_filter1d

from afxvae.dsp import envelopes


def noise(n: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(2, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("window", [1, 2, 3, 8, 13, 100])
def test_sliding_max_equals_scipys(window):
    x = noise(300)
    want = maximum_filter1d(x.numpy(), window, axis=1, origin=(window - 1) // 2 - window // 2)
    found = envelopes.sliding_max(x, window)
    assert found.shape[1] == 300 - window + 1
    start = window // 2 + ((window - 1) // 2 - window // 2)
    np.testing.assert_array_equal(found, want[:, start : start + found.shape[1]])


@pytest.mark.parametrize("hold", [0.0, 0.25, 1.0, 6.5, 40.0])
def test_held_max_lies_between_whole_windows(hold):
    x = noise(150)
    found = envelopes.held_max(x, torch.tensor([hold, 3.0], dtype=torch.float64), 50)
    whole, part = int(hold), hold - int(hold)
    for n in range(100):
        now = 50 + n
        shorter = float(x[0, now - whole : now + 1].max())
        longer = float(x[0, now - whole - 1 : now + 1].max())
        assert float(found[0, n]) == pytest.approx(shorter + part * (longer - shorter))


def test_moving_average_of_nothing_is_exactly_nothing():
    x = noise(500)
    x[:, 200:300] = 0.0
    mean = envelopes.moving_average(x, 20)
    np.testing.assert_allclose(mean[:, 0], x[:, :20].mean(1), atol=1e-14)
    assert not bool(mean[:, 200:281].any())


@pytest.mark.parametrize("release_ms", [1.0, 50.0])
def test_fall_back_equals_the_loop(release_ms):
    x = torch.relu(noise(2000) * 10.0 - 9.0)
    last = torch.tensor([0.0, 30.0], dtype=torch.float64)
    found, end = envelopes.fall_back(x, torch.tensor([release_ms] * 2), 44100, last)
    pole = math.exp(-1000.0 / (release_ms * 44100))
    y = last.clone()
    for n in range(2000):
        y = torch.maximum(x[:, n], pole * y)
        np.testing.assert_allclose(found[:, n], y, atol=1e-7)
    assert torch.equal(end, found[:, -1])


def test_fall_back_from_nothing_is_nothing():
    zero = torch.zeros(1, 100000, dtype=torch.float64)
    found, _ = envelopes.fall_back(zero, torch.tensor([10.0]), 44100, zero[:, 0])
    assert float(found.abs().max()) < 1e-18
