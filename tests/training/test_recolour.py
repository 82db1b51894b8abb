"""Recoloured clips have the features of clips that were filtered, and the truth keeps up."""

from __future__ import annotations

import torch
from torch import Tensor

from afxvae.data.crops import random_bends
from afxvae.data.pools import clip_features, restore_log_mel
from afxvae.dsp.features import CLIP_SAMPLES, PLACES, SAMPLE_RATE
from afxvae.effects import default_chain
from afxvae.measure.equalizer import band_hz, eq_bands_db
from afxvae.training.recolour import filter_clips, recolour
from afxvae.training.refiner import Equalizers
from tests.sounds import clips

CHAIN = default_chain()
EQ = CHAIN.names.index("eq")


def batch(crops: int, treatments: int) -> dict[str, Tensor]:
    """A batch of a pool in which every clip is dry, and every second treatment has twins."""
    mel, statistics, _ = clip_features(clips(2 * crops).unsqueeze(1))
    mel, statistics = mel.unflatten(0, (crops, 2)), statistics.unflatten(0, (crops, 2))
    wet = (crops, 2, treatments)
    knobs = len(CHAIN.default_controls()[CHAIN.knobs_of("eq")])
    return {
        "dry_mel": mel,
        "dry_statistics": statistics,
        "equalized_mel": mel,
        "equalized_statistics": statistics,
        "wet_mel": mel.unsqueeze(2).expand(*wet, -1, -1),
        "wet_statistics": statistics.unsqueeze(2).expand(*wet, -1),
        "before": torch.zeros(crops, 2, knobs),
        "controls": CHAIN.default_controls().expand(*wet, -1),
        "switches": torch.zeros(*wet, len(CHAIN.names), dtype=torch.bool),
        "twin": torch.arange(treatments).remainder(2).eq(0).expand(crops, -1),
        "kind": torch.zeros(crops, dtype=torch.long),
    }


def test_a_filter_changes_features_as_if_it_had_been_rendered() -> None:
    audio = clips(4).unsqueeze(1)
    octaves = torch.linspace(1.0, SAMPLE_RATE / 2, CLIP_SAMPLES // 2 + 1).log2()
    generator = torch.Generator().manual_seed(0)
    curve = 4.0 * random_bends(octaves, len(audio), generator)
    spectrum = torch.fft.rfft(audio) * 10.0 ** (curve.unsqueeze(1) / 20.0)
    mel, statistics, _ = clip_features(torch.fft.irfft(spectrum))
    bands = torch.stack(
        [one[(band_hz() * (CLIP_SAMPLES / SAMPLE_RATE)).round().long()] for one in curve]
    )
    plain_mel, plain, _ = clip_features(audio)
    made_mel, made = filter_clips(plain_mel, plain, bands)
    error = (restore_log_mel(made_mel) - restore_log_mel(mel)).abs().mean()
    assert error < 0.15 * (restore_log_mel(plain_mel) - restore_log_mel(mel)).abs().mean()
    for name in ("average", "mean", "quantiles", "comb"):
        mine, own, wanted = (part[:, PLACES[name]].float() for part in (made, plain, statistics))
        assert (mine - wanted).abs().mean() < 0.35 * (own - wanted).abs().mean(), name


def test_statistics_stand_where_places_says() -> None:
    mel, statistics, _ = clip_features(clips(2).unsqueeze(1))
    frames = restore_log_mel(mel)
    for name, wanted in (("mean", frames.mean(1)), ("spread", frames.std(1))):
        assert torch.allclose(statistics[:, PLACES[name]].float(), wanted, atol=0.3), name
    middle = statistics[:, PLACES["quantiles"]].float().unflatten(1, (-1, frames.shape[2]))[:, 3]
    assert torch.allclose(middle, frames.median(1).values, atol=2.0)


def test_equalisers_that_are_added_are_known() -> None:
    raw, equalizers = batch(24, 4), Equalizers(CHAIN, 0, 200)
    done = recolour(raw, equalizers, torch.Generator().manual_seed(1))
    on = done["switches"][..., EQ]
    assert 0.1 < on.float().mean() < 0.4
    assert not done["switches"][..., :EQ].any()
    assert not done["switches"][..., EQ + 1 :].any()
    assert torch.equal(on[:, 0, ::2], on[:, 1, ::2])  # twins

    def level(mel: Tensor) -> Tensor:
        mean = restore_log_mel(mel).mean(-2)
        return mean - mean.mean(-1, keepdim=True)

    curve = eq_bands_db(CHAIN["eq"], done["controls"][on][:, CHAIN.knobs_of("eq")])
    found = level(done["wet_mel"]) - level(done["dry_mel"]).unsqueeze(2)
    assert (found[~on].abs() < 0.3).all()
    gentle = curve.amin(1) > -12.0  # what is cut more may be at the floor
    wanted = curve - curve.mean(1, keepdim=True)
    assert (found[on] - wanted)[gentle].abs().mean() < 0.3
    own = eq_bands_db(CHAIN["eq"], done["before"].flatten(0, 1)).unflatten(0, (24, 2))
    own = own - own.mean(-1, keepdim=True)
    bent = (done["before"] != raw["before"]).any(-1)
    assert 0.2 < bent.float().mean() < 0.8
    left = level(done["equalized_mel"]) - level(done["dry_mel"]) - own
    assert left[bent & (own.amin(-1) > -12.0)].abs().mean() < 0.3


def test_sources_get_other_colours_and_the_batch_stays_as_it_was() -> None:
    raw, equalizers = batch(6, 2), Equalizers(CHAIN, 0, 50)
    kept = {name: value.clone() for name, value in raw.items()}
    first, again = (recolour(raw, equalizers, torch.Generator().manual_seed(s)) for s in (3, 3))
    other = recolour(raw, equalizers, torch.Generator().manual_seed(4))
    assert all(torch.equal(first[name], again[name]) for name in raw)
    assert not torch.equal(first["dry_mel"], other["dry_mel"])
    assert all(torch.equal(kept[name], value) for name, value in raw.items())
