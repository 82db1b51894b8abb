"""Flanger and vibrato: the delay swings as labelled, the feedback is the recursion it says."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.signal import hilbert

from afxvae.dsp import sweeping
from afxvae.effects.modulation import FLANGER, VIBRATO

RATE = 44100


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def run(effect, audio: torch.Tensor, rate: int = RATE, **knobs: float) -> torch.Tensor:
    settings = effect.defaults() | {
        name: torch.tensor([value], dtype=torch.float64) for name, value in knobs.items()
    }
    return effect.process(audio, settings, rate)


def delay_ms(effect, rate: int = RATE, channel: int = 0, **knobs: float) -> np.ndarray:
    """Delay over one second, read off a ramp: a ramp read t samples ago is the ramp less t."""
    ramp = torch.arange(2.0 * rate, dtype=torch.float64).expand(1, 2, -1)
    passed = run(effect, ramp, rate, **knobs)
    return ((ramp - passed)[0, channel, rate // 2 : rate // 2 + rate] * 1000.0 / rate).numpy()


def swing(delay: np.ndarray) -> tuple[int, float]:
    """Rate and deviation of the strongest swing; there must be no other."""
    lines = np.abs(np.fft.rfft(delay - delay.mean())) * 2.0 / len(delay)
    assert np.delete(lines, lines.argmax()).max() < 1e-6 * lines.max()
    return int(lines.argmax()), float(lines.max())


# flanger


@pytest.mark.parametrize("rate", [8000, 44100, 96000])
@pytest.mark.parametrize(("mean", "depth"), [(3.0, 1.0), (1.0, 4.0), (0.0, 5.0), (10.0, 5.0)])
def test_the_voice_swings_also_through_zero(mean, depth, rate):
    """Negative: the voice comes before the dry sound."""
    knobs = {"rate_hz": 4.0, "depth_ms": depth, "delay_ms": mean, "feedback": 0.0, "mix": 1.0}
    delay = delay_ms(FLANGER, rate, **knobs)
    assert delay.mean() == pytest.approx(mean, abs=1e-6)
    assert swing(delay) == (4, pytest.approx(depth, rel=1e-6))
    assert (delay.min() < 0.0) == (depth > mean)


def test_odd_channels_swing_later():
    knobs = {"rate_hz": 4.0, "depth_ms": 1.0, "feedback": 0.0, "mix": 1.0, "stereo_phase_deg": 60.0}
    lag = RATE // 24
    first, second = (delay_ms(FLANGER, channel=channel, **knobs) for channel in (0, 1))
    np.testing.assert_allclose(second[lag:], first[:-lag], atol=1e-3)


def test_the_swing_stands_at_its_phase_at_the_start():
    knobs = {"rate_hz": 4.0, "depth_ms": 1.0, "delay_ms": 3.0, "feedback": 0.0, "mix": 1.0}
    plain, moved = (delay_ms(FLANGER, phase_deg=phase, **knobs) for phase in (0.0, 90.0))
    lead = RATE // 16  # a quarter of a swing
    np.testing.assert_allclose(moved[:-lead], plain[lead:], atol=1e-3)


@pytest.mark.parametrize("step_us", [20.0, 100.0])
def test_the_delay_moves_in_steps_if_it_has_any(step_us):
    knobs = {"rate_hz": 4.0, "depth_ms": 1.0, "delay_ms": 3.0, "feedback": 0.0, "mix": 1.0}
    smooth, stepped = (delay_ms(FLANGER, step_us=us, **knobs) for us in (0.0, step_us))
    steps = stepped * 1000.0 / step_us
    np.testing.assert_allclose(steps, steps.round(), atol=1e-3)
    assert np.abs(stepped - smooth).max() <= 0.5 * step_us / 1000.0 + 1e-6


def test_gradients_go_straight_through_the_steps():
    audio = noise(1, 1, 4000)
    knobs = {"rate_hz": 2.0, "depth_ms": 1.0, "delay_ms": 3.0, "feedback": 0.0, "mix": 0.5}
    slopes = []
    for step_us in (0.0, 1e-3):
        given = FLANGER.defaults() | {k: torch.tensor([v]).double() for k, v in knobs.items()}
        given["step_us"] = torch.tensor([step_us]).double()
        given["delay_ms"].requires_grad_()
        out = FLANGER.process(audio, given, RATE).square().sum()
        slopes.append(float(torch.autograd.grad(out, given["delay_ms"])[0]))
    assert slopes[1] == pytest.approx(slopes[0], rel=1e-2)
    assert slopes[0] != 0.0


def still(probe: torch.Tensor, **knobs: float) -> np.ndarray:
    """The flanger at rest: depth 0, which no knob allows, so that it has a frequency response."""
    settings = {"rate_hz": 1.0, "depth_ms": 0.0, "stereo_phase_deg": 0.0} | knobs
    exact = {name: torch.tensor([value], dtype=torch.float64) for name, value in settings.items()}
    done, _ = sweeping.flanger(probe, **exact, sample_rate=RATE)
    return done[0, 0, sweeping.flanger_latency(RATE) :].numpy()


@pytest.mark.parametrize("feedback", [-0.6, 0.0, 0.8])
def test_response_at_rest_is_that_of_the_formula(feedback):
    """1 - mix + mix z^-D / (1 - feedback z^-D): notches and resonances where they belong."""
    click = torch.zeros(1, 1, 16384, dtype=torch.float64)
    click[..., 0] = 1.0
    samples = 132  # 2.993 ms
    done = still(click, delay_ms=samples * 1000.0 / RATE, feedback=feedback, mix=0.5)
    z = np.exp(-2j * np.pi * np.arange(1, 50) * 410.0 * samples / RATE)
    tone = np.exp(-2j * np.pi * np.outer(np.arange(1, 50) * 410.0, np.arange(len(done))) / RATE)
    np.testing.assert_allclose(tone @ done, 0.5 + 0.5 * z / (1.0 - feedback * z), atol=1e-9)


def test_where_the_delay_is_zero_voice_and_dry_are_the_same():
    x = noise(1, 1, 4000)
    done = still(torch.nn.functional.pad(x, (0, 500)), delay_ms=0.0, feedback=0.0, mix=0.7)
    np.testing.assert_allclose(done[:4000], x[0, 0].numpy(), atol=1e-12)


# vibrato


@pytest.mark.parametrize("rate", [8000, 44100, 96000])
@pytest.mark.parametrize("cents", [3.0, 50.0, 100.0])
@pytest.mark.parametrize("rate_hz", [1.0, 5.0, 14.0])
def test_pitch_of_a_vibrato_from_its_delay(rate_hz, cents, rate):
    delay = delay_ms(VIBRATO, rate, rate_hz=rate_hz, depth_cents=cents)
    found, deviation = swing(delay)
    assert found == rate_hz
    slope = 2.0 * math.pi * rate_hz * deviation / 1000.0
    highest, lowest = (1200.0 * math.log2(1.0 + sign * slope) for sign in (1, -1))
    assert highest - lowest == pytest.approx(2.0 * cents, rel=1e-6)
    assert highest == pytest.approx(cents, rel=0.03)
    assert delay.min() == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("cents", [20.0, 100.0])
def test_pitch_of_a_sine_deviates_as_labelled(cents):
    time = torch.arange(RATE, dtype=torch.float64) / RATE
    probe = torch.sin(2.0 * math.pi * 1000.0 * time).view(1, 1, -1)
    voice = run(VIBRATO, probe, rate_hz=4.0, depth_cents=cents)[0, 0].numpy()
    phase = np.unwrap(np.angle(hilbert(voice)))[RATE // 4 : -RATE // 4]
    pitch = 1200.0 * np.log2(np.diff(phase) * RATE / (2.0 * math.pi * 1000.0))
    assert (pitch.max() - pitch.min()) / 2.0 == pytest.approx(cents, rel=0.01)
