"""The room effect is the convolution with its response, whatever the blocks."""

from __future__ import annotations

import torch
from torch.nn.functional import pad

from afxvae.dsp import room
from afxvae.dsp.network import room_response
from afxvae.effects.reverb import ROOM

RATE = 8000
KNOBS = {
    "size_m": 5.0, "decay_s": 0.2, "bass_ratio": 1.0, "treble_ratio": 0.5,
    "pre_delay_ms": 5.0, "balance": 0.5, "mix": 0.25,
}  # fmt: skip
LENGTH = 1960  # of the response: until it has fallen by 72 dB


def settings(**changes: float) -> dict[str, torch.Tensor]:
    knobs = KNOBS | changes
    return {name: torch.tensor([value], dtype=torch.float64) for name, value in knobs.items()}


def noise(length: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return 0.2 * torch.randn(1, 2, length, generator=generator, dtype=torch.float64)


def convolved(x: torch.Tensor, **changes: float) -> torch.Tensor:
    knobs = settings(**changes)
    mix = knobs.pop("mix")
    response = room_response(
        **knobs, sample_rate=RATE, channels=2, length=LENGTH, dtype=torch.float64
    )
    kernel = response[0].flip(-1).unsqueeze(1)
    wet = torch.nn.functional.conv1d(pad(x, (LENGTH - 1, 0)), kernel, groups=2)
    return x + mix * (wet - x)


def test_equals_the_convolution_of_short_and_long_signals():
    for length in (300, 3000, 9000):
        x = noise(length)
        found = ROOM.process(x, settings(), RATE)
        torch.testing.assert_close(found, convolved(x), rtol=0, atol=1e-4 * 0.2)  # cut at -72 dB


def test_memory_is_bounded():
    state = None
    for block in noise(9000).split(900, dim=-1):
        _, state = ROOM.run(block, settings(), RATE, state)
        assert max(part.shape[-1] for part in state) <= LENGTH


def test_the_response_is_computed_once_while_the_settings_stay(monkeypatch):
    lengths = []

    def counted(*knobs, **options):
        lengths.append(knobs[8])
        return room_response(*knobs, **options)

    monkeypatch.setattr(room, "room_response", counted)
    state = None
    for block in noise(6000).split(100, dim=-1):
        _, state = ROOM.run(block, settings(), RATE, state)
    assert lengths == [100, 200, 400, 800, 1600, LENGTH]


def test_new_settings_take_effect_at_once():
    """The sound before stays in the room; what it says is that of the new room."""
    x = noise(4000)
    _, state = ROOM.run(x[..., :3000], settings(), RATE, None)
    found, _ = ROOM.run(x[..., 3000:], settings(size_m=8.0), RATE, state)
    want = convolved(x, size_m=8.0)[..., 3000:]
    torch.testing.assert_close(found, want, rtol=0, atol=1e-4 * 0.2)


def test_every_block_has_a_gradient_in_the_settings():
    knobs = {name: value.requires_grad_() for name, value in settings().items()}
    x, state = noise(1000), None
    for block in x.split(500, dim=-1):
        out, state = ROOM.run(block, knobs, RATE, state)
        state = tuple(part.detach() for part in state)
        gradients = torch.autograd.grad(out.square().sum(), list(knobs.values()))
        assert all(float(gradient.abs()) > 0.0 for gradient in gradients)
