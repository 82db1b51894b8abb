"""What swings goes on swinging as it did, in blocks of any length, for hours."""

from __future__ import annotations

import pytest
import torch

from afxvae.effects import modulation
from tests.effects.material import noise

SWINGING = [
    pytest.param(effect, id=effect.name)
    for effect in (getattr(modulation, name) for name in modulation.__all__)
]


@pytest.mark.parametrize("sizes", [[7] * 100, [0, 64, 1000, 3]])
@pytest.mark.parametrize("rate", [8000, 192000])
@pytest.mark.parametrize("effect", SWINGING)
def test_blocks_equal_whole_also_after_an_hour(effect, rate, sizes):
    """The last part of the state is the number of samples so far."""
    audio = noise(2, 2, sum(sizes))
    generator = torch.Generator().manual_seed(1)
    knobs = {p.name: p.to_setting(torch.rand(2, generator=generator)) for p in effect.params}
    _, state = effect.run(audio[..., :0], knobs, rate, None)
    assert int(state[-1]) == 0
    state = (*state[:-1], torch.tensor(3600 * rate))
    whole, _ = effect.run(audio, knobs, rate, state)
    pieces = []
    for block in audio.split(sizes, -1):
        piece, state = effect.run(block, knobs, rate, state)
        pieces.append(piece)
    error = (torch.cat(pieces, -1) - whole).square().mean().sqrt()
    assert float(error) < 1e-6 * max(float(whole.square().mean().sqrt()), 0.2)
