"""The pan law."""

from __future__ import annotations

import math

import pytest
import torch

from afxvae.effects.spatial import PAN


def gains(position: float, channels: int = 2) -> list[float]:
    knobs = {"position": torch.tensor([position], dtype=torch.float64)}
    one = torch.ones(1, channels, 1, dtype=torch.float64)
    return PAN.process(one, knobs, 24000)[0, :, 0].tolist()


@pytest.mark.parametrize("position", [-1.0, -0.7, -0.2, 0.0, 0.5, 1.0])
def test_power_is_constant_and_the_ratio_is_the_tangent(position):
    left, right = gains(position)
    assert left**2 + right**2 == pytest.approx(2.0)
    assert math.atan2(right, left) == pytest.approx((position + 1.0) * math.pi / 4.0)


def test_the_ends_are_one_side_only():
    assert gains(-1.0) == pytest.approx([math.sqrt(2.0), 0.0])
    assert gains(1.0) == pytest.approx([0.0, math.sqrt(2.0)])


@pytest.mark.parametrize("channels", [1, 3, 6])
def test_other_than_two_channels_pass(channels):
    assert gains(0.8, channels) == [1.0] * channels
