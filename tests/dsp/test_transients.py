"""The transient shaper finds beginnings and tails, at any level, and nothing else."""

from __future__ import annotations

import math

import pytest
import torch

from afxvae.effects.dynamics import TRANSIENT_SHAPER

RATES = [44100, 48000, 96000]


def gain_db(x: torch.Tensor, rate: int, **knobs: float) -> torch.Tensor:
    """`x` is ``(time,)``; where it is 0 the gain is not a number."""
    values = {p.name: p.default for p in TRANSIENT_SHAPER.params} | knobs
    settings = {name: torch.tensor([value], dtype=x.dtype) for name, value in values.items()}
    return 20.0 * torch.log10(TRANSIENT_SHAPER.process(x[None, None], settings, rate)[0, 0] / x)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("attack_db", [-15.0, 6.0])
def test_every_click_gets_all_of_the_attack(attack_db, rate):
    """A train of ten decaying clicks, each half as loud as the one before, 200 ms apart."""
    time = torch.arange(rate // 5, dtype=torch.float64) / rate
    click = torch.exp(-time / 0.004)
    train = torch.cat([click * 0.5**n for n in range(10)])
    gain = gain_db(train, rate, attack_db=attack_db)
    begins = torch.arange(10) * len(click)
    assert float((gain[begins] - attack_db).abs().max()) < 0.05 * abs(attack_db)
    late = gain.view(10, -1)[:, rate // 10 : -rate // 100]
    assert float(late.abs().max()) < 0.02 * abs(attack_db)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("attack_ms", [5.0, 25.0, 100.0])
def test_attack_has_37_percent_left_after_its_time(attack_ms, rate):
    x = torch.full((rate,), 1e-6, dtype=torch.float64)
    start = rate // 4
    x[start:] = 0.5
    gain = gain_db(x, rate, attack_db=10.0, attack_ms=attack_ms)[start:]
    reached = int((gain <= 10.0 * math.exp(-1.0)).nonzero()[0])
    # the gain is averaged over the millisecond ahead, half of it on average
    assert 1000.0 * reached / rate + 0.5 == pytest.approx(attack_ms, rel=0.05)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("sustain_ms", [50.0, 300.0, 1000.0])
def test_tail_of_a_fall_is_that_of_the_formula(sustain_ms, rate):
    """Far below, the slow envelope falls by 63 % in its time: the gain is 1 - f/d of all."""
    x = torch.full((3 * rate,), 1.0, dtype=torch.float64)
    x[rate:] = 0.01
    gain = gain_db(x, rate, sustain_db=10.0, sustain_ms=sustain_ms)[rate:]
    after = round(sustain_ms / 1000.0 * rate)
    assert float(gain[after]) == pytest.approx(10.0 * (1.0 - 0.01 * math.e), rel=0.02)


@pytest.mark.parametrize("frequency", [55.0, 440.0, 5000.0])
def test_a_steady_tone_is_left_as_it_is(frequency):
    time = torch.arange(44100, dtype=torch.float64) / 44100
    x = 0.3 * torch.cos(2.0 * math.pi * frequency * time)
    gain = gain_db(x, 44100, attack_db=15.0, sustain_db=24.0)[22050:-100]
    assert float(gain.abs().max()) < 0.1


def test_level_does_not_matter():
    x = torch.randn(8000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = x * torch.exp(-torch.arange(8000) % 2000 / 300.0)
    loud = gain_db(x, 44100, attack_db=6.0, sustain_db=-6.0)
    soft = gain_db(0.01 * x, 44100, attack_db=6.0, sustain_db=-6.0)
    assert float((loud - soft).abs().max()) < 0.1
