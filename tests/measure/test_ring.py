"""The ring modulator: found where it is, at its frequency, and nowhere else."""

from __future__ import annotations

import pytest
import torch

from afxvae.analysis import once
from afxvae.dsp.features import CLIP_SAMPLES, SAMPLE_RATE
from afxvae.measure import Ring, measure_ring
from tests.sounds import sound

SECONDS = CLIP_SAMPLES / SAMPLE_RATE + 0.1


def clip(seed: int) -> torch.Tensor:
    return sound(seed, SECONDS)[:, :CLIP_SAMPLES]


@pytest.mark.parametrize(
    ("carrier_hz", "mix"),
    [(250.0, 1.0), (440.0, 0.5), (1700.0, 0.8), (7000.0, 0.9), (11000.0, 1.0)],
)
def test_the_carrier_is_known_to_a_fraction_of_a_hertz(carrier_hz: float, mix: float) -> None:
    """Above a quarter of the rate, the line of its double is folded."""
    product = Ring(carrier_hz, mix, 1.0).process(clip(1))
    found = measure_ring(clip(2), product)
    assert found.found
    assert found.carrier_hz == pytest.approx(carrier_hz, abs=0.15)
    assert found.mix == pytest.approx(mix, abs=0.12)
    assert found.settings == {"carrier_hz": found.carrier_hz, "mix": found.mix}


@pytest.mark.parametrize("seconds", [3.0, 4.2])
def test_three_seconds_will_do(seconds: float) -> None:
    period = round(seconds * SAMPLE_RATE)
    plain, other = once(clip(2), period), once(clip(1), period)
    found = measure_ring(plain, once(Ring(440.0, 0.7, 1.0).process(clip(1)), period))
    assert found.found
    assert found.carrier_hz == pytest.approx(440.0, abs=0.3)
    assert found.mix == pytest.approx(0.7, abs=0.12)
    assert not measure_ring(plain, other).found
    tone = torch.sin(2.0 * torch.pi * 700.0 * torch.arange(CLIP_SAMPLES) / SAMPLE_RATE)[None]
    assert not measure_ring(plain, once(0.5 * tone + clip(1), period)).found


def test_nothing_is_found_where_nothing_is() -> None:
    assert not measure_ring(clip(2), clip(1)).found
    assert not measure_ring(clip(2), torch.zeros(1, CLIP_SAMPLES)).found
    noise = torch.randn(1, CLIP_SAMPLES, generator=torch.Generator().manual_seed(0))
    assert not measure_ring(clip(2), noise).found


def test_a_tone_that_is_held_is_no_carrier() -> None:
    time = torch.arange(CLIP_SAMPLES) / SAMPLE_RATE
    tone = torch.sin(2.0 * torch.pi * 700.0 * time)[None]
    assert not measure_ring(clip(2), tone).found
    assert not measure_ring(clip(2), 0.5 * tone + clip(1)).found


def test_nor_is_a_held_tone_of_many_harmonics() -> None:
    """None of which stands out as the tone of a sine does."""
    time = torch.arange(CLIP_SAMPLES) / SAMPLE_RATE
    orders = torch.arange(1.0, 31.0).unsqueeze(1)
    tone = torch.cos(2.0 * torch.pi * 277.6 * orders * time).sum(0, keepdim=True)
    assert not measure_ring(clip(2), 0.03 * tone + clip(1)).found


def test_what_the_input_has_too_is_not_wanted() -> None:
    ring = Ring(1700.0, 1.0, 1.0)
    assert not measure_ring(ring.process(clip(2)), ring.process(clip(1))).found


def test_another_content_hides_no_carrier() -> None:
    """With or without the modulation, spectra of other content are about as far apart."""
    spectrum = torch.linspace(1.0, 0.1, CLIP_SAMPLES // 2 + 1)
    darker = torch.fft.irfft(torch.fft.rfft(clip(2)) * spectrum, CLIP_SAMPLES)
    found = measure_ring(darker, Ring(1200.0, 0.5, 1.0).process(clip(1)))
    assert found.found
    assert found.carrier_hz == pytest.approx(1200.0, abs=0.15)
