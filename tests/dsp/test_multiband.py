"""The bands sum to the input, lie where the knobs say, and are compressed by the formula."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from afxvae.dsp import multiband
from afxvae.effects.dynamics import MULTIBAND_COMPRESSOR

RATES = [44100, 48000, 96000]
PART = 1.0 - math.exp(-1.0)  # 63 %


def process(x: torch.Tensor, rate: int, **knobs: float) -> torch.Tensor:
    """`x` is ``(channel, time)``."""
    values = {p.name: p.default for p in MULTIBAND_COMPRESSOR.params} | knobs
    settings = {name: torch.tensor([value], dtype=x.dtype) for name, value in values.items()}
    return MULTIBAND_COMPRESSOR.process(x[None], settings, rate)[0]


def cosine(frequency: float, rate: int, seconds: float = 1.0) -> torch.Tensor:
    time = torch.arange(round(seconds * rate), dtype=torch.float64) / rate
    return torch.cos(2.0 * math.pi * frequency * time)[None]


def noise(length: int = 20000) -> torch.Tensor:
    return torch.randn(2, length, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("crossover", [80.0, 200.0, 1000.0, 3000.0])
def test_crossover_falls_as_documented(crossover):
    taps = multiband.crossover_response(torch.tensor([crossover]), 44100)[0].numpy()
    late = len(taps) // 2
    np.testing.assert_allclose(taps, taps[::-1], atol=1e-15)
    grid = np.geomspace(20.0, 22050.0, 500)
    time = np.arange(-late, late + 1) / 44100

    def level(hz: np.ndarray) -> np.ndarray:
        return np.cos(2.0 * math.pi * np.outer(hz, time)) @ taps

    assert 20.0 * math.log10(level(np.array([crossover]))[0]) == pytest.approx(-6.0, abs=0.1)
    assert np.abs(level(grid[grid >= 2.0 * crossover])).max() < 10.0 ** (-86.0 / 20.0)
    left = 1.0 - level(grid[grid <= crossover / 2.0])
    assert np.abs(left).max() < 10.0 ** (-76.0 / 20.0)
    assert left.min() > -1e-6  # in phase


def test_bands_sum_to_the_input():
    x = noise()[None]
    knobs = (torch.tensor([hz]) for hz in (200.0, 3000.0))
    delayed, bands, _ = multiband.split_bands(x, *knobs, 44100)
    late = multiband.multiband_latency(44100)
    assert torch.equal(delayed[..., late:], x[..., :-late])
    torch.testing.assert_close(bands.sum(1), delayed, rtol=0, atol=2e-6)


@pytest.mark.parametrize("gain_db", [-12.0, 6.0])
def test_equal_gain_in_all_bands_is_a_gain(gain_db):
    x = noise().double()
    y = process(x, 44100, **{f"{band}_makeup_db": gain_db for band in ("low", "mid", "high")})
    torch.testing.assert_close(y, x * 10.0 ** (gain_db / 20.0))


@pytest.mark.parametrize(("band", "frequency"), [("low", 50.0), ("mid", 800.0), ("high", 8000.0)])
def test_a_band_has_its_own_curve(band, frequency):
    """12 dB over the threshold at ratio 4 become 3, in this band only."""
    x = cosine(frequency, 48000)
    knobs = {"attack_ms": 0.1, "release_ms": 1000.0}
    y = process(x, 48000, **knobs, **{f"{band}_threshold_db": -12.0, f"{band}_ratio": 4.0})
    level = 20.0 * math.log10(float(y[:, 20000:-5000].abs().max()))
    assert level == pytest.approx(-9.0, abs=0.3)
    others = {"low", "mid", "high"} - {band}
    knobs |= {f"{other}_threshold_db": -30.0 for other in others}
    z = process(x, 48000, **knobs, **{f"{other}_ratio": 20.0 for other in others})
    assert float((z - x)[:, 20000:-5000].abs().max()) < 0.01


@pytest.mark.parametrize(
    ("band", "frequency"),
    [("low", 60.0), ("low", 100.0), ("mid", 400.0), ("mid", 800.0), ("mid", 1500.0),
     ("high", 6000.0), ("high", 10000.0)],
)  # fmt: skip
def test_the_curve_holds_at_the_highest_ratio_an_octave_from_the_crossovers(band, frequency):
    """60 dB over the threshold at ratio 20 become 3; 0 dB in all other bands hide nothing."""
    knobs = {f"{band}_threshold_db": -60.0, f"{band}_ratio": 20.0}
    found = []
    for over in (12.0, 24.0, 36.0, 48.0, 60.0):
        x = 10.0 ** ((over - 60.0) / 20.0) * cosine(frequency, 44100, 0.7)
        y = process(x, 44100, attack_ms=0.1, release_ms=1000.0, **knobs)
        level = 20.0 * math.log10(float(y[:, 15000:-5000].abs().max()))
        assert level == pytest.approx(-60.0 + over / 20.0, abs=0.7)
        found.append(level)
    assert found == sorted(found)


@pytest.mark.parametrize("rate", RATES)
def test_times_are_those_of_the_labels(rate):
    """A constant in the low band steps up and down; 63 % of the gain reduction, as measured."""
    x = torch.full((1, 2 * rate), 1e-3, dtype=torch.float64)
    x[:, rate // 2 : rate] = 1.0
    knobs = {"low_threshold_db": -30.0, "low_ratio": 20.0, "attack_ms": 50.0, "release_ms": 200.0}
    reduction = -20.0 * torch.log10(process(x, rate, **knobs) / x)[0]
    full = float(reduction[rate - rate // 50])
    up = int((reduction[rate // 2 :] >= PART * full).nonzero()[0])
    down = int((reduction[rate + rate // 100 :] <= (1.0 - PART) * full).nonzero()[0]) + rate // 100
    assert 1000.0 * up / rate == pytest.approx(50.0, rel=0.05)
    assert 1000.0 * down / rate == pytest.approx(200.0, rel=0.05)
