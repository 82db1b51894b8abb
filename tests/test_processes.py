"""Processes of their own: results in order, an environment that ends with them."""

from __future__ import annotations

import os

import pytest

from afxvae.processes import ENVIRONMENT, spread


def test_workers_get_the_environment_and_nobody_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    before = dict(os.environ)
    names = list(ENVIRONMENT)
    assert list(spread(os.getenv, names, 2)) == [ENVIRONMENT[name] for name in names]
    assert dict(os.environ) == before


def test_a_process_is_replaced_after_its_tasks() -> None:
    pids = list(spread(_pid, range(4), 1, tasks=2))
    assert pids[0] == pids[1] != pids[2] == pids[3]
    assert os.getpid() not in pids


def test_a_fault_in_a_process_is_raised_here() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        list(spread(int, ["1", "x"], 1))


def _pid(_: int) -> int:
    return os.getpid()
