"""Echoes come when, from where and as loud and dark as the knobs say."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.signal import freqz, lfilter

from afxvae.effects.delay import DUAL_DELAY, PING_PONG_DELAY

RATE = 24000
KNOBS = {"time_ms": 100.0, "feedback": 0.5, "tone_hz": 4000.0, "ping_pong": 1.0, "mix": 1.0}


def run(x: torch.Tensor, rate: int = RATE, **changes: float) -> torch.Tensor:
    knobs = {
        name: torch.full((len(x),), value, dtype=x.dtype)
        for name, value in (KNOBS | changes).items()
    }
    return PING_PONG_DELAY.process(x, knobs, rate)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.2 * torch.randn(*shape, generator=generator, dtype=torch.float64)


def echoes(channels: list[float], count: int = 5, **changes: float) -> np.ndarray:
    """Sum of every echo of a click, ``(echo, channel)``, at 100 ms and its multiples."""
    step = RATE // 10
    x = torch.zeros(1, len(channels), (count + 1) * step, dtype=torch.float64)
    x[0, :, 100] = torch.tensor(channels)
    y = run(x, **changes)[0]
    return y.view(len(channels), count + 1, step).sum(-1)[:, 1:].T.numpy()


@pytest.mark.parametrize(("rate", "samples"), [(8000, 160), (44100, 6615)])
@pytest.mark.parametrize("over", [0.0, 0.3, 1.0])
def test_equals_the_recursion(over, rate, samples):
    """Delay, ``1 / (s + 1)``, crossing and feedback, sample after sample."""
    x, length = noise(1, 2, 14000), 14000
    k = math.tan(math.pi * 3000.0 / rate)
    left, right = x[0].numpy()
    into = np.stack([(1 - over) * left + over * 0.5 * (left + right), (1 - over) * right])
    cross = 0.8 * np.array([[1.0 - over, over], [over, 1.0 - over]])
    held, given = np.zeros((2, length)), np.zeros((2, length))
    for start in range(0, length, samples):  # what comes out does not depend on what goes in now
        late = np.pad(held, ((0, 0), (samples, 0)))[:, :length]
        given = lfilter([k / (1 + k), k / (1 + k)], [1.0, (k - 1) / (1 + k)], late)
        part = slice(start, start + samples)
        held[:, part] = into[:, part] + cross @ given[:, part]
    want = 0.6 * x[0].numpy() + 0.4 * given
    found = run(
        x,
        rate,
        time_ms=1000.0 * samples / rate,
        feedback=0.8,
        tone_hz=3000.0,
        ping_pong=over,
        mix=0.4,
    )[0].numpy()
    assert 10.0 * math.log10(((found - want) ** 2).mean() / (want**2).mean()) < -120.0


def test_echoes_alternate_between_left_and_right():
    found = echoes([1.0, 1.0])
    level = 0.5 ** np.arange(5)
    np.testing.assert_allclose(found[:, 0], level * [1, 0, 1, 0, 1], atol=1e-6)
    np.testing.assert_allclose(found[:, 1], level * [0, 1, 0, 1, 0], atol=1e-6)


def test_without_ping_pong_every_channel_has_its_own_echoes():
    level = 0.5 ** np.arange(5)
    np.testing.assert_allclose(echoes([1.0, 0.0], ping_pong=0.0)[:, 0], level, atol=1e-6)
    np.testing.assert_allclose(echoes([1.0, 0.0], ping_pong=0.0)[:, 1], 0.0, atol=1e-12)


@pytest.mark.parametrize("channels", [1, 3, 6])
def test_other_than_two_channels_ignore_ping_pong(channels):
    x = noise(1, channels, 9000)
    assert torch.equal(run(x, ping_pong=1.0), run(x, ping_pong=0.0))


@pytest.mark.parametrize("over", [0.0, 0.25, 0.5, 1.0])
def test_both_sides_together_fall_by_the_feedback(over):
    total = echoes([1.0, 1.0], ping_pong=over, feedback=0.7).sum(1)
    np.testing.assert_allclose(total[1:] / total[:-1], 0.7, atol=1e-6)


@pytest.mark.parametrize("tone_hz", [500.0, 3000.0])
def test_each_echo_loses_3_db_at_the_tone_frequency(tone_hz):
    step = RATE // 10
    x = torch.zeros(1, 1, 5 * step, dtype=torch.float64)
    x[..., 100] = 1.0
    y = run(x, tone_hz=tone_hz, feedback=0.5)[0, 0].view(5, step).numpy()
    for number in range(1, 5):
        _, response = freqz(y[number], worN=[tone_hz], fs=RATE)
        level = 20.0 * math.log10(abs(response[0]))
        want = 20.0 * (number - 1) * math.log10(0.5) - number * 10.0 * math.log10(2.0)
        assert level == pytest.approx(want, abs=0.01)


@pytest.mark.parametrize("time_ms", [20.0, 87.33, 333.3])
def test_echoes_lie_at_multiples_of_the_time(time_ms):
    """Centre of gravity of each, less the delay of the low-pass at low frequencies."""
    x = torch.zeros(1, 1, RATE, dtype=torch.float64)
    x[..., :64] = torch.hann_window(64, periodic=False, dtype=torch.float64)
    y = run(x, time_ms=time_ms, tone_hz=8000.0, feedback=0.9)[0, 0]
    lag = 0.5 / math.tan(math.pi * 8000.0 / RATE)
    for number in (1, 2):
        place = number * (time_ms * RATE / 1000.0 + lag) + 31.5
        start = int(place) - 200
        around = y[start : start + 400]
        centre = float((around * torch.arange(400)).sum() / around.sum()) + start
        assert centre == pytest.approx(place, abs=0.01)


def test_gradient_leads_to_the_right_time():
    """From a tenth of a period off, down the squared error."""
    time = torch.arange(RATE, dtype=torch.float64) / RATE
    x = torch.sin(2.0 * math.pi * 50.0 * time).view(1, 1, -1)
    wanted = run(x, time_ms=200.0)
    for off, sign in ((198.0, -1.0), (202.0, 1.0)):
        knobs = {name: torch.tensor([value], dtype=x.dtype) for name, value in KNOBS.items()}
        knobs["time_ms"] = torch.tensor([off], dtype=x.dtype, requires_grad=True)
        error = (PING_PONG_DELAY.process(x, knobs, RATE) - wanted).square().mean()
        (gradient,) = torch.autograd.grad(error, knobs["time_ms"])
        assert float(gradient) * sign > 0.0


# two taps

TAPS = {"left_ms": 100.0, "right_ms": 140.0, "feedback": 0.7, "tone_db": -9.0, "tone_hz": 1200.0,
        "mix": 0.4}  # fmt: skip


def run_taps(x: torch.Tensor, rate: int = RATE, **changes: float) -> torch.Tensor:
    knobs = {name: torch.tensor([value], dtype=x.dtype) for name, value in (TAPS | changes).items()}
    return DUAL_DELAY.process(x, knobs, rate)


@pytest.mark.parametrize("rate", [8000, 48000])
@pytest.mark.parametrize(("tone_db", "tone_hz"), [(-9.0, 1200.0), (3.0, 300.0)])
def test_two_taps_equal_the_recursion(rate, tone_db, tone_hz):
    """Shelf, line, both taps and their way back, sample after sample."""
    x, length = noise(1, 2, rate), rate
    k, treble = math.tan(math.pi * tone_hz / rate), 10.0 ** (tone_db / 20.0)
    pole = (k - 1) / (1 + k)
    shelf = [(k + treble) / (1 + k), (k - treble) / (1 + k)]
    left, right = (round(ms * rate / 1000.0) for ms in (TAPS["left_ms"], TAPS["right_ms"]))
    line, given = np.zeros(length), np.zeros((2, length))
    for start in range(0, length, left):
        passed = lfilter(shelf, [1.0, pole], line)
        given = np.stack([np.pad(passed, (late, 0))[:length] for late in (left, right)])
        part = slice(start, start + left)
        line[part] = x[0].mean(0)[part].numpy() + 0.7 * given.mean(0)[part]
    want = 0.6 * x[0].numpy() + 0.4 * given
    found = run_taps(x, rate, tone_db=tone_db, tone_hz=tone_hz)[0].numpy()
    assert 10.0 * math.log10(((found - want) ** 2).mean() / (want**2).mean()) < -110.0


@pytest.mark.parametrize("channels", [1, 3])
def test_other_than_two_channels_hear_the_mean_of_both_taps(channels):
    x = noise(1, 1, 9000)
    both = run_taps(x.expand(-1, 2, -1), mix=1.0).mean(1)
    alone = run_taps(x.expand(-1, channels, -1), mix=1.0)
    torch.testing.assert_close(alone, both.expand_as(alone), rtol=0.0, atol=1e-12)


def test_equal_taps_are_one_delay():
    x = noise(1, 1, 12000)
    knobs = {"left_ms": 100.0, "right_ms": 100.0, "tone_db": 0.0, "feedback": 0.5, "mix": 1.0}
    want = torch.zeros_like(x)
    for number in range(1, 5):
        late = number * RATE // 10
        want[..., late:] += 0.5 ** (number - 1) * x[..., : x.shape[-1] - late]
    torch.testing.assert_close(run_taps(x, **knobs), want, rtol=0.0, atol=1e-9)
