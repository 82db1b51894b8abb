"""Tone and space in blocks: as if the signal had been processed as a whole."""

from __future__ import annotations

import math

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


def draw(effect, batch: int, seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {p.name: p.to_setting(torch.rand(batch, generator=generator)) for p in effect.params}


def in_blocks(effect, x, knobs, rate, sizes):
    state, parts = None, []
    for block in x.split(sizes, dim=-1):
        part, state = effect.run(block, knobs, rate, state)
        assert part.shape == block.shape
        parts.append(part)
    return torch.cat(parts, dim=-1)


@pytest.mark.parametrize("sizes", [1, 7, 64, 1000, "random"])
@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (44100, 2), (192000, 6)])
@pytest.mark.parametrize("effect", EFFECTS)
def test_blocks_equal_the_whole(effect, rate, channels, sizes):
    """To below -120 dB of the louder of input and output."""
    length = 40 * sizes if sizes in (1, 7) else 5000
    if sizes == "random":
        generator = torch.Generator().manual_seed(rate)
        cuts = torch.randint(0, length, (12,), generator=generator).sort().values.tolist()
        sizes = [end - start for start, end in zip([0, *cuts], [*cuts, length], strict=True)]
    x = noise(2, channels, length, seed=channels)
    knobs = draw(effect, 2, rate)
    whole = effect.process(x, knobs, rate)
    error = in_blocks(effect, x, knobs, rate, sizes) - whole
    louder = max(float(whole.square().mean()), float(x.square().mean()))
    assert 10.0 * math.log10(float(error.square().mean()) / louder + 1e-30) < -120.0


@pytest.mark.parametrize("effect", EFFECTS)
def test_gradient_in_blocks_is_that_of_the_whole(effect):
    """Where the state is handed on with its history."""
    x, weights = noise(1, 2, 900, dtype=torch.float64), noise(1, 2, 900, seed=1)
    gradients = []
    for sizes in (900, 200):
        knobs = {n: v.double().requires_grad_() for n, v in draw(effect, 1, 3).items()}
        audio = x.clone().requires_grad_()
        loss = (in_blocks(effect, audio, knobs, 8000, sizes) * weights).sum()
        gradients.append(torch.autograd.grad(loss, [audio, *knobs.values()]))
    for whole, blocks in zip(*gradients, strict=True):
        torch.testing.assert_close(blocks, whole, rtol=1e-7, atol=1e-9)
