"""The shape of waveforms: what it depends on, and that curves show in it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from afxvae.dsp.nonlinear import overdrive_curve
from afxvae.dsp.waveform import N_WAVEFORM, waveform_statistics
from tests.sounds import clips

AMPLITUDES = 26
SLOPES = slice(1 + 2 * AMPLITUDES, 1 + 4 * AMPLITUDES)
"""Of the positive half wave, then of the negative."""


def smooth_noise() -> Tensor:
    """Gaussian, below 4 kHz, so that slopes can be told from samples."""
    noise = torch.randn(1, 131072, generator=torch.Generator().manual_seed(0))
    spectrum = torch.fft.rfft(noise)
    spectrum[:, spectrum.shape[1] // 3 :] = 0.0
    return 0.1 * torch.fft.irfft(spectrum)


def slopes_db(sound: Tensor) -> Tensor:
    """Positive half wave's from -20 dB to +5 dB, around their mean."""
    found = 10.0 * waveform_statistics(sound)[0, SLOPES][12:22]
    return found - found.mean()


def test_there_are_as_many_as_said_and_all_are_numbers() -> None:
    for sound in (clips(3), torch.zeros(2, 131072), torch.ones(1, 131072)):
        found = waveform_statistics(sound)
        assert found.shape == (len(sound), N_WAVEFORM)
        assert bool(found.isfinite().all())


def test_only_the_level_knows_the_level() -> None:
    sound = clips(2)
    one, other = waveform_statistics(sound), waveform_statistics(4.0 * sound)
    assert (other - one)[:, 0].tolist() == pytest.approx([12.04] * 2, abs=0.01)
    assert float((other - one)[:, 1:].abs().mean()) < 1e-3


def test_a_turned_waveform_has_its_half_waves_exchanged() -> None:
    sound = clips(1)
    one, other = (waveform_statistics(x)[0, SLOPES] for x in (sound, -sound))
    assert torch.allclose(other, one.roll(AMPLITUDES), atol=1e-4)


def test_of_gaussian_noise_slopes_do_not_depend_on_amplitudes() -> None:
    assert float(slopes_db(smooth_noise()).abs().max()) < 0.5


def test_an_overdrive_flattens_what_is_loud_and_its_mix_says_how_far() -> None:
    """Behind f the slope is f'(x), which for a half wave far in saturation is 1 - mix."""
    sound = smooth_noise()
    drive, even = torch.tensor(40.0), torch.tensor(0.0)
    flat = {}
    for mix in (0.2, 0.5, 0.8):
        driven = (1.0 - mix) * sound + mix * overdrive_curve(sound, drive, even)
        flat[mix] = float(slopes_db(driven)[-3:].mean() - slopes_db(driven)[:3].mean())
    assert 0.0 > flat[0.2] > flat[0.5] > flat[0.8]
    assert flat[0.8] < -5.0


def test_a_bent_half_wave_shows_on_its_side() -> None:
    sound = smooth_noise()
    clipped = sound.clamp_max(0.05)
    change = waveform_statistics(clipped)[0, SLOPES] - waveform_statistics(sound)[0, SLOPES]
    positive, negative = change.split(AMPLITUDES)
    assert float(positive[20:].amin()) < -1.0
    assert float(negative[12:20].abs().max()) < 0.2
