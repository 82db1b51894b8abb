"""An equaliser is fitted to a curve, and to what lies between moments that sound alike."""

from __future__ import annotations

import pytest
import scipy.signal
import torch

from afxvae.dsp.features import CLIP_SAMPLES, N_MELS, SAMPLE_RATE
from afxvae.dsp.likeness import filters_of, likeness
from afxvae.effects import default_chain
from afxvae.measure.equalizer import (
    FIT_FIGURES,
    band_hz,
    blend,
    eq_bands_db,
    fit_curve,
    measure_equalizer,
)
from tests.sounds import sound, untrained

EQ = default_chain()["eq"]
DEFAULT = torch.tensor([param.default_control for param in EQ.params])


def knobs(**settings: float) -> torch.Tensor:
    return torch.tensor([float(p.to_control(settings.get(p.name, p.default))) for p in EQ.params])


BENT = {"low_shelf_gain_db": 6.0, "peak2_gain_db": -8.0, "peak2_hz": 500.0,
        "peak3_gain_db": 5.0, "high_shelf_gain_db": -6.0}  # fmt: skip


def apart_db(one: torch.Tensor, other: torch.Tensor) -> float:
    """Mean difference of two curves, but for their level."""
    difference = one - other
    return float((difference - difference.mean()).abs().mean())


def test_bands_lie_where_the_mel_filters_do() -> None:
    hz = band_hz()
    assert hz.shape == (N_MELS,)
    assert bool((hz.diff() > 0.0).all())
    assert 30.0 < float(hz[0]) < 80.0
    assert 11_000.0 < float(hz[-1]) < 12_000.0


def test_a_curve_in_bands_is_that_of_the_filters() -> None:
    """Against scipy: a high cut alone is a Butterworth filter."""
    curve = eq_bands_db(EQ, knobs(high_cut_hz=3000.0).unsqueeze(0))[0]
    cut = scipy.signal.butter(2, 3000.0, fs=SAMPLE_RATE)
    _, response = scipy.signal.freqz(*cut, band_hz().double().numpy(), fs=SAMPLE_RATE)
    wanted = (20.0 * torch.from_numpy(abs(response)).log10()).clamp_min(-30.0).float()
    torch.testing.assert_close(curve, wanted, atol=0.01, rtol=0.0)


@pytest.mark.parametrize("offset", [0.0, 7.0])
def test_a_curve_of_an_equaliser_is_found_again_at_any_level(offset: float) -> None:
    wanted = eq_bands_db(EQ, knobs(**BENT).unsqueeze(0))[0]
    found, left = fit_curve(EQ, wanted + offset, torch.full((N_MELS,), 0.3))
    assert apart_db(eq_bands_db(EQ, found.unsqueeze(0))[0], wanted) < 0.3
    assert 0.0 < left < 60.0
    assert bool(((found >= 0.0) & (found <= 1.0)).all())


def test_the_less_is_known_the_less_is_done() -> None:
    wanted = eq_bands_db(EQ, knobs(**BENT).unsqueeze(0))[0]
    sizes = []
    for error in (0.3, 3.0, 30.0):
        found, _ = fit_curve(EQ, wanted, torch.full((N_MELS,), error))
        curve = eq_bands_db(EQ, found.unsqueeze(0))[0]
        sizes.append(apart_db(curve, torch.zeros(N_MELS)))
    assert sizes[0] > sizes[1] > sizes[2]
    assert sizes[2] < 0.2 * sizes[0]


def test_a_flat_curve_gives_the_defaults() -> None:
    found, left = fit_curve(EQ, torch.full((N_MELS,), -3.0), torch.ones(N_MELS))
    torch.testing.assert_close(found, DEFAULT, atol=1e-3, rtol=0.0)
    assert left < 1e-3


def test_half_a_curve_can_be_blended() -> None:
    start = knobs(**BENT)
    wanted = 0.5 * eq_bands_db(EQ, start.unsqueeze(0))[0]
    found = blend(EQ, wanted, start)
    assert apart_db(eq_bands_db(EQ, found.unsqueeze(0))[0], wanted) < 0.4


def filtered(audio: torch.Tensor) -> torch.Tensor:
    """With scipy: the treble down and a resonance up."""
    numerator, denominator = scipy.signal.iirpeak(800.0, 1.0, fs=SAMPLE_RATE)
    samples = audio.double().numpy()
    peaked = samples + 1.0 * scipy.signal.lfilter(numerator, denominator, samples)  # +6 dB
    low = scipy.signal.butter(1, 5000.0, fs=SAMPLE_RATE)
    return torch.from_numpy(scipy.signal.lfilter(*low, peaked)).float()


@pytest.mark.parametrize("bent", [False, True])
def test_the_filter_between_two_phrases_of_one_instrument_is_measured(bent: bool) -> None:
    seconds = CLIP_SAMPLES / SAMPLE_RATE
    mine, theirs = (sound(seed, seconds)[:, :CLIP_SAMPLES] for seed in (1, 2))
    model = untrained()
    heard = model.listen(filtered(theirs) if bent else theirs)
    alike = likeness(model.listen(mine).log_mel, heard.log_mel)
    wanted, error = filters_of(alike)[0].mean(0), torch.full((N_MELS,), 0.5)
    fit = measure_equalizer(EQ, alike[0], wanted, error)
    hz = band_hz().double().numpy()
    _, peak = scipy.signal.freqz(
        *scipy.signal.iirpeak(800.0, 1.0, fs=SAMPLE_RATE), hz, fs=SAMPLE_RATE
    )
    _, low = scipy.signal.freqz(*scipy.signal.butter(1, 5000.0, fs=SAMPLE_RATE), hz, fs=SAMPLE_RATE)
    true = torch.from_numpy(abs((1.0 + peak) * low)).float().log10() * 20.0 * bent
    assert fit.figures.shape == (FIT_FIGURES,)
    assert apart_db(fit.curve_db[:70], true[:70]) < 1.0
    assert torch.equal(eq_bands_db(EQ, fit.controls.unsqueeze(0))[0], fit.curve_db)
