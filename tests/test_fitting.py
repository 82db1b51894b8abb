"""Fitting finds what was done to a recording: delay, polarity, gain, and settings of the chain."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from afxvae import Preset, default_chain
from afxvae.effects.eq import eq_response
from afxvae.fitting import Fit, fit
from afxvae.fitting.alignment import align, aligned, residual_db
from afxvae.fitting.solver import Problem, State, solve
from afxvae.types import AudioError, UsageError

RATE = 24000


def sound(seconds: float = 2.0, channels: int = 1, seed: int = 0) -> Tensor:
    """Noise with the spectrum of speech, about, whose level moves: ``(channel, time)``."""
    generator = torch.Generator().manual_seed(seed)
    count = round(seconds * RATE)
    noise = torch.randn(channels, count, generator=generator)
    frequency = torch.fft.rfftfreq(count, 1.0 / RATE)
    pink = torch.fft.irfft(torch.fft.rfft(noise) / (1.0 + frequency / 500.0), count)
    time = torch.arange(count) / RATE
    envelope = 10.0 ** (-(1.0 + torch.cos(2.0 * math.pi * 1.7 * time)) / 1.3)
    audio: Tensor = pink * envelope
    return 0.5 * audio / audio.abs().max()


def preset(**effects: dict[str, float]) -> Preset:
    made = Preset()
    for name, knobs in effects.items():
        made = made.changed(name, knobs)
    return made


def fitted(dry: Tensor, wet: Tensor, **options: Any) -> Fit:
    return fit(dry, wet, sample_rate=RATE, **{"seconds": 60.0, **options})


def on(found: Fit) -> set[str]:
    return {name for name, switch in found.preset.switches.items() if switch}


# doing nothing, and what is no effect


def test_a_recording_itself_needs_nothing() -> None:
    dry = sound()
    found = fitted(dry, dry)
    assert found.preset.is_empty
    assert found.report == {"before": -120.0, "gain_only": -120.0, "after": -120.0}
    assert torch.equal(found.audio, dry)
    assert (found.alignment.delay_s, found.alignment.polarity) == (0.0, 1)


@pytest.mark.parametrize("gain_db", [-31.0, 7.5])
def test_a_gain_is_a_gain(gain_db: float) -> None:
    found = fitted(sound(), 10.0 ** (gain_db / 20.0) * sound())
    assert on(found) == {"gain"}
    assert found.preset.settings["gain"]["gain_db"] == pytest.approx(gain_db, abs=1e-3)
    assert found.residual_db < -80.0


@pytest.mark.parametrize("delay", [37.0, 812.4, -150.25, 0.3])
def test_delay_and_polarity_are_no_effects(delay: float) -> None:
    dry = sound()
    wet = aligned(dry, -delay / RATE, -1, RATE, dry.shape[1])
    found = fitted(dry, wet)
    assert found.alignment.delay_s * RATE == pytest.approx(delay, abs=0.01)
    assert found.alignment.polarity == -1
    assert found.preset.is_empty or on(found) == {"gain"}
    assert any("upside down" in note for note in found.notes)


def test_lengths_rates_and_channels_may_differ() -> None:
    dry = sound(2.0, channels=2)
    wet = torch.nn.functional.pad(dry[:, : round(1.4 * RATE)], (500, 0))
    assert align(dry, wet, RATE).delay_s * RATE == pytest.approx(500.0, abs=0.01)
    mono = fit(dry, dry.mean(0), sample_rate=RATE)
    assert mono.residual_db < -80.0
    assert mono.audio.shape == dry.shape
    slow = sound(1.0)
    fast = torch.nn.functional.interpolate(slow.unsqueeze(0), scale_factor=2.0)[0]
    assert fit(slow, fast, sample_rate=RATE, wet_rate=2 * RATE, seconds=1.0).report["before"] < 0.0


def test_aligning_between_samples_is_exact() -> None:
    time = torch.arange(4000) / RATE
    sine = torch.sin(2.0 * math.pi * 1000.0 * time).unsqueeze(0)
    later = torch.sin(2.0 * math.pi * 1000.0 * (time + 3.3 / RATE)).unsqueeze(0)
    found = aligned(sine, 3.3 / RATE, 1, RATE, 4000)
    assert residual_db(found[:, 500:3500], later[:, 500:3500]) < -60.0


# settings


def test_an_equaliser_is_found_within_half_a_db() -> None:
    knobs = {"peak2_hz": 700.0, "peak2_gain_db": -8.0, "peak2_q": 1.2, "high_shelf_gain_db": 5.0,
             "low_cut_hz": 90.0}  # fmt: skip
    true = preset(eq=knobs)
    found = fitted(sound(4.0), true.apply(sound(4.0), RATE))
    assert on(found) <= {"eq", "gain"}
    grid = torch.logspace(math.log10(100.0), 4.0, 50)
    curves = []
    for one in (true, found.preset):
        settings = one.to_tensors()[0]["eq"]
        gain_db = one.settings["gain"]["gain_db"] if one.switches.get("gain") else 0.0
        response = eq_response(settings, grid, RATE)[0].abs()
        curves.append(20.0 * torch.log10(response) + gain_db)
    assert float((curves[0] - curves[1]).abs().max()) < 0.5
    assert found.residual_db < -40.0


def test_a_compressor_is_found() -> None:
    true = preset(compressor={"threshold_db": -30.0, "ratio": 4.0, "attack_ms": 5.0,
                              "release_ms": 80.0})  # fmt: skip
    found = fitted(sound(4.0), true.apply(sound(4.0), RATE))
    assert "compressor" in on(found)
    assert found.residual_db < -40.0


def test_an_overdrive_and_an_echo_are_found() -> None:
    true = preset(overdrive={"drive_db": 20.0, "bias": 0.3},
                  delay={"time_ms": 180.0, "feedback": 0.3, "mix": 0.3})  # fmt: skip
    found = fitted(sound(4.0), true.apply(sound(4.0), RATE))
    assert {"overdrive", "delay"} <= on(found)
    assert found.preset.settings["delay"]["time_ms"] == pytest.approx(180.0, abs=0.1)
    assert found.residual_db < -40.0


def test_never_worse_than_nothing_even_without_time() -> None:
    true = preset(compressor={"threshold_db": -40.0, "ratio": 8.0}, chorus={"mix": 0.5})
    found = fitted(sound(), true.apply(sound(), RATE), seconds=0.01)
    assert found.report["after"] <= min(found.report["before"], found.report["gain_only"]) + 0.1
    assert found.residual_db == pytest.approx(
        residual_db(found.preset.apply(sound(), RATE), found.target), abs=0.01
    )


def test_the_solver_goes_down_to_the_truth() -> None:
    chain = default_chain()
    switches = torch.tensor([name in ("delay", "gain") for name in chain.names])
    place = next(k for k, (effect, _) in enumerate(chain.knobs) if effect == "gain")
    truth = chain.default_controls()
    truth[chain.knobs_of("delay")] = torch.tensor([0.5, 0.4, 0.3])
    begin = truth.clone()
    begin[chain.knobs_of("delay")] = torch.tensor([0.5, 0.6, 0.15])
    begin[place] += 0.02
    dry = sound(1.0)
    wet = Problem(chain, dry, dry, RATE).render(State(truth, switches))
    found = solve(Problem(chain, dry, wet, RATE), State(begin, switches), 10, enough=1e-9)
    assert found.loss < 1e-8
    torch.testing.assert_close(found.controls, truth, atol=1e-3, rtol=0.0)


# what can not be fitted


def test_unrelated_recordings_are_refused() -> None:
    with pytest.raises(AudioError, match="correlation is too low"):
        fitted(sound(seed=1), sound(seed=2))


def test_bad_input_is_refused() -> None:
    dry = sound(0.5)
    with pytest.raises(AudioError, match="wet recording is silent"):
        fitted(dry, 0.0 * dry)
    with pytest.raises(AudioError, match="dry recording is too short"):
        fitted(dry[:, :1000], dry)
    with pytest.raises(UsageError, match="positive"):
        fitted(dry, dry, seconds=0.0)
