"""No peak passes the limiter's ceiling, and what lies below it is left alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.signal import resample, resample_poly

from afxvae.effects.dynamics import LIMITER

RATES = [44100, 48000, 96000]


def limit(x: torch.Tensor, rate: int, **knobs: float) -> torch.Tensor:
    """`x` is ``(channel, time)``."""
    values = {name: float(value[0]) for name, value in LIMITER.defaults().items()} | knobs
    settings = {name: torch.tensor([value], dtype=x.dtype) for name, value in values.items()}
    return LIMITER.process(x[None], settings, rate)[0]


def signals(rate: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    time = torch.arange(rate // 2)
    noise = torch.randn(2, rate // 2, generator=generator)
    return {
        "noise": noise,
        "bursts": noise * (time // 2000 % 3 == 0),
        "clicks": noise * 5.0 * (torch.rand(rate // 2, generator=generator) > 0.999),
        "square": 2.0 * torch.sign(torch.sin(0.03 * time + 0.1))[None],
        # the samples of these miss the tops of the wave
        "quarter": 1.4 * torch.sin(math.pi / 2.0 * time + math.pi / 4.0)[None],
        "third": 1.4 * torch.sin(2.0 * math.pi / 3.01 * time)[None],
    }


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("name", sorted(signals(8000)))
def test_no_peak_passes_the_ceiling(name, rate):
    """Samples never; peaks of the four times oversampled signal by 0.3 dB at most."""
    for ceiling_db, gain_db, release_ms in ((-1.0, 0.0, 100.0), (-6.0, 12.0, 10.0)):
        knobs = {"ceiling_db": ceiling_db, "gain_db": gain_db, "release_ms": release_ms}
        y = limit(signals(rate)[name], rate, **knobs)
        ceiling = 10.0 ** (ceiling_db / 20.0)
        assert float(y.double().abs().max()) <= ceiling
        oversampled = resample_poly(y.double().numpy(), 4, 1, axis=-1, window=("kaiser", 9.0))
        assert 20.0 * math.log10(np.abs(oversampled).max() / ceiling) < 0.3


def test_true_peaks_of_noise_pass_it_by_hardly_anything():
    """Interpolated exactly, where there is nothing above 20 kHz."""
    spectrum = torch.fft.rfft(torch.randn(44100, generator=torch.Generator().manual_seed(1)))
    spectrum[20000:] = 0.0
    y = limit(torch.fft.irfft(spectrum)[None].double(), 44100, ceiling_db=-6.0, gain_db=12.0)
    wide = resample(y[0].numpy(), 4 * 44100)[8000:-8000]
    assert -0.5 < 20.0 * math.log10(np.abs(wide).max()) + 6.0 < 0.2


def test_the_ceiling_is_reached():
    y = limit(signals(44100)["noise"], 44100, ceiling_db=-6.0, gain_db=6.0)
    assert 20.0 * math.log10(float(y.abs().max())) == pytest.approx(-6.0, abs=0.5)
    tone = torch.sin(0.05 * torch.arange(22050, dtype=torch.float64))[None]
    y = limit(tone, 44100, ceiling_db=-6.0, gain_db=6.0, release_ms=1000.0)
    assert 20.0 * math.log10(float(y[:, 8000:].abs().max())) == pytest.approx(-6.0, abs=0.02)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_stays_below_the_ceiling_passes_bit_for_bit(dtype):
    x = 0.08 * signals(44100)["noise"].to(dtype)
    assert torch.equal(limit(x, 44100, ceiling_db=-6.0), x)


def test_gain_is_turned_down_before_the_peak_only_as_long_as_it_looks_ahead():
    x = torch.full((1, 20000), 0.1, dtype=torch.float64)
    x[:, 10000] = 2.0
    gain = (limit(x, 44100, ceiling_db=-6.0, release_ms=50.0) / x)[0]
    early = 10000 - round(0.005 * 44100) - 2
    assert float((gain[:early] - 1.0).abs().max()) == 0.0
    assert float(gain[10000]) == pytest.approx(10.0 ** (-6.0 / 20.0) / 2.0, rel=1e-5)
    assert float(gain[early:10000].diff().max()) <= 1e-12  # falling all the way


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("release_ms", [10.0, 100.0, 400.0])
def test_gain_reduction_falls_by_63_percent_in_its_time(release_ms, rate):
    x = torch.full((1, rate), 0.01, dtype=torch.float64)
    x[:, rate // 4] = 1.0
    y = limit(x, rate, ceiling_db=-12.0, release_ms=release_ms)
    reduction = -20.0 * torch.log10(y / x)[0, rate // 4 + round(0.006 * rate) :]
    reached = int((reduction <= reduction[0] * math.exp(-1.0)).nonzero()[0])
    assert 1000.0 * reached / rate == pytest.approx(release_ms, rel=0.05)


def test_off_at_the_top_it_only_amplifies():
    x = 10.0 * signals(44100)["noise"]
    torch.testing.assert_close(limit(x, 44100, gain_db=20.0), 10.0 * x)


def test_channels_are_linked():
    x = signals(44100)["noise"].double()
    gain = limit(x, 44100, ceiling_db=-12.0) / x
    torch.testing.assert_close(gain[0], gain[1])
