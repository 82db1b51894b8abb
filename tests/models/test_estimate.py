"""What an estimate costs: nothing for the truth, curves in dB, and gradients at every end."""

from __future__ import annotations

import pytest
import torch

from afxvae.data.treatments import random_treatments
from afxvae.dsp.features import SAMPLE_RATE
from afxvae.effects import default_chain, responses
from afxvae.models.estimate import (
    ESTIMATED,
    Estimate,
    TreatmentHead,
    Wanted,
    estimated_columns,
    treatment_losses,
)

CHAIN = default_chain()
COLUMNS = estimated_columns(CHAIN)
KNOBS = {(effect, param.name): index for index, (effect, param) in enumerate(CHAIN.knobs)}

NOT_JUDGED = {("compressor", "makeup_db")}  # a matter of loudness


def knob_ends() -> list:
    """Every estimated knob at both ends."""
    ends = [(*knob, end) for knob in KNOBS if knob[0] in ESTIMATED for end in (0.0, 1.0)]
    return [
        pytest.param(*knob, id="-".join(map(str, knob)))
        for knob in ends
        if knob[:2] not in NOT_JUDGED
    ]


def truth(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    return random_treatments(CHAIN, count, torch.Generator().manual_seed(seed))


def all_on(count: int = 1) -> torch.Tensor:
    return torch.ones(count, len(CHAIN.effects), dtype=torch.bool)


def confident(switches: torch.Tensor) -> torch.Tensor:
    return torch.where(switches[:, COLUMNS], 30.0, -30.0)


def set_to(controls: torch.Tensor, **settings: float) -> torch.Tensor:
    """Controls with some knobs, `effect__knob`, at a value in their unit."""
    changed = controls.clone()
    for name, value in settings.items():
        index = KNOBS[tuple(name.split("__"))]
        changed[:, index] = CHAIN.params[index].to_control(value)
    return changed


def test_columns_are_those_of_the_estimated_effects() -> None:
    assert [CHAIN.names[column] for column in COLUMNS] == list(ESTIMATED)


def test_the_truth_costs_nothing() -> None:
    """Where an effect is off, the truth is that its amounts are zero: its defaults."""
    controls, switches = truth(64)
    effects = [CHAIN.names.index(name) for name, _ in CHAIN.knobs]
    known = torch.where(switches[:, effects], controls, CHAIN.default_controls())
    losses = treatment_losses(Estimate(known, confident(switches)), controls, switches, CHAIN)
    assert set(losses) == {"switches", *ESTIMATED}
    for name, loss in losses.items():
        assert loss.shape == (64,)
        assert float(loss.abs().max()) < 1e-4, name


def test_anything_else_costs_something() -> None:
    controls, switches = truth(32, 1)
    switches[:] = True
    others, _ = truth(32, 2)
    losses = treatment_losses(Estimate(others, confident(switches)), controls, switches, CHAIN)
    for effect in ESTIMATED:
        assert float(losses[effect].min()) > 0.0, effect
    wrong = treatment_losses(Estimate(controls, confident(~switches)), controls, switches, CHAIN)
    assert float(wrong["switches"].min()) > 100.0


def test_uncertainty_shrinks_towards_nothing() -> None:
    """An effect that was off is missed by as much as it is turned up, whatever its other knobs."""
    controls = CHAIN.default_controls().repeat(3, 1)
    off = ~all_on(3)
    for name in ("reverb", "delay", "chorus"):
        guess = controls.clone()
        guess[:, KNOBS[name, "mix"]] = torch.tensor([0.0, 0.2, 0.4])
        losses = treatment_losses(Estimate(guess, confident(off)), controls, off, CHAIN)
        assert float(losses[name][0]) == 0.0
        torch.testing.assert_close(losses[name][2], 2.0 * losses[name][1])


@pytest.mark.parametrize(
    "settings",
    [
        {"eq__low_shelf_gain_db": 8.0},
        {"eq__peak3_gain_db": -10.0, "eq__peak3_q": 2.0},
        {"eq__high_cut_hz": 3000.0},
        {"eq__low_cut_hz": 300.0, "eq__high_shelf_gain_db": 5.0},
    ],
)
def test_the_equaliser_is_judged_by_its_curve_and_its_cuts(settings: dict[str, float]) -> None:
    flat = CHAIN.default_controls().unsqueeze(0)
    bent = set_to(flat, **settings)
    curve = responses.eq_curve_db(CHAIN.to_settings(bent)["eq"], SAMPLE_RATE).clamp_min(-30.0)
    expected = (curve - 0.9 * curve.mean()).abs().mean() / 1.5
    cuts = [KNOBS["eq", name] for name in ("low_cut_hz", "high_cut_hz")]
    expected = expected + 1.5 * (bent - flat)[:, cuts].abs().sum()  # open cuts leave no trace
    for guess, true in ((bent, flat), (flat, bent)):
        estimate = Estimate(guess, confident(all_on()))
        loss = treatment_losses(estimate, true, all_on(), CHAIN)["eq"]
        torch.testing.assert_close(loss[0], expected)
    assert float(expected) > 0.1


@pytest.mark.parametrize("present", [True, False])
def test_an_equaliser_that_the_input_has_already_is_wanted_the_other_way(present: bool) -> None:
    """Boosts become cuts; and what the reference has too is not wanted at all."""
    flat = CHAIN.default_controls().unsqueeze(0)
    true = set_to(flat, eq__peak1_hz=300.0, eq__peak1_gain_db=6.0)
    before = true[:, CHAIN.knobs_of("eq")]
    switches = all_on()
    switches[:, 0] = present
    wanted = flat if present else set_to(flat, eq__peak1_hz=300.0, eq__peak1_gain_db=-6.0)
    asked = switches.clone()
    asked[:, 0] = not present
    losses = treatment_losses(Estimate(wanted, confident(asked)), true, switches, CHAIN, before)
    assert float(losses["eq"]) < 1e-4
    assert float(losses["switches"]) < 1e-4
    plain = Wanted(true, switches, CHAIN, flat[:, CHAIN.knobs_of("eq")])
    torch.testing.assert_close(plain.curves, Wanted(true, switches, CHAIN).curves)


def test_exchanged_bands_are_no_error() -> None:
    """Two peaks in each other's places are other knobs, and the same sound."""
    flat = CHAIN.default_controls().unsqueeze(0)
    true = set_to(flat, eq__peak1_hz=300.0, eq__peak1_gain_db=6.0, eq__peak2_hz=500.0)
    guess = set_to(flat, eq__peak2_hz=300.0, eq__peak2_gain_db=6.0, eq__peak1_hz=500.0)
    estimate = Estimate(guess, confident(all_on()))
    assert float(treatment_losses(estimate, true, all_on(), CHAIN)["eq"]) < 1e-4


def head(knob_logit: float) -> TreatmentHead:
    """A head whose knobs all stand where their logit puts them."""
    made = TreatmentHead(CHAIN, 4, 8)
    torch.nn.init.zeros_(made.last.weight)
    torch.nn.init.constant_(made.last.bias, knob_logit)
    return made


def test_a_new_head_starts_at_the_defaults_with_cuts_half_closed() -> None:
    torch.manual_seed(0)
    estimate = TreatmentHead(CHAIN, 4)(torch.zeros(1, 4))
    defaults = CHAIN.default_controls()
    start = defaults.clone()
    start[KNOBS["eq", "low_cut_hz"]], start[KNOBS["eq", "high_cut_hz"]] = 0.2, 0.75
    torch.testing.assert_close(estimate.controls[0], start, atol=0.1, rtol=0)
    others = [index for (effect, _), index in KNOBS.items() if effect not in ESTIMATED]
    assert torch.equal(estimate.controls[0, others], defaults[others])


@pytest.mark.parametrize(("logit", "end"), [(-4.5, 0.0), (4.5, 1.0)])
def test_both_ends_of_a_knob_can_be_reached_and_left(logit: float, end: float) -> None:
    made = head(logit)
    estimate = made(torch.zeros(1, 4))
    estimated = [index for (effect, _), index in KNOBS.items() if effect in ESTIMATED]
    assert torch.equal(estimate.controls[0, estimated], torch.full((len(estimated),), end))
    for effect, settings in CHAIN.to_settings(estimate.controls).items():
        for name, value in settings.items():
            if effect in ESTIMATED:
                param = CHAIN.params[KNOBS[effect, name]]
                limit = param.maximum if end else param.minimum
                assert value.item() == pytest.approx(limit, rel=1e-6)
    estimate.controls[0, estimated].sum().backward()
    gradient = made.last.bias.grad
    assert gradient is not None
    assert float(gradient[: len(estimated)].min()) > 1e-3


@pytest.mark.parametrize(("effect", "name", "end"), knob_ends())
def test_the_loss_has_a_gradient_at_the_ends_of_every_knob(
    effect: str, name: str, end: float
) -> None:
    """Where the effect can be heard, since a band without gain has no frequency."""
    audible = set_to(
        torch.full((1, len(CHAIN.knobs)), 0.45),
        compressor__ratio=4.0,
        overdrive__drive_db=20.0,
        eq__low_shelf_gain_db=6.0,
        eq__peak1_gain_db=6.0,
        eq__peak2_gain_db=-6.0,
        eq__peak3_gain_db=6.0,
        eq__peak4_gain_db=-6.0,
        eq__high_shelf_gain_db=6.0,
    )
    guess = audible.clone()
    guess[:, KNOBS[effect, name]] = end
    guess.requires_grad_()
    losses = treatment_losses(Estimate(guess, confident(all_on())), audible, all_on(), CHAIN)
    losses[effect].sum().backward()
    assert guess.grad is not None
    assert bool(torch.isfinite(guess.grad).all())
    assert abs(float(guess.grad[0, KNOBS[effect, name]])) > 1e-4
