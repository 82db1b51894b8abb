"""The second hearing: what an equaliser has still to do is found behind what was chosen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from afxvae import decision
from afxvae.candidates import Candidate, render_candidates
from afxvae.decision import decide
from afxvae.dsp.features import CLIP_SAMPLES
from afxvae.measure.equalizer import eq_bands_db
from afxvae.models.style_vae import AFXStyleVAE
from afxvae.rehearing import ALONE, HEARD_AGAIN, hear_again
from tests.sounds import analysed_clip, possible

SHELF = {"eq": {"high_shelf_gain_db": 9.0, "high_shelf_hz": 3000.0}}
DRIVE = {"overdrive": {"drive_db": 15.0}}


@pytest.fixture(scope="module")
def model() -> AFXStyleVAE:
    return AFXStyleVAE.from_pretrained()


@pytest.fixture(scope="module")
def clips() -> Tensor:
    return analysed_clip()


def again(
    model: AFXStyleVAE, clips: Tensor, true: Candidate, first: Candidate, same_source: float = 0.95
) -> Candidate:
    wet = render_candidates(model, clips, [true])
    return hear_again(model, clips, model.listen(wet), first, same_source)


def curve(model: AFXStyleVAE, found: Candidate) -> Tensor:
    """Of its equaliser in dB ``(80,)``, without its median."""
    own = found.controls[None, model.chain.knobs_of("eq")]
    db = eq_bands_db(model.chain["eq"], own)[0] * found.switches[model.chain.names.index("eq")]
    return db - db.median()


def test_an_equaliser_in_front_of_a_drive_is_found(model: AFXStyleVAE, clips: Tensor) -> None:
    true, first = possible(model.chain, SHELF | DRIVE), possible(model.chain, DRIVE)
    found = again(model, clips, true, first)
    assert found.name == f"first, {HEARD_AGAIN}"
    error = (curve(model, found) - curve(model, true)).abs().mean()
    assert error < 0.5 * curve(model, true).abs().mean()
    drive = model.chain.knobs_of("overdrive")
    assert torch.equal(found.controls[drive], first.controls[drive])


def test_an_equaliser_that_is_on_is_corrected(model: AFXStyleVAE, clips: Tensor) -> None:
    half = {"eq": SHELF["eq"] | {"high_shelf_gain_db": 4.0}}
    true, first = possible(model.chain, SHELF), possible(model.chain, half)
    found = again(model, clips, true, first)
    before, after = (
        (curve(model, one) - curve(model, true)).abs().mean() for one in (first, found)
    )
    assert after < 0.6 * before


def test_what_is_right_stays(model: AFXStyleVAE, clips: Tensor) -> None:
    true = possible(model.chain, DRIVE)
    assert again(model, clips, true, true) is true


def test_where_nothing_was_chosen_an_equaliser_is_found(model: AFXStyleVAE, clips: Tensor) -> None:
    true, first = possible(model.chain, SHELF), possible(model.chain, {})
    assert first.is_nothing
    found = again(model, clips, true, first)
    assert found.name == f"{ALONE}, {HEARD_AGAIN}"
    assert found.switches.tolist() == true.switches.tolist()
    error = (curve(model, found) - curve(model, true)).abs().mean()
    assert error < 0.3 * curve(model, true).abs().mean()
    assert again(model, clips, first, first) is first


def test_nothing_stays_the_first_candidate(model: AFXStyleVAE, clips: Tensor) -> None:
    decided = decide(model, clips, clips[:, 0, -CLIP_SAMPLES:], {}, "normal")
    assert decided.best.is_nothing
    assert decided.changed(decided.best) is decided
    changed = decided.changed(possible(model.chain, SHELF))
    assert changed.candidates[:-1] == decided.candidates
    assert changed.best is changed.candidates[-1]


def test_nothing_is_learned_from_another_source(model: AFXStyleVAE, clips: Tensor) -> None:
    true, first = possible(model.chain, SHELF | DRIVE), possible(model.chain, DRIVE)
    assert again(model, clips, true, first, same_source=0.8) is first


def test_a_source_is_recognised_behind_its_drive(model: AFXStyleVAE, clips: Tensor) -> None:
    true = possible(model.chain, {"overdrive": {"drive_db": 36.0}})
    wet = render_candidates(model, clips, [true])
    decided = decide(model, clips, wet, {}, "fast")
    assert decided.likely["overdrive"]
    assert decided.same_source > 0.4


def test_a_match_hears_again_where_it_may(
    model: AFXStyleVAE, clips: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[int] = []

    def hear(*given: Any) -> Candidate:
        heard.append(given[-1])
        return replace(given[3], name="again")

    monkeypatch.setattr(decision, "hear_again", hear)
    wet = render_candidates(model, clips, [possible(model.chain, SHELF | DRIVE)])
    for effort in ("fast", "normal"):
        assert decide(model, clips, wet, {}, effort).best.name == "again"
    assert heard == [0, 2]
    without = torch.tensor([name != "eq" for name in model.chain.names])
    assert decide(model, clips, wet, {}, "fast", allowed=without).best.name != "again"
    assert decide(model, clips, wet, {}, "fast", others=[(wet, 1.0)]).best.name != "again"
