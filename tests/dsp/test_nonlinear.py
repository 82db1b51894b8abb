"""Oversampling is transparent, the overdrive's curve is the formula, and aliasing stays low."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.signal.windows import blackmanharris

from afxvae.dsp import nonlinear
from afxvae.effects.drive import OVERDRIVE

RATE = 44100
KINDS = [pytest.param(torch.float32, id="float32"), pytest.param(torch.float64, id="float64")]
EDGE = 64  # samples at the ends where the silence around the signal is heard


def sine(frequency: float, rate: int, seconds: float, phase: float = 0.3) -> torch.Tensor:
    time = torch.arange(round(seconds * rate), dtype=torch.float64) / rate
    return torch.sin(2.0 * math.pi * frequency * time + phase).view(1, 1, -1)


def residual_db(found: torch.Tensor, wanted: torch.Tensor, edge: int) -> float:
    found, wanted = found[..., edge:-edge].double(), wanted[..., edge:-edge]
    return 10.0 * math.log10(float((found - wanted).square().mean() / wanted.square().mean()))


def curve(x, drive_db: float, bias: float) -> np.ndarray:
    knobs = (torch.tensor([value], dtype=torch.float64) for value in (drive_db, bias))
    return nonlinear.overdrive_curve(torch.as_tensor(x, dtype=torch.float64), *knobs).numpy()


def drive(x: torch.Tensor, drive_db: float, bias: float = 0.0, mix: float = 1.0) -> torch.Tensor:
    knobs = {"drive_db": drive_db, "bias": bias, "mix": mix}
    settings = {name: torch.tensor([value], dtype=x.dtype) for name, value in knobs.items()}
    return OVERDRIVE.process(x, settings, RATE)


def spectrum_db(x: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies and levels in dB of the middle of a signal; leaks fall below -92 dB."""
    middle = x[0, 0, RATE // 20 : -RATE // 20].double().numpy()
    window = blackmanharris(len(middle), sym=False)
    magnitude = np.abs(np.fft.rfft(middle * window)) * 2.0 / window.sum()
    return np.fft.rfftfreq(len(middle), 1.0 / RATE), 20.0 * np.log10(magnitude + 1e-12)


def level_at(x: torch.Tensor, frequency: float) -> float:
    frequencies, levels = spectrum_db(x)
    return float(levels[np.abs(frequencies - frequency) < 20.0].max())


def alias_db(frequency: float, drive_db: float, bias: float = 0.0) -> float:
    """Loudest line that is no harmonic, relative to the fundamental."""
    y = drive(sine(frequency, RATE, 0.5), drive_db, bias)
    frequencies, levels = spectrum_db(y)
    foreign = np.full(len(frequencies), True)
    for harmonic in range(int(RATE / 2 / frequency) + 1):
        foreign &= np.abs(frequencies - harmonic * frequency) > 60.0
    return float(levels[foreign].max()) - level_at(y, frequency)


# oversampling


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("frequency", [30.0, 440.0, 5000.0, 10000.0, 15000.0, 16500.0])
def test_upsampling_a_sine_gives_the_sine(frequency, dtype):
    found = nonlinear.upsample(sine(frequency, RATE, 0.1).to(dtype))
    wanted = sine(frequency, 4 * RATE, 0.1)
    assert found.dtype == dtype
    assert found.shape == wanted.shape
    assert residual_db(found, wanted, 4 * EDGE) < -80.0


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("frequency", [30.0, 440.0, 5000.0, 10000.0, 15000.0, 16500.0])
def test_downsampling_a_sine_gives_the_sine(frequency, dtype):
    found = nonlinear.downsample(sine(frequency, 4 * RATE, 0.1).to(dtype))
    assert residual_db(found, sine(frequency, RATE, 0.1), EDGE) < -80.0


@pytest.mark.parametrize("frequency", [25000.0, 30000.0, 44100.0, 60000.0, 88000.0])
def test_downsampling_removes_what_would_alias(frequency):
    found = nonlinear.downsample(sine(frequency, 4 * RATE, 0.1))[..., EDGE:-EDGE]
    assert 10.0 * math.log10(float(found.square().mean()) * 2.0) < -85.0


@pytest.mark.parametrize("length", [1, 5, 63, 64, 65, 1000])
def test_any_length_there_and_back(length):
    x = torch.ones(2, 3, length)
    assert nonlinear.upsample(x).shape == (2, 3, 4 * length)
    assert nonlinear.downsample(nonlinear.upsample(x)).shape == x.shape
    if length > 2 * EDGE:
        back = nonlinear.downsample(nonlinear.upsample(x))
        torch.testing.assert_close(back[..., EDGE:-EDGE], x[..., EDGE:-EDGE], rtol=0, atol=1e-4)


def test_oversampling_is_without_delay():
    x = torch.zeros(1, 1, 201)
    x[..., 100] = 1.0
    wide = nonlinear.upsample(x)[0, 0]
    assert int(wide.argmax()) == 400
    torch.testing.assert_close(wide[400 - 60 : 401], wide[400:461].flip(0), rtol=0, atol=1e-6)


def test_filters_survive_inference_mode():
    """What inference mode has put into the cache must also serve training."""
    nonlinear._matrices.cache_clear()
    with torch.inference_mode():
        nonlinear.upsample(torch.ones(1, 1, 100))
    x = torch.ones(1, 1, 100, requires_grad=True)
    nonlinear.downsample(nonlinear.upsample(x)).sum().backward()
    assert bool(x.grad.isfinite().all())


# curve


@pytest.mark.parametrize("bias", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("drive_db", [0.0, 6.0, 12.0, 24.0, 40.0])
def test_curve_is_the_formula(drive_db, bias):
    """Sample by sample; each half wave has a gain of its own."""
    x = np.linspace(-2.0, 2.0, 801)
    k = 10.0 ** (drive_db / 20.0) - 1.0
    want = [
        value
        * math.sqrt(1.0 + (0.1 * k) ** 2)
        / math.sqrt(1.0 + (k * (1.0 + bias if value > 0 else 1.0 - bias) * value) ** 2)
        for value in x
    ]
    np.testing.assert_allclose(curve(x, drive_db, bias), want, atol=1e-12)


@pytest.mark.parametrize("bias", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("drive_db", [0.0, 6.0, 12.0, 24.0, 40.0])
def test_curve_is_monotone(drive_db, bias):
    assert np.diff(curve(np.linspace(-1.0, 1.0, 2001), drive_db, bias)).min() > 0.0


@pytest.mark.parametrize("drive_db", [6.0, 12.0, 24.0, 40.0])
def test_curve_is_odd_without_bias(drive_db):
    x = np.linspace(0.0, 1.0, 501)
    np.testing.assert_array_equal(curve(-x, drive_db, 0.0), -curve(x, drive_db, 0.0))
    assert np.abs(curve(-x, drive_db, 0.5) + curve(x, drive_db, 0.5)).max() > 0.01


@pytest.mark.parametrize("drive_db", [0.0, 6.0, 24.0, 40.0])
def test_minus_20_db_keeps_its_level(drive_db):
    assert curve([0.1], drive_db, 0.0)[0] == pytest.approx(0.1, rel=1e-12)


def test_no_drive_is_the_identity():
    x = np.linspace(-1.0, 1.0, 101)
    np.testing.assert_array_equal(curve(x, 0.0, 0.7), x)
    noise = torch.randn(1, 2, 500, generator=torch.Generator().manual_seed(0))
    assert torch.equal(drive(noise, 0.0, bias=0.7), noise)
    assert torch.equal(drive(noise, 30.0, bias=0.7, mix=0.0), noise)


def test_gradient_of_the_curve():
    x = torch.tensor([-0.9, -0.3, 0.01, 0.2, 0.8], dtype=torch.float64, requires_grad=True)
    for drive_db in (0.0, 20.0):
        for bias in (0.0, 0.5, 1.0):
            knobs = [torch.tensor([v], dtype=torch.float64) for v in (drive_db, bias)]
            knobs = [knob.requires_grad_() for knob in knobs]
            assert torch.autograd.gradcheck(nonlinear.overdrive_curve, (x, *knobs))


# sound


def test_symmetric_drive_makes_odd_harmonics_only():
    y = drive(sine(1000.0, RATE, 0.5), 18.0)
    fundamental = level_at(y, 1000.0)
    for harmonic in (3, 5, 7):
        assert level_at(y, 1000.0 * harmonic) > fundamental - 40.0
    for harmonic in (2, 4, 6):
        assert level_at(y, 1000.0 * harmonic) < fundamental - 90.0


def test_bias_adds_even_harmonics():
    levels = [
        level_at(drive(sine(1000.0, RATE, 0.5), 18.0, bias), 2000.0) for bias in (0, 0.2, 0.8)
    ]
    assert levels[0] < -100.0
    assert levels[0] + 40.0 < levels[1] < levels[2]


def test_fundamental_and_harmonics_are_those_of_the_curve():
    """Levels of the lines of a driven sine against the curve's Fourier series in float64."""
    y = drive(sine(700.0, RATE, 0.5), 12.0, 0.3)
    phase = 2.0 * math.pi * np.arange(4096) / 4096
    series = np.abs(np.fft.rfft(curve(np.sin(phase), 12.0, 0.3))) * 2.0 / 4096
    for harmonic in range(1, 9):
        want = 20.0 * math.log10(series[harmonic])
        assert level_at(y, 700.0 * harmonic) == pytest.approx(want, abs=0.05)


@pytest.mark.parametrize("bias", [0.0, 0.5])
@pytest.mark.parametrize("drive_db", [6.0, 12.0])
def test_aliases_of_5_khz_stay_below_minus_60_db_at_moderate_drive(drive_db, bias):
    assert alias_db(5000.0, drive_db, bias) < -60.0


def test_oversampling_is_what_keeps_aliases_low():
    """The same curve at the signal's own rate is far from that."""
    x = sine(5000.0, RATE, 0.5)
    plain = torch.from_numpy(curve(x, 12.0, 0.0))
    frequencies, levels = spectrum_db(plain)
    folded = levels[np.abs(frequencies - (RATE - 25000.0)) < 20.0].max()  # the fifth harmonic
    assert folded - level_at(plain, 5000.0) > -40.0
