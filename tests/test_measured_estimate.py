"""What is measured takes the place of what is estimated."""

from __future__ import annotations

import pytest
import torch

from afxvae.effects import default_chain
from afxvae.measure import MEASURED
from afxvae.models.estimate import ESTIMATED, Estimate
from afxvae.proposals import with_measured
from tests.sounds import measured, untrained

CHAIN = default_chain()


def estimate(log_odds: float) -> Estimate:
    generator = torch.Generator().manual_seed(0)
    controls = 0.5 + 0.3 * torch.rand(1, len(CHAIN.params), generator=generator)
    return Estimate(controls, torch.full((1, len(ESTIMATED)), log_odds))


def applied(guess: Estimate) -> torch.Tensor:
    """The controls of an estimate with parts of its compressor and its room."""
    controls = guess.controls[0]
    for effect, share in {"compressor": 0.75, "reverb": 0.75}.items():
        others = [name for name in CHAIN.names if name != effect]
        controls = CHAIN.scaled(controls, share, but=others)
    return controls


@pytest.mark.parametrize("effect", MEASURED)
def test_what_is_found_is_on_with_the_knobs_that_were_measured(effect: str) -> None:
    guess = estimate(-3.0)
    controls, logits = with_measured(untrained(), guess, measured(effect))
    mine = CHAIN.knobs_of(effect)
    assert torch.equal(controls[mine], torch.full((int(mine.sum()),), 0.123))
    assert float(logits[ESTIMATED.index(effect)]) >= 5.0
    others = [e for e in ESTIMATED if e not in (effect, "delay")]
    assert all(float(logits[ESTIMATED.index(e)]) == -3.0 for e in others)
    rest = ~(mine | CHAIN.knobs_of("delay"))
    assert torch.equal(controls[rest], applied(guess)[rest])


def test_an_echo_that_is_not_found_is_not_there_but_a_room_or_a_voice_may_be() -> None:
    guess = estimate(3.0)
    controls, logits = with_measured(untrained(), guess, measured())
    for effect, logit in zip(ESTIMATED, logits.tolist(), strict=True):
        assert logit <= -5.0 if effect == "delay" else logit == 3.0
    kept = ~CHAIN.knobs_of("delay")
    assert torch.equal(controls[kept], applied(guess)[kept])


def test_of_an_estimated_compressor_less_is_applied() -> None:
    """Its ratio is nearer to 1; what is no amount does not move."""
    guess = estimate(3.0)
    controls, _ = with_measured(untrained(), guess, measured())
    before, after = (
        CHAIN.to_settings(c[None])["compressor"] for c in (guess.controls[0], controls)
    )
    assert 1.0 < float(after["ratio"]) < float(before["ratio"])
    for knob in CHAIN["compressor"].params:
        assert torch.equal(before[knob.name], after[knob.name]) != knob.amount


def test_the_estimate_itself_is_left_as_it_is() -> None:
    guess, same = estimate(1.0), estimate(1.0)
    with_measured(untrained(), guess, measured(*MEASURED))
    assert torch.equal(guess.controls, same.controls)
    assert torch.equal(guess.logits, same.logits)
