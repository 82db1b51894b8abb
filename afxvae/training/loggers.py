"""Where figures of training go: CSV always, TensorBoard and Weights & Biases if wanted."""

from __future__ import annotations

import contextlib
import contextvars
import csv
import importlib
import importlib.util
import os
from typing import TYPE_CHECKING, Any, Protocol

from ..types import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["LOGGERS", "CsvTable", "Writer", "check_logger", "logging_to", "writers_for"]

LOGGERS = ("auto", "csv", "tensorboard", "wandb")
"""What a recipe may ask for; ``auto`` is TensorBoard where it is installed."""

_PACKAGES = {"tensorboard": "tensorboard", "wandb": "wandb"}
_wanted: contextvars.ContextVar[tuple[str, str, list[Writer]] | None] = contextvars.ContextVar(
    "afxvae_logger", default=None
)


class Writer(Protocol):
    """Takes rows of figures."""

    def write(self, row: dict[str, Any]) -> None:
        """Take one row; ``step`` says how far training is."""

    def close(self) -> None:
        """Finish; nothing is written after it."""


class CsvTable:
    """A CSV file with a column for every figure there has been; later ones are added."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, row: dict[str, Any]) -> None:
        """Append a row; a new figure rewrites the table with one column more."""
        rows: list[dict[str, Any]] = []
        names: list[str] = []
        if self.path.exists():
            with self.path.open(newline="", encoding="utf-8") as file:
                reader = csv.DictReader(file)
                names = list(reader.fieldnames or ())
                if set(row) - set(names):
                    rows = list(reader)
        fresh = [name for name in row if name not in names]
        names += fresh
        with self.path.open("w" if fresh else "a", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, names, restval="")
            if fresh:
                table.writeheader()
            table.writerows([*rows, row])

    def close(self) -> None:
        """Nothing is open between rows."""


class _TensorBoard:
    def __init__(self, path: Path) -> None:
        tensorboard = importlib.import_module("torch.utils.tensorboard")
        self._writer = tensorboard.SummaryWriter(str(path.parent / "tensorboard" / path.stem))

    def write(self, row: dict[str, Any]) -> None:
        for name, value in _figures(row).items():
            self._writer.add_scalar(name, value, int(row.get("step", 0)))
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class _Wandb:
    """One run for a stage; offline unless the environment asks for another mode."""

    def __init__(self, path: Path, name: str) -> None:
        wandb = importlib.import_module("wandb")
        self._run = wandb.init(
            project="afxvae",
            name=f"{name} {path.stem}",
            group=name,
            dir=str(path.parent),
            mode=os.environ.get("WANDB_MODE", "offline"),
            reinit="create_new",
        )

    def write(self, row: dict[str, Any]) -> None:
        self._run.log(_figures(row), step=int(row.get("step", 0)))

    def close(self) -> None:
        self._run.finish()


def check_logger(logger: str) -> None:
    """Raise `UsageError` if there is no such logger, or its package is not installed."""
    if logger not in LOGGERS:
        raise UsageError(f"There is no logger {logger!r}; there are {', '.join(LOGGERS)}.")
    package = _PACKAGES.get(logger)
    if package is not None and importlib.util.find_spec(package) is None:
        raise UsageError(f"The logger {logger} needs {package}: pip install {package}.")


@contextlib.contextmanager
def logging_to(logger: str, name: str) -> Iterator[None]:
    """Within this block, logs of training write to `logger` too.

    Args:
        logger: One of `LOGGERS`.
        name: Of the run.

    Raises:
        UsageError: There is no such logger, or its package is not installed.
    """
    check_logger(logger)
    if logger == "auto":
        logger = "tensorboard" if importlib.util.find_spec("tensorboard") is not None else "csv"
    opened: list[Writer] = []
    token = _wanted.set((logger, name, opened))
    try:
        yield
    finally:
        _wanted.reset(token)
        for writer in opened:
            writer.close()


def writers_for(path: Path) -> list[Writer]:
    """Writers of the log whose rows are kept at `path`: CSV beside it, and what is wanted."""
    logger, name, opened = _wanted.get() or ("csv", "", [])
    path.parent.mkdir(parents=True, exist_ok=True)
    writers: list[Writer] = [CsvTable(path.with_suffix(".csv"))]
    if logger == "tensorboard":
        writers.append(_TensorBoard(path))
    elif logger == "wandb":
        writers.append(_Wandb(path, name))
    opened += writers
    return writers


def _figures(row: dict[str, Any]) -> dict[str, float]:
    return {n: float(v) for n, v in row.items() if n != "step" and isinstance(v, int | float)}
