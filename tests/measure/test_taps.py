"""Two taps of one line are found, and one tap is not taken for two."""

from __future__ import annotations

import pytest
import torch

from afxvae.dsp.features import CLIP_SAMPLES, RUN_IN, SAMPLE_RATE
from afxvae.effects import EFFECTS, Chain
from afxvae.measure import measure_echo, measure_settings, measure_taps
from tests.measure.material import CHAIN, MATERIALS, NOISES, material, treated
from tests.sounds import sound

BY_NAME = Chain(EFFECTS)

LINES = [
    {"left_ms": 230.0, "right_ms": 345.0, "feedback": 0.5, "tone_db": 0.0, "tone_hz": 2000.0,
     "mix": 0.35},
    {"left_ms": 811.3, "right_ms": 127.6, "feedback": 0.2, "tone_db": -12.0, "tone_hz": 1000.0,
     "mix": 0.5},
    {"left_ms": 400.0, "right_ms": 531.0, "feedback": 0.3, "tone_db": 3.0, "tone_hz": 600.0,
     "mix": 0.8},
]  # fmt: skip


def through(dry: torch.Tensor, knobs: dict[str, float]) -> torch.Tensor:
    """A dry sound ``(channel, time)``, without its run-in."""
    settings = {knob: torch.tensor([value]) for knob, value in knobs.items()}
    wet = BY_NAME["dual_delay"].process(dry.unsqueeze(0), settings, SAMPLE_RATE)[0]
    return wet[:, RUN_IN : RUN_IN + CLIP_SAMPLES]


def always(time_ms: float) -> bool:
    return True


@pytest.mark.parametrize("knobs", LINES)
@pytest.mark.parametrize("name", MATERIALS)
def test_knobs_come_back(name: str, knobs: dict[str, float]) -> None:
    """Treble of echoes at 6 kHz, as gain and corner of a tone trade with one another."""
    clip = through(material(name, 1).unsqueeze(0), knobs)
    found = measure_taps(clip, measure_echo(clip), always)
    assert found is not None
    times = sorted((knobs["left_ms"], knobs["right_ms"]))
    assert [found.first_ms, found.second_ms] == pytest.approx(times, abs=0.05)
    assert found.error < 0.4
    if name in NOISES:
        assert found.mix == pytest.approx(knobs["mix"], abs=0.08)
        assert found.feedback == pytest.approx(knobs["feedback"], abs=0.15)
        assert found.tone_db == pytest.approx(knobs["tone_db"], abs=4.0)


@pytest.mark.parametrize("feedback", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("name", MATERIALS)
def test_one_tap_is_not_taken_for_two(name: str, feedback: float) -> None:
    delay = {"time_ms": 210.0, "feedback": feedback, "mix": 0.35}
    clip = treated(material(name, 2), delay=delay).unsqueeze(0)
    assert measure_taps(clip, measure_echo(clip), always) is None


def test_an_echo_that_does_not_go_on_is_no_tap() -> None:
    clip = through(material("noise", 3).unsqueeze(0), LINES[0])
    assert measure_taps(clip, measure_echo(clip), lambda time_ms: time_ms < 300.0) is None


# for a chain


@pytest.mark.parametrize("channels", [1, 2])
def test_it_comes_in_the_place_of_the_delay(channels: int) -> None:
    """Where the input has none; which tap is left is told by the left channel."""
    length = (RUN_IN + CLIP_SAMPLES) / SAMPLE_RATE + 0.1
    for knobs in LINES[:2]:
        wet = through(sound(5, length, channels=1).expand(channels, -1), knobs)
        dry = sound(6, length)[:, RUN_IN : RUN_IN + CLIP_SAMPLES]
        mixed = wet.mean(0, keepdim=True) if channels == 2 else None
        found = measure_settings(CHAIN, dry, wet[:1], SAMPLE_RATE, mixed)["delay"]
        assert found.found
        assert found.channels == channels
        assert found.make and found.make.effect.name == "dual_delay"  # noqa: PT018
        times = found.make.others["left_ms"], found.make.others["right_ms"]
        wanted = knobs["left_ms"], knobs["right_ms"]
        if channels == 1:
            times, wanted = sorted(times), sorted(wanted)
        assert times == pytest.approx(wanted, abs=0.1)
    own = measure_settings(CHAIN, wet[:1], wet[:1])["delay"]
    assert not own.found
