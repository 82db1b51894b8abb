"""Delay lines are their recursion, and their gradient is exact."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from afxvae.dsp import lines

FIRST = torch.tensor([[3, 5, 7], [4, 9, 11]])
TAPS, PAST = 4, 14


def network(length: int) -> list[torch.Tensor]:
    """Drive, filters, mixing and history of three lines, for two items."""
    generator = torch.Generator().manual_seed(0)
    shapes = [(2, 3, length), (2, 3, TAPS), (2, 3, 3), (2, 3, PAST)]
    drawn = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    return [drawn[0], drawn[1], 0.3 * drawn[2], drawn[3]]


def run(drive, filters, mixing, history):
    return lines.run_lines(drive, filters, FIRST, mixing, history)


def test_equals_the_loop_over_samples():
    drive, filters, mixing, history = (part.numpy() for part in network(40))
    held = np.concatenate([history, np.zeros_like(drive)], axis=-1)
    given = np.zeros_like(drive)
    for item in range(2):
        for n in range(40):
            for line in range(3):
                newest = PAST + n - int(FIRST[item, line])
                span = held[item, line, newest - TAPS + 1 : newest + 1][::-1]
                given[item, line, n] = filters[item, line] @ span
            held[item, :, PAST + n] = drive[item, :, n] + mixing[item] @ given[item, :, n]
    found, end = run(*network(40))
    np.testing.assert_allclose(found.numpy(), given, atol=1e-11)
    np.testing.assert_allclose(end.numpy(), held[..., -PAST:], atol=1e-11)


@pytest.mark.parametrize("length", [2, 23])
def test_gradients_in_drive_filters_mixing_and_history(length):
    inputs = tuple(part.requires_grad_() for part in network(length))
    assert torch.autograd.gradcheck(run, inputs)


def test_a_longer_or_shorter_history_is_fitted():
    drive, filters, mixing, history = network(30)
    want, _ = run(drive, filters, mixing, torch.nn.functional.pad(history[..., 2:], (2, 0)))
    found, _ = run(drive, filters, mixing, history[..., 2:])
    torch.testing.assert_close(found, want)
    same, _ = run(drive, filters, mixing, torch.nn.functional.pad(history, (5, 0), value=3.0))
    torch.testing.assert_close(same, run(drive, filters, mixing, history)[0])


@pytest.mark.parametrize("delay", [20.0, 20.001, 20.37, 20.5, 20.999])
@pytest.mark.parametrize(("cycles", "error"), [(0.01, 1e-4), (0.25, 1e-4), (0.4, 1.8e-4)])
def test_delays_between_samples_are_delayed_sines(cycles, delay, error):
    """At a share `cycles` of the sample rate."""
    first, taps = lines.fractional_delay(torch.tensor(delay, dtype=torch.float64))
    place = int(first) + np.arange(taps.shape[-1])
    response = (taps.numpy() * np.exp(-2j * math.pi * cycles * place)).sum()
    assert abs(response - np.exp(-2j * math.pi * cycles * delay)) < error


def test_whole_delays_are_exact():
    first, taps = lines.fractional_delay(torch.tensor([5.0, 100.0], dtype=torch.float64))
    place = taps.argmax(-1) + first
    assert place.tolist() == [5, 100]
    assert float((taps.sort().values[:, :-1]).abs().max()) < 1e-15
