"""What is proposed for an input and a reference."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from afxvae.candidates import Candidate, choose
from afxvae.dsp.features import CLIP_SAMPLES, SAMPLE_RATE
from afxvae.dsp.likeness import N_LIKENESS
from afxvae.effects import default_chain
from afxvae.effects.responses import eq_curve_db
from afxvae.measure import MEASURED, EqualizerFit, Measured
from afxvae.measure.equalizer import FIT_FIGURES
from afxvae.models.estimate import ESTIMATED
from afxvae.models.pair import Pair
from afxvae.models.style_vae import AFXStyleVAE
from afxvae.models.vae import EVIDENCE, Posterior
from afxvae.proposals import Inference, fit_eq, propose
from tests.sounds import measured, untrained

CHAIN = default_chain()
LATENT_DIM, EMBEDDING_DIM = 16, 256


@pytest.fixture(autouse=True)
def nothing_is_feigned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models here believe what they are told to, between a recording and itself too."""
    monkeypatch.setattr("afxvae.models.pair.feigned_odds", lambda own, _: 0.0 * own)


def noise(seed: int) -> torch.Tensor:
    return 0.1 * torch.randn(1, CLIP_SAMPLES, generator=torch.Generator().manual_seed(seed))


def on(candidate: Candidate) -> set[str]:
    switches = zip(CHAIN.names, candidate.switches.tolist(), strict=True)
    return {name for name, switch in switches if switch}


def believing(log_odds: float = -6.0, **others: float) -> AFXStyleVAE:
    """A model that gives effects these log odds, whatever it hears; its samples differ a little."""
    model = untrained()
    last = model.vae.head.last
    knobs = len(last.bias) - len(ESTIMATED)
    last.weight.data[knobs:] = 0.0
    for index, effect in enumerate(ESTIMATED):
        last.bias.data[knobs + index] = others.get(effect, log_odds)
    return model


@torch.no_grad()
def proposed(
    model: AFXStyleVAE,
    found: dict[str, Measured] | None = None,
    effort: str = "normal",
    allowed: set[str] | None = None,
    same_source: float = 0.5,
    verified: float | None = None,
) -> dict[str, Candidate]:
    """By name; without `found`, for a reference in which nothing is found."""
    verified = same_source if verified is None else verified
    found = measured() if found is None else found
    posterior = Posterior(torch.zeros(1, LATENT_DIM), torch.zeros(1, LATENT_DIM))
    embedded = torch.zeros(1, EMBEDDING_DIM)
    generator = torch.Generator().manual_seed(0)
    eq = CHAIN["eq"].params
    flat = EqualizerFit(torch.full((len(eq),), 0.5), torch.zeros(80), torch.zeros(FIT_FIGURES))
    pair = Pair(torch.zeros(1, N_LIKENESS), flat, verified, embedded)
    inferred = Inference(noise(2), posterior, pair, same_source)
    may = None if allowed is None else torch.tensor([name in allowed for name in CHAIN.names])
    listed = propose(model, inferred, embedded, noise(1), found, generator, effort, may)
    names = [candidate.name for candidate in listed]
    assert len(set(names)) == len(names)
    assert names[0] == "nothing"
    assert on(listed[0]) == set()
    return dict(zip(names, listed, strict=True))


# what is proposed


def test_switches_follow_the_thresholds() -> None:
    model = believing(eq=4.8, compressor=1.2, overdrive=1.4)  # 99 %, 77 %, 80 %
    found = proposed(model, same_source=0.0)
    assert on(found["posterior mean"]) == {"eq", "overdrive"}
    assert on(found["posterior mean, compressor toggled"]) == {"eq", "compressor", "overdrive"}
    assert on(found["posterior mean, overdrive toggled"]) == {"eq"}


def test_less_certainty_is_asked_where_the_source_is_one() -> None:
    odds = {"eq": 1.5, "compressor": 0.8, "overdrive": 0.3}  # 82 %, 69 %, 57 %
    model = believing(**odds, reverb=7.0)
    assert on(proposed(model, {}, same_source=0.0)["posterior mean"]) == {"reverb"}
    assert on(proposed(model, {}, same_source=1.0)["posterior mean"]) == {"reverb", *odds}


def test_that_nothing_was_done_must_be_improbable() -> None:
    """Log odds of 2.1 leave 11 %, of 3.2 4 %; log odds of 2.4 for two leave .7 %."""
    assert list(proposed(believing(overdrive=2.1), same_source=0.0)) == ["nothing"]
    assert "posterior mean" in proposed(believing(overdrive=2.1), same_source=1.0)
    assert "posterior mean" in proposed(believing(overdrive=3.2), same_source=0.0)
    found = proposed(believing(eq=2.4, overdrive=2.4), same_source=0.0)
    assert on(found["posterior mean"]) == {"eq", "overdrive"}
    assert found["posterior mean"].likely
    assert "posterior mean, eq toggled" not in found  # the drive alone might be none


def test_an_overdrive_is_no_reason_to_believe_in_itself() -> None:
    """A judge that takes a pair for one source, by a drive, lowers its own bound."""
    model = believing(overdrive=0.8, compressor=5.0)  # 69 %
    assert "overdrive" in on(proposed(model, same_source=1.0)["posterior mean"])
    model.judge.last.bias.data[3] = 9.0
    found = proposed(model, same_source=0.999, verified=0.0)["posterior mean"]
    assert on(found) == {"compressor"}


@pytest.mark.parametrize("effect", ["eq", "overdrive"])
def test_an_equaliser_alone_may_be_what_was_done_to_the_same_source(effect: str) -> None:
    """From 88 % on, where others leave too much room for doubt."""
    model = believing(**{effect: 2.02})  # 88.3 %
    assert list(proposed(model)) == ["nothing"]
    found = proposed(model, same_source=0.93)
    assert ("posterior mean" in found) == (effect == "eq")
    assert list(proposed(believing(eq=1.9), same_source=0.93)) == ["nothing"]  # 87 %


@pytest.mark.parametrize("effort", ["fast", "normal"])
def test_an_equaliser_between_recordings_of_one_source_is_measured(effort: str) -> None:
    """It stands where the critic lets nothing pass, with other effects that were measured."""
    model = believing(eq=3.2, overdrive=5.0)
    assert not any(one.sure for one in proposed(model, effort=effort).values())
    for found in ((), ("reverb",)):
        listed = proposed(model, measured(*found), effort, same_source=0.9)
        alone = listed["measured effects only"]
        assert alone.sure
        assert on(alone) == {"eq", *found}
        assert on(listed["posterior mean"]) == {"eq", "overdrive", *found}
        candidates = list(listed.values())
        assert candidates[choose(candidates, 1.0)].name == alone.name


def test_the_refiner_has_its_say() -> None:
    """A code that it moves gives another estimate."""
    model = believing(eq=5.0)
    knobs = model.vae.head.last.weight.data[: -len(ESTIMATED)]
    knobs.normal_(std=0.3, generator=torch.Generator().manual_seed(1))
    plain = proposed(model)["posterior mean"]
    model.refiner.layers[-1].bias.data.fill_(1.0)
    refined = proposed(model)["posterior mean"]
    assert not torch.equal(plain.controls, refined.controls)


def test_a_chorus_that_was_looked_for_in_vain_is_only_tried() -> None:
    """However sure the network is, short of a tenth of a percent."""
    found = proposed(believing(eq=4.5, chorus=6.0))
    assert on(found["posterior mean"]) == {"eq"}
    assert on(found["posterior mean, chorus toggled"]) == {"eq", "chorus"}


@pytest.mark.parametrize(("odds", "expected"), [(2.0, {"eq"}), (2.4, {"eq", "reverb"})])
def test_a_room_that_was_not_found_must_be_nearly_certain(odds: float, expected: set[str]) -> None:
    """Log odds of 2 are 88 %, of 2.4 are 92 %."""
    assert on(proposed(believing(eq=4.5, reverb=odds))["posterior mean"]) == expected


@pytest.mark.parametrize("effect", ["chorus", "reverb"])
def test_copies_that_were_not_looked_for_must_be_nearly_certain(effect: str) -> None:
    """Above 90 %, at every threshold and in samples too."""
    doubted = proposed(believing(eq=4.5, **{effect: 2.0}), {})  # 88 %
    trusted = proposed(believing(eq=4.5, **{effect: 2.4}), {})  # 92 %
    names = [name for name in doubted if not name.endswith(("toggled", "only", "nothing"))]
    assert "posterior sample 1" in names
    for name in names:
        assert on(doubted[name]) == {"eq"}
        assert on(trusted[name]) == {"eq", effect}


def test_only_what_is_in_doubt_is_tried_the_other_way() -> None:
    """Log odds of 4 are 98 %; a copy that was looked for in vain is tried from even odds on."""
    odds = {"eq": 3.9, "compressor": -3.9, "overdrive": 4.8, "chorus": 3.0, "reverb": -4.1}
    found = proposed(believing(**odds))
    mean = on(found["posterior mean"])
    toggled = {name: on(one) ^ mean for name, one in found.items() if name.endswith("toggled")}
    assert toggled == {
        f"posterior mean, {effect} toggled": {effect} for effect in ("eq", "compressor", "chorus")
    }


@pytest.mark.parametrize("found", [{"delay"}, {"chorus", "reverb"}, set(MEASURED)])
def test_what_is_measured_is_proposed_by_itself_and_in_every_estimate(
    found: set[str],
) -> None:
    candidates = proposed(believing(eq=5.0), measured(*found))
    assert on(candidates["measured effects only"]) == found
    mine = torch.stack([CHAIN.knobs_of(effect) for effect in found]).any(0)
    for name, one in candidates.items():
        if name in ("measured effects only", "posterior mean") or "sample" in name:
            assert on(one) >= found
            assert torch.equal(one.controls[mine], torch.full((int(mine.sum()),), 0.123))
        assert not any(f"{effect} toggled" in name for effect in found)


@pytest.mark.parametrize(
    "found",
    [{"chorus"}, {"reverb"}, {"chorus", "reverb"}, {"delay"}, {"delay", "reverb"}, set()],
)
def test_what_was_measured_stands_where_nothing_passes(found: set[str]) -> None:
    listed = [*proposed(believing(eq=4.0), measured(*found)).values()]
    assert on(listed[choose(listed, 1.0)]) == found


def test_an_almost_certain_compressor_stands_where_nothing_passes() -> None:
    """From 93 % on, with what was measured, unless the critic expects harm; what was measured
    stands even then. An equaliser or an overdrive may as well be the voice's."""
    for found in ((), ("reverb",)):
        for odds, expected in ((2.5, {*found}), (2.7, {"compressor", *found})):
            listed = [*proposed(believing(compressor=odds), measured(*found)).values()]
            assert on(listed[1]) == {"compressor", *found}
            hoped = [replace(one, advantage=0.1, spread=1.0) for one in listed]
            assert on(hoped[choose(hoped, 1.0, caution=1.0)]) == expected
            feared = [replace(one, advantage=-0.1, spread=1.0) for one in listed]
            assert on(feared[choose(feared, 1.0)]) == {*found}
    for effect in ("eq", "overdrive"):
        listed = [*proposed(believing(**{effect: 6.0})).values()]
        hoped = [replace(one, advantage=0.1, spread=1.0) for one in listed]
        assert not on(hoped[choose(hoped, 1.0, caution=1.0)])


def test_nothing_found_is_no_candidate() -> None:
    assert "measured effects only" not in proposed(believing(eq=1.0))


def test_without_measurements_the_estimate_has_its_say_on_everything() -> None:
    model = believing(delay=6.0, chorus=6.0)
    candidates = proposed(model, {})
    assert "measured effects only" not in candidates
    assert on(candidates["posterior mean"]) == {"delay", "chorus"}
    assert "posterior mean" not in proposed(model)  # it is nothing


def test_candidates_carry_what_is_known_of_the_pair() -> None:
    """Probabilities of the model before anything was measured, and what was found."""
    found = proposed(believing(eq=2.0), measured("delay", "reverb"))
    odds = torch.tensor([2.0 if effect == "eq" else -6.0 for effect in ESTIMATED])
    flags = torch.tensor([effect in ("delay", "reverb") for effect in MEASURED]).float()
    known = torch.cat([torch.sigmoid(odds), flags])
    assert known.shape == (EVIDENCE,)
    for one in found.values():
        torch.testing.assert_close(one.evidence, known, atol=1e-4, rtol=0.0)


def test_the_equaliser_alone_is_tried_where_it_is_on() -> None:
    with_eq = proposed(believing(eq=5.0, overdrive=5.0))
    assert on(with_eq["posterior mean, eq only"]) == {"eq"}
    assert on(with_eq["spectrum only"]) == {"eq"}
    without = proposed(believing(overdrive=5.0))
    assert "posterior mean, eq only" not in without
    assert on(without["spectrum only"]) == {"eq"}


def test_in_a_hurry_there_is_the_mean_or_what_was_measured_or_nothing() -> None:
    fast = proposed(believing(eq=2.4), measured("reverb"), "fast")
    assert list(fast) == ["nothing", "posterior mean", "measured effects only"]
    assert on(fast["posterior mean"]) == {"eq", "reverb"}
    assert on(fast["measured effects only"]) == {"reverb"}
    assert list(proposed(believing(compressor=6.0), effort="fast")) == ["nothing", "posterior mean"]


# what is allowed


@pytest.mark.parametrize("effort", ["fast", "normal"])
def test_no_candidate_has_what_is_not_allowed(effort: str) -> None:
    model, found = believing(eq=6.0, overdrive=5.0, compressor=3.0), measured("delay", "reverb")
    free = proposed(model, found, effort)
    for allowed in ({"eq"}, {"eq", "reverb"}, {"compressor", "delay", "gain"}, {"width"}, set()):
        kept = proposed(model, found, effort, allowed)
        assert set(kept) <= set(free)
        for name, one in kept.items():
            assert on(one) == on(free[name]) & allowed
            assert torch.equal(one.controls, free[name].controls)
        assert len({frozenset(on(one)) for one in kept.values()}) == len(kept) or effort != "fast"
    assert list(kept) == ["nothing"]


@pytest.mark.parametrize("effort", ["fast", "normal"])
def test_allowing_everything_changes_nothing(effort: str) -> None:
    model, found = believing(eq=6.0, overdrive=5.0, compressor=3.0), measured("delay", "reverb")
    free, allowed = (proposed(model, found, effort, may) for may in (None, set(CHAIN.names)))
    assert list(free) == list(allowed)
    for one, other in zip(free.values(), allowed.values(), strict=True):
        assert torch.equal(one.controls, other.controls)
        assert torch.equal(one.switches, other.switches)
        assert (one.sure, one.likely) == (other.sure, other.likely)


def test_what_is_left_of_the_mean_stands_only_where_it_is_almost_certain() -> None:
    """Log odds of 2.1 are 89 %, of 5 more than 99 %."""
    model = believing(eq=2.1, overdrive=5.0)
    assert proposed(model)["posterior mean"].likely
    assert proposed(model, allowed={"overdrive"})["posterior mean"].likely
    assert not proposed(model, allowed={"eq"})["posterior mean"].likely


def test_what_was_measured_and_is_allowed_is_sure() -> None:
    found = measured("delay", "reverb")
    both = {"delay", "reverb"}
    for allowed, sure in (
        (None, both),
        ({"eq", "reverb"}, {"reverb"}),
        ({"delay"}, {"delay"}),
        ({"eq"}, set()),
    ):
        listed = proposed(believing(eq=5.0), found, allowed=allowed).values()
        assert {name for one in listed if one.sure for name in on(one)} == sure


def test_no_two_candidates_are_the_same() -> None:
    for model in (believing(), believing(6.0), believing(eq=0.1)):
        found = [*proposed(model).values()]
        rendered = {
            (tuple(one.switches.tolist()), tuple(one.controls.tolist()) if on(one) else ())
            for one in found
        }
        assert len(rendered) == len(found)


def test_a_fitted_equaliser_finds_the_curve_of_an_equaliser() -> None:
    """On the same noise, with bands that stand at their default frequencies."""
    model = untrained()
    noise = torch.randn(1, CLIP_SAMPLES, generator=torch.Generator().manual_seed(0))
    gains = {"low_shelf_gain_db": 6.0, "peak2_gain_db": -5.0, "high_shelf_gain_db": -8.0}
    knobs = model.chain["eq"].defaults()
    knobs |= {name: torch.tensor([gain]) for name, gain in gains.items()}
    bent = model.chain["eq"].process(noise.unsqueeze(0), knobs, SAMPLE_RATE)[0]
    fitted = model.chain.to_settings(fit_eq(model, noise, bent).unsqueeze(0))["eq"]
    wanted, found = (eq_curve_db(settings, SAMPLE_RATE)[0] for settings in (knobs, fitted))
    difference = (found - found.mean()) - (wanted - wanted.mean())
    assert float(difference.abs().mean()) < 0.25 * float((wanted - wanted.mean()).abs().mean())
