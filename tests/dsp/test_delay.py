"""Delays between samples are as flat and exact as documented; echoes are their recursion."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from afxvae.dsp import delay
from afxvae.effects.delay import DELAY


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.2 * torch.randn(*shape, generator=generator, dtype=torch.float64)


def echo(x: torch.Tensor, rate: int, time_ms: float, feedback: float, mix: float = 1.0):
    knobs = {"time_ms": time_ms, "feedback": feedback, "mix": mix}
    settings = {name: torch.full((len(x),), value, dtype=x.dtype) for name, value in knobs.items()}
    return DELAY.process(x, settings, rate)


def db(power: float) -> float:
    return 10.0 * math.log10(power + 1e-30)


def residual_db(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return db(float((found.double() - wanted).square().mean() / wanted.double().square().mean()))


# between samples


@pytest.mark.parametrize("fraction", [0.07, 0.25, -0.4, 0.5])
def test_level_is_flat_within_a_hundredth_of_a_db_up_to_96_percent_of_the_band(fraction):
    matrix = delay.between_samples(torch.tensor([fraction], dtype=torch.float64), torch.float64)
    click = torch.zeros(8192, dtype=torch.float64)
    click[4096] = 1.0
    response = delay.interpolate(click, matrix[0])
    gain_db = 20.0 * torch.log10(torch.fft.rfft(response, 1 << 14).abs())
    edge = int(0.96 * len(gain_db))
    assert float(gain_db[:edge].abs().max()) < 0.01
    assert float(gain_db.max()) < 0.01  # nothing that feeds back grows


@pytest.mark.parametrize("length", [1, 63, 64, 65, 1000])
def test_no_fraction_is_exact(length):
    matrix = delay.between_samples(torch.zeros(1, dtype=torch.float64), torch.float32)[0]
    x = noise(2, length + 2 * delay.HALF_TAPS).float()
    assert torch.equal(delay.interpolate(x, matrix), x[:, delay.HALF_TAPS : -delay.HALF_TAPS])


# echo


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("feedback", [0.0, 0.3, 0.9])
@pytest.mark.parametrize(("rate", "samples"), [(8000, 160), (24000, 1236), (44100, 6615)])
def test_echo_equals_the_recursion(rate, samples, feedback, dtype):
    """``w[n] = x[n - D] + feedback w[n - D]``, sample after sample."""
    x = noise(1, 2, 16000).to(dtype)
    wet = np.zeros((2, 16000))
    for n in range(samples, 16000):
        wet[:, n] = x[0, :, n - samples].numpy() + feedback * wet[:, n - samples]
    found = echo(x, rate, 1000.0 * samples / rate, feedback, 0.4)
    assert residual_db(found, 0.6 * x + 0.4 * torch.from_numpy(wet)) < -100.0


@pytest.mark.parametrize("feedback", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("time_ms", [20.0, 87.3, 333.0])
def test_each_echo_has_the_feedback_times_the_level_of_the_one_before(time_ms, feedback):
    rate = 24000
    x = torch.zeros(1, 1, rate, dtype=torch.float64)
    pulse = torch.hann_window(64, periodic=False, dtype=torch.float64)
    x[..., :64] = pulse
    y = echo(x, rate, time_ms, feedback)[0, 0]
    for number in range(1, int((rate - 200) / (time_ms * rate / 1000.0)) + 1):
        place = number * time_ms * rate / 1000.0
        around = y[max(0, int(place) - 40) : int(place) + 110]
        level = feedback ** (number - 1)
        assert float(around.sum() / pulse.sum()) == pytest.approx(level, abs=2e-3)
        if level > 0.01:
            centre = float((around * torch.arange(len(around))).sum() / around.sum())
            assert centre + max(0, int(place) - 40) == pytest.approx(place + 31.5, abs=0.02)


def test_echoes_between_samples_are_delayed_sines():
    rate, frequency, samples = 24000, 1000.0, 240.37
    time = torch.arange(rate // 2, dtype=torch.float64) / rate
    x = torch.sin(2.0 * math.pi * frequency * time).view(1, 1, -1)
    want = torch.sin(2.0 * math.pi * frequency * (time - samples / rate))
    found = echo(x, rate, 1000.0 * samples / rate, 0.0)[0, 0]
    assert residual_db(found[1000:-1000], want[1000:-1000]) < -60.0


def test_late_echoes_do_not_wrap_around():
    """A click at the end of the signal sounds on beyond it, not at its beginning."""
    x = torch.zeros(1, 1, 6000, dtype=torch.float64)
    x[..., 5900] = 1.0
    assert not bool(echo(x, 24000, 20.0, 0.9).any())


def test_gradients_are_exact():
    """In the audio and all settings, against finite differences."""
    x = noise(2, 2, 600).requires_grad_()
    knobs = ([20.03, 31.4], [0.5, 0.9], [0.3, 1.0])
    settings = [torch.tensor(knob, dtype=torch.float64, requires_grad=True) for knob in knobs]
    assert torch.autograd.gradcheck(
        lambda *inputs: delay.echo(*inputs, 8000)[0].square().sum(), (x, *settings), fast_mode=True
    )


def test_a_delay_too_short_for_the_line_is_as_long_as_it_can_be():
    """At 1 kHz, 20 ms are fewer samples than an interpolation reads."""
    x = noise(1, 1, 500)
    assert torch.equal(echo(x, 1000, 20.0, 0.5), echo(x, 1000, 65.0, 0.5))


def test_a_delay_longer_than_the_signal_leaves_silence():
    y = echo(noise(1, 1, 2000), 24000, 500.0, 0.5)
    assert float(y.abs().max()) < 1e-9


def test_only_the_top_of_the_band_rings_between_samples():
    """A click half a sample late loses the top 3 %, and dies away before and after it."""
    x = torch.zeros(1, 1, 12000, dtype=torch.float64)
    x[..., 6000] = 1.0
    y = echo(x, 24000, 1000.0 * 1000.5 / 24000, 0.0)[0, 0].square()
    assert db(float(y.sum())) == pytest.approx(0.0, abs=0.1)
    assert db(float(y[:6500].sum())) < -80.0
    assert db(float(y[7500:].sum())) < -80.0


@pytest.mark.parametrize("time_ms", [50.0, 50.02])
def test_echo_leaves_what_came_before_alone(time_ms):
    """Whole signals that differ from sample 6000 on differ in their echoes from 7200 on."""
    first = noise(1, 1, 12000)
    second = first.clone()
    second[..., 6000:] = noise(1, 1, 6000, seed=1)
    difference = (echo(first, 24000, time_ms, 0.8) - echo(second, 24000, time_ms, 0.8))[0, 0]
    early = float(difference[:7000].square().mean())
    assert db(early / float(difference[7300:].square().mean())) < -60.0
