"""Clippers are their formulas, and aliases stay low."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from afxvae.dsp import shaping
from afxvae.effects import EFFECTS, Effect
from tests.dsp.spectra import RATE, alias_db, level_at, sine

BY_NAME = {effect.name: effect for effect in EFFECTS}


def process(name: str, x: torch.Tensor, rate: int = RATE, **knobs: float) -> torch.Tensor:
    effect: Effect = BY_NAME[name]
    values = {p.name: p.default for p in effect.params} | knobs
    settings = {key: torch.tensor([value], dtype=x.dtype) for key, value in values.items()}
    return effect.process(x, settings, rate)


def tensors(*values: float) -> list[torch.Tensor]:
    return [torch.tensor([value], dtype=torch.float64) for value in values]


# curves


@pytest.mark.parametrize("hardness", [0.0, 0.3, 0.8])
def test_clip_is_the_formula(hardness):
    x = np.linspace(-3.0, 3.0, 601)
    size = np.abs(x)
    bent = size - (size - hardness) ** 2 / (4.0 * (1.0 - hardness))
    want = np.where(size < hardness, size, np.where(size > 2.0 - hardness, 1.0, bent))
    found = shaping.clip(torch.from_numpy(x), *tensors(hardness))
    np.testing.assert_allclose(found, np.sign(x) * want, atol=1e-12)


def test_hardest_clip_is_a_sharp_corner():
    x = torch.linspace(-3.0, 3.0, 601, dtype=torch.float64)
    torch.testing.assert_close(
        shaping.clip(x, *tensors(1.0)), x.clamp(-1.0, 1.0), rtol=0, atol=1e-3
    )


@pytest.mark.parametrize("fuzz", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("hardness", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("drive_db", [0.0, 20.0, 60.0])
def test_minus_20_db_keeps_its_level_and_the_curve_never_falls(drive_db, hardness, fuzz):
    x = torch.arange(-1000, 1001, dtype=torch.float64) / 1000.0
    y = shaping.distortion_curve(x, *tensors(drive_db, hardness, fuzz))
    assert float(y.diff().min()) >= -1e-12
    assert float(y[1000]) == 0.0
    assert float(y[1100] - y[900]) == pytest.approx(0.2)


def test_fuzz_cuts_off_a_half_wave_and_what_is_soft():
    x = torch.linspace(-0.08, 1.0, 100, dtype=torch.float64)
    assert float(shaping.distortion_curve(x, *tensors(40.0, 1.0, 1.0)).abs().max()) < 1e-3
    assert float(shaping.distortion_curve(x - 0.2, *tensors(40.0, 1.0, 1.0)).min()) < -0.19


def test_gradient_of_the_curve():
    x = torch.tensor([-0.9, -0.31, 0.01, 0.2, 0.8], dtype=torch.float64, requires_grad=True)
    for values in ((3.0, 0.3, 0.2), (25.0, 0.0, 0.9)):
        knobs = [knob.requires_grad_() for knob in tensors(*values)]
        assert torch.autograd.gradcheck(shaping.distortion_curve, (x, *knobs))


# sound


def test_bent_lines_are_those_of_the_curve():
    """Levels of the harmonics of a clipped sine against the curve's Fourier series."""
    knobs = {"drive_db": 12.0, "hardness": 0.7, "fuzz": 0.3, "tone_hz": 20000.0, "mix": 1.0}
    y = process("distortion", sine(700.0), **knobs)
    phase = torch.arange(4096, dtype=torch.float64) * (2.0 * math.pi / 4096)
    curve = shaping.distortion_curve(torch.sin(phase), *tensors(12.0, 0.7, 0.3))
    series = np.abs(np.fft.rfft(curve.numpy())) * 2.0 / 4096
    for harmonic in range(1, 9):
        prewarped = math.tan(math.pi * 700.0 * harmonic / RATE) / math.tan(math.pi * 20000.0 / RATE)
        want = 20.0 * math.log10(series[harmonic]) - 10.0 * math.log10(1.0 + prewarped**2)
        assert level_at(y, 700.0 * harmonic) == pytest.approx(want, abs=0.05)


def test_tone_is_3_db_down_at_its_frequency():
    x = 0.01 * sine(2000.0)
    y = process("distortion", x, drive_db=0.0, tone_hz=2000.0, mix=1.0)
    assert level_at(y, 2000.0) - level_at(x, 2000.0) == pytest.approx(-3.01, abs=0.02)


def test_fuzz_leaves_no_dc():
    y = process("distortion", 0.5 * sine(500.0, 1.0), drive_db=40.0, fuzz=0.8, mix=1.0)
    assert float(y[..., RATE // 2 :].mean().abs()) < 1e-3
    assert level_at(y, 1000.0) - level_at(y, 500.0) > -20.0  # the second harmonic


@pytest.mark.parametrize("rate", [44100, 48000])
@pytest.mark.parametrize("fuzz", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("hardness", [0.0, 0.8, 1.0])
@pytest.mark.parametrize("drive_db", [3.0, 6.0, 12.0])
def test_aliases_of_the_clipper_stay_below_minus_60_db(drive_db, hardness, fuzz, rate):
    """Of a full-scale 5 kHz sine, at moderate drive."""
    knobs = {"drive_db": drive_db, "hardness": hardness, "fuzz": fuzz}
    y = process("distortion", sine(5000.0, rate=rate), rate, **knobs, tone_hz=20000.0, mix=1.0)
    assert alias_db(y, 5000.0, rate) < -60.0


@pytest.mark.parametrize("rate", [44100, 48000])
@pytest.mark.parametrize("drive_db", [6.0, 12.0, 20.0])
@pytest.mark.parametrize("master_db", [0.0, 10.0])
def test_aliases_of_the_amplifier_stay_below_minus_60_db(drive_db, master_db, rate):
    knobs = {"drive_db": drive_db, "master_db": master_db, "treble": 10.0, "cabinet": 0.0}
    y = process("amplifier", sine(5000.0, rate=rate), rate, **knobs, sag=0.0, mix=1.0)
    assert alias_db(y, 5000.0, rate) < -60.0
