"""The EQ's sections against the cookbook's formulas, run by scipy as difference equations."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from afxvae.dsp import filters
from afxvae.effects.eq import EQ, eq_response

RATES = [8000, 24000, 44100, 48000, 96000]
KINDS = [pytest.param(torch.float32, id="float32"), pytest.param(torch.float64, id="float64")]
HALF_POWER_DB = 20.0 * math.log10(math.sqrt(0.5))


def cookbook(kind: str, frequency: float, gain_db: float, q: float, rate: int) -> np.ndarray:
    """One row ``b0 b1 b2 1 a1 a2``, copied from the Audio EQ Cookbook, not from the package."""
    w0 = 2.0 * math.pi * frequency / rate
    cos, alpha = math.cos(w0), math.sin(w0) / (2.0 * q)
    a = 10.0 ** (gain_db / 40.0)
    root = 2.0 * math.sqrt(a) * alpha
    if kind == "peak":
        b = [1 + alpha * a, -2 * cos, 1 - alpha * a]
        d = [1 + alpha / a, -2 * cos, 1 - alpha / a]
    elif kind == "low shelf":
        b = [a * ((a + 1) - (a - 1) * cos + root), 2 * a * ((a - 1) - (a + 1) * cos),
             a * ((a + 1) - (a - 1) * cos - root)]  # fmt: skip
        d = [(a + 1) + (a - 1) * cos + root, -2 * ((a - 1) + (a + 1) * cos),
             (a + 1) + (a - 1) * cos - root]  # fmt: skip
    elif kind == "high shelf":
        b = [a * ((a + 1) + (a - 1) * cos + root), -2 * a * ((a - 1) + (a + 1) * cos),
             a * ((a + 1) + (a - 1) * cos - root)]  # fmt: skip
        d = [(a + 1) - (a - 1) * cos + root, 2 * ((a - 1) - (a + 1) * cos),
             (a + 1) - (a - 1) * cos - root]  # fmt: skip
    else:
        sign = 1 if kind == "low cut" else -1  # low cut: high-pass
        b = [(1 + sign * cos) / 2, -sign * (1 + sign * cos), (1 + sign * cos) / 2]
        d = [1 + alpha, -2 * cos, 1 - alpha]
    return np.array([*b, *d]) / d[0]


def section(kind: str, frequency: float, gain_db: float, q: float, rate: int, dtype=torch.float64):
    """The package's section: a function of a frequency grid that gives numerator, denominator."""

    def at(grid: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        f, g, width = (torch.tensor([v], dtype=dtype) for v in (frequency, gain_db, q))
        if kind == "peak":
            return filters.peak(f, g, width, grid, rate)
        side = "low" if kind.startswith("low") else "high"
        if kind.endswith("shelf"):
            return filters.shelf(f, g, grid, rate, side)
        return filters.cut(f, 0.0, grid, rate, side)

    return at


def gain_db_at(kind: str, frequency: float, gain_db: float, q: float, rate: int, hz: list[float]):
    top, bottom = section(kind, frequency, gain_db, q, rate)(torch.tensor(hz, dtype=torch.float64))
    return (20.0 * torch.log10((top / bottom).abs()))[0].tolist()


def noise(rate: int, seconds: float = 0.5, channels: int = 1) -> np.ndarray:
    return 0.1 * np.random.default_rng(rate).standard_normal((1, channels, int(seconds * rate)))


def residual_db(result: torch.Tensor, reference: np.ndarray, x: np.ndarray) -> float:
    """Power of the difference relative to the louder of input and output."""
    difference = result.double().numpy() - reference
    louder = max(np.mean(reference**2), np.mean(x**2))
    return 10.0 * math.log10(np.mean(difference**2) / louder + 1e-30)


SECTIONS = [
    ("peak", 60.0, 15.0, 5.0),
    ("peak", 60.0, -15.0, 5.0),
    ("peak", 600.0, 15.0, 0.3),
    ("peak", 2000.0, -6.0, 0.8),
    ("peak", 3500.0, 15.0, 5.0),
    ("low shelf", 40.0, 15.0, math.sqrt(0.5)),
    ("low shelf", 40.0, -15.0, math.sqrt(0.5)),
    ("low shelf", 500.0, 4.0, math.sqrt(0.5)),
    ("high shelf", 1500.0, -15.0, math.sqrt(0.5)),
    ("high shelf", 3800.0, 15.0, math.sqrt(0.5)),
    ("low cut", 21.0, 0.0, math.sqrt(0.5)),
    ("low cut", 1000.0, 0.0, math.sqrt(0.5)),
    ("high cut", 1000.0, 0.0, math.sqrt(0.5)),
    ("high cut", 3800.0, 0.0, math.sqrt(0.5)),
]


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("knobs", SECTIONS, ids=lambda knobs: f"{knobs[0]} {knobs[1]:g} Hz")
def test_section_equals_scipy(knobs, rate, dtype):
    at = section(*knobs, rate, dtype)

    def difference(grid: torch.Tensor) -> torch.Tensor:
        top, bottom = at(grid)
        return (top - bottom) / bottom

    x = torch.from_numpy(noise(rate)).to(dtype)
    result, _ = filters.add_filtered_difference(x, [torch.zeros(1)], difference, 1.0, rate)
    exact = x.double().numpy()
    assert result.dtype == dtype
    assert residual_db(result, signal.sosfilt(cookbook(*knobs, rate)[None], exact), exact) < -120.0


def test_cookbook_rows_agree_with_other_designs_of_scipy():
    rate = 48000
    for kind, name in (("low cut", "highpass"), ("high cut", "lowpass")):
        row = cookbook(kind, 900.0, 0.0, math.sqrt(0.5), rate)
        butterworth = signal.butter(2, 900.0, name, fs=rate, output="sos")[0]
        np.testing.assert_allclose(row, butterworth, rtol=0, atol=1e-12)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("frequency", [20.5, 200.0, 1000.0, 3900.0])
@pytest.mark.parametrize("side", ["low", "high"])
def test_cuts_lose_3_db_at_the_corner(side, frequency, rate):
    (corner,) = gain_db_at(f"{side} cut", frequency, 0.0, 1.0, rate, [frequency])
    assert corner == pytest.approx(HALF_POWER_DB, abs=1e-6)


def test_cuts_fall_by_12_db_an_octave():
    """Far below half the sample rate, where the digital filter is the analogue one."""
    low = gain_db_at("low cut", 400.0, 0.0, 1.0, 96000, [25.0, 50.0])
    high = gain_db_at("high cut", 100.0, 0.0, 1.0, 96000, [800.0, 1600.0])
    assert np.diff(low) == pytest.approx([12.04], abs=0.02)
    assert np.diff(high) == pytest.approx([-12.04], abs=0.05)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("gain_db", [-15.0, -3.0, 7.5, 15.0])
def test_peak_has_its_gain_at_the_centre_and_none_far_off(gain_db, rate):
    hz = [700.0, 0.0, rate / 2]
    centre, below, above = gain_db_at("peak", 700.0, gain_db, 1.5, rate, hz)
    assert centre == pytest.approx(gain_db, abs=1e-9)
    assert below == pytest.approx(0.0, abs=1e-9)
    assert above == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("q", [0.3, 0.8, 5.0])
def test_peak_is_as_wide_as_q_says(q):
    """Half the gain in dB is reached at two frequencies whose distance is centre / Q (analogue)."""
    centre, gain = 100.0, 12.0
    spread = math.asinh(0.5 / q)
    edges = [centre * math.exp(-spread), centre * math.exp(spread)]
    found = gain_db_at("peak", centre, gain, q, 192000, edges)
    assert found == pytest.approx([gain / 2, gain / 2], abs=0.01)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("gain_db", [-15.0, -3.0, 7.5, 15.0])
def test_shelves_have_half_their_gain_at_the_corner(gain_db, rate):
    hz = [600.0, 0.0, rate / 2]
    low = gain_db_at("low shelf", 600.0, gain_db, 1.0, rate, hz)
    high = gain_db_at("high shelf", 600.0, gain_db, 1.0, rate, hz)
    assert low == pytest.approx([gain_db / 2, gain_db, 0.0], abs=1e-6)
    assert high == pytest.approx([gain_db / 2, 0.0, gain_db], abs=1e-6)


def eq_cascade(knobs: dict[str, float], rate: int) -> np.ndarray:
    """The whole effect as rows of scipy's second-order sections."""
    q = math.sqrt(0.5)
    rows = [
        ("low shelf", knobs["low_shelf_hz"], knobs["low_shelf_gain_db"], q),
        ("high shelf", knobs["high_shelf_hz"], knobs["high_shelf_gain_db"], q),
    ]
    if knobs["low_cut_hz"] > 20.0:
        rows.append(("low cut", knobs["low_cut_hz"], 0.0, q))
    if knobs["high_cut_hz"] < 20000.0:
        rows.append(("high cut", knobs["high_cut_hz"], 0.0, q))
    for n in range(1, 5):
        rows.append(("peak", *(knobs[f"peak{n}_{what}"] for what in ("hz", "gain_db", "q"))))
    top = 0.49 * rate
    return np.stack([cookbook(kind, min(f, top), g, w, rate) for kind, f, g, w in rows])


def draw(seed: int, ends: bool) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    controls = torch.rand(len(EQ.params), generator=generator)
    if ends:
        controls = controls.round()
    return {p.name: p.to_setting(c[None]) for p, c in zip(EQ.params, controls, strict=True)}


@given(st.integers(0, 10**6), st.sampled_from(RATES), st.booleans())
@settings(deadline=None, derandomize=True, max_examples=30)
def test_equaliser_equals_a_cascade_of_scipy_sections(seed, rate, ends):
    knobs = draw(seed, ends)
    x = noise(rate, 0.3, 2).astype(np.float32)
    result = EQ.process(torch.from_numpy(x), knobs, rate)
    rows = eq_cascade({name: value.item() for name, value in knobs.items()}, rate)
    want = signal.sosfilt(rows, x.astype(np.float64))
    assert residual_db(result, want, x.astype(np.float64)) < -120.0


def test_equaliser_equals_the_cascade_in_double_precision():
    knobs = {name: value.double() for name, value in draw(7, False).items()}
    x = noise(44100, 0.5, 2)
    result = EQ.process(torch.from_numpy(x), knobs, 44100)
    rows = eq_cascade({name: value.item() for name, value in knobs.items()}, 44100)
    assert residual_db(result, signal.sosfilt(rows, x), x) < -150.0


@given(st.integers(0, 10**6), st.sampled_from(RATES))
@settings(deadline=None, derandomize=True, max_examples=20)
def test_response_is_that_of_the_cascade(seed, rate):
    knobs = {name: value.double() for name, value in draw(seed, False).items()}
    hz = np.geomspace(20.0, 0.499 * rate, 200)
    rows = eq_cascade({name: value.item() for name, value in knobs.items()}, rate)
    _, want = signal.sosfreqz(rows, hz, fs=rate)
    found = eq_response(knobs, torch.from_numpy(hz), rate)[0].numpy()
    np.testing.assert_allclose(found, want, rtol=1e-6, atol=1e-9)


def test_frequencies_above_the_band_act_at_its_edge():
    """At 8 kHz a shelf at 16 kHz is one at 3.92 kHz, and a cut at 20 kHz is off."""
    knobs = EQ.defaults()
    knobs["high_shelf_gain_db"] = torch.tensor([6.0])
    x = torch.from_numpy(noise(8000)).float()
    results = []
    for hz in (16000.0, 3920.0):
        knobs["high_shelf_hz"] = torch.tensor([hz])
        results.append(EQ.process(x, knobs, 8000))
    torch.testing.assert_close(*results, rtol=0.0, atol=1e-6)
    assert not torch.equal(results[0], x)


def test_multiply_is_the_cascade():
    grid = torch.linspace(10.0, 10000.0, 50, dtype=torch.float64)
    parts = [section(*SECTIONS[i], 44100)(grid) for i in (0, 5, 10)]
    top, bottom = filters.multiply(parts)
    want = torch.ones_like(top)
    for upper, lower in parts:
        want = want * (upper / lower)
    torch.testing.assert_close(top / bottom, want)
