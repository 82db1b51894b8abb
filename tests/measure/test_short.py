"""What is measured of recordings that are shorter than a clip."""

from __future__ import annotations

import pytest
import torch

from afxvae.analysis import once
from afxvae.dsp.features import CLIP_SAMPLES, SAMPLE_RATE
from afxvae.measure import Measured, measure_settings
from tests.measure.material import CHAIN, NOISES, begun, guitar, material, settings, treated

DELAY = {"time_ms": 330.0, "feedback": 0.4, "mix": 0.3}
REVERB = {"decay_s": 1.2, "treble_ratio": 0.5, "pre_delay_ms": 20.0, "mix": 0.3}
CHORUS = {"rate_hz": 0.8, "depth_ms": 1.5, "delay_ms": 12.0, "mix": 0.3}


def measured(dry: torch.Tensor, seconds: float, **effects: dict[str, float]) -> dict[str, Measured]:
    """Of the first seconds of a recording, against noise that lasts as long."""
    length = round(seconds * SAMPLE_RATE)
    plain, wet = treated(begun(material("noise", 9))), treated(begun(dry), **effects)
    return measure_settings(CHAIN, *(once(clip, length).unsqueeze(0) for clip in (plain, wet)))


@pytest.mark.parametrize("seconds", [1.6, 2.5, 4.0])
@pytest.mark.parametrize("name", NOISES)
def test_echo_and_room_are_found_with_their_knobs(name: str, seconds: float) -> None:
    found = measured(material(name, 3), seconds, delay=DELAY, reverb=REVERB)
    delay, room = (settings(name, found[name].controls) for name in ("delay", "reverb"))
    assert found["delay"].found
    assert delay["time_ms"] == pytest.approx(330.0, abs=0.1)
    assert delay["mix"] == pytest.approx(0.3, abs=0.08)
    assert found["reverb"].found
    assert room["pre_delay_ms"] == pytest.approx(20.0, abs=0.1)
    assert room["mix"] == pytest.approx(0.3, abs=0.08)


@pytest.mark.parametrize("seconds", [0.6, 1.0])
def test_a_room_is_found_in_less(seconds: float) -> None:
    found = measured(material("swelling noise", 3), seconds, reverb=REVERB)
    room = settings("reverb", found["reverb"].controls)
    assert {name for name, one in found.items() if one.found} == {"reverb"}
    assert room["pre_delay_ms"] == pytest.approx(20.0, abs=0.1)
    assert room["mix"] == pytest.approx(0.3, abs=0.1)


@pytest.mark.parametrize("seconds", [3.0, 4.0])
def test_a_chorus_is_found_with_its_phase(seconds: float) -> None:
    found, whole = (measured(guitar(), s, chorus=CHORUS)["chorus"] for s in (seconds, 5.4))
    knobs = settings("chorus", found.controls)
    assert found.found
    assert knobs["rate_hz"] == pytest.approx(0.8, rel=0.03)
    assert knobs["delay_ms"] == pytest.approx(12.0, abs=0.1)
    phases = [one.make.others["phase_deg"] for one in (found, whole) if one.make]
    assert abs((phases[0] - phases[1] + 180.0) % 360.0 - 180.0) < 15.0


@pytest.mark.parametrize("seconds", [0.2, 0.6, 1.6, 2.0, 3.0, 5.0])
def test_what_is_dry_has_none_and_the_end_is_no_treatment(seconds: float) -> None:
    for dry in (guitar(), material("swelling noise", 4)):
        assert not any(one.found for one in measured(dry, seconds).values())


def test_an_input_too_short_to_tell_lacks_what_a_reference_has() -> None:
    plain = once(treated(material("noise", 9)), SAMPLE_RATE // 5).unsqueeze(0)
    wet = treated(material("noise", 3), delay=DELAY, chorus=CHORUS).unsqueeze(0)
    assert wet.shape[1] == CLIP_SAMPLES
    found = measure_settings(CHAIN, plain, wet)
    assert {name for name, one in found.items() if one.found} == {"delay", "chorus"}
