"""A knob's distribution is one, and a fit finds the one that made the data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from afxvae.data.treatments import knob_range
from afxvae.effects import default_chain
from afxvae.evaluation.calibration import uniformity
from afxvae.posterior import (
    HOW,
    Knob,
    KnobPosterior,
    fit_spread,
    knob_intervals,
    knob_posterior,
    laplace_cdf,
    read_spreads,
    write_spreads,
)

CHAIN = default_chain()
KNOBS = {f"{effect}.{param.name}": (effect, param) for effect, param in CHAIN.knobs}


@pytest.mark.parametrize("centre", [0.0, 0.31, 1.0])
@pytest.mark.parametrize(("spread", "doubt"), [(0.001, 0.0), (0.1, 0.3), (3.0, 0.0), (0.1, 1.0)])
def test_it_is_a_distribution_and_quantiles_are_its_inverse(
    centre: float, spread: float, doubt: float
) -> None:
    knob = KnobPosterior(centre, 0.0, 1.0, spread, doubt)
    x = np.linspace(-0.5, 1.5, 401)
    below = knob.cdf(x)
    assert (np.diff(below) >= 0).all()
    assert below[x <= 0].max() == 0
    assert below[x >= 1].min() == 1
    shares = np.linspace(0.02, 0.98, 25)
    np.testing.assert_allclose(knob.cdf(knob.quantile(shares)), shares, atol=1e-6)
    low, high = knob.interval(0.8)
    assert knob.cdf(high) - knob.cdf(low) == pytest.approx(0.8, abs=1e-6)


def test_laplace_distribution_is_that_of_scipy() -> None:
    x, centre = np.linspace(-3, 3, 25), np.linspace(-1, 1, 25)
    for where, spread in ((0.0, 1.0), (0.3, 0.1), (centre, 0.2 + np.abs(centre))):
        wanted = scipy.stats.laplace.cdf(x, where, spread)
        np.testing.assert_allclose(laplace_cdf(x, where, spread), wanted, rtol=1e-12)


def test_no_spread_is_certainty_and_all_doubt_is_the_prior() -> None:
    low, high = KnobPosterior(0.4, 0.0, 1.0, 1e-4, 0.0).interval(0.95)
    assert high - low < 1e-3
    assert KnobPosterior(0.4, 0.2, 1.0, 0.1, 1.0).interval(0.5) == pytest.approx((0.4, 0.8))


def test_a_fit_is_calibrated_on_data_that_it_has_not_seen() -> None:
    rng = np.random.default_rng(0)
    true = rng.uniform(0.2, 0.9, 2000)
    # estimates that are shrunk, off by a constant, and one in ten of which is of something else
    estimate = 0.3 + 0.5 * true + rng.laplace(0, 0.03, len(true))
    lost = rng.random(len(true)) < 0.1
    estimate[lost] = rng.uniform(0.4, 0.75, lost.sum())
    found = fit_spread(true[:1000], estimate[:1000], 0.2, 0.9)
    assert found is not None
    shift, slope, spread, doubt = found
    assert 1.5 < slope < 2.1  # the way back, less what noise takes off it
    assert 0.04 < spread < 0.09
    assert doubt in (0.05, 0.1, 0.15, 0.2)
    centres = np.clip(shift + slope * estimate[1000:], 0.2, 0.9)
    places = [KnobPosterior(c, 0.2, 0.9, spread, doubt).cdf(t)
              for c, t in zip(centres, true[1000:], strict=True)]  # fmt: skip
    found = uniformity(places)
    assert found["largest"] < 0.1
    assert found["within"]["0.8"] == pytest.approx(0.8, abs=0.05)


def test_exact_estimates_stay_exact_despite_a_few_gross_errors() -> None:
    true = np.random.default_rng(1).uniform(0.3, 0.9, 200)
    estimate = true.copy()
    estimate[:6] = 0.35
    found = fit_spread(true, estimate, 0.3, 0.9)
    assert found is not None
    assert found[:2] == pytest.approx((0.0, 1.0), abs=1e-3)
    assert found[2] == pytest.approx(0.001)
    assert 0.02 <= found[3] <= 0.05


def test_estimates_that_say_nothing_leave_the_prior() -> None:
    rng = np.random.default_rng(2)
    found = fit_spread(rng.random(500), rng.random(500), 0.0, 1.0)
    assert found is not None
    assert abs(found[1]) < 0.15
    low, high = KnobPosterior(0.5, 0.0, 1.0, *found[2:]).interval(0.8)
    assert (low, high) == pytest.approx((0.1, 0.9), abs=0.05)
    assert fit_spread([0.5] * 7, [0.5] * 7, 0.0, 1.0) is None


def test_the_table_is_written_and_read_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    knobs = [Knob("delay", "mix", "measured", float(t), float(t), None) for t in rng.random(20)]
    path = tmp_path / "spreads.json"
    table = write_spreads(knobs, CHAIN, "abc", path)
    assert table["checksum"] == "abc"
    assert list(table["measured"]) == ["delay.mix"]
    assert table["estimated"] == {}
    effect, param = KNOBS["delay.mix"]
    sure = knob_posterior(effect, param, 0.3, "measured", table)
    unsure = knob_posterior(effect, param, 0.3, "estimated", table)
    assert sure.spread < 0.01 < unsure.spread


@pytest.mark.parametrize("name", list(KNOBS))
def test_every_knob_has_a_distribution(name: str) -> None:
    effect, param = KNOBS[name]
    low, high = knob_range(effect, param)
    assert 0 <= low < high <= 1
    for how in HOW:
        for estimate in (0.0, 0.5, 1.0):
            knob = knob_posterior(effect, param, estimate, how)
            assert knob.low <= min(low, estimate)
            assert knob.high >= max(high, estimate)
            assert knob.cdf(knob.high) == 1


def test_spreads_in_the_package_are_of_knobs_that_exist() -> None:
    spreads = read_spreads()
    for how in HOW:
        assert set(spreads[how]) <= set(KNOBS)


def test_knobs_of_what_is_on_have_intervals_around_what_is_known() -> None:
    """In units and within the range; what was measured is known better."""
    chain, checksum = default_chain(), read_spreads()["checksum"]
    controls = [param.to_control((param.minimum + param.maximum) / 2.0) for _, param in chain.knobs]
    on = {name: name in ("eq", "delay") for name in chain.names}
    estimated = knob_intervals(chain, controls, on, (), checksum)
    measured = knob_intervals(chain, controls, on, ("delay",), checksum)
    assert set(measured) == {"eq", "delay"}
    for effect, knobs in measured.items():
        params = {param.name: param for param in chain[effect].params}
        for name, (low, high) in knobs.items():
            assert params[name].minimum <= low <= high <= params[name].maximum
    assert measured["eq"] == estimated["eq"]
    low, high = measured["delay"]["time_ms"]
    assert high < 1.1 * low
    some = knob_intervals(chain, controls, on, ("delay",), checksum, share=0.1)["delay"]
    assert low < some["time_ms"][0] <= some["time_ms"][1] < high
    assert knob_intervals(chain, controls, on, (), "another") == {}
