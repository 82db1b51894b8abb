"""The flanger: the path of its voice is found at short lags, and nowhere else."""

from __future__ import annotations

from dataclasses import asdict

import pytest
import torch

from afxvae.audio import resample
from afxvae.dsp.features import CLIP_SAMPLES, RUN_IN, SAMPLE_RATE
from afxvae.effects.modulation import FLANGER
from afxvae.measure import Flanger, measure_flanger, measure_settings
from tests.measure.material import CHAIN, MATERIALS, NOISES, in_another_room, material, treated

SOUNDS = [
    {"rate_hz": 0.3, "depth_ms": 1.5, "delay_ms": 2.0, "feedback": 0.0, "mix": 0.4},
    {"rate_hz": 0.8, "depth_ms": 0.8, "delay_ms": 0.85, "feedback": 0.0, "mix": 0.3},
    {"rate_hz": 1.7, "depth_ms": 0.5, "delay_ms": 2.5, "feedback": 0.5, "mix": 0.3},
    {"rate_hz": 0.5, "depth_ms": 2.0, "delay_ms": 3.0, "feedback": -0.5, "mix": 0.2},
]


def flanged(dry: torch.Tensor, **knobs: float) -> torch.Tensor:
    """The clip of a dry sound behind a flanger whose swing stands at `phase_deg` at its start."""
    given = {"stereo_phase_deg": 0.0, "phase_deg": 0.0, "step_us": 0.0, **knobs}
    given["phase_deg"] = (
        given["phase_deg"] - 360.0 * knobs["rate_hz"] * RUN_IN / SAMPLE_RATE
    ) % 360
    settings = {name: torch.tensor([value]) for name, value in given.items()}
    return FLANGER.process(dry.view(1, 1, -1), settings, SAMPLE_RATE)[0, 0, RUN_IN:]


def assert_same_path(found: Flanger, knobs: dict[str, float]) -> None:
    assert found.swings
    assert found.rate_hz == pytest.approx(knobs["rate_hz"], rel=0.02)
    assert found.depth_ms == pytest.approx(knobs["depth_ms"], abs=0.03)
    assert found.delay_ms == pytest.approx(knobs["delay_ms"], abs=0.03)


@pytest.mark.parametrize("knobs", SOUNDS, ids=lambda knobs: f"{knobs['rate_hz']} Hz")
@pytest.mark.parametrize("name", NOISES)
def test_knobs_come_back(name: str, knobs: dict[str, float]) -> None:
    found = measure_flanger(flanged(material(name, 1), **knobs, phase_deg=70.0))
    assert_same_path(found, knobs)
    assert found.mix == pytest.approx(knobs["mix"], abs=0.08)
    assert found.feedback == pytest.approx(knobs["feedback"], abs=0.12)
    assert found.phase_deg == pytest.approx(70.0, abs=6.0)


@pytest.mark.parametrize("rate", [24000, 44100])
def test_whole_samples_are_told_from_a_smooth_swing(rate: int) -> None:
    """Of the recording's rate, which may be another than that of the analysis."""
    length = (RUN_IN + CLIP_SAMPLES) * rate // SAMPLE_RATE
    dry = 0.1 * torch.randn(1, 1, length, generator=torch.Generator().manual_seed(3))
    for step_us in (0.0, 1e6 / rate):
        knobs = {"stereo_phase_deg": 0.0, "phase_deg": 0.0, "step_us": step_us, **SOUNDS[1]}
        settings = {name: torch.tensor([value]) for name, value in knobs.items()}
        wet = resample(FLANGER.process(dry, settings, rate)[0, 0], rate, SAMPLE_RATE)
        found = measure_flanger(wet[RUN_IN : RUN_IN + CLIP_SAMPLES], rate)
        assert_same_path(found, SOUNDS[1])
        assert found.step_us == pytest.approx(step_us)


def test_notes_hide_no_flanger() -> None:
    assert_same_path(measure_flanger(flanged(material("phrases", 1), **SOUNDS[0])), SOUNDS[0])


@pytest.mark.parametrize("name", MATERIALS)
def test_nothing_swings_in_untreated_material_and_in_rooms(name: str) -> None:
    for seed in range(2):
        dry = material(name, seed)
        assert not measure_flanger(dry[RUN_IN:]).swings
        assert not measure_flanger(in_another_room(dry, seed, 1.0, 0.3)).swings


@pytest.mark.parametrize("name", NOISES)
def test_a_chorus_is_no_flanger(name: str) -> None:
    knobs = {"rate_hz": 0.8, "depth_ms": 1.5, "delay_ms": 12.0, "mix": 0.4}
    assert not measure_flanger(treated(material(name, 1), chorus=knobs)).swings


def test_level_does_not_matter_and_silence_is_nothing() -> None:
    clip = flanged(material("noise", 1), **SOUNDS[0])
    plain = asdict(measure_flanger(clip))
    assert asdict(measure_flanger(1e-3 * clip)) == pytest.approx(plain, rel=1e-2, abs=1e-2)
    assert asdict(measure_flanger(clip)) == plain
    assert not measure_flanger(torch.zeros(len(clip))).swings


def test_it_comes_in_the_place_of_the_chorus_unless_the_input_has_it() -> None:
    knobs = SOUNDS[0]
    wet = flanged(material("noise", 1), **knobs)
    dry = material("noise", 2)[None, RUN_IN:]
    found = measure_settings(CHAIN, dry, wet[None])["chorus"]
    assert found.found
    assert found.make is not None
    assert found.make.effect is FLANGER
    own = {
        param.name: param.to_setting(control.view(1))
        for param, control in zip(CHAIN["chorus"].params, found.controls, strict=True)
    }
    settings = {name: float(value) for name, value in found.make.settings(own).items()}
    for name in ("rate_hz", "depth_ms", "delay_ms", "mix", "feedback"):
        assert settings[name] == pytest.approx(knobs[name], abs=0.08)
    assert settings["stereo_phase_deg"] == 0.0
    own_flanger = flanged(material("noise", 2), **knobs)
    assert not measure_settings(CHAIN, own_flanger[None], wet[None])["chorus"].found
