"""Moves go on from what was found: knobs that were measured stay, and a wish is granted."""

from __future__ import annotations

import pytest
import torch

from afxvae.candidates import Candidate
from afxvae.dsp.features import SAMPLE_RATE
from afxvae.models.style_vae import AFXStyleVAE
from afxvae.steering import add_difference, steer
from afxvae.types import UsageError
from tests.sounds import sound, untrained

CHAIN = untrained().chain
PLACES = {f"{effect}.{param.name}": place for place, (effect, param) in enumerate(CHAIN.knobs)}


def switched(*names: str) -> torch.Tensor:
    return torch.tensor([name in names for name in CHAIN.names])


def changed(**knobs: float) -> torch.Tensor:
    controls = CHAIN.default_controls()
    for name, value in knobs.items():
        controls[PLACES[name.replace("__", ".")]] = value
    return controls


def test_no_difference_changes_nothing() -> None:
    controls = torch.rand(len(CHAIN.knobs), generator=torch.Generator().manual_seed(0))
    decoded = torch.rand(len(CHAIN.knobs), generator=torch.Generator().manual_seed(1))
    for on in (switched(), switched("eq", "delay"), switched(*CHAIN.names)):
        moved, switches = add_difference(CHAIN, (controls, on), decoded, decoded)
        assert torch.equal(switches, on)
        torch.testing.assert_close(moved, controls)


def test_an_effect_that_is_off_begins_at_nothing_and_is_switched_on() -> None:
    before = changed(reverb__mix=0.4, reverb__decay_s=0.3)
    after = changed(reverb__mix=0.6, reverb__decay_s=0.5)
    treatment = (changed(reverb__mix=0.9, reverb__decay_s=0.9), switched("eq"))
    moved, switches = add_difference(CHAIN, treatment, before, after)
    assert torch.equal(switches, switched("eq", "reverb"))
    assert float(moved[PLACES["reverb.mix"]]) == pytest.approx(0.2)
    assert float(moved[PLACES["reverb.decay_s"]]) == pytest.approx(0.5)


def test_less_of_what_is_off_stays_off() -> None:
    before, after = changed(reverb__mix=0.4), changed(reverb__mix=0.1)
    controls = CHAIN.default_controls()
    moved, switches = add_difference(CHAIN, (controls, switched()), before, after)
    assert not bool(switches.any())
    assert torch.equal(moved, controls)


def test_what_is_not_allowed_is_not_switched_on() -> None:
    before, after = changed(), changed(reverb__mix=0.5, eq__peak1_gain_db=0.8)
    treatment = (CHAIN.default_controls(), switched())
    _, switches = add_difference(CHAIN, treatment, before, after, switched("eq"))
    assert torch.equal(switches, switched("eq"))


def test_an_echo_stays_in_time() -> None:
    before = changed(delay__time_ms=0.1, delay__mix=0.1)
    after = changed(delay__time_ms=0.9, delay__mix=0.3)
    treatment = (changed(delay__time_ms=0.4, delay__mix=0.5), switched("delay"))
    moved, _ = add_difference(CHAIN, treatment, before, after)
    assert float(moved[PLACES["delay.time_ms"]]) == pytest.approx(0.4)
    assert float(moved[PLACES["delay.mix"]]) == pytest.approx(0.7)


def test_knobs_stay_in_their_range() -> None:
    before, after = changed(eq__peak1_gain_db=0.0), changed(eq__peak1_gain_db=1.0)
    treatment = (changed(eq__peak1_gain_db=0.9), switched("eq"))
    moved, _ = add_difference(CHAIN, treatment, before, after)
    assert float(moved[PLACES["eq.peak1_gain_db"]]) == 1.0


@pytest.fixture(scope="module")
def steerable() -> AFXStyleVAE:
    """A model that has learned nothing but which of its dimensions turns the equaliser up."""
    model = untrained(expectation=1.0)
    model.vae.head.last.weight.data.mul_(30.0)
    step = [6.0] + [0.0] * (model.config["latent_dim"] - 1)
    model.config["axes"] = {"brightness": step}
    return model


def test_a_candidate_is_moved_as_far_as_the_wish_goes(steerable: AFXStyleVAE) -> None:
    clips = sound(3, 1.0 + 131_072 / SAMPLE_RATE)[None, :, : SAMPLE_RATE + 131_072]
    nothing = Candidate("nothing", CHAIN.default_controls(), switched())
    still = steer(steerable, nothing, clips, {"brightness": 0.0})
    assert torch.equal(still.controls, nothing.controls)
    assert not bool(still.switches.any())
    some, more = (steer(steerable, nothing, clips, {"brightness": d}) for d in (0.5, 1.0))
    distances = [float((one.controls - nothing.controls).norm()) for one in (some, more)]
    assert 0.0 < distances[0] < distances[1]
    again = steer(steerable, nothing, clips, {"brightness": 1.0})
    assert torch.equal(again.controls, more.controls)
    none = steer(steerable, nothing, clips, {"brightness": 1.0}, allowed=switched())
    assert torch.equal(none.controls, nothing.controls)


def test_a_match_is_moved_and_says_so(steerable: AFXStyleVAE) -> None:
    given = (sound(1, 6.0), sound(2, 6.0))
    plain = steerable.match(*given, sample_rate=SAMPLE_RATE, effort="fast")
    moved = steerable.match(
        *given, sample_rate=SAMPLE_RATE, effort="fast", move={"brightness": 1.0}
    )
    assert moved.preset.settings != plain.preset.settings
    assert "Moved from what was found: brightness +1." in moved.notes
    assert moved.decision == plain.decision


def test_a_wish_that_the_model_cannot_grant_is_refused(steerable: AFXStyleVAE) -> None:
    given = (sound(1, 1.0), sound(2, 1.0))
    with pytest.raises(UsageError, match="There is no axis 'depth' to move; there are brightness"):
        steerable.match(*given, sample_rate=SAMPLE_RATE, move={"depth": 1.0})
    with pytest.raises(UsageError, match="This model has no named axes"):
        untrained().match(*given, sample_rate=SAMPLE_RATE, move={"brightness": 1.0})
