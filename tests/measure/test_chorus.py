"""The chorus: the path of its voice is found in noise and in notes, and nowhere else."""

from __future__ import annotations

import math

import pytest
import torch

from afxvae.dsp.convolution import continued
from afxvae.dsp.features import RUN_IN, SAMPLE_RATE
from afxvae.dsp.moving import read_line
from afxvae.measure import Chorus, measure_chorus
from afxvae.measure.paths import blurred
from tests.measure.material import MATERIALS, NOISES, guitar, in_another_room, material, treated

FOUND = 1.5  # contrast


def voice(rate_hz: float, depth_ms: float, delay_ms: float, mix: float) -> dict[str, float]:
    return {"rate_hz": rate_hz, "depth_ms": depth_ms, "delay_ms": delay_ms, "mix": mix}


def measured(name: str, seed: int, knobs: dict[str, float]) -> Chorus:
    return measure_chorus(treated(material(name, seed), chorus=knobs))


def assert_same_path(found: Chorus, knobs: dict[str, float]) -> None:
    assert found.contrast > FOUND
    assert found.rate_hz == pytest.approx(knobs["rate_hz"], rel=0.01)
    assert found.depth_ms == pytest.approx(knobs["depth_ms"], abs=0.02)
    assert found.delay_ms == pytest.approx(knobs["delay_ms"], abs=0.02)


@pytest.mark.parametrize("width", [1.0, 5.0, 20.0])
def test_a_picture_is_blurred_over_its_lags_by_a_gaussian(width: float) -> None:
    values = torch.randn(3, 200, generator=torch.Generator().manual_seed(0))
    place = torch.arange(200.0)
    bell = torch.exp(-0.5 * ((place - place.unsqueeze(1)) / width).square())
    bell = bell.where((place - place.unsqueeze(1)).abs() <= int(3 * width) + 1, 0.0)
    expected = values @ (bell / bell[100].sum())
    torch.testing.assert_close(blurred(values, width), expected, atol=1e-5, rtol=0.0)


VOICES = [
    voice(0.15, 4.0, 22.0, 0.2),
    voice(0.3, 3.0, 18.0, 0.45),
    voice(0.8, 1.5, 12.0, 0.3),
    voice(2.0, 0.5, 24.5, 0.4),
    voice(4.0, 0.35, 10.0, 0.3),
    voice(4.0, 1.2, 12.0, 0.4),  # 30 ms a second
]


@pytest.mark.parametrize("knobs", VOICES, ids=lambda knobs: f"{knobs['rate_hz']} Hz")
@pytest.mark.parametrize("name", NOISES)
def test_knobs_come_back(name: str, knobs: dict[str, float]) -> None:
    found = measured(name, 1, knobs)
    assert_same_path(found, knobs)
    assert found.mix == pytest.approx(knobs["mix"], abs=0.07)


def test_knobs_come_back_wherever_they_stand() -> None:
    """If the voice moves by 3 to 10 ms a second and swings more than once within the clip."""
    generator = torch.Generator().manual_seed(0)
    tried = 0
    while tried < 6:
        share = torch.rand(4, generator=generator).tolist()
        rate, depth, delay = 0.3 * 16 ** share[0], 0.3 * 13 ** share[1], 5.0 * 5 ** share[2]
        if not (3.0 < 2.0 * math.pi * rate * depth < 10.0 and depth < delay - 4.0):
            continue
        knobs = voice(rate, depth, delay, 0.2 + 0.2 * share[3])
        found = measured("noise", tried, knobs)
        assert_same_path(found, knobs)
        assert found.mix == pytest.approx(knobs["mix"], abs=0.07)
        tried += 1


@pytest.mark.parametrize("knobs", VOICES[1:4], ids=lambda k: str(k["rate_hz"]))
def test_notes_have_their_own_combs_and_hide_no_voice(knobs: dict[str, float]) -> None:
    found = measured("phrases", 1, knobs)
    assert_same_path(found, knobs)
    assert found.mix == pytest.approx(knobs["mix"], abs=0.08)


@pytest.mark.parametrize(("name", "mix"), [*zip(MATERIALS, (0.7, 0.8, 0.75), strict=True)])
def test_a_mix_above_one_half_comes_back_as_its_complement(name: str, mix: float) -> None:
    """A cepstrum does not tell the voice from the dry sound."""
    knobs = voice(0.8, 1.5, 12.0, mix)
    found = measured(name, 2, knobs)
    assert_same_path(found, knobs)
    assert found.mix <= 0.5
    assert found.mix == pytest.approx(1.0 - mix, abs=0.09)


def contrast(clip: torch.Tensor) -> float:
    return measure_chorus(clip).contrast


@pytest.mark.parametrize("name", NOISES)
def test_untreated_noise_has_no_contrast(name: str) -> None:
    for seed in range(2):
        assert contrast(treated(material(name, seed))) < 0.4 * FOUND


def test_no_melody_has_a_chorus() -> None:
    """The pitches of notes are combs too, but none draws a sine all the way."""
    found = [measure_chorus(treated(material("phrases", seed))) for seed in range(8)]
    assert sum(one.contrast > FOUND for one in found) <= 1
    assert not any(one.swings for one in found)


@pytest.mark.parametrize(
    ("rate_hz", "contrast", "steadiness", "swings"),
    [
        (1.0, 2.0, 0.0, True),
        (1.0, 1.0, 0.0, False),
        (1.0, 1.0, 0.3, True),
        (1.0, 2.0, -0.3, False),  # a ridge here or there is content
        (0.2, 2.0, 0.0, False),
        (0.2, 9.0, 0.0, True),
        (0.02, 9.0, 9.0, False),
    ],
)
def test_what_hardly_moves_needs_more(
    rate_hz: float, contrast: float, steadiness: float, swings: bool
) -> None:
    assert Chorus(rate_hz, 0.4, 12.0, 0.3, 0.0, contrast, steadiness).swings == swings


@pytest.mark.parametrize(
    "knobs", [voice(0.3, 1.6, 11.0, 0.25), voice(0.8, 0.4, 15.0, 0.3), voice(0.5, 0.8, 20.0, 0.25)]
)
def test_a_slow_voice_is_found_behind_held_notes(knobs: dict[str, float]) -> None:
    """Notes are louder than a voice wherever it is blurred."""
    found = measure_chorus(treated(guitar(), chorus=knobs))
    assert found.swings
    assert found.rate_hz == pytest.approx(knobs["rate_hz"], rel=0.01)
    assert found.depth_ms == pytest.approx(knobs["depth_ms"], abs=0.03)
    assert found.delay_ms == pytest.approx(knobs["delay_ms"], abs=0.03)
    assert found.mix == pytest.approx(knobs["mix"], abs=0.09)


def test_held_notes_have_no_chorus() -> None:
    assert not measure_chorus(treated(guitar())).swings


@pytest.mark.parametrize("name", NOISES)
def test_a_room_has_no_contrast(name: str) -> None:
    own = {"decay_s": 1.0, "treble_ratio": 0.5, "pre_delay_ms": 10.0, "mix": 0.4}
    dry = material(name, 1)
    assert contrast(in_another_room(dry, 100, 0.8, 0.5)) < 0.4 * FOUND
    assert contrast(treated(dry, reverb=own)) < 0.4 * FOUND


def swinging(form: str) -> torch.Tensor:
    """What moves or echoes and is no chorus, ``(131072,)``."""
    noise = material("noise", 4)
    time = torch.arange(len(noise), dtype=torch.float64) / SAMPLE_RATE
    if form == "tremolo":
        made = noise * (1.0 + 0.8 * torch.sin(2.0 * math.pi * 4.0 * time))
    elif form == "vibrato":  # a voice without the dry sound
        delay = (12.0 + 2.0 * torch.sin(2.0 * math.pi * 0.8 * time)) * SAMPLE_RATE / 1000.0
        line = continued(noise.view(1, 1, -1), None, SAMPLE_RATE)
        made = read_line(line, delay.view(1, 1, -1))[0, 0]
    else:  # a comb that stands still
        made = noise + 0.5 * torch.nn.functional.pad(noise, (288, -288))
    return made[RUN_IN:].float()


@pytest.mark.parametrize("knobs", [voice(0.4, 0.6, 9.0, 0.4), voice(0.3, 0.8, 16.0, 0.3)])
def test_a_slow_and_shallow_voice_is_found_in_a_second_look(knobs: dict[str, float]) -> None:
    """1.5 ms a second: within one second it hardly moves."""
    found = measured("noise", 3, knobs)
    assert_same_path(found, knobs)
    assert found.mix == pytest.approx(knobs["mix"], abs=0.09)


@pytest.mark.parametrize("form", ["tremolo", "vibrato", "comb"])
def test_only_a_voice_that_swings_against_the_dry_sound_is_a_chorus(form: str) -> None:
    assert contrast(swinging(form)) < 0.4 * FOUND


def test_a_slight_swing_is_found() -> None:
    """0.3 ms a second hardly moves in a clip."""
    found = measured("noise", 5, voice(0.12, 0.4, 12.0, 0.4))
    assert found.contrast > FOUND
    assert found.delay_ms == pytest.approx(12.0, abs=0.1)


def test_knobs_do_not_hang_on_the_seed() -> None:
    clip = treated(material("noise", 7), chorus=VOICES[2])
    first, second = measure_chorus(clip, seed=0), measure_chorus(clip, seed=1)
    assert first != second
    for found in (first, second):
        assert_same_path(found, VOICES[2])
    assert first.mix == pytest.approx(second.mix, abs=0.01)
