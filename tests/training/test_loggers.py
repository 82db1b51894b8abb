"""Where figures of a run go."""

from __future__ import annotations

import csv
import importlib.util
from pathlib import Path

import pytest
import torch

from afxvae.effects import default_chain
from afxvae.models.vae import Posterior
from afxvae.regularizers import kl
from afxvae.training.distances import ClassPrior, DistanceTerm, treatment_distances
from afxvae.training.latent import vae_losses
from afxvae.training.loggers import logging_to
from afxvae.training.loop import Log
from afxvae.training.recipe import LatentStage, load_recipe
from afxvae.types import UsageError
from tests.sounds import untrained


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_figures_are_kept_as_csv_and_later_ones_get_a_column(tmp_path: Path) -> None:
    log = Log(tmp_path / "latent.jsonl")
    log.add({"kl": 1.0})
    log.add({"kl": 2.0})
    log.flush(step=1)
    log.add({"pearson": 0.25})
    log.flush(step=2)
    expected = [
        {"step": "1", "kl": "1.5", "pearson": ""},
        {"step": "2", "kl": "", "pearson": "0.25"},
    ]
    assert rows_of(tmp_path / "latent.csv") == expected
    again = Log(tmp_path / "latent.jsonl")
    again.add({"kl": 3.0})
    again.flush(step=3)
    assert len(rows_of(tmp_path / "latent.csv")) == 3


def test_unknown_and_missing_loggers_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="no logger 'paper'"), logging_to("paper", "run"):
        pass
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="pip install wandb"), logging_to("wandb", "run"):
        pass
    with logging_to("auto", "run"):
        pass


@pytest.mark.parametrize(("logger", "found"), [("tensorboard", "tensorboard/latent/events*"),
                                               ("wandb", "wandb/offline-run-*")])  # fmt: skip
def test_other_loggers_write_without_a_network(
    logger: str, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(logger)
    monkeypatch.setenv("WANDB_MODE", "offline")
    with logging_to(logger, "run"):
        log = Log(tmp_path / "latent.jsonl")
        log.add({"kl": 1.0})
        log.flush(step=1)
    assert list(tmp_path.glob(found))
    assert rows_of(tmp_path / "latent.csv") == [{"step": "1", "kl": "1.0"}]


def test_a_recipe_selects_regulariser_and_logger(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    stage = '[latent]\nsteps = 3\nbatch = 8\nrate = 1e-3\nregularizer = "pearson"\n'
    path.write_text(f'logger = "csv"\n{stage}')
    recipe = load_recipe(path)
    assert recipe.latent == LatentStage(3, 8, 1e-3, "pearson")
    assert recipe.logger == "csv"
    assert recipe.latent.term is not None
    assert load_recipe(None).latent.term is None
    with pytest.raises(UsageError, match="no regularizer 'strong'"):
        DistanceTerm("strong", 1.0)
    with pytest.raises(UsageError, match="at least 0"):
        DistanceTerm("pearson", -1.0)


def test_a_regulariser_comes_to_count_in_the_second_half() -> None:
    term = DistanceTerm("euclidean", 4.0)
    assert term.at(0.0) is None
    assert term.at(0.5) is None
    weights = [at.weight for progress in (0.55, 0.6, 1.0) if (at := term.at(progress))]
    assert weights == pytest.approx([2.0, 4.0, 4.0])
    chain = default_chain()
    controls = chain.default_controls().repeat(2, 1)
    switches = torch.zeros(2, len(chain.effects), dtype=torch.bool)
    switches[1, 0] = True
    given = (chain, torch.zeros(2, 3), (controls, switches), torch.Generator())
    whole, half = term(*given)["euclidean"], DistanceTerm("euclidean", 2.0)(*given)["euclidean"]
    assert float(whole) > 0.0
    assert float(half) == pytest.approx(0.5 * float(whole))


def test_a_prior_of_each_class_stands_in_for_the_common_one(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    stage = "[latent]\nsteps = 3\nbatch = 8\nrate = 1e-3\n"
    path.write_text(f'{stage}regularizer = "class prior"\nweight = 2\n')
    term = load_recipe(path).latent.term
    assert isinstance(term, ClassPrior)
    assert term.at(0.5) is None
    half = term.at(0.55)
    assert half is not None
    assert half.share == pytest.approx(0.5)
    switches = torch.tensor([[True, False], [True, True]])
    posterior = Posterior(torch.zeros(2, 5), torch.zeros(2, 5))
    common = kl(posterior.mean, posterior.log_var)
    found = term.divergence(posterior, common, switches)
    assert torch.equal(found[:, :3], common[:, :3])
    torch.testing.assert_close(found[:, 3:], torch.full((2, 2), 0.5))  # one from each place
    places = torch.tensor([[0.0, 0.0, 0.0, 1.0, -1.0], [0.0, 0.0, 0.0, 1.0, 1.0]])
    there = Posterior(places, torch.zeros(2, 5))
    assert float(term.divergence(there, common, switches).abs().max()) < 1e-6
    torch.testing.assert_close(half.divergence(posterior, common, switches), 0.5 * found)
    with pytest.raises(UsageError, match="at least 0"):
        ClassPrior(-1.0)


def test_a_class_prior_trains(tmp_path: Path) -> None:
    """One step of the objective with it and without differs in nothing but the divergence."""
    model = untrained()
    draw = torch.Generator().manual_seed(0)
    embedded, reference = (torch.randn(4, 256, generator=draw) for _ in range(2))
    controls = torch.rand(4, len(model.chain.knobs), generator=draw)
    switches = torch.rand(4, len(model.chain.names), generator=draw) > 0.5
    before = model.chain.default_controls()[model.chain.knobs_of("eq")].expand(4, -1)
    pairs = (embedded, reference, controls, switches, before)
    losses = [
        vae_losses(model, pairs, 1.0, torch.Generator().manual_seed(1), regularizer=regularizer)
        for regularizer in (None, ClassPrior(4.0))
    ]
    assert losses[0].keys() == losses[1].keys()
    for name, value in losses[0].items():
        assert torch.equal(value, losses[1][name]) == (name != "kl")


def test_treatments_are_as_far_apart_as_effects_and_knobs_say() -> None:
    chain = default_chain()
    controls = chain.default_controls().repeat(4, 1)
    switches = torch.zeros(4, len(chain.effects), dtype=torch.bool)
    switches[1, 0] = switches[2, 0] = switches[3, :2] = True
    knobs = chain.knobs_of(chain.names[0])
    controls[1:, knobs] = 0.5
    controls[2, knobs] = 0.9
    found = treatment_distances(chain, controls, switches)
    assert torch.equal(found, found.T)
    assert torch.equal(found.diagonal(), torch.zeros(4))
    expected = torch.tensor([1.0, 1.0, 2.0**0.5])
    torch.testing.assert_close(found[0, 1:], expected)  # what is off has no knobs
    assert float(found[1, 2]) == pytest.approx(0.4)
