"""Freeverb of JUCE and of SoX is found by its lengths, and nothing else is taken for it."""

from __future__ import annotations

import pytest
import torch

from afxvae.audio import resample
from afxvae.dsp.features import CLIP_SAMPLES, RUN_IN, SAMPLE_RATE
from afxvae.effects import EFFECTS, Chain
from afxvae.measure import Freeverb, measure_freeverb, measure_settings
from tests.measure.material import CHAIN, MATERIALS, in_another_room, material, treated
from tests.sounds import sound

THRESHOLD = 1.5  # contrast
BY_NAME = Chain(EFFECTS)

ROOMS = [
    ("freeverb", {"decay_s": 0.8, "damping_hz": 4000.0, "pre_delay_ms": 0.0, "mix": 0.3}),
    ("freeverb", {"decay_s": 2.5, "damping_hz": 8000.0, "pre_delay_ms": 20.0, "mix": 0.4}),
    ("sox_reverb", {"decay_s": 0.8, "damping_hz": 5000.0, "room_scale": 40.0, "pre_delay_ms": 10.0,
                    "mix": 0.3}),
    ("sox_reverb", {"decay_s": 2.0, "damping_hz": 6000.0, "room_scale": 100.0, "pre_delay_ms": 0.0,
                    "mix": 0.3}),
]  # fmt: skip


def through(dry: torch.Tensor, name: str, knobs: dict[str, float], rate: int = SAMPLE_RATE):
    """A dry sound ``(channel, time)`` in a room; clips ``(channel, 131072)`` at 24 kHz."""
    settings = {knob: torch.tensor([value]) for knob, value in knobs.items()}
    wet = BY_NAME[name].process(dry.unsqueeze(0), settings, rate)[0]
    return resample(wet, rate, SAMPLE_RATE)[:, RUN_IN : RUN_IN + CLIP_SAMPLES]


def check(found: Freeverb, name: str, knobs: dict[str, float], loose: float = 0.2) -> None:
    assert found.contrast > THRESHOLD
    assert found.make.effect.name == name
    assert found.pre_delay_ms == pytest.approx(knobs["pre_delay_ms"], abs=0.05)
    assert found.decay_s == pytest.approx(knobs["decay_s"], rel=loose)
    assert found.mix == pytest.approx(knobs["mix"], abs=0.06)
    assert found.make.others["damping_hz"] == pytest.approx(knobs["damping_hz"], rel=loose)
    if name == "sox_reverb":
        assert found.make.others["room_scale"] == knobs["room_scale"]


@pytest.mark.parametrize(("room", "knobs"), ROOMS)
@pytest.mark.parametrize("name", MATERIALS)
def test_knobs_come_back(name: str, room: str, knobs: dict[str, float]) -> None:
    clip = through(material(name, 1).unsqueeze(0), room, knobs)
    check(measure_freeverb(clip, SAMPLE_RATE), room, knobs, 0.35 if name == "phrases" else 0.2)


@pytest.mark.parametrize("rate", [44100, 48000])
@pytest.mark.parametrize(("room", "knobs"), ROOMS[1:])
def test_it_is_found_whatever_the_rate_was(room: str, knobs: dict[str, float], rate: int) -> None:
    """The rate of the treatment is that of the file, or one of the usual ones."""
    length = round((RUN_IN + CLIP_SAMPLES) * rate / SAMPLE_RATE) + rate // 10
    dry = 0.1 * torch.randn(1, length, generator=torch.Generator().manual_seed(2))
    clip = through(dry, room, knobs, rate)
    for known in (rate, SAMPLE_RATE):
        check(measure_freeverb(clip, known), room, knobs, 0.3)


@pytest.mark.parametrize(("room", "knobs"), ROOMS)
def test_of_stereo_it_is_found_in_the_mean_of_both_channels(
    room: str, knobs: dict[str, float]
) -> None:
    length = (RUN_IN + CLIP_SAMPLES) / SAMPLE_RATE + 0.1
    clip = through(sound(3, length, channels=2), room, knobs).mean(0, keepdim=True)
    check(measure_freeverb(clip, SAMPLE_RATE, mono=False), room, knobs, 0.35)


@pytest.mark.parametrize("mono", [True, False])
@pytest.mark.parametrize("name", MATERIALS)
def test_nothing_is_found_in_dry_material_and_in_other_rooms(name: str, mono: bool) -> None:
    reverb = {"decay_s": 1.2, "treble_ratio": 0.5, "pre_delay_ms": 20.0, "mix": 0.3}
    for seed in range(2):
        dry = material(name, seed)
        clips = [
            treated(dry),
            treated(dry, reverb=reverb),
            in_another_room(dry, seed, 1.0, 0.4),
        ]
        for clip in clips:
            found = measure_freeverb(clip.unsqueeze(0), SAMPLE_RATE, mono, None, float("inf"))
            assert found.contrast < THRESHOLD
            assert found.mix == 0.0


def test_inference_mode_gives_the_same_and_leaves_caches_that_serve_outside() -> None:
    clip = through(material("noise", 4).unsqueeze(0), *ROOMS[0])
    with torch.inference_mode():
        inside = measure_freeverb(clip, SAMPLE_RATE)
    outside = measure_freeverb(clip, SAMPLE_RATE)
    assert (inside.decay_s, inside.mix) == (outside.decay_s, outside.mix)


# for a chain


@pytest.mark.parametrize(("room", "knobs"), ROOMS[1:3])
def test_it_comes_in_the_place_of_the_reverb(room: str, knobs: dict[str, float]) -> None:
    """Where the input has none itself."""
    reference = through(material("swelling noise", 2).unsqueeze(0), room, knobs)
    own = through(material("swelling noise", 3).unsqueeze(0), room, knobs)
    dry = treated(material("swelling noise", 1)).unsqueeze(0)
    found = measure_settings(CHAIN, dry, reference)["reverb"]
    assert found.found
    assert found.make and found.make.effect.name == room  # noqa: PT018
    assert not measure_settings(CHAIN, own, reference)["reverb"].found
