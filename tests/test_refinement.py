"""Effort high: a candidate moves towards what is wanted, and what is not missed goes."""

from __future__ import annotations

import pytest
import torch

from afxvae.candidates import Candidate
from afxvae.dsp.features import CLIP_SAMPLES, SAMPLE_RATE
from afxvae.matching import match
from afxvae.models.style_vae import AFXStyleVAE
from afxvae.refinement import Refined, refine
from tests.sounds import analysed_clip, candidate, sound, untrained


@pytest.fixture(scope="module")
def model() -> AFXStyleVAE:
    return AFXStyleVAE.from_pretrained()


@pytest.fixture(scope="module")
def clips() -> torch.Tensor:
    return analysed_clip()


def treated(model: AFXStyleVAE, gain_db: float, *others: str) -> Candidate:
    """A high shelf, and others at their defaults, which do nothing."""
    shelf = {"high_shelf_gain_db": gain_db, "high_shelf_hz": 3000.0}
    return candidate(model.chain, {"eq": shelf, **{name: {} for name in others}})


def refined(model: AFXStyleVAE, clips: torch.Tensor, true_db: float, first_db: float) -> Refined:
    """With the truth of the input itself as the reference, so that the distance can be 0."""
    with torch.no_grad():
        chain, true = model.chain, treated(model, true_db)
        wet = model.render(clips, true.controls[None], true.switches[None])
        each, wanted = (model.embed_clips(c[:, 0, -CLIP_SAMPLES:]) for c in (clips, wet))
    assert chain.names[0] == "eq"
    return refine(model, clips, (each, wanted), treated(model, first_db, "chorus"))


def test_a_shelf_goes_where_it_is_wanted(model: AFXStyleVAE, clips: torch.Tensor) -> None:
    found = refined(model, clips, 9.0, 4.0)
    assert found.distance_after < 0.6 * found.distance_before
    knobs = [param.name for _, param in model.chain.knobs]
    place = knobs.index("high_shelf_gain_db")
    assert found.after.controls[place] > found.before.controls[place]
    assert bool(((found.after.controls >= 0.0) & (found.after.controls <= 1.0)).all())


def test_what_is_not_missed_is_removed(model: AFXStyleVAE, clips: torch.Tensor) -> None:
    found = refined(model, clips, 9.0, 9.0)
    assert found.removed == ("chorus",)
    assert "without chorus, which was not missed" in found.told(taken=True)
    report = found.report(model, taken=True)
    assert set(report["before"]) == {"eq", "chorus"}
    assert report["distance"]["after"] <= report["distance"]["before"] + 0.005


def test_what_was_measured_stays(model: AFXStyleVAE, clips: torch.Tensor) -> None:
    with torch.no_grad():
        each = model.embed_clips(clips[:, 0, -CLIP_SAMPLES:])
    first = treated(model, 6.0)
    found = refine(model, clips, (each, each), first, fixed=("eq",))
    assert torch.equal(found.after.controls, first.controls)
    assert torch.equal(found.after.switches, first.switches)


def test_a_match_at_effort_high_says_what_it_did() -> None:
    found = match(
        untrained(expectation=1.0),
        sound(1, 3.0),
        0.5 * sound(5, 3.0).clamp(-0.05, 0.05),
        sample_rate=SAMPLE_RATE,
        effort="high",
    )
    assert found.refinement is not None
    assert any("efine" in note for note in found.notes)
    taken = [row["name"] for row in found.candidates if row["chosen"]]
    assert found.refinement["taken"] == taken[0].endswith(", refined")
