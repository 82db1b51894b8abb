"""The window is NumPy's, and a windowed sinc keeps whole samples."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from afxvae.dsp.windows import kaiser, windowed_sinc


@pytest.mark.parametrize("beta", [7.0, 9.0])
def test_kaiser_is_numpys(beta):
    position = torch.linspace(-1.0, 1.0, 101, dtype=torch.float64)[1:-1]
    np.testing.assert_allclose(kaiser(position, beta), np.kaiser(101, beta)[1:-1], rtol=1e-12)


def test_whole_samples_are_kept():
    weights = windowed_sinc(torch.arange(-15.0, 16.0, dtype=torch.float64), 16, 8.0)
    assert float(weights[15]) == 1.0
    assert float(weights.abs().sum()) == pytest.approx(1.0, abs=1e-14)


def test_gradient_reaches_the_distance_up_to_the_ends():
    distance = torch.tensor([-16.0, -3.7, 0.0, 0.4, 16.0], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(windowed_sinc(distance, 16, 8.0).sum(), distance)
    assert bool(gradient.isfinite().all())
    inner = distance[1:4].detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: windowed_sinc(x, 16, 8.0), (inner,))
