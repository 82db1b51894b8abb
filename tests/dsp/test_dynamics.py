"""The compressor does what its labels say, and its smoother is the sequential one exactly.

All of it in both ways to compute them: sample by sample in compiled loops, and in blocks.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.signal import lfilter

from afxvae.dsp import dynamics, sequential
from afxvae.dsp.units import time_constant_to_pole
from afxvae.effects.dynamics import COMPRESSOR

RATES = [44100, 48000, 96000]
ONE_TIME_CONSTANT = 1.0 - math.exp(-1.0)  # 63 %


@pytest.fixture(params=["compiled", "blocks"], autouse=True)
def way(request, monkeypatch):
    if request.param == "blocks":
        monkeypatch.setattr(sequential, "can_run", lambda x: False)
    return request.param


def tensors(*values: float, dtype=torch.float64) -> list[torch.Tensor]:
    return [torch.tensor([value], dtype=dtype) for value in values]


def curve_db(level_db, threshold_db: float, ratio: float, knee_db: float) -> np.ndarray:
    level = torch.as_tensor(level_db, dtype=torch.float64)
    gain_db = dynamics.compression_curve(level, *tensors(threshold_db, ratio, knee_db))
    return gain_db.numpy()


def compress(x: torch.Tensor, rate: int, **changes: float) -> torch.Tensor:
    """`x` is ``(channel, time)``; hard knee, threshold -40 dB and ratio 4 unless told otherwise."""
    knobs = {
        "threshold_db": -40.0, "ratio": 4.0, "knee_db": 0.0,
        "attack_ms": 10.0, "release_ms": 100.0, "makeup_db": 0.0,
    } | changes  # fmt: skip
    settings = {name: torch.tensor([value], dtype=x.dtype) for name, value in knobs.items()}
    return COMPRESSOR.process(x[None], settings, rate)[0]


def reduction_db(x: torch.Tensor, rate: int, **changes: float) -> torch.Tensor:
    return -20.0 * torch.log10(compress(x, rate, **changes) / x)[0]


def loop(x: np.ndarray, attack: float, release: float, start: float = 0.0) -> np.ndarray:
    """The smoother as its paper writes it, sample after sample."""
    y = np.empty_like(x)
    for n, value in enumerate(x):
        pole = attack if value > start else release
        start = pole * start + (1.0 - pole) * value
        y[n] = start
    return y


# the static curve


def test_ratio_4_turns_8_db_over_into_2():
    assert -20.0 + 8.0 + curve_db([-12.0], -20.0, 4.0, 0.0)[0] == pytest.approx(-18.0)
    level = 10.0 ** (-12.0 / 20.0)
    x = torch.full((1, 9600), level, dtype=torch.float64)
    y = compress(x, 48000, threshold_db=-20.0, attack_ms=1.0)
    assert 20.0 * math.log10(y[0, -1]) == pytest.approx(-18.0, abs=1e-6)


@pytest.mark.parametrize("knee", [0.0, 6.0, 24.0])
@pytest.mark.parametrize("ratio", [1.0, 1.5, 4.0, 20.0])
def test_static_curve_is_the_papers(ratio, knee):
    """Giannoulis, Massberg and Reiss 2012, eq. 4, written out level by level."""
    threshold = -24.0
    levels = np.linspace(-60.0, 6.0, 301)
    want = []
    for level in levels:
        over = level - threshold
        if 2.0 * over < -knee:
            out = level
        elif 2.0 * abs(over) <= knee and knee > 0.0:
            out = level + (1.0 / ratio - 1.0) * (over + knee / 2.0) ** 2 / (2.0 * knee)
        else:
            out = threshold + over / ratio
        want.append(out - level)
    np.testing.assert_allclose(curve_db(levels, threshold, ratio, knee), want, atol=1e-9)


@pytest.mark.parametrize("knee", [0.5, 6.0, 24.0])
def test_knee_joins_without_a_jump_or_a_bend(knee):
    """Value and slope are continuous where the knee begins and ends."""
    step = 1e-5
    for edge in (-knee / 2.0, knee / 2.0):
        around = edge + step * np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
        values = curve_db(-30.0 + around, -30.0, 8.0, knee)
        slopes = np.diff(values) / step
        assert np.abs(np.diff(values)).max() < 2.0 * step
        assert np.ptp(slopes) < 4.0 * step / knee + 1e-8


def test_static_curve_never_amplifies_and_falls():
    gain = curve_db(np.linspace(-120.0, 20.0, 500), -30.0, 3.0, 12.0)
    assert gain.max() == 0.0
    assert np.diff(gain).max() <= 0.0


# times


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("attack_ms", [0.1, 1.0, 10.0, 100.0])
def test_attack_covers_63_percent_in_its_time(attack_ms, rate):
    quiet, loud = 1e-4, 1.0  # 40 dB over the threshold: 30 dB less
    x = torch.full((1, rate // 2), quiet, dtype=torch.float64)
    start = rate // 10
    x[:, start:] = loud
    reduction = reduction_db(x, rate, attack_ms=attack_ms)
    assert float(reduction[start - 1]) == 0.0
    reached = int((reduction >= 30.0 * ONE_TIME_CONSTANT).nonzero()[0]) - start
    # between the sample before and this one: read off the exponential that passes through both
    before, after = (30.0 - reduction[start + reached - 1 : start + reached + 1]).log().tolist()
    target = math.log(30.0 * (1.0 - ONE_TIME_CONSTANT))
    time = reached + 1 - (target - after) / (before - after)
    assert 1000.0 * time / rate == pytest.approx(attack_ms, rel=0.05)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("release_ms", [10.0, 100.0, 400.0])
def test_release_covers_63_percent_in_its_time(release_ms, rate):
    x = torch.ones((1, rate), dtype=torch.float64)
    start = rate // 10
    x[:, start:] = 1e-4
    reduction = reduction_db(x, rate, attack_ms=0.1, release_ms=release_ms)
    full = float(reduction[start - 1])
    assert full == pytest.approx(30.0, abs=1e-3)
    reached = int((reduction[start:] <= full * (1.0 - ONE_TIME_CONSTANT)).nonzero()[0]) + 1
    assert 1000.0 * reached / rate == pytest.approx(release_ms, rel=0.05)


@pytest.mark.parametrize("rate", RATES)
def test_times_hold_in_single_precision(rate):
    x = torch.full((1, rate // 2), 1e-4)
    start = rate // 10
    x[:, start:] = 1.0
    reduction = reduction_db(x, rate, attack_ms=100.0)
    reached = int((reduction >= 30.0 * ONE_TIME_CONSTANT).nonzero()[0]) + 1 - start
    assert 1000.0 * reached / rate == pytest.approx(100.0, rel=0.02)


def test_release_has_an_effect_of_its_own():
    x = torch.ones((1, 4800), dtype=torch.float64)
    x[:, 2400:] = 1e-4
    short, long = (compress(x, 48000, attack_ms=1.0, release_ms=ms) for ms in (10.0, 1000.0))
    torch.testing.assert_close(short[:, :2400], long[:, :2400], rtol=1e-13, atol=0.0)
    assert float((20.0 * torch.log10(short / long)).max()) > 20.0


# the smoother


def examples(n: int = 4000) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(3)
    time = np.arange(n)
    gate = np.repeat(generator.random(n // 50 + 1) < 0.3, 50)[:n]
    return {
        "noise": generator.random(n) * 30.0,
        "signed noise": generator.standard_normal(n),
        "sine": 20.0 * np.sin(0.02 * time),
        "bursts": generator.random(n) * gate * 40.0,
        "constant": np.full(n, 12.5),
        "square": 30.0 * (time // 100 % 2),
        "falling": 40.0 * np.exp(-time / 500.0),
        "silence": np.zeros(n),
    }


@pytest.mark.parametrize("times", [(0.1, 10.0), (5.0, 200.0), (0.1, 1000.0), (100.0, 10.0)])
@pytest.mark.parametrize("name", sorted(examples()))
def test_smoother_equals_the_loop(name, times):
    x = examples()[name]
    poles = [math.exp(-1000.0 / (ms * 44100)) for ms in times]
    for start in (0.0, 7.0):
        found = dynamics.attack_release(torch.from_numpy(x)[None], *tensors(*poles, start))
        np.testing.assert_allclose(found[0].numpy(), loop(x, *poles, start), atol=1e-9)


@pytest.mark.parametrize("name", sorted(examples()))
def test_smoother_equals_the_loop_in_single_precision(name):
    x = examples()[name].astype(np.float32)
    poles = torch.tensor([[0.9], [0.999]])
    found = dynamics.attack_release(torch.from_numpy(x)[None], *poles)
    exact = [float(pole) for pole in poles]
    np.testing.assert_allclose(found[0].numpy(), loop(x.astype(np.float64), *exact), atol=2e-4)


def adversaries(n: int = 20000) -> dict[str, np.ndarray]:
    """What rounds of choosing settle slowly, or not at all."""
    time = np.arange(n)
    walk = np.cumsum(np.random.default_rng(0).standard_normal(n))
    return {
        "slow sine": 20.0 + 10.0 * np.sin(1e-3 * time),
        "chirp": 20.0 + 15.0 * np.sin(2e-6 * time**2),
        "walk": 20.0 + 0.1 * walk,
        "three sines": 20.0 + np.sin(np.outer([0.01, 0.013, 0.2], time)).sum(0),
        "alternating": 20.0 + 10.0 * (-1.0) ** time,
        "stairs": 40.0 - 0.3 * (time // 500),
        "level of a slow sine": 60.0 + 20.0 * np.log10(np.abs(np.sin(2e-3 * time)) + 1e-3),
    }


@pytest.mark.parametrize(
    "times",
    [(0.1, 10.0), (0.1, 1000.0), (100.0, 10.0), (100.0, 1000.0),
     (0.0, 10.0), (0.0, 1000.0), (0.1, 0.0), (100.0, 0.0)],
)  # fmt: skip
def test_smoother_equals_the_loop_for_adversaries_at_192_khz(times):
    """At all ends of the knobs, and with an instant rise or fall."""
    poles = [math.exp(-1000.0 / (ms * 192000)) if ms else 0.0 for ms in times]
    signals = np.stack(list(adversaries().values()))
    knobs = torch.tensor([*poles, 3.0], dtype=torch.float64).expand(len(signals), 3).unbind(1)
    found = dynamics.attack_release(torch.from_numpy(signals), *knobs)
    want = [loop(x, *poles, 3.0) for x in signals]
    np.testing.assert_allclose(found.numpy(), want, rtol=0, atol=1e-10)


@pytest.mark.parametrize("length", [1, 2, 3, 10, 99, 100, 101])
def test_smoother_takes_any_length(length):
    x = np.random.default_rng(length).random(length)
    found = dynamics.attack_release(torch.from_numpy(x)[None], *tensors(0.5, 0.9))
    np.testing.assert_allclose(found[0].numpy(), loop(x, 0.5, 0.9), atol=1e-12)


def test_equal_poles_are_one_linear_filter():
    x = examples()["signed noise"]
    found = dynamics.attack_release(torch.from_numpy(x)[None], *tensors(0.97, 0.97))
    np.testing.assert_allclose(found[0].numpy(), lfilter([0.03], [1.0, -0.97], x), atol=1e-12)


@pytest.mark.parametrize("name", ["noise", "sine", "bursts", "constant", "square", "falling"])
@pytest.mark.parametrize("times", [(0.1, 10.0), (10.0, 100.0), (0.1, 1000.0)])
def test_blocks_settle_within_few_rounds(name, times, monkeypatch):
    """In float32 too, where a signal that the output has caught up with could flicker for ever."""
    follow, rounds = dynamics._follow, []

    def counted(*arguments):
        rounds.append(1)
        return follow(*arguments)

    monkeypatch.setattr(dynamics, "_follow", counted)
    monkeypatch.setattr(sequential, "can_run", lambda x: False)
    x = torch.from_numpy(examples(22050)[name]).float()[None]
    poles = [time_constant_to_pole(torch.tensor([ms]), 44100) for ms in times]
    dynamics.attack_release(x, *poles)
    assert len(rounds) <= 10


def test_gradients_are_exact():
    """Through the branches: against finite differences in double, all four arguments."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 57, generator=generator, dtype=torch.float64).mul(10.0).requires_grad_()
    attack = torch.tensor([0.2, 0.9, 0.6], dtype=torch.float64, requires_grad=True)
    release = torch.tensor([0.95, 0.3, 0.6], dtype=torch.float64, requires_grad=True)
    initial = torch.tensor([0.0, 4.0, -2.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(dynamics.attack_release, (x, attack, release, initial))


def test_gradient_of_the_curve():
    level = torch.linspace(-50.0, 0.0, 40, dtype=torch.float64, requires_grad=True)
    knobs = [value.requires_grad_() for value in tensors(-20.3, 3.0, 6.0)]
    assert torch.autograd.gradcheck(dynamics.compression_curve, (level, *knobs))


def test_gradient_of_the_compressor():
    generator = torch.Generator().manual_seed(1)
    audio = torch.randn(1, 2, 40, generator=generator, dtype=torch.float64).requires_grad_()
    knobs = [value.requires_grad_() for value in tensors(-20.0, 3.0, 6.0, 1.0, 10.0, 3.0)]
    assert torch.autograd.gradcheck(
        lambda *values: dynamics.compress(*values, sample_rate=8000)[0], (audio, *knobs)
    )


# channels, neutral settings


def test_channels_are_linked():
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(3, 4800, generator=generator, dtype=torch.float64)
    x[[0, 2]] = x[1] * torch.tensor([[0.3], [-0.9]])  # the second steers them all
    gain = compress(x, 48000) / x
    torch.testing.assert_close(gain[0], gain[1])
    torch.testing.assert_close(gain[0], gain[2])
    torch.testing.assert_close(compress(x, 48000)[1], compress(x[1:2].repeat(2, 1), 48000)[0])


def test_below_the_threshold_nothing_happens():
    x = torch.randn(2, 4800, generator=torch.Generator().manual_seed(3)).clamp(-3.0, 3.0) * 1e-3
    assert torch.equal(compress(x, 48000, threshold_db=-40.0), x)


def test_ratio_1_is_gain_only():
    x = torch.randn(2, 4800, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    assert torch.equal(compress(x, 48000, ratio=1.0), x)
    louder = compress(x, 48000, ratio=1.0, makeup_db=20.0)
    torch.testing.assert_close(louder, 10.0 * x)


def test_compiled_loops_equal_blocks():
    """Output, end and gradients, with channels that share a peak, silence and the lowest level."""
    generator = torch.Generator().manual_seed(1)
    audio = torch.randn(4, 2, 3000, generator=generator, dtype=torch.float64).mul_(0.3)
    audio[1] = audio[1, :1]
    audio[2, :, 100:400] = 0.0
    audio[3, :, 5] = 1e-6
    knobs = [
        torch.tensor(row, dtype=torch.float64)
        for row in (
            [-20.0, -30.0, -10.0, -40.0], [4.0, 1.0, 20.0, 2.0], [6.0, 0.0, 24.0, 5e-4],
            [0.99, 0.9, 0.5, 0.0], [0.999, 0.99, 0.9, 0.9], [3.0, 0.0, 0.0, 12.0],
            [0.0, -1.0, -20.0, 0.0],
        )
    ]  # fmt: skip

    def run(compress):
        inputs = [value.clone().requires_grad_() for value in (audio, *knobs)]
        output, end = compress(*inputs)
        loss = output.sin().sum() + 2.0 * end.sum()
        return output, end, *torch.autograd.grad(loss, inputs)

    compiled, blocks = run(sequential.compress), run(dynamics._compress_in_blocks)
    for found, want in zip(compiled, blocks, strict=True):
        torch.testing.assert_close(found, want, rtol=1e-11, atol=1e-12)


def test_without_a_compiler_blocks_are_used(monkeypatch):
    monkeypatch.setattr(sequential, "_numba", lambda: None)
    assert not sequential.can_run(torch.zeros(1))
