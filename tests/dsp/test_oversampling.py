"""Sines at a higher rate and back are the sines, late by what is said."""

from __future__ import annotations

import math

import pytest
import torch

from afxvae.dsp import oversampling
from tests.dsp.spectra import RATE, sine

KINDS = [pytest.param(torch.float32, id="float32"), pytest.param(torch.float64, id="float64")]
EDGE = 64  # samples at the ends where the silence around the signal is heard


def residual_db(found: torch.Tensor, wanted: torch.Tensor, edge: int) -> float:
    found, wanted = found[..., edge:-edge].double(), wanted[..., edge:-edge]
    return 10.0 * math.log10(float((found - wanted).square().mean() / wanted.square().mean()))


def up(x: torch.Tensor) -> torch.Tensor:
    """To four times the rate, without what it is late."""
    padded = torch.nn.functional.pad(x, (0, oversampling.DELAY))
    return oversampling.upsample(padded, None, 4)[0][..., 4 * oversampling.DELAY :]


def down(x: torch.Tensor) -> torch.Tensor:
    """To a fourth of the rate, without what it is late."""
    padded = torch.nn.functional.pad(x, (0, 4 * oversampling.DELAY))
    return oversampling.downsample(padded, None, 4)[0][..., oversampling.DELAY :]


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("frequency", [30.0, 440.0, 5000.0, 10000.0, 15000.0, 16500.0])
def test_upsampling_a_sine_gives_the_sine(frequency, dtype):
    found = up(sine(frequency, 0.1).to(dtype))
    wanted = sine(frequency, 0.1, 4 * RATE)
    assert found.dtype == dtype
    assert found.shape == wanted.shape
    assert residual_db(found, wanted, 4 * EDGE) < -80.0


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("frequency", [30.0, 440.0, 5000.0, 10000.0, 15000.0, 16500.0])
def test_downsampling_a_sine_gives_the_sine(frequency, dtype):
    found = down(sine(frequency, 0.1, 4 * RATE).to(dtype))
    assert residual_db(found, sine(frequency, 0.1), EDGE) < -80.0


@pytest.mark.parametrize("frequency", [25000.0, 30000.0, 44100.0, 60000.0, 88000.0])
def test_downsampling_removes_what_would_alias(frequency):
    found = down(sine(frequency, 0.1, 4 * RATE))[..., EDGE:-EDGE]
    assert 10.0 * math.log10(float(found.square().mean()) * 2.0) < -85.0


@pytest.mark.parametrize("length", [1, 5, 63, 64, 65, 1000])
def test_any_length_there_and_back(length):
    x = torch.ones(2, 3, length)
    assert up(x).shape == (2, 3, 4 * length)
    assert down(up(x)).shape == x.shape
    if length > 2 * EDGE:
        back = down(up(x))
        torch.testing.assert_close(back[..., EDGE:-EDGE], x[..., EDGE:-EDGE], rtol=0, atol=1e-4)


def test_upsampling_is_symmetric():
    x = torch.zeros(1, 1, 201)
    x[..., 100] = 1.0
    wide = up(x)[0, 0]
    assert int(wide.argmax()) == 400
    torch.testing.assert_close(wide[400 - 60 : 401], wide[400:461].flip(0), rtol=0, atol=1e-6)


def test_filters_survive_inference_mode():
    """What inference mode has put into the cache must also serve training."""
    oversampling._up.cache_clear()
    oversampling._down.cache_clear()
    with torch.inference_mode():
        up(torch.ones(1, 1, 100))
    x = torch.ones(1, 1, 100, requires_grad=True)
    down(up(x)).sum().backward()
    assert bool(x.grad.isfinite().all())


@pytest.mark.parametrize("factor", [4, 8])
def test_there_and_back_is_the_late_signal(factor):
    x = sine(9000.0, 0.1)
    wide, _ = oversampling.upsample(x, None, factor)
    back, _ = oversampling.downsample(wide, None, factor)
    late = 2 * oversampling.DELAY
    torch.testing.assert_close(back[..., 100:], x[..., 100 - late : -late], rtol=0, atol=1e-4)


def test_full_cutoff_keeps_every_sample():
    x = torch.randn(1, 1, 500, generator=torch.Generator().manual_seed(0))
    wide, _ = oversampling.upsample(x, None, 4, 1.0)
    assert torch.equal(wide[..., ::4][..., 16:], x[..., :-16])
