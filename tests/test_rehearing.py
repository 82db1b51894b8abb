"""The second hearing: what an equaliser has still to do is found behind what was chosen."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from afxvae.candidates import Candidate, nothing, render_candidates
from afxvae.decision import decide, levelled
from afxvae.dsp.features import CLIP_SAMPLES, RUN_IN, SAMPLE_RATE
from afxvae.measure.equalizer import eq_bands_db
from afxvae.models.style_vae import AFXStyleVAE
from afxvae.rehearing import HEARD_AGAIN, hear_again
from tests.sounds import sound

SHELF = {"eq": {"high_shelf_gain_db": 9.0, "high_shelf_hz": 3000.0}}
DRIVE = {"overdrive": {"drive_db": 15.0}}


@pytest.fixture(scope="module")
def model() -> AFXStyleVAE:
    return AFXStyleVAE.from_pretrained()


@pytest.fixture(scope="module")
def clips() -> Tensor:
    seconds = (RUN_IN + CLIP_SAMPLES) / SAMPLE_RATE + 0.1
    return levelled(sound(3, seconds)[None, :, : RUN_IN + CLIP_SAMPLES])


def candidate(model: AFXStyleVAE, settings: dict[str, dict[str, float]]) -> Candidate:
    """With these effects on, of which an equaliser is likely."""
    found = nothing(model.chain)
    controls = found.controls.clone()
    for index, (effect, param) in enumerate(model.chain.knobs):
        if param.name in settings.get(effect, {}):
            controls[index] = param.to_control(settings[effect][param.name])
    switches = torch.tensor([name in settings for name in model.chain.names])
    evidence = torch.full_like(found.evidence, 0.6)
    return replace(found, name="first", controls=controls, switches=switches, evidence=evidence)


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
    true, first = candidate(model, SHELF | DRIVE), candidate(model, DRIVE)
    found = again(model, clips, true, first)
    assert found.name == f"first, {HEARD_AGAIN}"
    error = (curve(model, found) - curve(model, true)).abs().mean()
    assert error < 0.5 * curve(model, true).abs().mean()
    drive = model.chain.knobs_of("overdrive")
    assert torch.equal(found.controls[drive], first.controls[drive])


def test_an_equaliser_that_is_on_is_corrected(model: AFXStyleVAE, clips: Tensor) -> None:
    half = {"eq": SHELF["eq"] | {"high_shelf_gain_db": 4.0}}
    true, first = candidate(model, SHELF), candidate(model, half)
    found = again(model, clips, true, first)
    before, after = (
        (curve(model, one) - curve(model, true)).abs().mean() for one in (first, found)
    )
    assert after < 0.6 * before


def test_what_is_right_stays(model: AFXStyleVAE, clips: Tensor) -> None:
    true = candidate(model, DRIVE)
    assert again(model, clips, true, true) is true


def test_nothing_is_learned_from_another_source(model: AFXStyleVAE, clips: Tensor) -> None:
    true, first = candidate(model, SHELF | DRIVE), candidate(model, DRIVE)
    assert again(model, clips, true, first, same_source=0.8) is first


def test_a_source_is_recognised_behind_its_drive(model: AFXStyleVAE, clips: Tensor) -> None:
    true = candidate(model, {"overdrive": {"drive_db": 36.0}})
    wet = render_candidates(model, clips, [true])
    decided = decide(model, clips, wet, {}, "fast")
    assert decided.likely["overdrive"]
    assert decided.inferred.same_source < 0.1
    assert decided.same_source > 0.4
    assert decided.caution == pytest.approx(2.5 * (1.0 - decided.same_source))
