"""Matchering, if it is there, does what it says; if not, that is said."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from afxvae.dsp.features import SAMPLE_RATE
from afxvae.evaluation import peers, rows
from afxvae.evaluation.metrics import METRICS
from afxvae.types import UsageError
from tests.sounds import sound

installed = pytest.mark.skipif(not peers.matchering_installed(), reason="needs matchering")


def test_its_row_is_left_out_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "matchering_installed", lambda: True)
    assert rows.MATCHERING in rows.chosen_rows(None, False)
    assert rows.chosen_rows([rows.MATCHERING], False) == ("input", rows.MATCHERING)
    monkeypatch.setattr(peers, "matchering_installed", lambda: False)
    assert rows.MATCHERING not in rows.chosen_rows(None, False)
    with pytest.raises(UsageError, match="needs matchering"):
        rows.chosen_rows([rows.MATCHERING], False)


@pytest.mark.parametrize("when", ["before it is asked", "at work"])
def test_a_process_that_dies_costs_its_item_and_no_more(
    when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = "import sys\n" if when == "at work" else "raise SystemExit\n"
    monkeypatch.setattr(peers, "_SCRIPT", work + "sys.stdin.readline()")
    peers._forget(peers._process())  # that of another test, which would be left running
    dying = peers._process()
    if when == "before it is asked":
        dying.wait()
    x = sound(0, 1.0)[None]
    assert torch.equal(peers.matchering(x, x, SAMPLE_RATE), x)
    assert dying.returncode is not None
    monkeypatch.setattr(peers, "_SCRIPT", "for line in iter(input, ''): print('done', flush=True)")
    assert peers._ask(peers._process(), [Path("target.wav")])
    peers._forget(peers._process())


@installed
def test_output_has_the_level_of_the_reference_and_silence_comes_back() -> None:
    x = sound(0, 5.4)[None]
    reference = 0.3 * sound(1, 5.4)[None]
    found = peers.matchering(x, reference, SAMPLE_RATE)
    assert found.shape == x.shape
    assert float(METRICS["rms_db"](found[0], reference[0])) < 0.5
    assert not torch.equal(found, x)
    silent = torch.zeros_like(x)
    assert torch.equal(peers.matchering(silent, reference, SAMPLE_RATE), silent)
