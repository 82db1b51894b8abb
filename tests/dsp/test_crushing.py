"""The crusher's staircases are where the formula has them, and gradients go through."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from afxvae.dsp.crushing import hold_samples, quantise
from afxvae.effects.drive import BIT_CRUSHER


def tensor(*values: float, **options) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64, **options)


@pytest.mark.parametrize("bits", [1.0, 2.0, 4.5, 8.0, 16.0])
def test_levels_are_multiples_of_the_step(bits):
    x = torch.linspace(-1.0, 1.0, 5001, dtype=torch.float64)
    y = quantise(x, tensor(bits))
    step = 2.0 ** (1.0 - bits)
    np.testing.assert_allclose(y, step * np.round(x.numpy() / step), atol=1e-12)
    assert float((y - x).abs().max()) <= step / 2.0 + 1e-12
    assert len(y.unique()) <= 2.0**bits + 1.0


@pytest.mark.parametrize("bits", [8.0, 12.0])
def test_noise_of_the_steps_is_6_db_a_bit(bits):
    x = torch.rand(100000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    error = quantise(x, tensor(bits)) - x
    want = 20.0 * (1.0 - bits) * math.log10(2.0) - 10.0 * math.log10(12.0)
    assert 10.0 * math.log10(float(error.square().mean())) == pytest.approx(want, abs=0.05)


@pytest.mark.parametrize("rate_hz", [500.0, 4410.0, 7000.0, 30000.0, 44100.0, 48000.0])
def test_held_samples_are_those_of_the_loop(rate_hz):
    x = torch.randn(1, 2, 5000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = hold_samples(x, tensor(rate_hz), 44100)[0][0].numpy()
    increment = round(min(1.0, rate_hz / 44100) * 2**32)
    phase, taken, held = 0, 0, None
    for n in range(5000):
        if phase < increment:
            held, taken = x[0, :, n].numpy(), taken + 1
        np.testing.assert_array_equal(found[:, n], held)
        phase = (phase + increment) % 2**32
    assert taken == pytest.approx(5000 * min(1.0, rate_hz / 44100), abs=1.0)


def test_blocks_of_one_sample_take_the_same_samples():
    """A rate whose multiples no floating-point sum meets exactly."""
    x, state, pieces = torch.arange(2000.0).view(1, 1, -1), None, []
    for block in x.split(1, dim=-1):
        piece, state = hold_samples(block, torch.tensor([4410.0]), 44100, state)
        pieces.append(piece)
    assert torch.equal(torch.cat(pieces, -1), hold_samples(x, torch.tensor([4410.0]), 44100)[0])


def test_at_the_top_nothing_is_held():
    x = torch.randn(1, 1, 500, generator=torch.Generator().manual_seed(0))
    settings = {"bits": torch.tensor([16.0]), "rate_hz": torch.tensor([48000.0])}
    y = BIT_CRUSHER.process(x, settings | {"mix": torch.tensor([1.0])}, 44100)
    assert float((y - x).abs().max()) <= 2.0**-16


def test_quantisers_gradient_is_that_of_a_line_with_a_constant_error():
    x, bits = tensor(0.3, -0.77).requires_grad_(), tensor(3.0).requires_grad_()
    by_x, by_bits = torch.autograd.grad(quantise(x, bits).sum(), (x, bits))
    assert torch.equal(by_x, torch.ones(2, dtype=torch.float64))
    error = float((quantise(x, bits) - x).detach().sum())
    assert float(by_bits) == pytest.approx(-math.log(2.0) * error)


def test_gradient_of_the_rate_is_that_of_the_age():
    """On a ramp, samples held longer are smaller by the slope times the age that they gain."""
    x = 0.01 * torch.arange(400, dtype=torch.float64).view(1, 1, -1)
    rate = tensor(1000.0, requires_grad=True)
    held, _ = hold_samples(x, rate, 8000)
    (gradient,) = torch.autograd.grad(held.sum(), rate)
    age = torch.arange(400)[8:] % 8  # the first sample held is a 0 behind silence
    assert float(gradient) == pytest.approx(float(0.01 * age.sum() / 1000.0), rel=1e-6)
