"""Pairs for the aligner: what is said to lie between two pictures lies between them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from afxvae.data.pools import quantize_log_mel, restore_log_mel
from afxvae.dsp.features import FLOOR_DB, N_MELS
from afxvae.effects import default_chain
from afxvae.measure.equalizer import eq_bands_db
from afxvae.training import aligner
from afxvae.training.refiner import Equalizers

CHAIN = default_chain()
EQ, DRIVE = CHAIN.names.index("eq"), CHAIN.names.index("overdrive")
KNOBS = CHAIN.knobs_of("eq")
CROPS, FRAMES, TREATMENTS = 12, 20, 2


@pytest.fixture
def equalizers() -> Equalizers:
    return Equalizers(CHAIN, 3, 50)


@pytest.fixture(autouse=True)
def one_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aligner, "_TWO_SOURCES", 0.0)


def curve_of(controls: Tensor) -> Tensor:
    return eq_bands_db(CHAIN["eq"], controls[None])[0]


def batch(equalizers: Equalizers) -> dict[str, Tensor]:
    """Crops whose clips are all one picture, through what the truth says and nothing else."""
    generator = torch.Generator().manual_seed(0)
    picture = -50.0 + 4.0 * torch.randn(CROPS, 1, FRAMES, N_MELS, generator=generator)
    drawn = torch.randint(50, (CROPS, 2, TREATMENTS), generator=generator)
    switches = torch.zeros(CROPS, 2, TREATMENTS, len(CHAIN.names), dtype=torch.bool)
    switches[..., EQ] = torch.rand(CROPS, 2, TREATMENTS, generator=generator) < 0.5
    controls = CHAIN.default_controls().repeat(CROPS, 2, TREATMENTS, 1)
    controls[..., KNOBS] = equalizers.controls[drawn]
    own = torch.randint(50, (CROPS, 2), generator=generator)
    wet = picture.unsqueeze(2) + (equalizers.curves[drawn] * switches[..., [EQ]]).unsqueeze(3)
    bent = picture + equalizers.curves[own].unsqueeze(2)
    return {
        "dry_mel": quantize_log_mel(picture.expand(-1, 2, -1, -1)),
        "equalized_mel": quantize_log_mel(bent),
        "wet_mel": quantize_log_mel(wet),
        "before": equalizers.controls[own],
        "controls": controls,
        "switches": switches,
        "kind": torch.zeros(CROPS, dtype=torch.long),
        "group": torch.arange(CROPS),
    }


def unequalized(
    equalizers: Equalizers, monkeypatch: pytest.MonkeyPatch, more: float, own: float
) -> dict[str, Tensor]:
    """A batch whose only equalisers are those that are put into pictures, in these shares."""
    for share, value in (("_MORE", more), ("_OWN", own), ("_BENT", 0.0)):
        monkeypatch.setattr(aligner, share, value)
    raw = batch(equalizers)
    raw["switches"][..., EQ] = False
    return raw


def apart(pairs: aligner._Pairs) -> Tensor:
    return (pairs.theirs - pairs.mine).mean(1) - pairs.curve_db


@pytest.mark.parametrize("plain", [False, True])
def test_between_treated_pairs_lies_what_is_said(equalizers: Equalizers, plain: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    raw = batch(equalizers)
    pairs = aligner._treated(raw, equalizers, generator, plain=plain)
    assert bool(pairs.one_source.all())
    assert float(apart(pairs).abs().max()) < 0.5  # half a step, twice
    if plain:
        assert torch.equal(pairs.mine, restore_log_mel(raw["dry_mel"][:, 0]))


def test_nothing_is_put_behind_a_drive(
    equalizers: Equalizers, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = unequalized(equalizers, monkeypatch, more=1.0, own=0.0)
    raw["switches"][..., DRIVE] = True
    pairs = aligner._treated(raw, equalizers, torch.Generator().manual_seed(1))
    assert torch.equal(pairs.curve_db, torch.zeros(CROPS, N_MELS))


def test_the_equaliser_of_an_input_is_wanted_the_other_way(
    equalizers: Equalizers, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = unequalized(equalizers, monkeypatch, more=0.0, own=1.0)
    pairs = aligner._treated(raw, equalizers, torch.Generator().manual_seed(1))
    own = (pairs.mine - restore_log_mel(raw["dry_mel"][:, 0])).mean(1)
    assert bool((own.abs().amax(1) > 0.1).all())
    torch.testing.assert_close(own, -pairs.curve_db)


def test_between_dry_pairs_lies_what_is_said(
    equalizers: Equalizers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aligner, "_COMPRESSED", 0.0)
    monkeypatch.setattr(aligner, "_NOISY", 0.0)
    pairs = aligner._dry(batch(equalizers), equalizers, torch.Generator().manual_seed(1))
    assert float(apart(pairs).abs().max()) < 1e-3


def test_colours_and_levels_are_no_equalisers(equalizers: Equalizers) -> None:
    generator = torch.Generator().manual_seed(1)
    pairs = aligner._treated(batch(equalizers), equalizers, generator)
    moved = apart(aligner._coloured(pairs, generator)) - apart(pairs)
    assert float((moved - moved.mean(1, keepdim=True)).abs().max()) < 1e-3


def test_silence_stays_silent_behind_a_filter() -> None:
    frames = torch.full((1, FRAMES, N_MELS), FLOOR_DB)
    frames[:, ::2, :40] = -60.0
    curve = torch.linspace(-12.0, 12.0, N_MELS).unsqueeze(0)
    added = aligner._filtered(frames, curve) - frames
    torch.testing.assert_close(added[0, ::2, :40], curve[:, :40].expand(FRAMES // 2, -1))
    assert not bool(added[:, 1::2].any())
    assert not bool(added[:, :, 40:].any())


def test_a_compressor_turns_all_bands_of_loud_frames_down_alike(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(aligner, "_COMPRESSED", 1.0)
    generator = torch.Generator().manual_seed(1)
    frames = -50.0 + 12.0 * torch.randn(4, FRAMES, 1, generator=generator).expand(-1, -1, N_MELS)
    gain = aligner._compressed(frames, generator) - frames
    assert float(gain.max()) == 0.0
    torch.testing.assert_close(gain, gain[..., :1].expand_as(gain))
    for one, level in zip(gain[..., 0], frames[..., 0], strict=True):
        assert bool((one[level.argsort()].diff() <= 1e-4).all())


def test_other_sources_are_of_one_kind() -> None:
    raw = {"kind": torch.tensor([0, 0, 1, 1, 2]), "group": torch.tensor([1, 2, 3, 3, 4])}
    other, one = aligner._partners(raw, 1.0, torch.Generator().manual_seed(0))
    assert other.tolist() == [1, 0, 2, 3, 4]
    assert one.tolist() == [False, False, True, True, True]
