"""The chain and the noise that goes through it, for the tests of this folder."""

from __future__ import annotations

import torch

from afxvae.effects import default_chain

CHAIN = default_chain()
RATE = 24000


def noise(*shape: int, seed: int = 0, dtype=torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.2 * torch.randn(*shape, generator=generator, dtype=dtype)
