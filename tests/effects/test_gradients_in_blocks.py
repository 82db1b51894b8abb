"""Gradients pass from block to block where the state is handed on with its history."""

from __future__ import annotations

import pytest
import torch

from afxvae.effects.delay import PING_PONG_DELAY
from afxvae.effects.eq import BASS_BOOST, GRAPHIC_EQ, TILT
from afxvae.effects.reverb import ROOM
from afxvae.effects.spatial import PAN
from tests.effects.material import noise

EFFECTS = [
    pytest.param(effect, id=effect.name)
    for effect in (TILT, BASS_BOOST, GRAPHIC_EQ, PING_PONG_DELAY, ROOM, PAN)
]


def in_blocks(effect, x, knobs, rate, size):
    state, parts = None, []
    for block in x.split(size, dim=-1):
        part, state = effect.run(block, knobs, rate, state)
        parts.append(part)
    return torch.cat(parts, dim=-1)


@pytest.mark.parametrize("effect", EFFECTS)
def test_gradient_in_blocks_is_that_of_the_whole(effect):
    x, weights = noise(1, 2, 900, dtype=torch.float64), noise(1, 2, 900, seed=1)
    generator = torch.Generator().manual_seed(3)
    controls = {p: torch.rand(1, generator=generator, dtype=torch.float64) for p in effect.params}
    gradients = []
    for size in (900, 200):
        knobs = {p.name: p.to_setting(value).requires_grad_() for p, value in controls.items()}
        audio = x.clone().requires_grad_()
        loss = (in_blocks(effect, audio, knobs, 8000, size) * weights).sum()
        gradients.append(torch.autograd.grad(loss, [audio, *knobs.values()]))
    for whole, blocks in zip(*gradients, strict=True):
        torch.testing.assert_close(blocks, whole, rtol=1e-7, atol=1e-9)
