"""What must hold at any settings: 324 draws of them for nearly every effect, each with an
awkward signal.

Settings are per batch item, so an example is a batch of draws.
"""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from afxvae import effects
from afxvae.effects import Chain, Effect
from tests.effects.material import noise, signals

EFFECTS = [pytest.param(effect, id=effect.name) for effect in effects.EFFECTS]
EXAMPLES, REPEATS = 9, 6  # of all six signals: 324 rows
LENGTH = 2000
LONG = {"freeverb", "sox_reverb"}  # seconds of response, computed for every row: 54 draws of these
LOUDEST = 3000.0  # 60 dB of gain, and a little

seeds = st.integers(0, 10**6)


def positions(rows: int, knobs: int, seed: int) -> torch.Tensor:
    """Knob positions ``(rows, knobs)``: at random; of every other row, half stand at an end."""
    generator = torch.Generator().manual_seed(seed)
    drawn, ends = torch.rand(2, rows, knobs, generator=generator)
    ends[::2] = 0.0
    return torch.where(ends > 0.5, drawn.round(), drawn)


def draws(effect: Effect, audio: torch.Tensor, seed: int) -> dict[str, torch.Tensor]:
    """Settings for every row of `audio`, which are signals repeated."""
    controls = positions(len(audio), len(effect.params), seed)
    return {
        param.name: param.to_setting(control)
        for param, control in zip(effect.params, controls.unbind(1), strict=True)
    }


def check_output(result: torch.Tensor, audio: torch.Tensor) -> None:
    assert result.shape == audio.shape
    assert bool(result.isfinite().all())
    assert not bool(result[2::6].any())  # silence stays silence
    assert float(result.abs().max()) < LOUDEST


@pytest.mark.parametrize("effect", EFFECTS)
@given(seed=seeds, rate=st.sampled_from([8000, 8000, 8000, 44100]))
@settings(deadline=None, derandomize=True, max_examples=EXAMPLES)
def test_output_and_gradients_are_finite(effect, seed, rate):
    repeats, rate = (1, 8000) if effect.name in LONG else (REPEATS, rate)
    audio = signals(rate, LENGTH).repeat(repeats, 1, 1).requires_grad_()
    knobs = {name: x.requires_grad_() for name, x in draws(effect, audio, seed).items()}
    result = effect.process(audio, knobs, rate)
    check_output(result.detach(), audio)
    weights = noise(*result.shape, seed=6)
    gradients = torch.autograd.grad((result * weights).sum(), [audio, *knobs.values()])
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)


@pytest.mark.parametrize("effect", EFFECTS)
def test_output_is_finite_at_192_khz(effect):
    audio = signals(192000, LENGTH)
    for seed in range(1 if effect.name in LONG else 2):
        check_output(effect.process(audio, draws(effect, audio, seed), 192000), audio)


@given(seed=seeds)
@settings(deadline=None, derandomize=True, max_examples=10)
def test_controls_survive_the_way_to_settings_and_back(seed):
    """50 rows an example; ends come back exactly."""
    chain = Chain(effects.EFFECTS)
    controls = positions(50, len(chain.params), seed)
    back = chain.to_controls(chain.to_settings(controls))
    torch.testing.assert_close(back, controls, rtol=0.0, atol=1e-6)
    ends = (controls == 0.0) | (controls == 1.0)
    assert torch.equal(back[ends], controls[ends])
