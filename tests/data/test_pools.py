"""Pools of features: their form, their storage, and the pairs within them."""

from __future__ import annotations

import pytest
import torch

from afxvae.data import pools
from afxvae.data.corpus import Recording
from afxvae.data.pairs import equalize
from afxvae.data.pools import (
    equalized_before,
    pair_truth,
    pair_up,
    pool_clips,
    quantize_log_mel,
    render_pool,
    restore_log_mel,
)
from afxvae.dsp.features import CLIP_SAMPLES, RUN_IN
from afxvae.dsp.waveform import N_WAVEFORM
from afxvae.effects import default_chain
from afxvae.measure.equalizer import eq_bands_db
from tests.sounds import recording

CHAIN = default_chain()


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[Recording]:
    folder = tmp_path_factory.mktemp("recordings")
    return [recording(folder, seed) for seed in (0, 1)]


def test_pools_have_the_form_that_is_promised_and_follow_their_seed(
    recordings: list[Recording],
) -> None:
    first, again, other = (render_pool(recordings, CHAIN, seed, 2, 2) for seed in (7, 7, 8))
    crop, controls, effects = (2, 2), len(CHAIN.knobs), len(CHAIN.effects)
    frames, mel = first["dry_mel"].shape[2:]
    statistics = first["dry_statistics"].shape[2]
    assert {name: tuple(value.shape) for name, value in first.items()} == {
        "dry_mel": (*crop, frames, mel),
        "dry_statistics": (*crop, statistics),
        "wet_mel": (*crop, 2, frames, mel),
        "wet_statistics": (*crop, 2, statistics),
        "equalized_mel": (*crop, frames, mel),
        "equalized_statistics": (*crop, statistics),
        "dry_waveform": (*crop, N_WAVEFORM),
        "wet_waveform": (*crop, 2, N_WAVEFORM),
        "equalized_waveform": (*crop, N_WAVEFORM),
        "before": (*crop, len(CHAIN["eq"].params)),
        "controls": (*crop, 2, controls),
        "switches": (*crop, 2, effects),
        "twin": (2, 2),
        "kind": (2,),
        "group": (2,),
    }
    for name, value in first.items():
        assert torch.equal(value, again[name]), name
    assert not torch.equal(first["controls"], other["controls"])
    assert bool(torch.isfinite(first["wet_statistics"]).all())


def test_some_crops_are_as_recorded_and_others_varied(
    recordings: list[Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise AssertionError("was called")

    varied = ("draw_varied", "deliver")
    for share, left_out in ((1.0, varied), (0.0, ("draw_crop",))):
        with monkeypatch.context() as patched:
            patched.setattr(pools, "_AS_RECORDED", share)
            for name in left_out:
                patched.setattr(pools, name, refused)
            assert len(render_pool(recordings, CHAIN, 3, 1, 1)["kind"]) == 1


def test_stored_log_mels_are_right_to_a_quarter_of_a_decibel() -> None:
    log_mel = torch.linspace(-110.0, 17.5, 1000)
    stored = quantize_log_mel(log_mel)
    assert stored.dtype == torch.uint8
    assert float((restore_log_mel(stored) - log_mel).abs().max()) <= 0.25 + 1e-4
    ends = restore_log_mel(quantize_log_mel(torch.tensor([-500.0, 500.0])))
    assert ends.tolist() == [-110.0, 17.5]


def test_pairs_are_of_the_other_half_and_then_of_another_crop_of_the_kind() -> None:
    kind = torch.tensor([0, 0, 1, 1, 1, 2])
    crops, treatments = len(kind), 8
    audio, reference = pair_up(kind, treatments, torch.Generator().manual_seed(0))
    wet = crops * 2 * treatments
    assert len(audio) == len(reference) == 2 * wet
    assert sorted(reference[:wet].tolist()) == list(range(2 * crops, 2 * crops + wet))
    crop_of_reference = (reference - 2 * crops) // (2 * treatments)
    half_of_reference = (reference - 2 * crops) // treatments % 2
    equalized = audio >= 2 * crops + wet
    assert 0.3 < float(equalized[:wet].float().mean()) < 0.7
    assert not bool(equalized[wet:].any())
    audio = torch.where(equalized, audio - 2 * crops - wet, audio)
    crop_of_audio, half_of_audio = audio // 2, audio % 2
    assert torch.equal(crop_of_audio[:wet], crop_of_reference[:wet])
    assert torch.equal(half_of_audio[:wet], 1 - half_of_reference[:wet])
    assert torch.equal(kind[crop_of_audio[wet:]], kind[crop_of_reference[wet:]])
    other = crop_of_audio[wet:] != crop_of_reference[wet:]
    lonely = kind[crop_of_reference[wet:]] == 2
    assert torch.equal(other, ~lonely)
    apart = half_of_audio[wet:] != half_of_reference[wet:]
    assert bool(apart[lonely].all())  # never the very clip that was treated


def test_half_of_the_inputs_of_twins_went_through_the_same() -> None:
    crops, treatments = 200, 3
    twin = torch.zeros(crops, treatments, dtype=torch.bool)
    twin[:, 0] = True
    kind = torch.zeros(crops, dtype=torch.long)
    audio, reference = pair_up(kind, treatments, torch.Generator().manual_seed(0), twin)
    wet = crops * 2 * treatments
    knobs, effects = len(CHAIN.knobs), len(CHAIN.effects)
    pool = {
        "kind": kind,
        "controls": torch.rand(crops, 2, treatments, knobs),
        "switches": torch.ones(crops, 2, treatments, effects, dtype=torch.bool),
        "before": torch.zeros(crops, 2, len(CHAIN["eq"].params)),
    }
    controls, switches, before = pair_truth(pool, audio, reference, CHAIN)
    assert torch.equal(controls, pool["controls"].flatten(0, 2).repeat(2, 1))
    assert torch.equal(switches.all(1), switches.any(1))
    between = ~switches.any(1)
    default = CHAIN.default_controls()[CHAIN.knobs_of("eq")]
    assert bool((before[between] == default).all())
    assert not bool(between[wet:].any())
    assert abs(float(between[:wet].float().mean()) - 1 / 6) < 0.03
    mine, theirs = (
        part[between].sub(2 * crops).div(treatments, rounding_mode="floor")
        for part in (audio, reference)
    )
    assert torch.equal(mine // 2, theirs // 2)  # of the same crop
    assert torch.equal(mine % 2, 1 - theirs % 2)  # but of the other half
    assert not bool(((audio[between] - 2 * crops) % treatments).any())  # the same treatment


def test_twins_went_through_one_treatment(recordings: list[Recording]) -> None:
    pool = render_pool(recordings, CHAIN, 11, 6, 3)
    twin, on = pool["twin"], pool["switches"]
    assert bool(twin.any())
    assert not bool(twin[:, 2].any())
    assert torch.equal(pool["controls"][:, 0, :2], pool["controls"][:, 1, :2])
    assert torch.equal(on[:, 0][twin], on[:, 1][twin])
    assert not torch.equal(pool["controls"][:, 0, 2], pool["controls"][:, 1, 2])


def test_an_equalised_clip_is_the_dry_one_and_its_curve(recordings: list[Recording]) -> None:
    """But for the level, which is that of all clips, and where a band is too quiet to be heard."""
    pool = render_pool(recordings, CHAIN, 3, 2, 1)
    dry, equalized = (restore_log_mel(pool[f"{side}_mel"]) for side in ("dry", "equalized"))
    curve = eq_bands_db(CHAIN["eq"], pool["before"].flatten(0, 1)).unflatten(0, (2, 2))
    heard = (dry > -60.0) & (equalized > -60.0)
    left = (equalized - dry - curve.unsqueeze(2)).where(heard, torch.nan)
    level = left.flatten(2).nanmedian(2).values
    error = (left - level[..., None, None]).abs()
    assert float(error.nanmedian()) < 0.6
    clips, knobs = equalize(torch.zeros(3, 1, RUN_IN + CLIP_SAMPLES), CHAIN, torch.Generator())
    assert clips.shape == (3, 1, CLIP_SAMPLES)
    assert knobs.shape == (3, len(CHAIN["eq"].params))


def test_all_tables_of_a_pool_count_its_clips_alike(recordings: list[Recording]) -> None:
    pool = render_pool(recordings, CHAIN, 4, 2, 3)
    clips = pool_clips(pool, "mel")
    before = equalized_before(pool["before"], 12, CHAIN)
    assert len(clips) == len(before) == 4 + 12 + 4
    assert torch.equal(clips[4:16], pool["wet_mel"].flatten(0, 2))
    assert torch.equal(clips[16:], pool["equalized_mel"].flatten(0, 1))
    flat = CHAIN.default_controls()[CHAIN.knobs_of("eq")]
    assert torch.equal(before[:16], flat.expand(16, -1))
    assert torch.equal(before[16:], pool["before"].flatten(0, 1))
