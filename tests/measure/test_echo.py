"""The delay: its time to a fraction of a sample, its level and its feedback."""

from __future__ import annotations

import pytest
import torch

from afxvae.analysis import once
from afxvae.dsp import spectral
from afxvae.dsp.features import CLIP_SAMPLES, RUN_IN, SAMPLE_RATE
from afxvae.measure import measure_echo
from afxvae.measure.cepstra import heard
from afxvae.measure.echo import echo_level
from tests.measure.material import NOISES, begun, material, treated

SAMPLE_MS = 1000.0 / SAMPLE_RATE


def with_echo(name: str, seed: int, time_ms: float, feedback: float, mix: float) -> torch.Tensor:
    """A clip ``(1, 131072)``."""
    knobs = {"time_ms": time_ms, "feedback": feedback, "mix": mix}
    return treated(material(name, seed), delay=knobs).unsqueeze(0)


@pytest.mark.parametrize("time_ms", [47.0, 123.4, 330.0, 700.21, 990.0])
@pytest.mark.parametrize("name", NOISES)
def test_an_echo_is_found_within_a_sample_and_measured(name: str, time_ms: float) -> None:
    echo = measure_echo(with_echo(name, round(time_ms), time_ms, 0.5, 0.25))
    assert echo.time_ms == pytest.approx(time_ms, abs=0.1 * SAMPLE_MS)
    assert echo.level == pytest.approx(1.0 / 3.0, abs=0.05)
    assert echo.feedback == pytest.approx(0.5, abs=0.15)


def test_an_echo_that_begins_with_the_clip_is_measured_too() -> None:
    """Without a run-in the clip has less of the late echoes."""
    knobs = {"time_ms": 700.21, "feedback": 0.5, "mix": 0.25}
    echo = measure_echo(treated(begun(material("noise", 5)), delay=knobs).unsqueeze(0))
    assert echo.time_ms == pytest.approx(700.21, abs=SAMPLE_MS)
    assert echo.level == pytest.approx(1.0 / 3.0, abs=0.05)
    assert echo.feedback == pytest.approx(0.5, abs=0.15)


@pytest.mark.parametrize("seconds", [1.5, 2.0, 3.0, 4.0])
@pytest.mark.parametrize("name", NOISES)
def test_an_echo_in_a_short_recording_is_measured_as_in_a_whole_clip(
    name: str, seconds: float
) -> None:
    knobs = {"time_ms": 400.2, "feedback": 0.5, "mix": 0.25}
    clip = once(treated(begun(material(name, 5)), delay=knobs), round(seconds * SAMPLE_RATE))
    echo = measure_echo(clip.unsqueeze(0))
    assert echo.time_ms == pytest.approx(400.2, abs=SAMPLE_MS)
    assert echo.level == pytest.approx(1.0 / 3.0, abs=0.06)
    assert echo.feedback == pytest.approx(0.5, abs=0.2)


@pytest.mark.parametrize("mix", [0.1, 0.25, 0.4])
@pytest.mark.parametrize("feedback", [0.0, 0.4, 0.8])
def test_level_and_feedback_are_those_of_the_knobs(feedback: float, mix: float) -> None:
    echo = measure_echo(with_echo("noise", 8, 250.0, feedback, mix))
    assert echo.level == pytest.approx(mix / (1.0 - mix), rel=0.08)
    assert echo.feedback == pytest.approx(feedback, abs=0.04)


@pytest.mark.parametrize("name", NOISES)
def test_where_there_is_no_echo_the_strongest_is_faint(name: str) -> None:
    for seed in range(5):
        assert measure_echo(treated(material(name, seed)).unsqueeze(0)).level < 0.1


def test_an_echo_is_measured_over_several_clips() -> None:
    clips = torch.cat([with_echo("noise", seed, 250.0, 0.3, 0.1) for seed in (1, 2, 3)])
    echo = measure_echo(clips)
    assert echo.time_ms == pytest.approx(250.0, abs=SAMPLE_MS)
    assert echo.level == pytest.approx(1.0 / 9.0, abs=0.03)


def test_only_the_range_that_was_asked_for_is_searched() -> None:
    clip = with_echo("noise", 3, 250.0, 0.0, 0.3)
    assert measure_echo(clip, 45.0, 240.0).level < 0.1
    assert measure_echo(clip, 260.0, 1000.0).level < 0.1
    for low_ms, high_ms in ((45.0, 240.0), (260.0, 1000.0)):
        found = measure_echo(clip, low_ms, high_ms).time_ms
        assert low_ms - SAMPLE_MS <= found <= high_ms + SAMPLE_MS


@pytest.mark.parametrize(("level", "feedback"), [(0.3, 0.0), (0.3, 0.5), (0.7, 0.2)])
@pytest.mark.parametrize("samples", [1200, 7001])
def test_clicks_show_the_series_of_the_logarithm(
    samples: int, level: float, feedback: float
) -> None:
    """``log(1 + g z / (1 - f z))`` has ``(f^n - (f - g)^n) / n`` at the n-th power of z."""
    clip = torch.zeros(1, CLIP_SAMPLES)
    clip[0, 0] = 1.0
    count = CLIP_SAMPLES // samples
    clip[0, samples : (count + 1) * samples : samples] = level * feedback ** torch.arange(count)
    orders = torch.arange(1, 5, dtype=torch.float64)
    wanted = (feedback**orders - (feedback - level) ** orders) / orders
    places = samples * orders
    found = echo_level(spectral.log_magnitude(clip)[0], places) * heard()[places.long()]
    torch.testing.assert_close(found, wanted, atol=1e-3, rtol=0.0)


def test_held_notes_hide_nothing_of_an_echo() -> None:
    """Where they are cut, they would leak over the whole spectrum and fill its notches."""
    length = RUN_IN + CLIP_SAMPLES
    time = torch.arange(length) / SAMPLE_RATE
    chord = sum(torch.sin(2.0 * torch.pi * hz * time) for hz in (110.3, 138.7, 164.9))
    noise = 1e-3 * torch.randn(length, generator=torch.Generator().manual_seed(0))
    delay = {"time_ms": 261.0, "feedback": 0.0, "mix": 0.3}
    echo = measure_echo(treated(chord + noise, delay=delay).unsqueeze(0))
    assert echo.time_ms == pytest.approx(261.0, abs=SAMPLE_MS)
    assert echo.level == pytest.approx(0.3 / 0.7, abs=0.03)
