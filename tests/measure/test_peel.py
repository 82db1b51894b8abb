"""Peeling: what was measured of delay and reverb comes off, the rest stays."""

from __future__ import annotations

import math

import pytest
import torch

from afxvae.measure import Measured, measure_settings, nothing_measured, peel
from tests.measure.material import CHAIN, MATERIALS, begun, material, treated

CHORUS = {"rate_hz": 0.8, "depth_ms": 1.5, "delay_ms": 12.0, "mix": 0.3}
DELAY = {"time_ms": 330.0, "feedback": 0.4, "mix": 0.3}
REVERB = {"decay_s": 0.8, "treble_ratio": 0.5, "pre_delay_ms": 20.0, "mix": 0.3}
LINEAR = [{"delay": DELAY}, {"reverb": REVERB}, {"delay": DELAY, "reverb": REVERB}]


def known(**effects: dict[str, float]) -> dict[str, Measured]:
    return {
        name: Measured(
            torch.tensor([param.to_control(knobs[param.name]) for param in CHAIN[name].params]),
            found=True,
        )
        for name, knobs in effects.items()
    }


def agreement_db(one: torch.Tensor, other: torch.Tensor) -> float:
    """Power of a clip over that of its difference to another, in dB."""
    error = (one - other).square().sum()
    return 10.0 * math.log10(float(other.square().sum() / error))


@pytest.mark.parametrize("effects", LINEAR, ids=lambda effects: "+".join(effects))
def test_known_effects_come_off(effects: dict[str, dict[str, float]]) -> None:
    """But for what sounds on from before the clip, and its end."""
    dry = material("noise", 1)
    clip, plain = treated(dry, **effects), treated(dry)
    peeled = peel(CHAIN, clip.unsqueeze(0), known(**effects))[0]
    late = slice(72_000, 120_000)
    assert agreement_db(clip[late], plain[late]) < 10.0
    assert agreement_db(peeled[late], plain[late]) > 25.0


@pytest.mark.parametrize("name", MATERIALS)
def test_measured_effects_come_off_and_a_chorus_stays(name: str) -> None:
    dry = material(name, 1)
    clip = treated(dry, chorus=CHORUS, delay=DELAY, reverb=REVERB)
    swinging = treated(dry, chorus=CHORUS)
    measured = measure_settings(CHAIN, treated(material(name, 2)).unsqueeze(0), clip.unsqueeze(0))
    peeled = peel(CHAIN, clip.unsqueeze(0), measured)[0]
    late = slice(72_000, 120_000)
    before = agreement_db(clip[late], swinging[late])
    assert agreement_db(peeled[late], swinging[late]) > before + 6.0


def test_of_what_is_repeated_each_time_is_peeled() -> None:
    """A repetition does not sound on in the next."""
    period = 60_000
    dry, wet = (treated(begun(material("noise", 1)), **e)[None] for e in ({}, {"delay": DELAY}))
    plain, clips = (one[:, :period].repeat(1, 3)[:, : dry.shape[1]] for one in (dry, wet))
    peeled = peel(CHAIN, clips, known(delay=DELAY), period=period)
    assert torch.equal(peeled[:, :period], peeled[:, period : 2 * period])
    assert agreement_db(peeled[0, : period - 9_600], plain[0, : period - 9_600]) > 25.0
    assert (
        agreement_db(peel(CHAIN, clips, known(delay=DELAY))[0, period:], plain[0, period:]) < 15.0
    )


def test_what_was_not_found_is_left_alone() -> None:
    clips = treated(material("noise", 1), reverb=REVERB).unsqueeze(0)
    assert peel(CHAIN, clips, {}) is clips
    assert peel(CHAIN, clips, nothing_measured(CHAIN)) is clips
    assert peel(CHAIN, clips, known(chorus=CHORUS)) is clips


def test_clips_are_peeled_apart() -> None:
    clips = torch.stack([treated(material("noise", seed), delay=DELAY) for seed in (1, 2)])
    together = peel(CHAIN, clips, known(delay=DELAY))
    for clip, peeled in zip(clips, together, strict=True):
        alone = peel(CHAIN, clip.unsqueeze(0), known(delay=DELAY))[0]
        assert torch.allclose(alone, peeled, atol=1e-6)


def test_silence_stays_silence() -> None:
    silent = torch.zeros(1, 131_072)
    assert not bool(peel(CHAIN, silent, known(delay=DELAY, reverb=REVERB)).any())
