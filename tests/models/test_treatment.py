"""Treatment embeddings: what stands where, and what changes them."""

from __future__ import annotations

import pytest
import torch

from afxvae import AFXStyleVAE
from afxvae.dsp.features import CLIP_SAMPLES, N_MELS, SAMPLE_RATE
from afxvae.models.treatment import embed_treatment, hear
from afxvae.models.waveform import BENDING
from afxvae.types import AudioError
from tests.sounds import clips

DIFFERENCE, SIZES, TRACES, SWINGING = 64, 5, 7, 12
KNOBS = sum(map(len, BENDING.values()))


@pytest.fixture(scope="module")
def model() -> AFXStyleVAE:
    return AFXStyleVAE.from_pretrained()


def between(model: AFXStyleVAE, mine: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
    return embed_treatment(model, hear(model, mine), hear(model, theirs))


def test_parts_stand_where_the_docstring_says(model: AFXStyleVAE) -> None:
    mine, theirs = clips(1), clips(1, seed=1)
    found = between(model, mine, theirs)
    parts = [DIFFERENCE, N_MELS, 1, SIZES, len(BENDING), KNOBS, TRACES, SWINGING]
    assert found.shape == (sum(parts),) == (177,)
    difference = model.compare(model.embed_clips(mine), model.embed_clips(theirs))[0]
    torch.testing.assert_close(found[:DIFFERENCE], difference, atol=1e-4, rtol=1e-4)
    _, curve, _, sizes, logits, knobs, *_ = found.split(parts)
    bends = model.waveform.compare(model.level(mine), model.level(theirs))
    torch.testing.assert_close(logits, bends.logits[0])
    torch.testing.assert_close(knobs, bends.knobs[0])
    assert float(sizes[0].exp()) == pytest.approx(float(curve.square().mean()) + 0.1, rel=1e-3)
    assert float(curve.mean().abs()) < 1e-3  # a filter without its level
    assert bool(torch.isfinite(found).all())


def test_an_echo_shows_in_the_traces(model: AFXStyleVAE) -> None:
    mine, theirs = clips(1), clips(1, seed=1)
    wet = theirs.clone()
    wet[:, 7200:] += 0.4 * theirs[:, :-7200]
    dry, echoed = (
        between(model, mine, sound)[-SWINGING - TRACES : -SWINGING] for sound in (theirs, wet)
    )
    assert float(dry[0]) < 0.25
    assert float(echoed[0]) == pytest.approx(0.4, abs=0.08)
    assert float(echoed[1]) == pytest.approx(0.4, abs=0.12)
    both = between(model, wet, wet)[-SWINGING - TRACES :]
    assert abs(float(both[1])) < 0.05


def test_loudness_is_no_treatment(model: AFXStyleVAE) -> None:
    mine, theirs = clips(1), clips(1, seed=1)
    found, softer = between(model, mine, theirs), between(model, mine, 0.2 * theirs)
    torch.testing.assert_close(softer, found, atol=0.05, rtol=0.01)


def test_recordings_are_embedded_by_their_clips(model: AFXStyleVAE) -> None:
    mine, theirs = clips(1), clips(1, seed=1)
    found = model.embed_treatment(mine, theirs[0], SAMPLE_RATE)
    torch.testing.assert_close(found, between(model, mine, theirs), atol=0.02, rtol=0.01)
    stereo = theirs.repeat(2, 2)  # two clips of the same
    torch.testing.assert_close(model.embed_treatment(mine, stereo, SAMPLE_RATE, SAMPLE_RATE)[:8],
                               found[:8], atol=0.05, rtol=0.05)  # fmt: skip
    with pytest.raises(AudioError, match="The reference"):
        model.embed_treatment(mine, torch.zeros(1, CLIP_SAMPLES), SAMPLE_RATE)


def test_what_is_shorter_than_a_clip_has_no_traces_of_its_repetition(model: AFXStyleVAE) -> None:
    mine, theirs = clips(1), clips(1, seed=1)[:, : SAMPLE_RATE // 2]
    found = model.embed_treatment(mine, theirs, SAMPLE_RATE)
    assert found[-SWINGING - TRACES :][:5].tolist() == [0.0, 0.0, 0.0, 1.0, 0.0]
    assert not found[-SWINGING:].any()
    heard = between(model, mine, theirs.repeat(1, 11)[:, :CLIP_SAMPLES])
    assert float(heard[-SWINGING - TRACES]) > 0.3  # where nobody says that it is a repetition


def test_two_seconds_show_an_echo_and_are_not_one(model: AFXStyleVAE) -> None:
    mine, theirs = clips(1), clips(1, seed=1)[:, : 2 * SAMPLE_RATE]
    wet = theirs.clone()
    wet[:, 7200:] += 0.4 * theirs[:, :-7200]
    levels = [
        float(model.embed_treatment(mine, sound, SAMPLE_RATE)[-SWINGING - TRACES])
        for sound in (theirs, wet)
    ]
    assert levels[0] < 0.3
    assert levels[1] == pytest.approx(0.4, abs=0.1)


def test_a_voice_that_swings_shows(model: AFXStyleVAE) -> None:
    mine, theirs = clips(1), clips(1, seed=1)
    knobs = {"rate_hz": 0.5, "depth_ms": 1.2, "delay_ms": 12.0, "mix": 0.4}
    settings = {name: torch.tensor([value]) for name, value in knobs.items()}
    wet = model.chain["chorus"].process(theirs.unsqueeze(1), settings, SAMPLE_RATE)[:, 0]
    plain, swung = (between(model, mine, sound)[-SWINGING:] for sound in (theirs, wet))
    assert bool((swung[:6] > plain[:6] + 0.3).any())
    torch.testing.assert_close(swung[:6] - swung[6:], plain[:6] - plain[6:])  # the input's own
