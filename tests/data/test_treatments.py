"""Random treatments: odds are as said, and settings in the ranges that are used."""

from __future__ import annotations

import itertools

import pytest
import torch

from afxvae.data.treatments import (
    OFF_PROBABILITY,
    UNTOUCHED_PROBABILITY,
    USUAL_RANGES,
    random_treatments,
)
from afxvae.effects import default_chain

CHAIN = default_chain()


@pytest.fixture(scope="module")
def treatments() -> tuple[torch.Tensor, torch.Tensor]:
    return random_treatments(CHAIN, 20_000, torch.Generator().manual_seed(0))


def test_effects_are_off_as_often_as_is_said(
    treatments: tuple[torch.Tensor, torch.Tensor],
) -> None:
    """Four standard errors; a treatment may also be nothing by chance."""
    _, switches = treatments
    assert switches.shape == (20_000, len(CHAIN.effects))
    share = 1.0 - (1.0 - OFF_PROBABILITY) * (1.0 - UNTOUCHED_PROBABILITY)
    off = (~switches).float().mean(0)
    torch.testing.assert_close(off, torch.full_like(off, share), atol=0.014, rtol=0)
    assert abs(share - 0.6) < 0.03
    by_chance = OFF_PROBABILITY ** len(CHAIN.effects)
    untouched = float((~switches.any(1)).float().mean())
    expected = UNTOUCHED_PROBABILITY + (1.0 - UNTOUCHED_PROBABILITY) * by_chance
    assert untouched == pytest.approx(expected, abs=0.007)


def test_effects_are_switched_independently(
    treatments: tuple[torch.Tensor, torch.Tensor],
) -> None:
    _, switches = treatments
    some = switches[switches.any(1)].float()
    for one, other in itertools.combinations(range(len(CHAIN.effects)), 2):
        together = float((some[:, one] * some[:, other]).mean())
        apart = float(some[:, one].mean() * some[:, other].mean())
        assert together == pytest.approx(apart, abs=0.02)


def test_settings_stay_in_their_usual_ranges(
    treatments: tuple[torch.Tensor, torch.Tensor],
) -> None:
    settings = CHAIN.to_settings(treatments[0])
    for effect, param in CHAIN.knobs:
        low, high = USUAL_RANGES.get((effect, param.name), (param.minimum, param.maximum))
        assert param.minimum <= low < high <= param.maximum
        values = settings[effect][param.name]
        moved = values[values != param.default]
        slack = 1e-4 * (high - low)
        assert low - slack <= float(moved.min()) <= float(moved.max()) <= high + slack
        place = param.to_control(moved)
        spread = param.to_control(high) - param.to_control(low)
        assert float(place.max() - place.min()) > 0.99 * spread


def test_bands_and_cuts_of_the_equaliser_are_often_flat(
    treatments: tuple[torch.Tensor, torch.Tensor],
) -> None:
    defaults = CHAIN.default_controls()
    for index, (effect, param) in enumerate(CHAIN.knobs):
        if effect == "eq" and param.amount:
            flat = float((treatments[0][:, index] == defaults[index]).float().mean())
            wanted = 0.65 if param.name.endswith("cut_hz") else 0.3
            assert flat == pytest.approx(wanted, abs=0.015), param.name


def test_ranges_are_those_of_knobs_that_exist() -> None:
    assert set(USUAL_RANGES) <= {(effect, param.name) for effect, param in CHAIN.knobs}
