"""Moving on from a treatment, by levers that are pulled until the sound has changed enough."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from afxvae.candidates import Candidate
from afxvae.dsp.features import CLIP_SAMPLES, RUN_IN, SAMPLE_RATE
from afxvae.effects import default_chain
from afxvae.steering import LEVERS, pull, steer
from afxvae.types import UsageError
from tests.sounds import sound, untrained

CHAIN = default_chain()
PLACES = {f"{effect}.{param.name}": place for place, (effect, param) in enumerate(CHAIN.knobs)}


def switched(*names: str) -> torch.Tensor:
    return torch.tensor([name in names for name in CHAIN.names])


def setting(controls: torch.Tensor, knob: str) -> float:
    place = PLACES[knob]
    return float(CHAIN.knobs[place][1].to_setting(float(controls[place])))


@pytest.fixture(scope="module")
def clips() -> torch.Tensor:
    return sound(3, (RUN_IN + CLIP_SAMPLES + 1) / SAMPLE_RATE)[None, :, : RUN_IN + CLIP_SAMPLES]


def nothing() -> Candidate:
    return Candidate("nothing", CHAIN.default_controls(), switched())


# one lever


def test_a_lever_switches_its_effect_on_with_the_settings_it_needs() -> None:
    controls, switches = pull(
        CHAIN, (torch.rand(len(CHAIN.knobs)), switched("delay")), LEVERS["brightness"], 2.0
    )
    assert torch.equal(switches, switched("delay", "eq"))
    assert setting(controls, "eq.high_shelf_gain_db") == pytest.approx(6.0, abs=1e-4)
    assert setting(controls, "eq.high_shelf_hz") == pytest.approx(4000.0, rel=1e-4)
    assert setting(controls, "eq.peak1_gain_db") == 0.0  # knobs of what was off do not count


def test_a_lever_goes_on_from_where_the_knob_stands() -> None:
    controls = CHAIN.default_controls()
    for knob, value in (
        ("high_shelf_gain_db", 0.7),
        ("high_shelf_hz", 0.2),
        ("peak1_gain_db", 0.9),
    ):
        controls[PLACES[f"eq.{knob}"]] = value
    moved, _ = pull(CHAIN, (controls, switched("eq")), LEVERS["brightness"], -1.0)
    assert setting(moved, "eq.high_shelf_gain_db") == pytest.approx(3.0, abs=1e-4)
    moved[PLACES["eq.high_shelf_gain_db"]] = 0.7
    assert torch.equal(moved, controls)


@pytest.mark.parametrize("name", ["roughness", "decay"])
def test_less_than_nothing_can_not_be_done(name: str) -> None:
    treatment = CHAIN.default_controls(), switched()
    assert pull(CHAIN, treatment, LEVERS[name], -1.0) is treatment


def test_a_knob_goes_as_far_as_its_range() -> None:
    treatment = CHAIN.default_controls(), switched()
    moved, _ = pull(CHAIN, treatment, LEVERS["boominess"], 100.0)
    assert setting(moved, "eq.low_shelf_gain_db") == 15.0
    moved, _ = pull(CHAIN, (moved, switched("eq")), LEVERS["boominess"], 1.0)
    assert setting(moved, "eq.low_shelf_gain_db") == 15.0


# wishes


@pytest.mark.parametrize("name", LEVERS)
def test_what_is_heard_changes_as_far_as_was_wished(clips: torch.Tensor, name: str) -> None:
    model = untrained()
    last = 0.0
    for wish in (0.15, 0.3):
        moved, reached = steer(model, nothing(), clips, {name: wish})
        assert reached[name] == pytest.approx(wish, abs=0.05)
        assert reached[name] > last
        last = reached[name]
        assert torch.equal(moved.switches, switched(LEVERS[name].effect))


def test_no_move_changes_nothing(clips: torch.Tensor) -> None:
    still, reached = steer(untrained(), nothing(), clips, {"brightness": 0.0})
    assert torch.equal(still.controls, nothing().controls)
    assert not bool(still.switches.any())
    assert reached == {"brightness": 0.0}


def test_several_wishes_are_granted_together(clips: torch.Tensor) -> None:
    wishes = {"brightness": -0.5, "boominess": 0.5}
    _, reached = steer(untrained(), nothing(), clips, wishes)
    assert reached == pytest.approx(wishes, abs=0.15)


def test_levers_of_effects_that_may_not_be_used_stay(clips: torch.Tensor) -> None:
    wishes = {"brightness": 0.5, "roughness": 0.5}
    moved, reached = steer(untrained(), nothing(), clips, wishes, switched("eq"))
    assert torch.equal(moved.switches, switched("eq"))
    drive = CHAIN.knobs_of("overdrive")
    assert torch.equal(moved.controls[drive], nothing().controls[drive])
    assert reached["brightness"] == pytest.approx(0.5, abs=0.1)


def test_a_match_is_moved_and_says_so() -> None:
    model = untrained(expectation=1.0)
    given: tuple[Any, Any] = (sound(1, 6.0), sound(2, 6.0))
    options: dict[str, Any] = {"sample_rate": SAMPLE_RATE, "effort": "fast"}
    plain = model.match(*given, **options)
    moved = model.match(*given, **options, move={"brightness": 0.5})
    assert moved.preset.settings != plain.preset.settings
    assert any(note.startswith("Moved from what was found: brightness +") for note in moved.notes)
    assert moved.decision == plain.decision


def test_a_move_from_nothing_is_no_gain_alone() -> None:
    """The decision names what was found, and the effect of the move is on."""
    given: tuple[Any, Any] = (sound(1, 6.0), sound(2, 6.0))
    options: dict[str, Any] = {"sample_rate": SAMPLE_RATE, "effort": "fast"}
    model = untrained(expectation=-1.0)
    assert model.match(*given, **options).decision == "loudness only"
    moved = model.match(*given, **options, move={"boominess": 0.5})
    assert moved.decision == "nothing"
    assert moved.preset.switches["eq"]


def test_a_move_with_none_of_it_applied_is_no_move() -> None:
    given: tuple[Any, Any] = (sound(1, 6.0), sound(2, 6.0))
    options: dict[str, Any] = {"sample_rate": SAMPLE_RATE, "effort": "fast", "amount": 0.0}
    moved = untrained(expectation=1.0).match(*given, **options, move={"boominess": 0.5})
    assert not any("Moved" in note for note in moved.notes)


def test_what_there_is_not_is_refused_in_a_sentence() -> None:
    given = (sound(1, 1.0), sound(2, 1.0))
    with pytest.raises(UsageError, match="There is no 'depth' to move; there are brightness, boo"):
        untrained().match(*given, sample_rate=SAMPLE_RATE, move={"depth": 1.0})
