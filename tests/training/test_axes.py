"""What gives dimensions their names: the surrogate, and terms that follow and cause attributes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from afxvae.data.changes import AXES
from afxvae.data.treatments import random_treatments
from afxvae.effects import default_chain
from afxvae.training.axes import NAMED, NamedAxes, axis_losses, named_ranks
from afxvae.training.latent import axis_figures
from afxvae.training.surrogate import Surrogate, fit_surrogate
from tests.sounds import untrained

CHAIN = default_chain()
COLUMN = CHAIN.names.index("reverb")
MIX = [f"{effect}.{param.name}" for effect, param in CHAIN.knobs].index("reverb.mix")


def shard(folder: Path, seed: int, count: int) -> Path:
    """Treatments of which the reverb's mix makes the decay and the drive the roughness."""
    generator = torch.Generator().manual_seed(seed)
    controls, switches = random_treatments(CHAIN, count, generator)
    after = 0.1 * torch.randn(count, 2, len(AXES), generator=generator)
    after[..., AXES.index("decay")] += (3.0 * controls[:, MIX] * switches[:, COLUMN]).unsqueeze(1)
    drive = (
        controls[:, CHAIN.knobs_of("overdrive")][:, 0] * switches[:, CHAIN.names.index("overdrive")]
    )
    after[..., AXES.index("roughness")] += (5.0 * drive).unsqueeze(1)
    path = folder / f"changes-train-{seed:05d}.safetensors"
    before = torch.zeros_like(after)
    save_file({"controls": controls, "switches": switches, "before": before, "after": after}, path)
    return path


@pytest.fixture(scope="module")
def surrogate(tmp_path_factory: pytest.TempPathFactory) -> Surrogate:
    folder = tmp_path_factory.mktemp("changes")
    found, figures = fit_surrogate(
        CHAIN, [shard(folder, 0, 600)], [shard(folder, 1, 200)], steps=200
    )
    assert figures["spearman"]["decay"] > 0.6
    assert figures["spearman"]["roughness"] > 0.6
    assert abs(figures["spearman"]["hardness"]) < 0.3
    return found


def test_the_surrogate_is_in_ranks_of_what_treatments_do(surrogate: Surrogate) -> None:
    changes = surrogate.mean + surrogate.spread * torch.randn(
        5000, len(AXES), generator=torch.Generator().manual_seed(0)
    )
    found = surrogate.gaussianize(changes)
    column = AXES.index("hardness")  # which is normal, so that ranks are a matter of scale
    torch.testing.assert_close(found[:, column].std(), torch.tensor(1.0), atol=0.1, rtol=0.0)
    order = changes[:, 0].argsort()
    assert bool((found[order, 0].diff() >= 0.0).all())


def test_an_effect_may_be_on_in_part(surrogate: Surrogate) -> None:
    controls = CHAIN.default_controls().repeat(5, 1)
    controls[:, MIX] = 0.6
    switches = torch.zeros(5, len(CHAIN.names))
    switches[:, COLUMN] = torch.linspace(0.0, 1.0, 5)
    decay = surrogate.changes(controls, switches)[:, AXES.index("decay")]
    assert bool((decay.diff() > 0.0).all())
    off = surrogate.changes(torch.rand(3, len(CHAIN.knobs)), torch.zeros(3, len(CHAIN.names)))
    torch.testing.assert_close(off[1:], off[:-1])


def test_terms_name_dimensions_of_an_encoder_and_of_a_decoder(surrogate: Surrogate) -> None:
    model = untrained()
    generator = torch.Generator().manual_seed(0)
    treatment = random_treatments(CHAIN, 64, generator)
    embedded = torch.randn(64, model.config["embedding_dim"], generator=generator)
    wanted = named_ranks(surrogate, *treatment)
    mean = torch.zeros(64, 16)
    mean[:, : len(NAMED)] = wanted
    right = axis_losses(model, NamedAxes(surrogate), mean, embedded, treatment, generator)
    wrong = axis_losses(model, NamedAxes(surrogate), -mean, embedded, treatment, generator)
    assert float(right["line"]) == 0.0
    assert float(right["order"]) < 0.6 * float(wrong["order"])
    weak = axis_losses(model, NamedAxes(surrogate, 0.0), -mean, embedded, treatment, generator)
    assert all(value.item() == 0.0 for value in weak.values())
    mean.requires_grad_()
    terms = axis_losses(model, NamedAxes(surrogate), mean, embedded, treatment, generator)
    (slope,) = torch.autograd.grad(terms["line"] + terms["order"], mean, retain_graph=True)
    assert bool(torch.isfinite(slope).all())
    assert not bool(slope[:, len(NAMED) :].any())
    terms["steer"].backward()
    assert mean.grad is None  # the encoder is not to hide from the decoder's task
    assert model.vae.head.last.weight.grad is not None


def test_figures_of_a_named_latent() -> None:
    values = torch.randn(300, len(NAMED), generator=torch.Generator().manual_seed(0))
    found = axis_figures(torch.cat([2.0 * values, torch.zeros(300, 2)], dim=1), values)
    assert found["spearman"] == dict.fromkeys(NAMED, 1.0)
    assert found["off_axis"] == found["between_attributes"]
    assert set(found) == {"spearman", "off_axis", "between_attributes", "sap", "mig", "dci"}
