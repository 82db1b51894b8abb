"""What all measurements keep to, and what `measure_settings` makes of them for a chain."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest
import torch

from afxvae.dsp import space
from afxvae.dsp.features import CLIP_SAMPLES, RUN_IN, SAMPLE_RATE
from afxvae.measure import (
    MEASURED,
    Chorus,
    Measured,
    cepstra,
    chorus,
    measure_chorus,
    measure_echo,
    measure_reverb,
    measure_settings,
    paths,
    reverb,
)
from afxvae.measure.echo import measure_echoes
from tests.measure.material import (
    CHAIN,
    MATERIALS,
    NOISES,
    in_another_room,
    material,
    settings,
    treated,
)
from tests.sounds import extremes

MEASURES: dict[str, Callable[[torch.Tensor], Any]] = {
    "chorus": measure_chorus,
    "delay": lambda clip: measure_echo(clip.unsqueeze(0)),
    "reverb": lambda clip: measure_reverb(clip.unsqueeze(0)),
}
CHORUS = {"rate_hz": 0.8, "depth_ms": 1.5, "delay_ms": 12.0, "mix": 0.3}
DELAY = {"time_ms": 330.0, "feedback": 0.4, "mix": 0.3}
REVERB = {"decay_s": 1.2, "treble_ratio": 0.5, "pre_delay_ms": 20.0, "mix": 0.3}
EFFECTS = {"chorus": CHORUS, "delay": DELAY, "reverb": REVERB}


def measured(audio: torch.Tensor, reference: torch.Tensor) -> dict[str, Measured]:
    """Of single clips ``(131072,)``."""
    return measure_settings(CHAIN, audio.unsqueeze(0), reference.unsqueeze(0))


def found(audio: torch.Tensor, reference: torch.Tensor) -> set[str]:
    return {effect for effect, one in measured(audio, reference).items() if one.found}


@pytest.fixture
def no_chorus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a test is of something else, the search for one, which takes longest, is left out."""
    nothing = Chorus(1.0, 1.0, 12.0, 0.0, 0.0, 0.0, 0.0)
    monkeypatch.setattr("afxvae.measure.settings.measure_chorus", lambda clip: nothing)


@functools.cache
def everything(seed: int = 2) -> torch.Tensor:
    """Noise with chorus, delay and reverb."""
    return treated(material("noise", seed), **EFFECTS)


# what holds for every measurement


@pytest.mark.parametrize("effect", MEASURED)
def test_measuring_is_deterministic_and_leaves_everything_alone(effect: str) -> None:
    clip = everything()
    before = clip.clone()
    torch.manual_seed(1)
    first = MEASURES[effect](clip)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert MEASURES[effect](clip) == first
    assert torch.equal(torch.get_rng_state(), state)  # nothing is drawn from the common generator
    assert torch.equal(clip, before)


@pytest.mark.parametrize("effect", MEASURED)
def test_level_does_not_matter(effect: str) -> None:
    clip = everything()
    loud, soft = (asdict(MEASURES[effect](gain * clip)) for gain in (30.0, 1e-3))
    assert soft == pytest.approx(loud, rel=2e-3, abs=2e-3)


@pytest.mark.parametrize("effect", MEASURED)
def test_inference_mode_gives_the_same_and_leaves_caches_that_serve_outside(effect: str) -> None:
    clip = everything()
    caches = (paths._grid, paths._rows, paths._joined, paths._gaussian)
    for cached in (*caches, reverb._velvet, cepstra.frequencies):
        cached.cache_clear()
    space._velvet_bands.cache_clear()
    with torch.inference_mode():
        inside = MEASURES[effect](clip)
    assert MEASURES[effect](clip) == inside
    kept = (*reverb._velvet().responses, *reverb._velvet().spectra)
    assert not any(part.is_inference() for part in kept)
    assert not any(part.is_inference() for part in paths._grid(chorus._REGION, 1.4)[:2])


@pytest.mark.usefixtures("no_chorus")
@pytest.mark.parametrize("hz", [261.6, 440.0, 1000.0])
def test_a_tone_that_never_changes_has_no_echo(hz: float) -> None:
    """It follows itself all the way, and nothing tells which was there first."""
    tone = torch.sin(2.0 * math.pi * hz / SAMPLE_RATE * torch.arange(CLIP_SAMPLES).double()).float()
    assert not measured(treated(material("noise", 1)), tone)["delay"].found


@pytest.mark.parametrize("name", extremes())
def test_knobs_are_finite_and_nothing_is_found_where_there_is_nothing(name: str) -> None:
    clip = extremes()[name]
    answers = {effect: MEASURES[effect](clip) for effect in MEASURED}
    for answer in answers.values():
        assert all(math.isfinite(value) for value in asdict(answer).values())
    assert not answers["chorus"].swings
    for one in measured(treated(material("noise", 1)), clip).values():
        assert not one.found
        assert bool(((one.controls >= 0.0) & (one.controls <= 1.0)).all())


# settings of a chain


@pytest.mark.parametrize("name", MATERIALS)
def test_nothing_is_found_in_untreated_material(name: str) -> None:
    for seed in range(2):
        audio = treated(material(name, 10 + seed))
        answer = found(audio, treated(material(name, 20 + seed)))
        if name == "phrases":  # whose notes repeat
            answer -= {"delay"}
        assert answer == set()


@pytest.mark.usefixtures("no_chorus")
def test_a_faint_echo_is_found_behind_content_that_repeats_itself_louder() -> None:
    """A bar that comes three times is a copy here and there, not all the time."""
    dry = material("noise", 3)
    bar, after = 18000, RUN_IN + 20000
    for number in (1, 2):
        dry[after + number * bar : after + (number + 1) * bar] = dry[after : after + bar]
    wet = treated(dry, delay={"time_ms": 230.0, "feedback": 0.0, "mix": 0.13})
    first, second = measure_echoes(wet.unsqueeze(0), 2)
    assert first.time_ms == pytest.approx(1000.0 * bar / SAMPLE_RATE, abs=0.1)
    assert second.time_ms == pytest.approx(230.0, abs=0.1)
    found = measured(treated(material("noise", 4)), wet)["delay"]
    assert found.found
    assert settings("delay", found.controls)["time_ms"] == pytest.approx(230.0, abs=0.1)


@pytest.mark.usefixtures("no_chorus")
def test_an_echo_that_much_hides_is_found_where_it_is_plain() -> None:
    """Noise that came later drowns it in all soft moments, as notes do that sound on."""
    delay = {"time_ms": 230.0, "feedback": 0.0, "mix": 0.3}
    wet = treated(material("swelling noise", 5), delay=delay)
    wet = wet + 0.07 * torch.randn(wet.shape, generator=torch.Generator().manual_seed(0))
    found = measured(treated(material("noise", 4)), wet)["delay"]
    assert found.found
    assert settings("delay", found.controls)["time_ms"] == pytest.approx(230.0, abs=0.1)


def programmed(seed: int) -> torch.Tensor:
    """A bar of drums, played again and again: ``(1, 131072)``."""
    generator = torch.Generator().manual_seed(seed)
    bar = torch.zeros(12_000)
    for start in range(0, len(bar), 1500):
        hit = torch.randn(1500, generator=generator) * torch.exp(-torch.arange(1500.0) / 250.0)
        bar[start : start + 1500] = hit * torch.rand(1, generator=generator)
    whole = bar.repeat(CLIP_SAMPLES // len(bar) + 1)[:CLIP_SAMPLES]
    return (0.1 * whole + 1e-3 * torch.randn(CLIP_SAMPLES, generator=generator)).unsqueeze(0)


@pytest.mark.usefixtures("no_chorus")
@pytest.mark.parametrize("seed", range(3))
def test_music_that_is_played_again_is_no_echo(seed: int) -> None:
    reference = programmed(seed)
    assert measure_echo(reference).level > 0.2
    assert not measured(treated(material("noise", seed)), reference[0])["delay"].found


@pytest.mark.parametrize("name", NOISES)
def test_nothing_is_found_in_another_room(name: str) -> None:
    for seed in range(2):
        audio = treated(material(name, 10 + seed))
        assert found(audio, in_another_room(material(name, seed), seed, 1.0, 0.5)) == set()


@pytest.mark.parametrize("effect", MEASURED)
@pytest.mark.parametrize("name", ["swelling noise", "phrases"])
def test_an_effect_alone_is_found_with_its_knobs(name: str, effect: str) -> None:
    reference = treated(material(name, 2), **{effect: EFFECTS[effect]})
    answer = measured(treated(material(name, 1)), reference)
    assert list(answer) == list(MEASURED)
    assert {e for e, one in answer.items() if one.found} == {effect}
    assert settings(effect, answer[effect].controls) == pytest.approx(
        EFFECTS[effect], rel=0.2, abs=0.01
    )


def test_all_three_are_found_together_with_their_knobs() -> None:
    """The chorus is measured where echoes and reverberation have been taken off."""
    answer = measured(treated(material("noise", 1)), everything())
    assert all(one.found for one in answer.values())
    for effect, one in answer.items():
        assert settings(effect, one.controls) == pytest.approx(EFFECTS[effect], rel=0.1)


@pytest.mark.parametrize("effect", MEASURED)
def test_what_the_input_has_already_is_not_found(effect: str) -> None:
    have = {effect: EFFECTS[effect]}
    clips = [treated(material("swelling noise", seed), **have) for seed in (1, 2)]
    assert found(*clips) == set()


@pytest.mark.parametrize("effect", MEASURED)
def test_what_the_input_lacks_is_found_beside_what_it_has(effect: str) -> None:
    audio = treated(material("noise", 1), **{effect: EFFECTS[effect]})
    assert found(audio, everything()) == set(MEASURED) - {effect}


@pytest.mark.usefixtures("no_chorus")
@pytest.mark.parametrize(
    ("time_ms", "mix", "is_found"), [(200.0, 0.3, True), (330.0, 0.1, True), (330.0, 0.2, False)]
)
def test_an_echo_of_the_input_counts_at_the_same_time_and_from_half_the_level(
    time_ms: float, mix: float, is_found: bool
) -> None:
    own = {"time_ms": time_ms, "feedback": 0.0, "mix": mix}
    audio = treated(material("noise", 1), delay=own)
    reference = treated(material("noise", 2), delay=DELAY)
    assert ("delay" in found(audio, reference)) == is_found


def test_controls_stay_on_the_knobs_and_stand_in_their_order() -> None:
    """Beyond a range a knob stands at its end; the order is that of the Params."""
    at_ends = {
        "delay": DELAY | {"time_ms": 999.9, "feedback": 0.0},
        "reverb": REVERB | {"pre_delay_ms": 0.0, "treble_ratio": 1.0},
    }
    answer = measured(treated(material("noise", 1)), treated(material("noise", 3), **at_ends))
    for effect in MEASURED:
        controls = answer[effect].controls
        assert controls.shape == (len(CHAIN[effect].params),)
        assert controls.dtype == torch.float32
        assert bool(((controls >= 0.0) & (controls <= 1.0)).all())
    for effect, knobs in at_ends.items():
        params = CHAIN[effect].params
        wanted = [float(param.to_control(knobs[param.name])) for param in params]
        assert answer[effect].controls.tolist() == pytest.approx(wanted, abs=0.1)


def test_several_clips_are_measured_together() -> None:
    audio = torch.stack([treated(material("noise", seed)) for seed in (1, 2)])
    reference = torch.stack([everything(seed) for seed in (3, 4, 5)])
    answer = measure_settings(CHAIN, audio, reference)
    for effect, one in answer.items():
        assert one.found
        assert settings(effect, one.controls) == pytest.approx(EFFECTS[effect], rel=0.1)


def test_settings_work_in_inference_mode() -> None:
    audio, reference = treated(material("noise", 1)), everything()
    outside = measured(audio, reference)
    with torch.inference_mode():
        inside = measured(audio, reference)
    for effect in MEASURED:
        assert inside[effect].found == outside[effect].found
        assert torch.equal(inside[effect].controls, outside[effect].controls)
