"""The chorus swings as fast and far as it says."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.signal import hilbert

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


@pytest.mark.parametrize("phase_deg", [30.0, 90.0, 200.0])
def test_the_phase_is_where_the_swing_stands_at_the_start(phase_deg):
    """As if the clock had started that share of a period before."""
    knobs = {"rate_hz": 4.0, "depth_ms": 3.0}
    earlier = round(phase_deg / 360.0 * RATE / 4.0)
    plain, moved = (measured_delay_ms(0, **knobs, phase_deg=deg) for deg in (0.0, phase_deg))
    np.testing.assert_allclose(
        moved[RATE // 2 : -earlier], plain[RATE // 2 + earlier :], atol=0.005
    )


def test_a_whole_turn_is_none():
    x = noise(1, 2, 4000)
    torch.testing.assert_close(chorus(x, phase_deg=360.0), chorus(x, phase_deg=0.0))
    torch.testing.assert_close(chorus(x, phase_deg=0.0), chorus(x), rtol=0, atol=0)


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
