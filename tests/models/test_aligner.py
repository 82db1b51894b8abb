"""The filter between two recordings: exact laws of the network, and what the bundled one finds."""

from __future__ import annotations

import pytest
import scipy.signal
import torch

from afxvae.dsp.features import CLIP_SAMPLES, N_MELS, SAMPLE_RATE
from afxvae.dsp.likeness import filters_between, filters_of, likeness
from afxvae.measure.equalizer import band_hz
from afxvae.models.aligner import Aligner, Alignment
from afxvae.models.style_vae import AFXStyleVAE
from tests.sounds import sound, untrained


def frames(seed: int, count: int = 64) -> torch.Tensor:
    """Something like speech: a few spectra that come again, louder and softer."""
    generator = torch.Generator().manual_seed(seed)
    spectra = 12.0 * torch.randn(6, N_MELS, generator=torch.Generator().manual_seed(0)).cumsum(1)
    which = torch.randint(6, (1, count), generator=generator)
    level = 6.0 * torch.randn(1, count, 1, generator=generator)
    noise = 2.0 * torch.randn(1, count, N_MELS, generator=generator)
    return (spectra[which] / 4.0 + level + noise - 50.0).clamp(-90.0, -5.0)


def found(aligner: Aligner, mine: torch.Tensor, theirs: torch.Tensor) -> Alignment:
    with torch.no_grad():
        return aligner(mine, theirs, filters_between(mine, theirs))


@pytest.fixture(scope="module")
def aligner() -> Aligner:
    torch.manual_seed(0)
    return Aligner().eval()


@pytest.mark.parametrize(("mine", "theirs"), [(64, 64), (40, 200)])
def test_a_filter_has_no_level_and_its_errors_are_positive(
    aligner: Aligner, mine: int, theirs: int
) -> None:
    curve, error, source = found(aligner, frames(1, mine), frames(2, theirs))
    assert source.shape == (1,)
    assert curve.shape == error.shape == (1, N_MELS)
    assert float(curve.mean().abs()) < 1e-4
    assert bool((error > 0.0).all())


def test_phrases_are_of_one_source_and_a_tone_is_of_another() -> None:
    model = AFXStyleVAE.from_pretrained()
    clips = [sound(seed, CLIP_SAMPLES / SAMPLE_RATE)[:, :CLIP_SAMPLES] for seed in (1, 2)]
    clips.append(torch.sin(torch.arange(CLIP_SAMPLES) * 0.1).unsqueeze(0))
    first, same, tone = (model.listen(clip).log_mel for clip in clips)
    assert float(found(model.aligner, first, same).source) > 3.0
    assert float(found(model.aligner, first, tone).source) < 0.0


def test_silence_and_single_frames_give_finite_filters(aligner: Aligner) -> None:
    silent = torch.full((1, 64, N_MELS), -110.0)
    for theirs in (silent, frames(1), frames(1)[:, :4]):
        for part in found(aligner, silent, theirs):
            assert bool(torch.isfinite(part).all())


def test_what_is_heard_twice_only_makes_two_sources_seem_more_like_one(aligner: Aligner) -> None:
    mine, theirs = frames(1, 510), frames(2, 510)
    twice = found(aligner, mine.repeat(1, 2, 1), theirs.repeat(1, 2, 1))
    once = found(aligner, mine, theirs)
    torch.testing.assert_close(twice.curve_db, once.curve_db, atol=0.05, rtol=0.0)
    torch.testing.assert_close(twice.error_db, once.error_db, atol=0.05, rtol=0.0)
    assert float(once.source - twice.source) == pytest.approx(0.8, abs=0.01)


def test_another_level_changes_nothing(aligner: Aligner) -> None:
    mine, theirs = frames(1), frames(2)
    louder = found(aligner, mine, theirs + 3.0)
    for part, other in zip(found(aligner, mine, theirs), louder, strict=True):
        torch.testing.assert_close(part, other, atol=0.02, rtol=0.0)


def test_an_equaliser_adds_its_curve(aligner: Aligner) -> None:
    """Under the filter that is right, pictures are what they were."""
    mine, theirs = frames(1), frames(2)
    bent = torch.linspace(4.0, -4.0, N_MELS)
    start = filters_between(mine, theirs)
    with torch.no_grad():
        plain = aligner(mine, theirs, start).curve_db
        moved = aligner(mine, theirs + bent, start + bent).curve_db
    assert float((moved - plain - bent).abs().mean()) < 0.35


def test_pairs_of_a_batch_do_not_see_each_other(aligner: Aligner) -> None:
    mine, theirs = (torch.cat([frames(seed), frames(seed + 1)]) for seed in (1, 3))
    together, alone = found(aligner, mine, theirs), found(aligner, mine[1:], theirs[1:])
    for part, other in zip(together, alone, strict=True):
        torch.testing.assert_close(part[1:], other, atol=1e-3, rtol=1e-3)


def test_a_likeness_holds_the_filters_from_which_it_starts() -> None:
    mine, theirs = frames(1), frames(2)
    torch.testing.assert_close(
        filters_of(likeness(mine, theirs)), filters_between(mine, theirs), atol=1e-3, rtol=1e-3
    )


@pytest.mark.parametrize("gain_db", [0.0, 8.0])
def test_the_bundled_one_finds_a_filter_of_scipy(gain_db: float) -> None:
    seconds = CLIP_SAMPLES / SAMPLE_RATE
    mine, theirs = (sound(seed, seconds)[:, :CLIP_SAMPLES] for seed in (1, 2))
    peak = scipy.signal.iirpeak(900.0, 1.0, fs=SAMPLE_RATE)
    more = 10.0 ** (gain_db / 20.0) - 1.0
    samples = theirs.double().numpy()
    wet = torch.from_numpy(samples + more * scipy.signal.lfilter(*peak, samples)).float()
    _, response = scipy.signal.freqz(*peak, band_hz().double().numpy(), fs=SAMPLE_RATE)
    true = torch.from_numpy(abs(1.0 + more * response)).float().log10() * 20.0
    model, plain = AFXStyleVAE.from_pretrained(), untrained()
    curve, error, _ = found(model.aligner, *(plain.listen(clip).log_mel for clip in (mine, wet)))
    apart = (curve[0] - true)[:70]
    apart = (apart - apart.median()).abs().mean()
    assert float(apart) < 1.0
    assert float(apart) < 3.0 * float(error.mean())
