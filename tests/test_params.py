"""Knob positions and settings convert into each other, exactly at the ends, and errors say why."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from afxvae.effects import default_chain
from afxvae.params import Param
from afxvae.types import PresetError

KNOBS = [
    pytest.param(param, id=f"{effect}-{param.name}") for effect, param in default_chain().knobs
]
GAIN = Param("gain_db", "dB", -12.0, 12.0, 0.0)
FREQUENCY = Param("freq_hz", "Hz", 20.0, 20000.0, 1000.0, "log")
KINDS = [pytest.param(torch.float32, id="float32"), pytest.param(torch.float64, id="float64")]


def test_import_without_torch():
    code = "import afxvae.params, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])


@pytest.mark.parametrize("param", KNOBS)
def test_ends_are_exact(param):
    assert param.to_setting(0.0) == param.minimum
    assert param.to_setting(1.0) == param.maximum
    assert param.to_control(param.minimum) == 0.0
    assert param.to_control(param.maximum) == 1.0
    assert 0.0 <= param.default_control <= 1.0
    assert param.to_setting(param.default_control) == pytest.approx(param.default, rel=1e-12)


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("param", KNOBS)
def test_ends_are_exact_in_tensors(param, dtype):
    ends = torch.tensor([param.minimum, param.maximum], dtype=dtype)
    assert torch.equal(param.to_setting(torch.tensor([0.0, 1.0], dtype=dtype)), ends)
    assert torch.equal(param.to_control(ends), torch.tensor([0.0, 1.0], dtype=dtype))
    for end in ends.tolist():  # what a tensor holds at its ends is a legal setting
        param.check(end)


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("param", KNOBS)
def test_gradient_is_alive_on_the_closed_range(param, dtype):
    control = torch.tensor([0.0, 0.3, 1.0], dtype=dtype, requires_grad=True)
    (slope,) = torch.autograd.grad(param.to_setting(control).sum(), control)
    span = param.maximum - param.minimum
    if param.scale == "log":
        rate = math.log(param.maximum / param.minimum)
        want = rate * param.to_setting(control.detach())
    else:
        want = torch.full_like(slope, span)
    torch.testing.assert_close(slope, want, rtol=1e-5, atol=0.0)


@given(st.floats(0.0, 1.0))
@settings(deadline=None, derandomize=True, max_examples=50)
def test_round_trip_of_floats(control):
    for _, param in default_chain().knobs:
        setting = param.to_setting(control)
        assert param.minimum <= setting <= param.maximum
        assert param.to_control(setting) == pytest.approx(control, abs=1e-12)


@pytest.mark.parametrize("param", KNOBS)
def test_round_trip_of_tensors(param):
    control = torch.linspace(0.0, 1.0, 1001)
    setting = param.to_setting(control)
    assert setting.dtype == torch.float32
    assert bool((setting.diff() > 0).all())
    torch.testing.assert_close(param.to_control(setting), control, rtol=0.0, atol=2e-6)
    floats = [param.to_setting(c) for c in control.tolist()]
    torch.testing.assert_close(setting, torch.tensor(floats), rtol=2e-6, atol=1e-5)


def test_laws_are_linear_and_logarithmic():
    assert GAIN.to_setting(0.75) == 6.0
    middle = math.sqrt(20.0 * 20000.0)  # half way is the geometric mean
    assert FREQUENCY.to_setting(0.5) == pytest.approx(middle)
    assert FREQUENCY.to_control(middle) == pytest.approx(0.5)


@pytest.mark.parametrize("param", [GAIN, FREQUENCY])
def test_positions_outside_count_as_the_nearer_end(param):
    assert param.to_setting(-0.5) == param.minimum
    assert param.to_setting(1.5) == param.maximum
    control = torch.tensor([-0.5, 1.5], requires_grad=True)
    setting = param.to_setting(control)
    assert setting.tolist() == [param.minimum, param.maximum]
    (slope,) = torch.autograd.grad(setting.sum(), control)
    assert slope.tolist() == [0.0, 0.0]


def test_not_a_number_stays_visible():
    assert math.isnan(GAIN.to_setting(math.nan))
    assert bool(GAIN.to_setting(torch.tensor([math.nan])).isnan())


@pytest.mark.parametrize("value", [-12, -12.0, 0, 3.25, 12])
def test_check_returns_legal_values_as_floats(value):
    checked = GAIN.check(value)
    assert checked == value
    assert type(checked) is float


@pytest.mark.parametrize("value", [-12.001, 40, math.nan, math.inf, -math.inf])
def test_check_names_knob_value_range_and_unit(value):
    with pytest.raises(PresetError) as error:
        GAIN.check(value, where="eq.")
    wanted = f"eq.gain_db is {value:g} dB, outside its range -12 to 12 dB."
    assert str(error.value) == wanted


def test_check_of_a_plain_number_has_no_unit():
    with pytest.raises(PresetError, match=r"^mix is 2, outside its range 0 to 1\.$"):
        Param("mix", "", 0.0, 1.0, 0.0).check(2)


@pytest.mark.parametrize("value", ["3", None, True, [1.0]])
def test_check_refuses_what_is_no_number(value):
    with pytest.raises(PresetError, match="must be a number"):
        GAIN.check(value)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"default": 13.0}, "default"),
        ({"default": math.nan}, "default"),
        ({"minimum": 12.0, "default": 12.0}, "range empty"),
        ({"minimum": 13.0, "maximum": -13.0}, "range empty"),
        ({"scale": "log"}, "logarithmic"),
        ({"scale": "log", "minimum": 0.0}, "logarithmic"),
    ],
)
def test_impossible_declarations_are_refused(changes, what):
    with pytest.raises(ValueError, match=what):
        replace(GAIN, **changes)


def test_declaration_is_fixed_and_storable():
    with pytest.raises(FrozenInstanceError):
        GAIN.minimum = -20.0
    assert Param(**FREQUENCY.to_dict()) == FREQUENCY
    assert FREQUENCY.to_dict()["scale"] == "log"


@pytest.mark.parametrize("param", KNOBS)
def test_every_knob_is_named_and_explained(param):
    units = {"dB": "_db", "Hz": "_hz", "ms": "_ms", "s": "_s"}
    assert param.name.endswith(units.get(param.unit, ""))
    assert param.help.endswith(".")


def test_names_are_unique_within_an_effect():
    for effect in default_chain().effects:
        names = [param.name for param in effect.params]
        assert len(set(names)) == len(names)
