"""Compressors and overdrives set by ear: what a rendered choice should be nearer to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from afxvae import decision
from afxvae.by_ear import BY_EAR, set_by_ear
from afxvae.candidates import Candidate, render_candidates
from afxvae.decision import decide
from afxvae.evaluation.metrics import matched_mr_stft
from afxvae.models.style_vae import AFXStyleVAE
from tests.sounds import analysed_clip, possible

SQUEEZED = {"threshold_db": -38.0, "ratio": 8.0, "attack_ms": 3.0, "release_ms": 90.0}
SLOW = {"threshold_db": -25.0, "ratio": 2.0, "attack_ms": 60.0, "release_ms": 450.0}
SHELF = {"eq": {"high_shelf_gain_db": 6.0}}


@pytest.fixture(scope="module")
def model() -> AFXStyleVAE:
    return AFXStyleVAE.from_pretrained()


@pytest.fixture(scope="module")
def clips() -> Tensor:
    return analysed_clip()


def by_ear(
    model: AFXStyleVAE,
    clips: Tensor,
    true: Candidate,
    first: Candidate,
    allowed: Tensor | None = None,
    seed: int = 0,
) -> Candidate:
    return set_by_ear(
        model, clips, render_candidates(model, clips, [true]), first, {}, allowed, seed
    )


def far(model: AFXStyleVAE, clips: Tensor, true: Candidate, found: Candidate) -> float:
    truth, made = render_candidates(model, clips, [true, found]).split(1)
    return matched_mr_stft(made, truth)


def is_on(model: AFXStyleVAE, found: Candidate, effect: str = "compressor") -> bool:
    return bool(found.switches[model.chain.names.index(effect)])


@pytest.mark.parametrize(
    ("effect", "right", "wrong"),
    [
        ("compressor", SQUEEZED, SLOW),
        ("overdrive", {"drive_db": 30.0, "mix": 0.5}, {"drive_db": 12.0, "mix": 1.0}),
    ],
)
def test_knobs_go_where_the_result_is_like_the_reference(
    model: AFXStyleVAE,
    clips: Tensor,
    effect: str,
    right: dict[str, float],
    wrong: dict[str, float],
) -> None:
    true, first = (
        possible(model.chain, SHELF | {effect: right}),
        possible(model.chain, SHELF | {effect: wrong}),
    )
    found = by_ear(model, clips, true, first)
    assert far(model, clips, true, found) < 0.6 * far(model, clips, true, first)
    assert effect in found.by_ear
    assert found.name == f"{first.name}, {BY_EAR}"
    others = [k for k, (name, _) in enumerate(model.chain.knobs) if name not in found.by_ear]
    assert torch.equal(found.controls[others], first.controls[others])


def test_a_compressor_that_was_missed_is_switched_on(model: AFXStyleVAE, clips: Tensor) -> None:
    true, first = (
        possible(model.chain, SHELF | {"compressor": SQUEEZED}),
        possible(model.chain, SHELF),
    )
    found = by_ear(model, clips, true, first)
    assert is_on(model, found)
    assert far(model, clips, true, found) < 0.6 * far(model, clips, true, first)


def test_not_if_it_is_improbable_or_not_wanted(model: AFXStyleVAE, clips: Tensor) -> None:
    true = possible(model.chain, SHELF | {"compressor": SQUEEZED})
    improbable = possible(model.chain, SHELF, 0.1)
    assert by_ear(model, clips, true, improbable) is improbable
    allowed = torch.ones(len(model.chain.names), dtype=torch.bool)
    allowed[model.chain.names.index("compressor")] = False
    first = possible(model.chain, SHELF)
    assert by_ear(model, clips, true, first, allowed) is first


def test_what_is_right_hardly_changes(model: AFXStyleVAE, clips: Tensor) -> None:
    true = possible(model.chain, SHELF | {"compressor": SQUEEZED})
    assert by_ear(model, clips, true, true) is true


def test_a_compressor_that_brings_nothing_stays_off(model: AFXStyleVAE, clips: Tensor) -> None:
    true = possible(model.chain, SHELF)
    assert by_ear(model, clips, true, true) is true


def test_an_overdrive_that_was_not_chosen_stays_off(model: AFXStyleVAE, clips: Tensor) -> None:
    true = possible(model.chain, SHELF | {"overdrive": {"drive_db": 24.0}})
    assert not is_on(model, by_ear(model, clips, true, possible(model.chain, SHELF)), "overdrive")


def test_the_same_seed_sets_the_same(model: AFXStyleVAE, clips: Tensor) -> None:
    true, first = (
        possible(model.chain, {"compressor": SQUEEZED}),
        possible(model.chain, {"compressor": SLOW}),
    )
    one, again, other = (by_ear(model, clips, true, first, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.controls, again.controls)
    assert not torch.equal(one.controls, other.controls)


@pytest.mark.parametrize(("same_source", "efforts"), [(0.9, {"normal", "high"}), (0.8, set())])
def test_a_match_is_set_by_ear_where_it_may(
    model: AFXStyleVAE,
    clips: Tensor,
    monkeypatch: pytest.MonkeyPatch,
    same_source: float,
    efforts: set[str],
) -> None:
    def set_(*given: Any) -> Candidate:
        own, chosen = model.chain.knobs_of("compressor"), given[3]
        controls = chosen.controls.clone()
        controls[own] = 0.25
        return replace(chosen, controls=controls, by_ear=frozenset({"compressor"}))

    monkeypatch.setattr(decision, "set_by_ear", set_)
    monkeypatch.setattr(decision, "one_source", lambda *given: same_source)
    wet = render_candidates(model, clips, [possible(model.chain, {"compressor": SQUEEZED})])
    own = model.chain.knobs_of("compressor")
    for effort in ("fast", "normal", "high"):
        decided = decide(model, clips, wet, {}, effort)
        estimated = decided.candidates[1].controls
        set_up = decided.as_set(model.chain, estimated)
        assert bool(decided.best.by_ear) == (effort in efforts)
        assert bool((set_up[own] == 0.25).all()) == (effort in efforts)
        others = [k for k, (name, _) in enumerate(model.chain.knobs) if name != "compressor"]
        assert torch.equal(set_up[others], estimated[others])
    refused = decide(model, clips, wet, {}, "normal", others=[(wet, 1.0)])
    assert not refused.best.by_ear
