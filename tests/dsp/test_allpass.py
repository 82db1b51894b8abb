"""All-passes whose frequency moves, the phaser made of them, and the rotary speaker."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.signal import freqz, hilbert

from afxvae.dsp import allpass, rotary
from afxvae.effects.modulation import PHASER, ROTARY

RATE = 44100


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def click(length: int) -> torch.Tensor:
    x = torch.zeros(1, 1, length, dtype=torch.float64)
    x[..., 0] = 1.0
    return x


def scalar(value: float) -> torch.Tensor:
    return torch.tensor([value], dtype=torch.float64)


def run(effect, audio: torch.Tensor, rate: int = RATE, **knobs: float) -> torch.Tensor:
    settings = effect.defaults() | {name: scalar(value) for name, value in knobs.items()}
    return effect.process(audio, {k: v.double() for k, v in settings.items()}, rate)


def sine(frequency: float, seconds: float, channels: int = 1) -> torch.Tensor:
    time = torch.arange(int(seconds * RATE), dtype=torch.float64) / RATE
    return torch.sin(2.0 * math.pi * frequency * time).expand(1, channels, -1)


def demodulate(sound: torch.Tensor, frequency: float) -> tuple[np.ndarray, np.ndarray]:
    """Level and phase of what became of a sine, without a quarter second at both ends."""
    time = np.arange(sound.shape[-1]) / RATE
    turned = hilbert(sound.numpy()) * np.exp(-2j * np.pi * frequency * time + 0.5j * np.pi)
    kept = turned[RATE // 4 : -RATE // 4]
    return np.abs(kept), np.unwrap(np.angle(kept))


# the cascade


@pytest.mark.parametrize("stages", [1, 2, 6])
@pytest.mark.parametrize("feedback", [-0.9, 0.0, 0.7])
def test_the_cascade_is_the_recursion_sample_by_sample(stages, feedback):
    """With a frequency that jumps at random from sample to sample, from any state."""
    x, start = noise(1, 2, 500), noise(stages, 1, 2, seed=1)
    frequency = 20.0 * 900.0 ** noise(1, 2, 500, seed=2).sigmoid()
    a, b, c = stage = allpass.allpass_coefficients(frequency, RATE)
    found, end = allpass.allpass_cascade(x, stage, scalar(feedback), stages, start)
    for lane in range(2):
        z = start[:, 0, lane].numpy().copy()
        for n in range(500):
            an, bn, cn = (float(part[0, lane, n]) for part in (a, b, c))
            y = 0.0
            for state in z:
                y = cn * state - an * y
            u = (float(x[0, lane, n]) + feedback * y) / (1.0 - feedback * (-an) ** stages)
            for i, state in enumerate(z):
                z[i], u = an * state + bn * u, cn * state - an * u
            assert float(found[0, lane, n]) == pytest.approx(u, abs=1e-9)
        np.testing.assert_allclose(end[:, 0, lane].numpy(), z, atol=1e-9)


def test_energy_is_kept_at_rest():
    """All-pass: what goes in comes out, once the states have run out."""
    x = torch.nn.functional.pad(noise(1, 1, 2000), (0, 2000))
    stage = allpass.allpass_coefficients(scalar(1500.0).view(1, 1, 1), RATE)
    done, _ = allpass.allpass_cascade(x, stage, scalar(0.0), 6)
    assert float(done.square().sum()) == pytest.approx(float(x.square().sum()), rel=1e-12)


def test_states_stay_within_the_input_however_the_frequency_moves():
    """Up to a quarter of the rate, a state goes towards the input and no further."""
    x = noise(1, 1, 5000).sign()
    stage = allpass.allpass_coefficients(10000.0 * noise(1, 1, 5000).sigmoid(), RATE)
    _, state = allpass.allpass_cascade(x, stage, scalar(0.0), 1)
    assert float(state.abs().max()) <= 1.0


def test_the_cascade_has_the_right_gradients():
    x = noise(2, 2, 37).requires_grad_()
    frequency = (800.0 * noise(2, 2, 37, seed=1).exp()).requires_grad_()
    feedback = torch.tensor([0.8, -0.5], dtype=torch.float64, requires_grad=True)
    start = noise(3, 2, 2, seed=2)

    def cascade(x: torch.Tensor, frequency: torch.Tensor, feedback: torch.Tensor) -> torch.Tensor:
        coefficients = allpass.allpass_coefficients(frequency, 8000)
        return allpass.allpass_cascade(x, coefficients, feedback, 3, start)[0]

    assert torch.autograd.gradcheck(cascade, (x, frequency, feedback))


# the phaser


@pytest.mark.parametrize("feedback", [-0.9, 0.0, 0.6])
@pytest.mark.parametrize("mix", [0.5, 1.0])
def test_response_at_rest_is_that_of_the_formula(mix, feedback):
    knobs = {"centre_hz": 800.0, "depth_octaves": 0.0, "feedback": feedback, "mix": mix}
    done = run(PHASER, click(1 << 14), **knobs)[0, 0].numpy()
    g = math.tan(math.pi * 800.0 / RATE)
    a = (1.0 - g) / (1.0 + g)
    _, once = freqz([-a, 1.0], [1.0, -a], worN=2048, fs=RATE)
    voice = once**6 / (1.0 - feedback * once**6)
    _, found = freqz(done, worN=2048, fs=RATE)
    np.testing.assert_allclose(found, 1.0 + mix * (voice - 1.0), atol=1e-8)
    if mix == 0.5 and feedback == 0.0:
        for ratio in (math.tan(math.pi / 12.0), 1.0, math.tan(5.0 * math.pi / 12.0)):
            notch = RATE / math.pi * math.atan(ratio * g)
            assert abs(freqz(done, worN=[notch], fs=RATE)[1][0]) < 1e-6


@pytest.mark.parametrize(("rate_hz", "depth"), [(0.5, 2.0), (2.0, 1.0), (2.0, 0.3)])
def test_rate_and_depth_of_a_phaser_measured_at_the_output(rate_hz, depth):
    """The phase of a sine tells where the all-passes stand."""
    knobs = {"rate_hz": rate_hz, "depth_octaves": depth, "feedback": 0.0, "mix": 1.0}
    probe = 800.0
    _, phase = demodulate(run(PHASER, sine(probe, 4.5), **knobs)[0, 0], probe)
    turns = np.round((phase.mean() + 3.0 * math.pi) / (2.0 * math.pi))  # six stages at 90 degrees
    stage = (2.0 * math.pi * turns - phase) / 6.0
    corner = math.tan(math.pi * probe / RATE) / np.tan(stage / 2.0)
    octaves = np.log2(RATE / math.pi * np.arctan(corner) / 800.0)
    lines = np.abs(np.fft.rfft(octaves)) * 2.0 / len(octaves)
    assert lines[1:].argmax() + 1 == rate_hz * 4.0  # in 4 s
    assert lines[1:].max() == pytest.approx(depth, rel=0.01)
    assert abs(octaves.mean()) < 0.01


# the rotary speaker


@pytest.mark.parametrize("rate", [8000, 44100, 96000])
def test_crossover_loses_nothing_and_meets_at_minus_6_db(rate):
    low, high, _ = rotary.crossover(click(1 << 14), rate)
    grid, lower = freqz(low[0, 0].numpy(), worN=np.geomspace(50.0, 0.49 * rate, 300), fs=rate)
    _, upper = freqz(high[0, 0].numpy(), worN=grid, fs=rate)
    np.testing.assert_allclose(np.abs(lower + upper), 1.0, atol=1e-6)
    for part in (low, high):
        at_corner = freqz(part[0, 0].numpy(), worN=[800.0], fs=rate)[1][0]
        assert abs(at_corner) == pytest.approx(0.5, abs=1e-6)
    assert np.abs(upper[0]) < 0.005  # 4 octaves below, 12 dB each


ROTORS = [
    pytest.param(rotary.HORN, 8000.0, id="horn"),
    pytest.param(rotary.DRUM, 80.0, id="drum"),
]


@pytest.mark.parametrize(("rotor", "probe"), ROTORS)
def test_rotors_turn_shift_and_swing_as_they_say(rotor, probe):
    """Rate and deviation of delay and level, of a sine far on the rotor's side of the crossover."""
    knobs = {"rate_hz": 4.0, "depth": 1.0, "mix": 1.0, "spread_deg": 0.0}
    turning = 4.0 * abs(rotor.speed)
    seconds = 0.5 + 5.0  # whole turns of both rotors remain
    level, phase = demodulate(run(ROTARY, sine(probe, seconds), **knobs)[0, 0], probe)
    delay = -phase / (2.0 * math.pi * probe)
    lines = np.abs(np.fft.rfft(delay - delay.mean())) * 2.0 / len(delay)
    assert lines.argmax() == round(5.0 * turning)
    assert lines.max() == pytest.approx(rotor.radius_m / 343.0, rel=0.03)
    assert level.min() / level.max() == pytest.approx(1.0 - rotor.dip, abs=0.02)
    lines = np.abs(np.fft.rfft(level - level.mean()))
    assert lines.argmax() == round(5.0 * turning)


def test_microphones_hear_the_same_at_different_times():
    """The horn passes the right one later, the drum, which turns the other way, earlier."""
    knobs = {"rate_hz": 4.0, "depth": 1.0, "mix": 1.0, "spread_deg": 90.0}
    for rotor, probe in ((rotary.HORN, 8000.0), (rotary.DRUM, 80.0)):
        both = run(ROTARY, sine(probe, 2.5, 2), **knobs)[0]
        left, right = (demodulate(channel, probe)[0] for channel in both)
        lag = round(RATE / (4.0 * rotor.speed) / 4.0)
        inside = slice(RATE // 2, -RATE // 2)
        assert np.abs(np.roll(left, lag) - right)[inside].max() < 0.03 * left.max()


def test_mono_is_the_first_microphone_and_other_channels_go_by_parity():
    x = noise(1, 1, 3000)
    mono = run(ROTARY, x, mix=0.8)
    many = run(ROTARY, x.expand(1, 5, -1), mix=0.8)[0]
    for channel in range(5):
        torch.testing.assert_close(many[channel], many[channel % 2])
    torch.testing.assert_close(many[0], mono[0, 0])
    assert not torch.allclose(many[0], many[1])
