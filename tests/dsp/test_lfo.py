"""Oscillators keep their phase for hours; tremolo and ring modulator do what their knobs say."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from afxvae.dsp import amplitude, lfo
from afxvae.effects.modulation import RING_MODULATOR, TREMOLO

RATE = 44100


def run(effect, audio: torch.Tensor, rate: int = RATE, **knobs: float) -> torch.Tensor:
    settings = effect.defaults() | {
        name: torch.tensor([value], dtype=torch.float64) for name, value in knobs.items()
    }
    return effect.process(audio, settings, rate)


def ones(length: int, channels: int = 1) -> torch.Tensor:
    return torch.ones(1, channels, length, dtype=torch.float64)


# phases


@pytest.mark.parametrize("rate_hz", [0.3, 5.1, 440.0, 4000.0])
def test_phase_after_an_hour_is_exact(rate_hz):
    clock = torch.tensor(3600 * RATE + 17)
    found = lfo.phase(torch.tensor([rate_hz], dtype=torch.float64), clock, 3, RATE)[0, 0]
    for n in range(3):
        turns = Fraction(rate_hz) * (3600 * RATE + 17 + n) / RATE
        distance = float(found[n]) / (2.0 * math.pi) - float(turns % 1)
        assert abs((distance + 0.5) % 1.0 - 0.5) < 1e-8


def test_phase_is_zero_at_sample_zero_and_goes_on_over_blocks():
    rate_hz = torch.tensor([0.7, 6.1])
    whole = lfo.phase(rate_hz, torch.tensor(0), 1000, RATE)
    assert not bool(whole[..., 0].any())
    torch.testing.assert_close(lfo.phase(rate_hz, torch.tensor(600), 400, RATE), whole[..., 600:])


def test_odd_channels_lag():
    angle = torch.zeros(2, 1, 4, dtype=torch.float64)
    found = lfo.lag_odd_channels(angle, torch.tensor([90.0, 180.0]), 3)[..., 0]
    quarter = math.pi / 2.0
    want = torch.tensor([[0.0, -quarter, 0.0], [0.0, -2 * quarter, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(found, want)


# tremolo


@pytest.mark.parametrize("rate", [8000, 44100, 96000])
@pytest.mark.parametrize("depth", [0.1, 0.6, 1.0])
@pytest.mark.parametrize("rate_hz", [2.0, 20.0])
def test_rate_and_depth_of_a_tremolo_measured_at_the_output(rate_hz, depth, rate):
    level = run(TREMOLO, ones(rate), rate, rate_hz=rate_hz, depth=depth)[0, 0].numpy()
    assert level[0] == 1.0
    assert level.max() == pytest.approx(1.0, abs=1e-12)
    assert level.min() == pytest.approx(1.0 - depth, abs=1e-4)
    lines = np.abs(np.fft.rfft(level - level.mean())) * 2.0 / rate
    assert lines.argmax() == rate_hz
    assert lines.max() == pytest.approx(0.5 * depth, rel=1e-9)
    assert np.delete(lines, int(rate_hz)).max() < 1e-9


@pytest.mark.parametrize("shape", [0.0, 0.5, 1.0])
def test_shape_keeps_rate_depth_and_halves(shape):
    level = run(TREMOLO, ones(RATE), rate_hz=5.0, depth=0.5, shape=shape)[0, 0]
    assert float(level.max()) == pytest.approx(1.0, abs=1e-6)
    assert float(level.min()) == pytest.approx(0.5, abs=1e-6)
    assert float(level.mean()) == pytest.approx(0.75, abs=1e-4)
    changing = ((level > 0.525) & (level < 0.975)).double().mean()
    bend = 401.0**shape - 1.0
    share = 2.0 / math.pi * math.asin(0.9 / math.sqrt(1.0 + 0.19 * bend))  # 71, 28 and 7 %
    assert float(changing) == pytest.approx(share, abs=0.001)


def test_shape_zero_is_a_cosine():
    angle = torch.linspace(0.0, 7.0, 100, dtype=torch.float64).view(1, 1, -1)
    found = amplitude.squared_cosine(angle, torch.zeros(1))
    torch.testing.assert_close(found, angle.cos(), rtol=0, atol=1e-15)


def test_half_a_turn_apart_the_sound_goes_from_side_to_side():
    left, right = run(TREMOLO, ones(RATE, 2), depth=1.0, stereo_phase_deg=180.0)[0]
    torch.testing.assert_close(left + right, torch.ones_like(left))


def test_rate_is_found_by_gradient_from_half_a_line_away():
    """Three seconds: from 1 / (2 T) away, and not from two lines away."""
    target = run(TREMOLO, ones(3 * 8000), 8000, rate_hz=4.0, depth=0.5)

    def fitted(start: float) -> float:
        rate_hz = torch.tensor([start], dtype=torch.float64, requires_grad=True)
        knobs = TREMOLO.defaults() | {"depth": torch.tensor([0.5]), "rate_hz": rate_hz}
        optimizer = torch.optim.LBFGS([rate_hz], line_search_fn="strong_wolfe", max_iter=20)

        def loss() -> torch.Tensor:
            optimizer.zero_grad()
            value = (TREMOLO.process(torch.ones_like(target), knobs, 8000) - target).square().mean()
            (rate_hz.grad,) = torch.autograd.grad(value, rate_hz)
            return value

        optimizer.step(loss)
        return rate_hz.item()

    assert fitted(4.0 + 1.0 / 6.0) == pytest.approx(4.0, abs=1e-5)
    assert fitted(4.0 - 1.0 / 6.0) == pytest.approx(4.0, abs=1e-5)


# ring modulator


@pytest.mark.parametrize("carrier_hz", [10.0, 440.0, 4000.0])
def test_a_sine_becomes_its_sum_and_difference_with_the_carrier(carrier_hz):
    time = torch.arange(RATE, dtype=torch.float64) / RATE
    probe = torch.sin(2.0 * math.pi * 1000.0 * time).view(1, 1, -1)
    done = run(RING_MODULATOR, probe, carrier_hz=carrier_hz, mix=1.0)[0, 0].numpy()
    lines = np.abs(np.fft.rfft(done)) * 2.0 / RATE
    expected = [int(abs(1000.0 - carrier_hz)), int(1000.0 + carrier_hz)]
    np.testing.assert_allclose(lines[expected], 0.5, atol=1e-6)
    assert np.delete(lines, expected).max() < 1e-8


def test_the_carrier_is_the_same_sine_an_hour_later():
    knobs = {"carrier_hz": torch.tensor([440.0]), "mix": torch.tensor([1.0])}
    late = (torch.tensor(3600 * RATE + 5),)  # 440 Hz has gone through whole turns in an hour
    done, (clock,) = RING_MODULATOR.run(ones(1000), knobs, RATE, late)
    want = torch.sin(2.0 * math.pi * 440.0 * (5 + torch.arange(1000).double()) / RATE)
    torch.testing.assert_close(done[0, 0], want, rtol=0, atol=1e-7)
    assert int(clock) == 3600 * RATE + 1005
