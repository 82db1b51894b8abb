"""Effects of another make behind our knobs."""

from __future__ import annotations

import math

import pytest
import torch

from afxvae.data.makes import OTHER_MAKES, process_otherwise
from afxvae.data.treatments import random_treatments
from afxvae.dsp.features import SAMPLE_RATE
from afxvae.effects import default_chain

CHAIN = default_chain()
COUNT = 4


@pytest.fixture(scope="module")
def audio() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    bursts = 0.02 + torch.rand(COUNT, 1, 6, 1, generator=generator)
    noise = torch.randn(COUNT, 1, 6, 4000, generator=generator)
    return (0.1 * bursts * noise).flatten(2)


def treated(audio: torch.Tensor, effect: str, seed: int = 0) -> torch.Tensor:
    controls, _ = random_treatments(CHAIN, COUNT, torch.Generator().manual_seed(3))
    switches = torch.tensor([name == effect for name in CHAIN.names]).expand(COUNT, -1)
    generator = torch.Generator().manual_seed(seed)
    return process_otherwise(audio, controls, switches, CHAIN, SAMPLE_RATE, generator)


def ours(audio: torch.Tensor, effect: str) -> torch.Tensor:
    controls, _ = random_treatments(CHAIN, COUNT, torch.Generator().manual_seed(3))
    on = {effect: torch.ones(COUNT, dtype=torch.bool)}
    return CHAIN.process(audio, CHAIN.to_settings(controls), on, SAMPLE_RATE)


def level_db(audio: torch.Tensor) -> torch.Tensor:
    return 10.0 * audio.square().mean((1, 2)).log10()


@pytest.mark.parametrize("effect", OTHER_MAKES)
def test_another_make_differs_but_is_about_as_loud(audio: torch.Tensor, effect: str) -> None:
    own, other = ours(audio, effect), treated(audio, effect)
    assert other.shape == audio.shape
    assert other.isfinite().all()
    assert not torch.allclose(own, other, atol=1e-4)
    assert (level_db(own) - level_db(other)).abs().max() < 4.0


@pytest.mark.parametrize("effect", [name for name in CHAIN.names if name not in OTHER_MAKES])
def test_effects_without_another_make_are_ours(audio: torch.Tensor, effect: str) -> None:
    torch.testing.assert_close(treated(audio, effect), ours(audio, effect))


def test_nothing_on_changes_nothing(audio: torch.Tensor) -> None:
    assert torch.equal(treated(audio, "none"), audio)


def test_the_same_seed_draws_the_same(audio: torch.Tensor) -> None:
    first, again, other = (treated(audio, "reverb", seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_compressor_is_the_loop_over_samples_of_a_smoothed_level() -> None:
    step = torch.cat([torch.full((300,), 0.01), torch.full((900,), 0.5), torch.full((900,), 0.01)])
    knobs = {
        name: torch.tensor([value])
        for name, value in (
            ("threshold_db", -20.0), ("ratio", 4.0), ("knee_db", 0.0), ("attack_ms", 5.0),
            ("release_ms", 20.0), ("makeup_db", 3.0),
        )
    }  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    done = OTHER_MAKES["compressor"](step[None, None], knobs, 24_000, generator)[0, 0]
    level, wanted = 0.0, []
    for x in step.tolist():
        pole = math.exp(-1.0 / (24.0 * (5.0 if x > level else 20.0)))
        level = pole * level + (1.0 - pole) * x
        over = max(0.0, 20.0 * math.log10(max(level, 1e-9)) + 20.0)
        wanted.append(x * 10.0 ** ((3.0 - 0.75 * over) / 20.0))
    torch.testing.assert_close(done, torch.tensor(wanted), atol=1e-4, rtol=1e-3)
