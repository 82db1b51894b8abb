"""What the waveform comparator is asked for, and how far it is believed."""

from __future__ import annotations

import torch

from afxvae.data.treatments import random_treatments
from afxvae.effects import default_chain
from afxvae.models.estimate import ESTIMATED, estimated_columns
from afxvae.models.waveform import BENDING, Bends
from afxvae.training.waveform import fit_opinion, waveform_loss
from tests.sounds import untrained

CHAIN = default_chain()


def knobs_of(controls: torch.Tensor) -> torch.Tensor:
    names = [(effect, param.name) for effect, param in CHAIN.knobs]
    return torch.stack(
        [controls[:, names.index((e, knob))] for e, knobs in BENDING.items() for knob in knobs], 1
    )


def test_the_truth_costs_least() -> None:
    generator = torch.Generator().manual_seed(0)
    controls, switches = random_treatments(CHAIN, 64, generator)
    on = switches[:, estimated_columns(CHAIN)].float()
    odds = torch.stack([16.0 * on[:, ESTIMATED.index(effect)] - 8.0 for effect in BENDING], 1)
    away = knobs_of(CHAIN.default_controls()[None]).clone()
    amounts = torch.tensor(
        [param in ("ratio", "drive_db") for k in BENDING.values() for param in k]
    )
    off = (odds < 0.0).repeat_interleave(3, 1)
    true = torch.where(off & amounts, away, knobs_of(controls))
    cost = waveform_loss(CHAIN, Bends(odds, true), controls, switches)
    for wrong in (
        Bends(-odds, true),
        Bends(odds, (true + 0.2).clamp_max(1.0)),
        Bends(odds, away.expand_as(true)),
    ):
        assert waveform_loss(CHAIN, wrong, controls, switches) > cost + 0.1


def test_who_knows_is_believed() -> None:
    """Of the compressor the latent knows, of the overdrive the waveform."""
    model, generator = untrained(), torch.Generator().manual_seed(0)
    switches = (torch.rand(600, len(ESTIMATED), generator=generator) < 0.4).float()
    noise = torch.randn(600, 2, generator=generator)
    latent, own = torch.zeros_like(switches), noise.clone()
    compressor, overdrive = ESTIMATED.index("compressor"), ESTIMATED.index("overdrive")
    latent[:, compressor] = 3.0 * switches[:, compressor] - 1.5 + noise[:, 1]
    latent[:, overdrive] = noise[:, 0]
    own[:, 1] = 3.0 * switches[:, overdrive] - 1.5 + torch.randn(600, generator=generator)
    entropies = fit_opinion(model, latent, own, switches)
    of_latent, of_waveform = model.waveform.opinion[:, 0], model.waveform.opinion[:, 1]
    assert of_latent[0] > 1.0 > abs(of_waveform[0]) * 3.0
    assert of_waveform[1] > 1.0 > abs(of_latent[1]) * 3.0
    assert max(entropies.values()) < 0.45
