"""The gate's curve is the formula, and its times are those of its labels."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from afxvae.dsp.expansion import expansion_curve
from afxvae.effects.dynamics import GATE

RATES = [44100, 48000, 96000]
PART = 1.0 - math.exp(-1.0)  # 63 %


def gain_db(x: torch.Tensor, rate: int, **knobs: float) -> torch.Tensor:
    """`x` is ``(time,)``; threshold -20 dB, ratio 20 and range 40 dB unless told otherwise."""
    values = {
        "threshold_db": -20.0, "ratio": 20.0, "range_db": 40.0,
        "attack_ms": 1.0, "hold_ms": 1.0, "release_ms": 100.0,
    } | knobs  # fmt: skip
    settings = {name: torch.tensor([value], dtype=x.dtype) for name, value in values.items()}
    return 20.0 * torch.log10(GATE.process(x[None, None], settings, rate)[0, 0] / x)


@pytest.mark.parametrize("ratio", [1.0, 2.0, 4.0, 20.0])
@pytest.mark.parametrize("range_db", [0.0, 12.0, 80.0])
def test_static_curve_is_the_formula(ratio, range_db):
    levels = np.linspace(-100.0, 0.0, 201)
    want = [-min(range_db, (ratio - 1.0) * max(0.0, -30.0 - level)) for level in levels]
    knobs = (torch.tensor(value, dtype=torch.float64) for value in (-30.0, ratio, range_db))
    np.testing.assert_allclose(expansion_curve(torch.from_numpy(levels), *knobs), want, atol=1e-12)


@pytest.mark.parametrize("under_db", [1.0, 5.0, 30.0])
def test_settled_gain_is_the_curves(under_db):
    """Ratio 3 turns 5 dB under the threshold into 15; a tone's peaks count."""
    time = torch.arange(44100, dtype=torch.float64)
    x = 10.0 ** ((-20.0 - under_db) / 20.0) * torch.cos(2.0 * math.pi * time / 50.0)
    settled = gain_db(x, 44100, ratio=3.0, hold_ms=20.0, release_ms=20.0)[-1]
    assert float(settled) == pytest.approx(-min(40.0, 2.0 * under_db), abs=1e-3)


def test_above_the_threshold_an_open_gate_does_nothing():
    x = torch.ones(44100, dtype=torch.float64)
    assert float(gain_db(x, 44100)[22050:].abs().max()) < 1e-8


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("attack_ms", [0.1, 1.0, 10.0, 100.0])
def test_attack_covers_63_percent_in_its_time(attack_ms, rate):
    x = torch.full((rate,), 1e-4, dtype=torch.float64)
    start = rate // 4
    x[start:] = 1.0
    opening = 40.0 + gain_db(x, rate, attack_ms=attack_ms)
    assert float(opening[start - 1]) == pytest.approx(0.0, abs=1e-9)
    reached = int((opening[start:] >= 40.0 * PART).nonzero()[0])
    ends = (40.0 - opening[start + reached - 1 : start + reached + 1]).log().tolist()
    time = reached + 1 - (math.log(40.0 * (1.0 - PART)) - ends[1]) / (ends[0] - ends[1])
    assert 1000.0 * time / rate == pytest.approx(attack_ms, rel=0.05)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(("hold_ms", "release_ms"), [(1.0, 10.0), (50.0, 100.0), (200.0, 200.0)])
def test_hold_and_release_last_as_long_as_they_say(hold_ms, release_ms, rate):
    x = torch.ones(rate, dtype=torch.float64)
    start = rate // 4
    x[start:] = 1e-4
    gain = gain_db(x, rate, hold_ms=hold_ms, release_ms=release_ms, attack_ms=0.1)
    begins = int((gain[start:] < -1e-6).nonzero()[0])
    assert 1000.0 * begins / rate == pytest.approx(hold_ms, abs=0.05)
    reached = int((gain[start:] <= -40.0 * PART).nonzero()[0]) + 1 - begins
    assert 1000.0 * reached / rate == pytest.approx(release_ms, rel=0.05)


def test_it_rests_closed():
    x = torch.full((100,), 1e-4, dtype=torch.float64)
    assert float(gain_db(x, 44100).max()) == pytest.approx(-40.0)
