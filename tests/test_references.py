"""Several references: their styles, loudnesses and widths are averaged by weight."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from afxvae import jobs
from afxvae.cli import main
from afxvae.dsp.features import SAMPLE_RATE
from afxvae.loudness import loudness_lufs
from afxvae.matching import Match
from afxvae.models.style_vae import AFXStyleVAE
from afxvae.types import AudioError, UsageError
from tests.sounds import sound, untrained

from .conftest import MATCH, RATE, Output, QuickModel, refused, write_sound


@pytest.fixture(scope="module")
def model() -> AFXStyleVAE:
    return untrained(expectation=1.0)


FIRST, OTHER = 0.2 * sound(5, 6.0), 0.5 * sound(6, 6.0).tanh()


def match(model: AFXStyleVAE, *references: tuple[torch.Tensor, float]) -> Match:
    audio = sound(1, 4.0)
    return model.match(audio, list(references), sample_rate=SAMPLE_RATE, effort="fast")


def lufs(audio: torch.Tensor) -> float:
    return float(loudness_lufs(audio.unsqueeze(0), SAMPLE_RATE))


def style(found: Match) -> torch.Tensor:
    assert found.posterior is not None
    return found.posterior.mean


def test_one_in_a_list_is_one(model: AFXStyleVAE) -> None:
    plain = model.match(sound(1, 4.0), FIRST, sample_rate=SAMPLE_RATE, effort="fast")
    for weight in (1.0, 0.2, 7):
        listed = match(model, (FIRST, weight))
        assert torch.equal(listed.audio, plain.audio)
        assert torch.equal(style(listed), style(plain))


def test_samples_in_nested_lists_are_one_recording(model: AFXStyleVAE) -> None:
    """Also those of two channels of two samples: they are too short, and no pairs."""
    with pytest.raises(AudioError, match="The reference is too short"):
        model.match(sound(1, 1.0), [[0.1, 0.2], [0.1, 0.2]], sample_rate=SAMPLE_RATE)


def test_the_weight_decides_whose_style_it_is(model: AFXStyleVAE) -> None:
    one, other = style(match(model, (FIRST, 1.0))), style(match(model, (OTHER, 1.0)))
    assert not torch.allclose(one, other, atol=1e-3)
    near = style(match(model, (FIRST, 1e6), (OTHER, 1.0)))
    torch.testing.assert_close(near, one, atol=1e-3, rtol=0)
    far = style(match(model, (FIRST, 1.0), (OTHER, 1e6)))
    torch.testing.assert_close(far, other, atol=1e-3, rtol=0)
    thrice = style(match(model, (FIRST, 1.0), (OTHER, 2.0), (OTHER, 1.0)))
    torch.testing.assert_close(style(match(model, (FIRST, 0.5), (OTHER, 1.5))), thrice)


def test_loudness_is_the_weighted_mean(model: AFXStyleVAE) -> None:
    found = match(model, (FIRST, 3.0), (OTHER, 1.0))
    wanted = 0.75 * lufs(FIRST) + 0.25 * lufs(OTHER)
    assert lufs(found.audio) == pytest.approx(wanted, abs=0.2)


def test_what_makes_no_sense_is_refused(model: AFXStyleVAE) -> None:
    for weight, said in ((0.0, "0"), (-1.0, "-1"), (float("nan"), "nan"), (float("inf"), "inf")):
        with pytest.raises(UsageError, match=f"weight of reference 2 is {said}, but it must be"):
            match(model, (FIRST, 1.0), (OTHER, weight))
    with pytest.raises(UsageError, match="The reference is the input itself"):
        match(model, (FIRST, 1.0), (sound(1, 4.0), 1.0))
    with pytest.raises(AudioError, match="Reference 2 is silent"):
        match(model, (FIRST, 1.0), (torch.zeros(1, SAMPLE_RATE), 1.0))


# on the command line


def test_files_and_their_weights_are_passed_on(
    files: SimpleNamespace, quick_model: type[QuickModel]
) -> None:
    write_sound(Path("b.wav"), 0.5, seed=3)
    write_sound(Path("c.wav"), 0.4, seed=4).rename("c:2")  # a name that ends like a weight
    assert main([*MATCH, "--also", "b.wav:0.25", "--also", "c:2", "--also", "b.wav"]) == 0
    heard = [(one.name, one.frames, weight) for one, weight in quick_model.asked["also"]]
    assert heard == [
        ("b.wav", RATE // 2, 0.25),
        ("c:2", round(0.4 * RATE), 1.0),
        ("b.wav", RATE // 2, 1.0),
    ]


def test_a_weight_is_what_follows_the_last_colon() -> None:
    assert jobs.parse_also("a.wav") == (Path("a.wav"), 1.0)
    assert jobs.parse_also("a.wav:2") == (Path("a.wav"), 2.0)
    assert jobs.parse_also("C:/a.wav") == (Path("C:/a.wav"), 1.0)
    assert jobs.parse_also("C:/a.wav:.5") == (Path("C:/a.wav"), 0.5)


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--also", "reference.wav:0"], 2, "weight of reference.wav is 0, but it must be a number"),
        (["--also", "reference.wav:nan"], 2, "weight of reference.wav is nan"),
        (["--also", "voice.wav"], 2, "The reference voice.wav is the input"),
        (["--also", "none.wav:2"], 3, "none.wav does not exist"),
        (["--also", "b.wav", "-o", "b.wav", "--overwrite"], 2, "would replace the reference 2"),
    ],
)
def test_other_references_are_checked_like_the_first(
    options: list[str],
    code: int,
    said: str,
    files: SimpleNamespace,
    quick_model: type[QuickModel],
    capsys: Output,
) -> None:
    write_sound(Path("b.wav"), 0.5, seed=3)
    assert main([*MATCH, *options]) == code
    refused(capsys, said)
