"""The moving delay line reads where it should, and the chorus swings as fast and far as it says."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.signal import hilbert

from afxvae.dsp import modulation
from afxvae.effects.modulation import CHORUS

RATE = 44100


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def chorus(x: torch.Tensor, rate: int = RATE, **changes: float) -> torch.Tensor:
    knobs = {"rate_hz": 0.8, "depth_ms": 2.0, "delay_ms": 12.0, "mix": 1.0} | changes
    settings = {name: torch.tensor([value], dtype=torch.float64) for name, value in knobs.items()}
    return CHORUS.process(x, {k: v.to(x.dtype) for k, v in settings.items()}, rate)


def measured_delay_ms(channel: int, rate: int = RATE, **knobs: float) -> np.ndarray:
    """Delay over time in ms, read off a ramp: a ramp read t samples ago is the ramp less t."""
    length = 2 * rate
    ramp = torch.arange(1.0, length + 1.0, dtype=torch.float64).expand(1, 2, -1)
    return ((ramp - chorus(ramp, rate, **knobs))[0, channel] * 1000.0 / rate).numpy()


# the delay line


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("delay", [1, 2, 7, 100, 499, 600])
def test_whole_delays_are_exact(delay, dtype):
    x = noise(2, 3, 500).to(dtype)
    found = modulation.read_delayed(x, torch.full_like(x, delay))
    want = np.zeros((2, 3, 500), dtype=x.numpy().dtype)
    if delay < 500:
        want[..., delay:] = x.numpy()[..., : 500 - delay]
    np.testing.assert_array_equal(found.numpy(), want)


def test_moving_whole_delays_are_exact():
    x = noise(1, 1, 800)
    delay = np.random.default_rng(0).integers(1, 200, 800)
    found = modulation.read_delayed(x, torch.from_numpy(delay).double().view(1, 1, -1))
    place = np.arange(800) - delay
    want = np.where(place >= 0, x[0, 0].numpy()[np.maximum(place, 0)], 0.0)
    np.testing.assert_array_equal(found[0, 0].numpy(), want)


def test_cubics_are_read_exactly():
    """Third-order Lagrange interpolation is exact for polynomials of third degree."""
    time = np.linspace(0.0, 1.0, 400)
    x = 3.0 * time**3 - time**2 + 0.5 * time - 0.2
    delay = 5.0 + 20.0 * np.random.default_rng(1).random(400)
    found = modulation.read_delayed(*(torch.from_numpy(v).view(1, 1, -1) for v in (x, delay)))
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
    found = modulation.read_delayed(x, torch.from_numpy(delay).view(1, 1, -1))
    error = found[0, 0, 50:].numpy() - np.sin(w * (time - delay))[50:]
    assert 20.0 * math.log10(np.abs(error).max()) < limit_db


def test_silence_precedes_the_signal():
    found = modulation.read_delayed(torch.ones(1, 1, 50), torch.full((1, 1, 50), 10.5))
    assert torch.equal(found[..., :9], torch.zeros(1, 1, 9))
    torch.testing.assert_close(found[..., 12:], torch.ones(1, 1, 38))


def test_gradients_reach_audio_and_delay():
    x = noise(2, 2, 30).requires_grad_()
    delay = (1.1 + 8.0 * noise(2, 2, 30, seed=1).abs()).requires_grad_()
    assert torch.autograd.gradcheck(modulation.read_delayed, (x, delay))


# the chorus


@pytest.mark.parametrize("rate", [24000, 44100, 96000])
@pytest.mark.parametrize("depth_ms", [0.1, 2.0, 6.0])
@pytest.mark.parametrize("rate_hz", [2.0, 8.0])
def test_rate_depth_and_mean_delay_measured_at_the_output(rate_hz, depth_ms, rate):
    knobs = {"rate_hz": rate_hz, "depth_ms": depth_ms, "delay_ms": 15.0}
    delay = measured_delay_ms(0, rate, **knobs)[-rate:]  # one second: a whole number of swings
    assert delay.mean() == pytest.approx(15.0, abs=1e-6)
    assert (delay.max() - delay.min()) / 2.0 == pytest.approx(depth_ms, rel=1e-3)
    lines = np.abs(np.fft.rfft(delay - delay.mean())) * 2.0 / len(delay)
    assert lines.argmax() == rate_hz
    assert lines.max() == pytest.approx(depth_ms, rel=1e-6)
    lines[int(rate_hz)] = 0.0
    assert lines.max() < 1e-6 * depth_ms


def test_odd_channels_swing_a_quarter_period_later():
    knobs = {"rate_hz": 4.0, "depth_ms": 3.0}
    first, second = (measured_delay_ms(channel, **knobs) for channel in (0, 1))
    quarter = RATE // 16
    np.testing.assert_allclose(
        second[quarter + RATE // 2 :], first[RATE // 2 : -quarter], atol=0.005
    )


def test_pitch_of_a_probe_swings_as_the_delay_does():
    """A 1 kHz sine comes out at 1 kHz (1 - 2 pi rate depth cos): its largest shift is measured."""
    rate_hz, depth_ms = 5.0, 2.0
    probe = torch.sin(2.0 * math.pi * 1000.0 * torch.arange(RATE, dtype=torch.float64) / RATE)
    voice = chorus(probe.view(1, 1, -1), rate_hz=rate_hz, depth_ms=depth_ms)[0, 0].numpy()
    phase = np.unwrap(np.angle(hilbert(voice)))[RATE // 4 : -RATE // 4]
    pitch = np.diff(phase) * RATE / (2.0 * math.pi)
    shift = 1000.0 * 2.0 * math.pi * rate_hz * depth_ms / 1000.0
    assert pitch.max() - 1000.0 == pytest.approx(shift, rel=0.02)
    assert 1000.0 - pitch.min() == pytest.approx(shift, rel=0.02)


def test_delay_never_falls_below_two_samples():
    """4 ms swinging by 6 ms would ask for the future."""
    delay = measured_delay_ms(0, rate_hz=4.0, depth_ms=6.0, delay_ms=4.0)[RATE // 2 :]
    assert delay.min() == pytest.approx(2000.0 / RATE, rel=1e-6)
    assert delay.max() == pytest.approx(10.0, rel=1e-4)


def test_long_signals_in_single_precision_equal_double():
    """Positions and the LFO's phase stay exact where float32 would run out of digits."""
    x = noise(1, 1, 10 * RATE)
    x = torch.nn.functional.avg_pool1d(x, 4, 1)  # Lagrange reads no white noise well
    knobs = {"rate_hz": 8.0, "depth_ms": 5.875, "delay_ms": 29.75}  # equal in both precisions
    want = chorus(x.float().double(), **knobs)[..., -RATE:]
    error = chorus(x.float(), **knobs)[..., -RATE:] - want
    assert 10.0 * math.log10(float(error.square().mean() / want.square().mean())) < -120.0


def test_mix_blends_and_zero_is_the_identity():
    x = noise(1, 2, 5000)
    dry, wet = chorus(x, mix=0.0), chorus(x)
    assert torch.equal(dry, x)
    torch.testing.assert_close(chorus(x, mix=0.3), 0.7 * dry + 0.3 * wet)
