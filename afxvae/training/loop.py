"""What all stages share: schedules, averaged weights, checkpoints and logs."""

from __future__ import annotations

import itertools
import json
import math
import time
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from .loggers import writers_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from torch import Tensor

__all__ = [
    "Average",
    "Checkpoint",
    "Log",
    "cosine",
    "descend",
    "follow",
    "optimizer_for",
    "set_rate",
]

_SECONDS_BETWEEN_CHECKPOINTS = 240.0


def cosine(progress: float, warm_up: float = 0.03) -> float:
    """Learning-rate factor at `progress` in [0, 1]: linear warm-up, then half a cosine to 1 %."""
    if progress < warm_up:
        return progress / warm_up
    rest = (min(progress, 1.0) - warm_up) / (1.0 - warm_up)
    return 0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * rest))


def optimizer_for(module: nn.Module, rate: float, weight_decay: float) -> torch.optim.AdamW:
    """AdamW that decays matrices and leaves vectors (biases, norms) alone."""
    matrices = [p for p in module.parameters() if p.requires_grad and p.dim() > 1]
    vectors = [p for p in module.parameters() if p.requires_grad and p.dim() <= 1]
    groups = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.99))


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of all groups."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def descend(
    optimizer: torch.optim.Optimizer, module: nn.Module, loss: Tensor, most_norm: float
) -> None:
    """Take one step down the gradient of `loss`, whose norm over `module` is limited."""
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(module.parameters(), most_norm)
    optimizer.step()


class Average:
    """Exponential moving average of a module's floating-point state."""

    def __init__(self, module: nn.Module, decay: float = 0.998) -> None:
        self.decay = decay
        self.state = {name: value.clone() for name, value in module.state_dict().items()}
        self.steps = 0

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Take one step towards the module."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, value in module.state_dict().items():
            if value.is_floating_point():
                self.state[name].lerp_(value, 1.0 - decay)
            else:
                self.state[name].copy_(value)

    def copy_to(self, module: nn.Module) -> None:
        """Give the module the averaged weights."""
        module.load_state_dict(self.state)


class Checkpoint:
    """State of a stage in one safetensors file with its progress, written every four minutes."""

    def __init__(self, path: Path, module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        self.path, self.module, self.optimizer = path, module, optimizer
        self.average = Average(module)
        self._last = time.monotonic()

    def save(self, step: int) -> None:
        """Write now, by way of a temporary file."""
        tensors: dict[str, Tensor] = {}
        for name, value in self.module.state_dict().items():
            tensors[f"module.{name}"] = value
        for name, value in self.average.state.items():
            tensors[f"average.{name}"] = value
        for index, slot in self.optimizer.state_dict()["state"].items():
            for name, value in slot.items():
                tensors[f"optimizer.{index}.{name}"] = value
        self.path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.path.with_suffix(".part")
        tensors = {name: value.clone().contiguous() for name, value in tensors.items()}
        save_file(tensors, unfinished, {"step": str(step), "averaged": str(self.average.steps)})
        unfinished.replace(self.path)
        self._last = time.monotonic()

    def save_sometimes(self, step: int) -> None:
        """Write if four minutes have passed."""
        if time.monotonic() - self._last > _SECONDS_BETWEEN_CHECKPOINTS:
            self.save(step)

    def resume(self) -> int:
        """Load what was written, if anything; returns the step to go on from."""
        if not self.path.exists():
            return 0
        tensors = load_file(self.path)
        with safe_open(self.path, "pt") as file:
            metadata: dict[str, str] = file.metadata()

        def taken(kind: str) -> dict[str, Tensor]:
            return {n.removeprefix(kind): v for n, v in tensors.items() if n.startswith(kind)}

        self.module.load_state_dict(taken("module."))
        self.average.state = taken("average.")
        self.average.steps = int(metadata["averaged"])
        slots: dict[int, dict[str, Tensor]] = {}
        for name, value in taken("optimizer.").items():
            index, slot = name.split(".", 1)
            slots.setdefault(int(index), {})[slot] = value
        state = self.optimizer.state_dict()
        self.optimizer.load_state_dict({"state": slots, "param_groups": state["param_groups"]})
        return int(metadata["step"])


class Log:
    """Means of named values, printed by the caller, kept as JSON lines and CSV beside them.

    Within `afxvae.training.loggers.logging_to` they go to another logger too.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writers = writers_for(path)
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    def add(self, values: dict[str, Tensor | float]) -> None:
        """Collect values."""
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + float(value)
            self._counts[name] = self._counts.get(name, 0) + 1

    def flush(self, **extra: Any) -> str:
        """Write a line with the means since the last one and return it for people."""
        row = {**extra, **{n: round(s / self._counts[n], 4) for n, s in self._sums.items()}}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        for writer in self._writers:
            writer.write(row)
        self._sums, self._counts = {}, {}
        return "  ".join(f"{name} {value}" for name, value in row.items())


def follow(
    losses: Iterable[Tensor],
    module: nn.Module,
    path: Path,
    *,
    steps: int,
    rate: float,
    weight_decay: float,
    most_norm: float,
    every: int = 100,
    after: Callable[[int], dict[str, Tensor | float]] = lambda step: {},
    log: Callable[[str], None] = lambda line: None,
) -> None:
    """Fit a module by descending along losses, with a rate that follows `cosine`.

    Args:
        losses: Each is taken when its turn comes, so it may follow from the module as it is then.
        module: What is fitted; the rest of what the losses follow from stays as it is.
        path: Of the log, JSON lines.
        steps: How many of the losses.
        rate: Largest learning rate.
        weight_decay: See `optimizer_for`.
        most_norm: See `descend`.
        every: Steps between lines of the log.
        after: Called after each step, counted from 1; what it returns is logged.
        log: Called with lines for people.
    """
    optimizer = optimizer_for(module, rate, weight_decay)
    written, start = Log(path), time.monotonic()
    for step, loss in enumerate(itertools.islice(losses, steps), 1):
        set_rate(optimizer, rate * cosine(step / steps))
        descend(optimizer, module, loss, most_norm)
        written.add({"loss": loss.detach(), **after(step)})
        if step % every == 0 or step == steps:
            log(written.flush(step=step, seconds=round(time.monotonic() - start)))
