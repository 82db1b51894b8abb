"""The overdrive's curve is the formula, and aliasing stays low."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from afxvae.dsp import nonlinear
from afxvae.effects.drive import OVERDRIVE
from tests.dsp.spectra import RATE, alias_db, level_at, sine, spectrum_db


def curve(x, drive_db: float, bias: float) -> np.ndarray:
    knobs = (torch.tensor([value], dtype=torch.float64) for value in (drive_db, bias))
    return nonlinear.overdrive_curve(torch.as_tensor(x, dtype=torch.float64), *knobs).numpy()


def drive(x: torch.Tensor, drive_db: float, bias: float = 0.0, mix: float = 1.0) -> torch.Tensor:
    knobs = {"drive_db": drive_db, "bias": bias, "mix": mix}
    settings = {name: torch.tensor([value], dtype=x.dtype) for name, value in knobs.items()}
    return OVERDRIVE.process(x, settings, RATE)


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
    y = drive(sine(1000.0), 18.0)
    fundamental = level_at(y, 1000.0)
    for harmonic in (3, 5, 7):
        assert level_at(y, 1000.0 * harmonic) > fundamental - 40.0
    for harmonic in (2, 4, 6):
        assert level_at(y, 1000.0 * harmonic) < fundamental - 90.0


def test_bias_adds_even_harmonics():
    levels = [level_at(drive(sine(1000.0), 18.0, bias), 2000.0) for bias in (0, 0.2, 0.8)]
    assert levels[0] < -100.0
    assert levels[0] + 40.0 < levels[1] < levels[2]


def test_fundamental_and_harmonics_are_those_of_the_curve():
    """Levels of the lines of a driven sine against the curve's Fourier series in float64."""
    y = drive(sine(700.0), 12.0, 0.3)
    phase = 2.0 * math.pi * np.arange(4096) / 4096
    series = np.abs(np.fft.rfft(curve(np.sin(phase), 12.0, 0.3))) * 2.0 / 4096
    for harmonic in range(1, 9):
        want = 20.0 * math.log10(series[harmonic])
        assert level_at(y, 700.0 * harmonic) == pytest.approx(want, abs=0.05)


@pytest.mark.parametrize("rate", [44100, 48000])
@pytest.mark.parametrize("bias", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("drive_db", [3.0, 6.0, 12.0])
def test_aliases_of_5_khz_stay_below_minus_60_db_at_moderate_drive(drive_db, bias, rate):
    """Moderate is up to 12 dB, of a full-scale sine."""
    y = drive(sine(5000.0, rate=rate), drive_db, bias)
    assert alias_db(y, 5000.0, rate) < -60.0


def test_oversampling_is_what_keeps_aliases_low():
    """The same curve at the signal's own rate is far from that."""
    x = sine(5000.0)
    plain = torch.from_numpy(curve(x, 12.0, 0.0))
    frequencies, levels = spectrum_db(plain)
    folded = levels[np.abs(frequencies - (RATE - 25000.0)) < 20.0].max()  # the fifth harmonic
    assert folded - level_at(plain, 5000.0) > -40.0
