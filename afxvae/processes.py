"""Work in processes of their own."""

from __future__ import annotations

import os
from contextlib import contextmanager
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["ENVIRONMENT", "spread"]

ENVIRONMENT = {
    # freed blocks stay with the process: large tensors cost no page faults
    "MALLOC_MMAP_THRESHOLD_": "2000000000",
    "MALLOC_TRIM_THRESHOLD_": "4000000000",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
"""What workers inherit, since it can not be set once a process runs."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def spread(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int,
    *,
    tasks: int | None = None,
    start: Callable[..., None] | None = None,
    arguments: tuple[Any, ...] = (),
) -> Iterator[Result]:
    """Results of a function of each item, in order, from new processes.

    The processes are started afresh: a forked one would inherit torch's threads, dead, and wait for
    them for ever.

    Args:
        function: Can be pickled.
        items: What it is called with.
        workers: Number of processes.
        tasks: Items after which a process is replaced by a new one, which returns its memory.
        start: Called in each new process; a fault in it would start processes for ever.
        arguments: Of `start`.
    """
    with (
        _environment(ENVIRONMENT),
        get_context("spawn").Pool(workers, start, arguments, tasks) as pool,
    ):
        yield from pool.imap(function, items, chunksize=1)


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Set environment variables for processes that are started, and put the old ones back."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
