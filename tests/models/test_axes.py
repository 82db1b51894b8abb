"""Named axes: what a config may hold, and what may be asked of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from afxvae.models.axes import check_axes
from afxvae.models.estimate import Estimate, expected_controls
from afxvae.models.style_vae import AFXStyleVAE
from afxvae.types import WeightsError
from tests.sounds import untrained

AXES = {"brightness": [1.0, 0.0, 0.0], "decay": [0.0, -2.0, 0.5]}


def test_a_config_without_axes_has_none() -> None:
    assert check_axes(None, 3) == {}
    assert check_axes(AXES, 3) == AXES


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        (["brightness"], "no valid axes"),
        ({"brightness": 1.0}, "no valid axes"),
        ({"brightness": ["much"]}, "no valid axes"),
        ({"brightness": [1.0]}, "brightness of the weights has 1 dimensions, but .* has 3"),
    ],
)
def test_axes_that_are_none_are_refused(axes: Any, words: str) -> None:
    with pytest.raises(WeightsError, match=words):
        check_axes(axes, 3)


def test_axes_are_saved_with_the_model(tmp_path: Path) -> None:
    model = untrained()
    assert model.axes == {}
    step = [0.0] * (model.config["latent_dim"] - 1) + [0.25]
    model.config["axes"] = {"roughness": step}
    model.save_pretrained(tmp_path)
    assert AFXStyleVAE.from_pretrained(tmp_path).axes == {"roughness": step}


def test_amounts_count_as_far_as_their_effects_are_probable() -> None:
    chain = untrained().chain
    controls = torch.full((1, len(chain.knobs)), 0.9)
    logits = torch.tensor([[0.0, 50.0, -50.0, 50.0, 50.0, 50.0]])
    found = expected_controls(Estimate(controls, logits), chain)[0]
    for (effect, param), value in zip(chain.knobs, found.tolist(), strict=True):
        share = {"eq": 0.5, "overdrive": 0.0}.get(effect, 1.0) if param.amount else 1.0
        default = param.default_control
        assert value == pytest.approx(default + share * (0.9 - default), abs=1e-6)
