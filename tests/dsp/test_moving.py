"""The moving delay line reads where it should, and its feedback is the recursion it says."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from afxvae.dsp import moving
from afxvae.dsp.convolution import continued

RATE = 44100


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def read(signal: torch.Tensor, delay: torch.Tensor) -> torch.Tensor:
    """A signal before which there is silence, late by `delay`."""
    reach = math.ceil(float(delay.detach().max())) + moving.NEIGHBOURS
    return moving.read_line(continued(signal, None, reach), delay)


# reading


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("delay", [1, 2, 7, 100, 499, 600])
def test_whole_delays_are_exact(delay, dtype):
    x = noise(2, 3, 500).to(dtype)
    found = read(x, torch.full_like(x, delay))
    want = np.zeros((2, 3, 500), dtype=x.numpy().dtype)
    if delay < 500:
        want[..., delay:] = x.numpy()[..., : 500 - delay]
    np.testing.assert_array_equal(found.numpy(), want)


def test_moving_whole_delays_are_exact():
    x = noise(1, 1, 800)
    delay = np.random.default_rng(0).integers(1, 200, 800)
    found = read(x, torch.from_numpy(delay).double().view(1, 1, -1))
    place = np.arange(800) - delay
    want = np.where(place >= 0, x[0, 0].numpy()[np.maximum(place, 0)], 0.0)
    np.testing.assert_array_equal(found[0, 0].numpy(), want)


def test_cubics_are_read_exactly():
    """Third-order Lagrange interpolation is exact for polynomials of third degree."""
    time = np.linspace(0.0, 1.0, 400)
    x = 3.0 * time**3 - time**2 + 0.5 * time - 0.2
    delay = 5.0 + 20.0 * np.random.default_rng(1).random(400)
    found = read(*(torch.from_numpy(v).view(1, 1, -1) for v in (x, delay)))
    place = time - delay * (time[1] - time[0])
    want = 3.0 * place**3 - place**2 + 0.5 * place - 0.2
    np.testing.assert_allclose(found[0, 0, 40:].numpy(), want[40:], atol=1e-12)


@pytest.mark.parametrize(("frequency", "limit_db"), [(100, -120), (1000, -80), (4000, -40)])
def test_sines_are_read_between_samples(frequency, limit_db):
    """Worst half way between two samples, where the error grows with the fourth power of pitch."""
    w = 2.0 * math.pi * frequency / RATE
    time = np.arange(2000)
    delay = 30.0 + 10.0 * np.random.default_rng(2).random(2000)
    x = torch.from_numpy(np.sin(w * time)).view(1, 1, -1)
    found = read(x, torch.from_numpy(delay).view(1, 1, -1))
    error = found[0, 0, 50:].numpy() - np.sin(w * (time - delay))[50:]
    assert 20.0 * math.log10(np.abs(error).max()) < limit_db


def test_silence_precedes_the_signal():
    found = read(torch.ones(1, 1, 50), torch.full((1, 1, 50), 10.5))
    assert torch.equal(found[..., :9], torch.zeros(1, 1, 9))
    torch.testing.assert_close(found[..., 12:], torch.ones(1, 1, 38))


def test_gradients_reach_audio_and_delay():
    x = noise(2, 2, 30).requires_grad_()
    delay = (1.1 + 8.0 * noise(2, 2, 30, seed=1).sigmoid()).requires_grad_()
    assert torch.autograd.gradcheck(read, (x, delay))


# feedback


def wandering(length: int, least: float, most: float, lanes: int = 1) -> torch.Tensor:
    angle = torch.arange(length, dtype=torch.float64) / 70.0 + torch.arange(lanes).view(1, -1, 1)
    return least + (most - least) * (0.5 + 0.5 * torch.sin(angle))


@pytest.mark.parametrize("feedback", [-0.95, 0.0, 0.7])
@pytest.mark.parametrize("least", [2.0, 2.5, 31.7])
def test_the_loop_is_the_recursion_sample_by_sample(least, feedback):
    drive, past = noise(1, 2, 600), noise(1, 2, 60, seed=1)
    delay = wandering(600, least, 50.0, lanes=2)
    found = moving.recirculate(
        drive, delay, torch.full((1, 1, 1), feedback, dtype=torch.float64), past
    )
    for lane in range(2):
        line = [*past[0, lane].tolist()]
        for n in range(600):
            whole = math.floor(delay[0, lane, n])
            taps = moving.lagrange_taps(delay[0, lane, n] - whole)
            heard = sum(float(t) * line[60 + n - whole - 2 + k] for k, t in enumerate(taps) if t)
            line.append(float(drive[0, lane, n]) + feedback * heard)
        np.testing.assert_allclose(found[0, lane].numpy(), line, atol=1e-9)


def test_the_loop_has_the_right_gradients():
    delay = wandering(40, 2.3, 9.0, lanes=2).expand(2, -1, -1).clone().requires_grad_()
    drive = noise(2, 2, 40).requires_grad_()
    feedback = torch.tensor([0.8, -0.5], dtype=torch.float64).view(2, 1, 1).requires_grad_()
    past = noise(2, 2, 12, seed=1)
    assert torch.autograd.gradcheck(
        lambda *given: moving.recirculate(*given, past), (drive, delay, feedback)
    )
