"""Which proposal wins."""

from __future__ import annotations

import math

import numpy as np
import torch

from afxvae.candidates import Candidate, choose
from afxvae.effects import default_chain

CHAIN = default_chain()


def candidates(*opinions: tuple[float, float], likely: bool = False) -> list[Candidate]:
    """Nothing, and others with these advantages and doubts, the first of them perhaps likely."""
    off = torch.zeros(len(CHAIN.effects), dtype=torch.bool)
    none = Candidate("nothing", CHAIN.default_controls(), off)
    rest = [
        Candidate(
            f"c{index}",
            none.controls,
            ~off,
            advantage=advantage,
            spread=doubt,
            likely=likely and index == 0,
        )
        for index, (advantage, doubt) in enumerate(opinions)
    ]
    return [none, *rest]


def test_the_best_candidate_that_passes_the_margin_is_chosen() -> None:
    found = candidates((-0.1, 0.1), (0.5, 0.1), (0.9, 2.0), (0.5, 0.2))
    assert choose(found, 0.0) == 3
    assert choose(found, 1.0) == 2
    assert choose(found, 3.0) == 2
    assert choose(found, 4.99) == 2


def test_a_likely_mean_stands_unless_another_is_clearly_better() -> None:
    mean = (0.5, 0.2)
    assert choose(candidates(mean, (0.6, 0.2), likely=True), 1.0) == 1
    assert choose(candidates(mean, (0.75, 0.2), likely=True), 1.0) == 2
    assert choose(candidates(mean, (0.7, 0.6), likely=True), 1.0) == 1
    assert choose(candidates(mean, (0.75, 0.2), likely=True), 4.0) == 1  # the other does not pass
    assert choose(candidates(mean, (0.6, 0.2)), 1.0) == 2  # nothing tells for the first


def test_a_likely_mean_needs_no_margin_but_may_be_refused() -> None:
    for advantage, pick in ((0.1, 1), (0.01, 1), (0.0, 0), (-5.0, 0)):
        assert choose(candidates((advantage, 0.2), likely=True), 1.0) == pick
    assert choose(candidates((-0.4, 0.2), (0.3, 0.2), likely=True), 1.0) == 2
    assert choose(candidates((math.nan, 0.2), likely=True), 1.0) == 0


def test_caution_takes_doubts_off_what_is_expected() -> None:
    """A likely mean falls when its expectation is worth less than so many of its doubts."""
    assert choose(candidates((0.5, 0.2), likely=True), 1.0, caution=2.0) == 1
    assert choose(candidates((0.3, 0.2), likely=True), 1.0, caution=2.0) == 0
    assert choose(candidates((0.3, 0.2), (0.7, 0.2), likely=True), 1.0, caution=2.0) == 2
    assert choose(candidates((0.7, 0.2)), 1.0, caution=2.0) == 1
    assert choose(candidates((0.5, 0.2)), 1.0, caution=2.0) == 0


def test_nothing_wins_when_no_advantage_passes_the_margin() -> None:
    assert choose(candidates(), 0.0) == 0
    assert choose(candidates((-0.1, 0.01), (0.0, 0.01)), 0.0) == 0
    assert choose(candidates((0.2, 0.1), (0.9, 0.5)), 2.0) == 0
    assert choose(candidates((math.nan, 0.1), (0.3, math.nan)), 0.5) == 0


def test_a_larger_margin_never_chooses_more() -> None:
    generator = np.random.default_rng(0)
    for _ in range(200):
        found = candidates(*map(tuple, generator.normal(size=(6, 2)) ** [1, 2]))
        picks = [choose(found, margin) for margin in np.linspace(0.0, 4.0, 9)]
        taken = [pick != 0 for pick in picks]
        assert taken == sorted(taken, reverse=True)
        for pick, margin in zip(picks, np.linspace(0.0, 4.0, 9), strict=True):
            assert pick == 0 or found[pick].advantage > margin * found[pick].spread
