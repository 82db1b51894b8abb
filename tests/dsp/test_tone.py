"""Tone controls equal scipy's filters, and the graphic equaliser meets its sliders."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import signal

from afxvae.dsp import tone
from afxvae.effects.eq import BASS_BOOST, GRAPHIC_EQ, TILT

RATES = [8000, 44100, 192000]
PATTERNS = {
    "up": [12.0] * 10,
    "down": [-12.0] * 10,
    "saw": [12.0, -12.0] * 5,
    "smile": [9.0, 6.0, 2.0, 0.0, -4.0, -5.0, 0.0, 3.0, 7.0, 10.0],
    "one": [0.0] * 5 + [-12.0] + [0.0] * 4,
}


def run(effect, x, rate, *values):
    """Process ``(channel, time)``; `values` in the order of the knobs."""
    x = torch.as_tensor(x)
    knobs = {
        param.name: torch.tensor([value], dtype=x.dtype)
        for param, value in zip(effect.params, values, strict=True)
    }
    return effect.process(x[None], knobs, rate)[0].numpy()


def material(rate: int) -> np.ndarray:
    """Noise, white and brown, in single precision."""
    white = np.random.default_rng(0).standard_normal((2, rate))
    return (0.1 * white + 0.002 * white.cumsum(-1)).astype(np.float32)


def response_db(effect, frequency_hz, rate, *values) -> np.ndarray:
    x = np.zeros((1, 2 * rate))
    x[0, 0] = 1.0
    y = run(effect, x, rate, *values)[0]
    _, response = signal.freqz(y, worN=np.atleast_1d(frequency_hz), fs=rate)
    return 20.0 * np.log10(np.abs(response))


def residual_db(found, wanted, x) -> float:
    """Of the louder of input and output."""
    louder = max(float((wanted**2).mean()), float((x.astype(float) ** 2).mean()))
    return 10.0 * math.log10(float(((found - wanted) ** 2).mean()) / louder + 1e-30)


# equal to scipy


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(
    ("gain", "hz", "q"), [(18.0, 30.0, 2.0), (6.0, 100.0, 0.7), (18, 300, 0.4)]
)
def test_bass_boost_is_the_cookbooks_low_shelf(gain, hz, q, rate):
    a, w = 10.0 ** (gain / 40.0), 2.0 * math.pi * hz / rate
    c, s = math.cos(w), 2.0 * math.sqrt(a) * math.sin(w) / (2.0 * q)
    upper = a * np.array(
        [a + 1 - (a - 1) * c + s, 2 * (a - 1 - (a + 1) * c), a + 1 - (a - 1) * c - s]
    )
    lower = np.array([a + 1 + (a - 1) * c + s, -2 * (a - 1 + (a + 1) * c), a + 1 + (a - 1) * c - s])
    x = material(rate)
    want = signal.lfilter(upper / lower[0], lower / lower[0], x.astype(float))
    assert residual_db(run(BASS_BOOST, x, rate, gain, hz, q), want, x) < -120.0


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(("tilt", "hz"), [(-12.0, 200.0), (3.0, 700.0), (12.0, 3500.0)])
def test_tilt_is_scipys_bilinear_transform(tilt, hz, rate):
    a, k = 10.0 ** (tilt / 40.0), math.tan(math.pi * hz / rate)
    x = material(rate)
    want = signal.lfilter(*signal.bilinear([a / k, 1.0], [1.0 / k, a], fs=0.5), x.astype(float))
    assert residual_db(run(TILT, x, rate, tilt, hz), want, x) < -120.0


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("pattern", PATTERNS)
def test_graphic_eq_is_a_cascade_of_the_cookbooks_peaks(pattern, rate):
    centres = [hz for hz in tone.OCTAVES_HZ if hz < 0.45 * rate]
    sliders = torch.tensor([PATTERNS[pattern]], dtype=torch.float64)[:, : len(centres)]
    _, qs, _ = tone._bands(rate, sliders.device)
    sections = []
    for hz, q, gain in zip(centres, qs.numpy(), tone.band_gains_db(sliders, rate)[0], strict=True):
        a, w = 10.0 ** (float(gain) / 40.0), 2.0 * math.pi * hz / rate
        alpha, c = math.sin(w) / (2.0 * q), math.cos(w)
        section = [1 + alpha * a, -2 * c, 1 - alpha * a, 1 + alpha / a, -2 * c, 1 - alpha / a]
        sections.append(np.array(section) / section[3])
    x = material(rate)
    want = signal.sosfilt(np.array(sections), x.astype(float))
    assert residual_db(run(GRAPHIC_EQ, x, rate, *PATTERNS[pattern]), want, x) < -120.0


# what the knobs say


@pytest.mark.parametrize("tilt", [-12.0, 6.0])
def test_tilt_turns_around_the_pivot(tilt):
    found = response_db(TILT, [0.01, 1000.0, 22050.0], 44100, tilt, 1000.0)
    np.testing.assert_allclose(found, [-tilt / 2.0, 0.0, tilt / 2.0], atol=1e-3)


def test_bass_boost_has_its_gain_below_and_half_of_it_at_the_frequency():
    found = response_db(BASS_BOOST, [0.01, 100.0, 22050.0], 44100, 12.0, 100.0, 0.7)
    np.testing.assert_allclose(found, [12.0, 6.0, 0.0], atol=1e-3)


def test_a_tight_bass_boost_overshoots_and_dips():
    curve = response_db(BASS_BOOST, np.geomspace(10.0, 1000.0, 200), 44100, 6.0, 100.0, 1.5)
    assert curve.max() > 6.5
    assert curve.min() < -0.5


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 96000])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_sliders_are_met_at_the_band_centres(pattern, rate):
    centres = [hz for hz in tone.OCTAVES_HZ if hz < 0.45 * rate]
    found = response_db(GRAPHIC_EQ, centres, rate, *PATTERNS[pattern])
    np.testing.assert_allclose(found, PATTERNS[pattern][: len(centres)], atol=1e-3)


def test_gains_are_solved_for_every_corner_of_the_sliders():
    corners = torch.tensor(list(itertools.product([-12.0, 12.0], repeat=10)), dtype=torch.float64)
    overlap = tone._bands(44100, corners.device)[2]
    total, _ = tone._overall_db(tone.band_gains_db(corners, 44100), overlap)
    assert float((total - corners).abs().max()) < 1e-9


def test_ripple_between_the_bands_is_small():
    curve = response_db(GRAPHIC_EQ, np.geomspace(31.5, 16000, 300), 44100, *PATTERNS["up"])
    assert curve.min() > 10.8
    assert curve.max() < 12.3


def test_derivative_of_the_gains_is_that_of_the_solution():
    sliders = torch.tensor([PATTERNS["smile"]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: tone.band_gains_db(x, 44100), (sliders,))


def test_bands_above_half_the_sample_rate_do_nothing():
    x = material(8000)
    assert np.array_equal(run(GRAPHIC_EQ, x, 8000, *[0.0] * 7, 12.0, -12.0, 5.0), x)
    assert not np.array_equal(run(GRAPHIC_EQ, x, 8000, *[0.0] * 6, 5.0, 0.0, 0.0, 0.0), x)
