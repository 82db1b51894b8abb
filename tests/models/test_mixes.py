"""Recordings of many sources, which the networks never learned from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from afxvae import AFXStyleVAE
from afxvae.models import mixes
from afxvae.models.estimate import ESTIMATED
from afxvae.models.mixes import doubted_in_mixes, mix_probability, read_mixes, write_mixes

LOGITS = torch.linspace(-2.0, 3.0, len(ESTIMATED)).unsqueeze(0)


def test_the_table_in_the_package_is_of_the_weights_in_the_package() -> None:
    model, table = AFXStyleVAE.from_pretrained(), read_mixes()
    assert table["checksum"] == model.checksum
    assert len(table["weight"]) == model.config["embedding_dim"]


def test_of_other_weights_nothing_is_known() -> None:
    embedded = torch.full((1, 256), 100.0)
    assert mix_probability(embedded, "other") == 0.0


def test_a_table_is_read_as_it_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mixes.json"
    monkeypatch.setattr(mixes, "MIXES_FILE", path)
    write_mixes(torch.tensor([1.0, -0.5]), 0.25, "abc", path)
    try:
        found = mix_probability(torch.tensor([[2.0, 1.5]]), "abc")
    finally:
        read_mixes.cache_clear()
    assert found == pytest.approx(float(torch.sigmoid(torch.tensor(1.5))))


def test_only_equalisers_and_rooms_are_doubted_and_as_far_as_it_is_a_mix() -> None:
    assert torch.equal(doubted_in_mixes(LOGITS, 0.0), LOGITS)
    half, whole = (LOGITS - doubted_in_mixes(LOGITS, mix) for mix in (0.5, 1.0))
    torch.testing.assert_close(2.0 * half, whole)
    assert {e for e, less in zip(ESTIMATED, whole[0], strict=True) if less > 0.1} == {
        "eq",
        "reverb",
    }
