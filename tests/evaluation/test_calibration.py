"""What is calibrated is found to be, and what is not is not."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from afxvae.evaluation.calibration import kolmogorov, reliability, risk_coverage, uniformity
from afxvae.types import UsageError

RNG = np.random.default_rng


def test_honest_probabilities_have_no_calibration_error() -> None:
    rng = RNG(0)
    p = rng.random(200_000)
    honest = reliability(p, rng.random(len(p)) < p)
    assert honest["ece"] < 0.01
    for row in honest["bins"]:
        assert row["interval"][0] - 0.02 < row["predicted"] < row["interval"][1] + 0.02
    boastful = reliability(np.where(p > 0.5, 1.0, 0.0), rng.random(len(p)) < p)
    assert boastful["ece"] == pytest.approx(0.25, abs=0.01)
    assert honest["brier"] < boastful["brier"]


def test_reliability_counts_every_item_once() -> None:
    found = reliability([0.0, 0.05, 0.5, 1.0], [0, 1, 1, 1])
    assert sum(row["items"] for row in found["bins"]) == found["items"] == 4
    assert found["share"] == 0.75
    assert [row["observed"] for row in found["bins"]] == [0.5, 1.0, 1.0]
    assert found["ece"] == pytest.approx((2 * 0.475 + 0.5) / 4)
    knowing_nothing = reliability([0.75] * 4, [0, 1, 1, 1])
    assert knowing_nothing["ece"] == 0.0
    assert knowing_nothing["brier"] == knowing_nothing["brier_of_share"]


def test_wilson_interval_is_the_one_of_scipy() -> None:
    (row,) = reliability([0.35] * 50, [1] * 17 + [0] * 33)["bins"]
    wanted = scipy.stats.binomtest(17, 50).proportion_ci(method="wilson")
    assert row["interval"] == pytest.approx([wanted.low, wanted.high], abs=1e-4)


def test_ends_of_the_risk_coverage_curve() -> None:
    before = np.array([1.0, 1.0, 2.0, 0.5])
    after = np.array([0.5, 1.5, 1.0, 0.6])
    curve = risk_coverage(
        before,
        np.stack([after, np.where([0, 1, 0, 0], before, after), before], 1),
        [[0, 0, 1], [0, 1, 1], [0, 0, 1], [0, 0, 1]],
        (-1, 0, 9),
    )
    # all touched: the plain share; all left alone: no risk and no gain
    assert curve[0] == {"shift": -1, "left_alone": 0, "worse": 0.5,
                        "closure": pytest.approx(1 - 3.6 / 4.5)}  # fmt: skip
    assert curve[1]["left_alone"] == curve[1]["worse"] == 0.25
    assert curve[2] == {"shift": 9, "left_alone": 1, "worse": 0, "closure": 0}


def test_rounding_is_not_worse() -> None:
    (row,) = risk_coverage([1.0], [[1.00001]], [[False]], (0,))
    assert row["worse"] == 0


def test_where_every_input_is_the_truth_there_is_a_row_too() -> None:
    rows = risk_coverage([0.0, 0.0], [[0.0, 1.0], [0.0, 0.0]], [[True, False]] * 2, (0, 1))
    assert [row["closure"] for row in rows] == [1.0, pytest.approx(-5e11)]
    assert [row["worse"] for row in rows] == [0.0, 0.5]


def test_ranks_of_a_right_posterior_are_uniform() -> None:
    rng = RNG(1)
    truth, clue = rng.standard_normal(4000), rng.standard_normal(4000)
    for width, calibrated in ((0.5, False), (1.0, True), (2.0, False)):
        # the posterior of a unit Gaussian seen through unit noise
        mean, scale = 0.5 * (truth + clue), width * np.sqrt(0.5)
        found = uniformity(scipy.stats.norm.cdf(truth, mean, scale))
        assert (found["p"] > 0.01) == calibrated
        assert sum(found["histogram"]) == pytest.approx(1.0)
        if calibrated:
            assert found["within"]["0.8"] == pytest.approx(0.8, abs=0.02)
            assert max(found["histogram"]) < 0.13
        else:  # too narrow piles up at the ends, too wide in the middle
            assert (found["histogram"][0] > 0.15) == (width < 1)
            assert (found["within"]["0.8"] < 0.75) == (width < 1)


def test_deviation_and_its_probability_are_those_of_scipy() -> None:
    places = RNG(2).random(60) ** 1.3
    found, wanted = uniformity(places), scipy.stats.kstest(places, "uniform")
    assert found["largest"] == pytest.approx(wanted.statistic)
    assert found["p"] == pytest.approx(wanted.pvalue, abs=0.01)
    assert max(map(abs, found["curve"])) <= found["largest"] + 1e-12
    assert found["curve"][-1] == 0
    assert kolmogorov(0.01, 20) == 1.0


@pytest.mark.parametrize(
    "call",
    [
        lambda: reliability([], []),
        lambda: reliability([1.2], [1]),
        lambda: reliability([0.5], [1, 0]),
        lambda: uniformity([]),
        lambda: uniformity([1.5]),
        lambda: risk_coverage([1.0], [[1.0, 1.0]], [[True]], (0,)),
        lambda: risk_coverage([], np.zeros((0, 1)), np.zeros((0, 1)), (0,)),
    ],
)
def test_what_makes_no_sense_is_refused(call) -> None:
    with pytest.raises(UsageError):
        call()
