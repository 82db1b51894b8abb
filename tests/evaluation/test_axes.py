"""The causal test, on responses whose verdict is known and on a model that has learned nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from afxvae.data.pairs import make_pairs
from afxvae.evaluation.axes import (
    Responses,
    calibrated,
    judge_axes,
    latent_responses,
    name_axes,
    one_hot_axes,
    passing,
    steering_responses,
)
from tests.sounds import recording, untrained

STEPS = (-2.0, -1.0, 0.0, 1.0, 2.0)
NAMES = ("brightness", "decay")


def responses(slopes: list[list[float]], spread: float = 0.0) -> Responses:
    """Attributes that follow every move by these slopes, rows for axes."""
    moves = torch.tensor(STEPS).view(1, 1, -1, 1) * torch.tensor(slopes).view(1, 2, 1, 2)
    noise = torch.randn(20, 2, 5, 2, generator=torch.Generator().manual_seed(0))
    return Responses(NAMES, STEPS, moves + spread * noise)


def test_an_axis_that_does_what_it_says_passes() -> None:
    rows = judge_axes(responses([[1.0, 0.2], [0.1, 0.8]]))
    assert passing(rows) == list(NAMES)
    assert rows["brightness"] == {
        "spearman": pytest.approx(1.0),
        "spearman_by_item": pytest.approx(1.0),
        "selectivity": pytest.approx(5.0),
        "slope": pytest.approx(1.0),
        "monotone": 1.0,
    }


def test_an_axis_that_moves_the_wrong_thing_fails() -> None:
    rows = judge_axes(responses([[1.0, 0.7], [0.8, -0.1]]))
    assert passing(rows) == []
    assert rows["decay"]["slope"] == pytest.approx(-0.1)
    assert rows["decay"]["monotone"] == 0.0


def test_an_axis_that_is_not_heard_for_noise_fails() -> None:
    assert passing(judge_axes(responses([[0.1, 0.0], [0.0, 0.1]], spread=1.0))) == []


def test_calibration_undoes_a_mixture() -> None:
    """Moving along what comes out changes one attribute by one and the other not."""
    slopes = [[1.0, 0.5], [-0.4, 0.8]]
    axes = calibrated(one_hot_axes(NAMES, 5), responses(slopes))
    steps = torch.tensor([axes[name] for name in NAMES])
    torch.testing.assert_close(steps[:, :2] @ torch.tensor(slopes), torch.eye(2))
    assert not bool(steps[:, 2:].any())


def test_calibration_survives_an_axis_that_does_nothing() -> None:
    axes = calibrated(one_hot_axes(NAMES, 3), responses([[1.0, 0.0], [0.0, 0.0]]))
    assert axes["brightness"] == pytest.approx([1.0, 0.0, 0.0])
    assert axes["decay"] == pytest.approx([0.0, 0.0, 0.0])


def test_a_model_that_has_learned_nothing_gets_no_axes(tmp_path: Path) -> None:
    model = untrained()
    recordings = [recording(tmp_path, seed) for seed in (0, 1)]
    lines: list[str] = []
    rows = name_axes(model, NAMES, recordings, recordings, items=1, log=lines.append)
    assert list(rows) == list(NAMES)
    assert model.axes == {}
    assert [line.endswith("; not offered") for line in lines] == [True, True]
    axes = one_hot_axes(NAMES, 16)
    pairs = make_pairs(recordings, model.chain, 0, 1, "P1")
    short = (-1.0, 0.0, 1.0)
    assert latent_responses(model, pairs, axes, STEPS).changes.shape == (1, 2, len(STEPS), 2)
    steered = steering_responses(model, pairs, NAMES, short).changes
    assert steered.shape == (1, 2, len(short), 2)
    assert bool(steered[:, :, short.index(1.0)].any())
