"""The chain and what goes through it, for the tests of this folder."""

from __future__ import annotations

import math

import torch

from afxvae.effects import default_chain

CHAIN = default_chain()
RATE = 24000


def noise(*shape: int, seed: int = 0, dtype=torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.2 * torch.randn(*shape, generator=generator, dtype=dtype)


def signals(rate: int, length: int) -> torch.Tensor:
    """Noise, DC, silence, a full-scale square, denormals, a click: ``(6, 2, length)``."""
    time = torch.arange(length) / rate
    square = torch.sign(torch.sin(2.0 * math.pi * 217.0 * time + 0.1))
    white = noise(2, length, seed=5).clamp(-1.0, 1.0)
    denormal = white * 1e-40
    click = torch.zeros(2, length)
    click[:, length // 3] = 1.0
    one = torch.ones(2, length)
    return torch.stack([white, one, 0.0 * one, square * one, denormal, click])
