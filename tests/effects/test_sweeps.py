"""The swinging effects do nothing at their defaults and the same in blocks and in batches."""

from __future__ import annotations

import pytest
import torch

from afxvae.effects import EFFECTS, Effect, sweeps
from tests.effects.material import noise

SWEEPS = [
    pytest.param(effect, id=effect.name)
    for effect in EFFECTS
    if effect in [getattr(sweeps, name) for name in sweeps.__all__]
]


def draw(effect: Effect, batch: int, seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {p.name: p.to_setting(torch.rand(batch, generator=generator)) for p in effect.params}


def test_all_are_there():
    assert len(SWEEPS) == len(sweeps.__all__) == 6


@pytest.mark.parametrize("effect", SWEEPS)
def test_amounts_at_their_defaults_are_the_identity_bit_for_bit(effect):
    audio, knobs = noise(3, 2, 4000), draw(effect, 3, 0)
    for param in effect.params:
        if param.amount:
            knobs[param.name] = torch.full((3,), param.default)
    assert torch.equal(effect.process(audio, knobs, 44100), audio)


@pytest.mark.parametrize("sizes", [[1] * 40, [7] * 100, [0, 64, 1000, 3], [2500, 0, 1, 999]])
@pytest.mark.parametrize("rate", [8000, 192000])
@pytest.mark.parametrize("effect", SWEEPS)
def test_blocks_equal_whole_also_after_an_hour(effect, rate, sizes):
    audio, knobs = noise(2, 2, sum(sizes)), draw(effect, 2, 1)
    _, state = effect.run(audio[..., :0], knobs, rate, None)
    assert int(state[-1]) == 0
    for clock in (0, 3600 * rate):
        state = (*state[:-1], torch.tensor(clock))
        whole, _ = effect.run(audio, knobs, rate, state)
        pieces, now = [], state
        for block in audio.split(sizes, -1):
            piece, now = effect.run(block, knobs, rate, now)
            pieces.append(piece)
        error = (torch.cat(pieces, -1) - whole).square().mean().sqrt()
        assert float(error) < 1e-6 * max(float(whole.square().mean().sqrt()), 0.2)


@pytest.mark.parametrize("effect", SWEEPS)
def test_batch_item_equals_single_item(effect):
    audio, knobs = noise(3, 2, 6000), draw(effect, 3, 2)
    together = effect.process(audio, knobs, 44100)
    for item in range(3):
        own = {name: value[item : item + 1] for name, value in knobs.items()}
        alone = effect.process(audio[item : item + 1], own, 44100)
        torch.testing.assert_close(alone, together[item : item + 1], rtol=0, atol=2e-6)


@pytest.mark.parametrize("end", [0.0, 1.0])
@pytest.mark.parametrize("effect", SWEEPS)
def test_gradients_are_finite_at_both_ends(effect, end):
    audio = noise(1, 2, 800).requires_grad_()
    knobs = {p.name: p.to_setting(torch.tensor([end])).requires_grad_() for p in effect.params}
    done = effect.process(audio, knobs, 8000)
    assert bool(done.isfinite().all())
    gradients = torch.autograd.grad(done.square().sum(), [audio, *knobs.values()])
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)
