"""Correlations with the past by band and stretch: a copy has its share in all of them."""

from __future__ import annotations

import math

import pytest
import torch

from afxvae.dsp.features import CLIP_SAMPLES, SAMPLE_RATE
from afxvae.measure.resemblance import Resemblance

BANDS = (200.0, 7000.0, 12)


def resembling(sound: torch.Tensor) -> Resemblance:
    return Resemblance(sound, SAMPLE_RATE, 1024, BANDS, 880)


def noise(samples: int = CLIP_SAMPLES) -> torch.Tensor:
    return torch.randn(samples, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("mix", [0.2, 0.5])
@pytest.mark.parametrize("lag", [300, 611])
def test_a_copy_is_in_all_bands_all_the_time(lag: int, mix: float) -> None:
    dry = noise(CLIP_SAMPLES + lag)
    sound = (1.0 - mix) * dry[lag:] + mix * dry[:-lag]
    found = resembling(sound).along(torch.full((CLIP_SAMPLES,), float(lag)))
    assert found.shape == (8, 12)
    wanted = mix * (1.0 - mix) / ((1.0 - mix) ** 2 + mix**2)
    assert float((found[:, 8:] - wanted).abs().mean()) < 0.04  # where bands are wide
    assert float(found.median()) == pytest.approx(wanted, abs=0.02)


def test_noise_resembles_itself_and_not_its_past() -> None:
    sound = resembling(noise())
    now = sound.along(torch.zeros(CLIP_SAMPLES))
    past = sound.along(torch.full((CLIP_SAMPLES,), 400.0))
    torch.testing.assert_close(now, torch.ones_like(now), atol=2e-2, rtol=0.0)
    assert float(past.abs().mean()) < 0.05


def test_a_swinging_lag_is_read_between_samples() -> None:
    """A tone is like itself whole periods ago, wherever these end."""
    period = SAMPLE_RATE / 1234.5
    time = torch.arange(CLIP_SAMPLES, dtype=torch.float64)
    tone = torch.sin(2.0 * math.pi * time / period).float()
    lag = torch.full((CLIP_SAMPLES,), 20.0 * period)
    found = resembling(tone)
    alike, half = (found.along(lag + offset) for offset in (0.0, 0.5 * period))
    band = int(found.power.sum(0).argmax())
    assert float(alike[:, band].min()) > 0.999
    assert float(half[:, band].max()) < -0.999
