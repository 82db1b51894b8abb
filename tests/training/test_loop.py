"""Checkpoints, averages, learning rates and logs: what the loops of all stages share."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from afxvae.training.loop import (
    Average,
    Checkpoint,
    Log,
    cosine,
    follow,
    optimizer_for,
    set_rate,
)


def small_problem() -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    module = nn.Linear(3, 2)
    return module, optimizer_for(module, 1e-2, 1e-2)


def steps(module: nn.Module, optimizer: torch.optim.Optimizer, average: Average, count: int):
    generator = torch.Generator().manual_seed(1)
    for index in range(count):
        loss = (module(torch.randn(4, 3, generator=generator)) - 1.0).square().mean()
        set_rate(optimizer, 1e-2 / (1 + index))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        average.update(module)


def test_a_checkpoint_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    """Weights, their average and the optimiser's memory come back with the number of the step."""
    module, optimizer = small_problem()
    checkpoint = Checkpoint(tmp_path / "runs" / "a.safetensors", module, optimizer)
    assert checkpoint.resume() == 0
    steps(module, optimizer, checkpoint.average, 5)
    checkpoint.save(5)
    assert [path.name for path in checkpoint.path.parent.iterdir()] == ["a.safetensors"]

    torch.manual_seed(99)
    other = nn.Linear(3, 2)
    resumed = Checkpoint(checkpoint.path, other, optimizer_for(other, 1e-2, 1e-2))
    assert resumed.resume() == 5
    assert resumed.average.steps == 5
    for one in (checkpoint, resumed):
        steps(one.module, one.optimizer, one.average, 3)
    for name, value in module.state_dict().items():
        assert torch.equal(other.state_dict()[name], value)
        assert torch.equal(resumed.average.state[name], checkpoint.average.state[name])


def test_checkpoints_are_written_every_few_minutes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    checkpoint = Checkpoint(tmp_path / "a.safetensors", *small_problem())
    checkpoint.save_sometimes(1)
    assert not checkpoint.path.exists()
    now[0] += 241.0
    checkpoint.save_sometimes(2)
    assert checkpoint.resume() == 2
    checkpoint.path.unlink()
    checkpoint.save_sometimes(3)
    assert not checkpoint.path.exists()


def test_an_average_follows_slowly_and_begins_where_the_weights_are() -> None:
    module = nn.Linear(1, 1, bias=False)
    average = Average(module, decay=0.9)
    torch.testing.assert_close(average.state["weight"], module.weight.detach())
    with torch.no_grad():
        module.weight.fill_(1.0)
    for _ in range(100):
        average.update(module)
    assert float(average.state["weight"]) == pytest.approx(1.0, abs=1e-3)
    average.copy_to(module)
    assert torch.equal(module.weight, average.state["weight"])


def test_the_learning_rate_warms_up_and_falls_to_a_hundredth() -> None:
    values = [cosine(index / 1000) for index in range(1001)]
    peak = values.index(max(values))
    assert values[0] == 0.0
    assert max(values) == pytest.approx(1.0)
    assert peak == 30
    assert values[:31] == sorted(values[:31])
    assert values[30:] == sorted(values[30:], reverse=True)
    assert values[-1] == pytest.approx(0.01)


def test_logs_hold_the_means_since_the_last_line(tmp_path: Path) -> None:
    log = Log(tmp_path / "new" / "log.jsonl")
    log.add({"loss": torch.tensor(1.0), "kl": 2.0})
    log.add({"loss": 2.0})
    assert log.flush(step=2) == "step 2  loss 1.5  kl 2.0"
    log.add({"loss": 5.0})
    log.flush(step=3)
    rows = [json.loads(line) for line in log.path.read_text().splitlines()]
    assert rows == [{"step": 2, "loss": 1.5, "kl": 2.0}, {"step": 3, "loss": 5.0}]


def test_following_losses_fits_what_they_follow_from(tmp_path: Path) -> None:
    module, wanted, said = nn.Linear(2, 1, bias=False), torch.tensor([[0.3, -0.2]]), []

    def losses() -> Iterator[torch.Tensor]:
        while True:
            yield (module.weight - wanted).square().sum()

    path = tmp_path / "fit.jsonl"
    follow(losses(), module, path, steps=250, rate=0.05, weight_decay=0.0, most_norm=5.0,
           every=100, after=lambda step: {"step_seen": float(step)}, log=said.append)  # fmt: skip
    torch.testing.assert_close(module.weight.detach(), wanted, atol=1e-2, rtol=0.0)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["step"] for row in rows] == [100, 200, 250]
    assert len(said) == 3
    assert rows[0]["step_seen"] == 50.5
    assert rows[2]["loss"] < rows[0]["loss"]
