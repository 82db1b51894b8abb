"""The reverb: its knobs come back from its own noise, and no other room is taken for it."""

from __future__ import annotations

import pytest
import torch

from afxvae.dsp.features import RUN_IN, SAMPLE_RATE
from afxvae.measure import Echo, Reverb, measure_echo, measure_reverb
from tests.measure.material import (
    CHAIN,
    MATERIALS,
    guitar,
    in_another_room,
    material,
    treated,
)

CLEAR = 2.5  # contrast
DIM = 1.5


def room(decay_s: float, treble_ratio: float, pre_delay_ms: float, mix: float) -> dict[str, float]:
    return {
        "decay_s": decay_s,
        "treble_ratio": treble_ratio,
        "pre_delay_ms": pre_delay_ms,
        "mix": mix,
    }


def measured(clip: torch.Tensor, echo: Echo | None = None) -> Reverb:
    return measure_reverb(clip.unsqueeze(0), echo)


ROOMS = [
    room(0.5, 0.6, 0.0, 0.3),
    room(0.8, 0.4, 10.0, 0.4),
    room(1.5, 0.3, 33.33, 0.3),
    room(3.0, 0.8, 59.99, 0.4),
    room(4.0, 0.5, 95.0, 0.2),
]


@pytest.mark.parametrize("knobs", ROOMS, ids=lambda knobs: f"{knobs['decay_s']} s")
@pytest.mark.parametrize("name", MATERIALS)
def test_knobs_come_back(name: str, knobs: dict[str, float]) -> None:
    found = measured(treated(material(name, 1), reverb=knobs))
    assert found.contrast > CLEAR
    assert found.pre_delay_ms == pytest.approx(knobs["pre_delay_ms"], abs=0.05)
    assert found.mix == pytest.approx(knobs["mix"], abs=0.05)
    # notes decay as well
    loose = 0.35 if name == "phrases" else 0.2
    assert found.decay_s == pytest.approx(knobs["decay_s"], rel=loose)
    assert found.treble_ratio == pytest.approx(knobs["treble_ratio"], rel=loose)


@pytest.mark.parametrize("name", MATERIALS)
def test_more_reverberation_is_measured_as_more(name: str) -> None:
    dry = material(name, 2)
    mixes = [0.1, 0.2, 0.3, 0.4]
    found = [measured(treated(dry, reverb=room(1.2, 0.5, 15.0, mix))).mix for mix in mixes]
    assert found == sorted(found)
    assert found == pytest.approx(mixes, abs=0.05)


@pytest.mark.parametrize("name", MATERIALS)
@pytest.mark.parametrize("mix", [0.7, 0.9])
def test_a_mix_above_one_half_comes_back_as_its_complement(mix: float, name: str) -> None:
    """A log spectrum does not tell which part of a sum was there first."""
    found = measured(treated(material(name, 3), reverb=room(0.8, 0.5, 15.0, mix)))
    assert found.pre_delay_ms == pytest.approx(15.0, abs=0.05)
    assert found.mix == pytest.approx(1.0 - mix, abs=0.06)


@pytest.mark.parametrize("name", MATERIALS)
def test_untreated_material_has_no_contrast(name: str) -> None:
    for seed in range(8):
        clip = treated(material(name, seed)).unsqueeze(0)
        assert measure_reverb(clip, None, float("inf")).contrast < DIM


@pytest.mark.parametrize("name", MATERIALS)
def test_another_room_has_no_contrast(name: str) -> None:
    for seed, (decay_s, mix) in enumerate([(0.3, 0.5), (0.6, 0.3), (1.2, 0.5), (2.5, 0.3)]):
        clip = in_another_room(material(name, seed), 100 + seed, decay_s, mix).unsqueeze(0)
        assert measure_reverb(clip, None, float("inf")).contrast < DIM


def test_the_right_channel_has_another_noise_and_is_another_room() -> None:
    knobs = {name: torch.tensor([value]) for name, value in room(1.0, 0.5, 10.0, 0.4).items()}
    dry = material("noise", 4).repeat(1, 2, 1)
    left, right = CHAIN["reverb"].process(dry, knobs, SAMPLE_RATE)[0, :, RUN_IN:]
    assert measured(left).contrast > CLEAR
    assert measured(right).contrast < DIM


def test_an_echo_and_a_room_are_told_apart() -> None:
    """Multiples of an echo that is known are left out."""
    delay = {"time_ms": 60.0, "feedback": 0.7, "mix": 0.45}
    clip = treated(material("noise", 2), delay=delay, reverb=room(0.5, 0.5, 20.0, 0.15))
    found = measured(clip, measure_echo(clip.unsqueeze(0)))
    assert found.contrast > measured(clip).contrast > CLEAR
    assert found.pre_delay_ms == pytest.approx(20.0, abs=0.05)
    assert found.mix == pytest.approx(0.15, abs=0.03)
    assert found.decay_s == pytest.approx(0.5, rel=0.3)


def test_several_clips_show_what_one_does_not() -> None:
    knobs = room(1.0, 0.5, 20.0, 0.1)
    clips = torch.stack(
        [treated(material("phrases", seed), reverb=knobs) for seed in range(31, 35)]
    )
    together = measure_reverb(clips)
    assert together.contrast > max(measured(clip).contrast for clip in clips)
    assert together.pre_delay_ms == pytest.approx(20.0, abs=0.05)
    assert together.mix == pytest.approx(0.1, abs=0.02)
    assert together.decay_s == pytest.approx(1.0, rel=0.3)


@pytest.mark.parametrize("knobs", [room(0.4, 0.5, 30.0, 0.12), room(2.0, 0.3, 10.0, 0.12)])
def test_a_faint_room_is_found_behind_held_notes(knobs: dict[str, float]) -> None:
    """Notes fill the cepstrum at their periods, where they are much louder than the room."""
    assert measured(guitar()[RUN_IN:]).contrast < DIM
    found = measured(treated(guitar(), reverb=knobs))
    assert found.contrast > DIM
    assert found.pre_delay_ms == pytest.approx(knobs["pre_delay_ms"], abs=0.05)
    assert found.mix == pytest.approx(0.12, abs=0.03)


def test_without_the_refinement_the_contrast_is_the_same() -> None:
    clip = treated(material("noise", 5), reverb=room(0.7, 0.6, 20.02, 0.3)).unsqueeze(0)
    rough, fine = measure_reverb(clip, None, float("inf")), measure_reverb(clip)
    assert rough.contrast == fine.contrast
    assert rough.pre_delay_ms == pytest.approx(20.02, abs=0.025)  # a whole sample
    assert rough.decay_s == pytest.approx(1.0)  # of a coarse grid
    assert fine.decay_s == pytest.approx(0.7, rel=0.1)
