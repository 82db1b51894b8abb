"""The verifier hears sources, not filters, and learns to tell them apart."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from afxvae.data.pools import restore_log_mel
from afxvae.dsp.features import N_MELS
from afxvae.models.verifier import Verifier
from afxvae.training.pool import Pool
from afxvae.training.verifier import train_verifier, verification
from tests.sounds import untrained


def picture(seed: int, frames: int = 320) -> torch.Tensor:
    """Smooth noise with a formant of its own, ``(1, frame, 80)`` in dB."""
    generator = torch.Generator().manual_seed(seed)
    rough = torch.randn(1, frames, N_MELS, generator=generator)
    smooth = torch.nn.functional.avg_pool1d(rough, 9, 1, 4) * 15.0
    return smooth + 10.0 * torch.sin(0.2 * (seed + 1) * torch.arange(N_MELS)) - 40.0


def test_embeddings_have_length_one_and_ignore_filters_and_level() -> None:
    torch.manual_seed(0)
    verifier = Verifier().eval()
    dry = torch.cat([picture(seed) for seed in range(3)])
    curve = torch.linspace(-8.0, 8.0, N_MELS)
    with torch.no_grad():
        embedded, filtered, louder = (verifier(x) for x in (dry, dry + curve, dry + 12.0))
    torch.testing.assert_close(embedded.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(louder, embedded, atol=1e-4, rtol=0.0)
    assert float((embedded * filtered).sum(1).min()) > 0.98


def test_clips_of_a_recording_count_together() -> None:
    model = untrained()
    mine, theirs = (torch.cat([picture(s + t) for t in (0, 1)]) for s in (0, 5))
    alone = model.verify(mine[:1], mine[:1])
    surest = torch.sigmoid(model.verifier.log_odds(torch.tensor(1.0)))
    assert alone == pytest.approx(float(surest.detach()), abs=1e-4)
    assert 0.0 < model.verify(mine, theirs) < alone


def test_it_learns_who_is_who(tmp_path: Path) -> None:
    """Crops whose frames move together in bands of their own."""
    generator = torch.Generator().manual_seed(0)

    def shard(first: int) -> dict[str, torch.Tensor]:
        rows = []
        for source in range(first, first + 8):
            shape = torch.randn(N_MELS, generator=torch.Generator().manual_seed(source)).sign()
            level = torch.randn(5, 509, 1, generator=generator) * 8.0
            rows.append(level * shape - 50.0 + torch.randn(5, 509, N_MELS, generator=generator))
        steps = ((torch.stack(rows) + 110.0) * 2.0).round().clamp(0, 255).to(torch.uint8)
        group = torch.arange(first, first + 8)
        return {"dry_mel": steps[:, :2], "wet_mel": steps[:, 2:4].unsqueeze(2),
                "kind": torch.zeros(8, dtype=torch.long), "group": group}  # fmt: skip

    pool, other = (Pool(tmp_path, split) for split in ("train", "valid"))
    pool.shards, other.shards = [shard(8 * n) for n in range(4)], [shard(900)]
    model = untrained()
    assert restore_log_mel(pool.shards[0]["dry_mel"]).shape == (8, 2, 509, N_MELS)
    train_verifier(model, pool, other, tmp_path, steps=40, batch=16, rate=3e-3)
    assert verification(model.verifier, other)["auc"] > 0.9
