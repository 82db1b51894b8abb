"""`match --ab`: before and after at one loudness."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from afxvae import Preset, audio
from afxvae.cli import main
from afxvae.loudness import PEAK_CEILING_DB

from .conftest import RATE, Output, QuickModel, contents, listing, write_sound


def compare(name: str, *options: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Input and result as `--ab` writes them."""
    assert main(["match", name, "reference.wav", "--ab", "--overwrite", *options]) == 0
    stem = Path(name).stem
    return audio.read(f"{stem}.a.wav")[0], audio.read(f"{stem}.b.wav")[0]


def lufs(sound: torch.Tensor) -> float:
    return float(audio.loudness_lufs(sound[None], RATE))


def true_peak_db(sound: torch.Tensor) -> float:
    return float(20 * torch.log10(audio.true_peak(sound[None])))


@pytest.mark.parametrize("gain_db", [-12.0, -0.3, 0.0, 9.0])
def test_both_are_as_loud_as_the_quieter(
    gain_db: float, files: SimpleNamespace, quick_model: type[QuickModel]
) -> None:
    """Which is left bit for bit."""
    drive = Preset().changed("overdrive", {"drive_db": 20.0})
    quick_model.preset = drive.changed("gain", {"gain_db": gain_db})
    before, after = compare(files.voice)
    voice, matched = (audio.read(name)[0] for name in (files.voice, "voice.matched.wav"))
    assert lufs(before) == pytest.approx(lufs(after), abs=0.01)
    quieter = min(lufs(voice), lufs(matched))
    assert lufs(before) == pytest.approx(quieter, abs=0.01)
    kept, own = (before, voice) if lufs(voice) < lufs(matched) else (after, matched)
    assert torch.equal(kept, own)
    changed = after if kept is before else before
    other = matched if kept is before else voice
    gain = other.norm() / changed.norm()
    torch.testing.assert_close(changed * gain, other, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("name", "subtype", "kept"),
    [
        ("take.wav", "PCM_24", "PCM_24"),
        ("take.wav", "FLOAT", "FLOAT"),
        ("take.flac", "PCM_16", "PCM_16"),
        ("take.mp3", None, "PCM_24"),
    ],
)
def test_they_have_the_form_of_the_input(
    name: str,
    subtype: str | None,
    kept: str,
    files: SimpleNamespace,
    quick_model: type[QuickModel],
) -> None:
    write_sound(Path(name), seed=5, subtype=subtype)
    compare(name)
    own = audio.info(name)
    frames = audio.read(name)[0].shape[1]
    for which in "ab":
        info = audio.info(f"take.{which}.wav")
        assert (info.sample_rate, info.channels, info.frames) == (RATE, own.channels, frames)
        assert (info.format, info.subtype) == ("WAV", kept)


def test_neither_clips_nor_does_one_go_quieter_than_it_must(
    files: SimpleNamespace, quick_model: type[QuickModel]
) -> None:
    """A float file may be beyond full scale: its peak decides about both."""
    write_sound(Path("hot.wav"), seed=3, level=3.0, subtype="FLOAT")
    quick_model.preset = Preset().changed("gain", {"gain_db": -3.0})
    before, after = compare("hot.wav")
    assert lufs(before) == pytest.approx(lufs(after), abs=0.01)
    peaks = [true_peak_db(before), true_peak_db(after)]
    assert max(peaks) == pytest.approx(PEAK_CEILING_DB, abs=0.01)


def test_where_they_are_is_said(
    files: SimpleNamespace, quick_model: type[QuickModel], capsys: Output
) -> None:
    compare(files.voice)
    said = " ".join(capsys.readouterr().err.split())
    assert "LUFS: voice.a.wav (before) and voice.b.wav (after)." in said
    Path("out").mkdir()
    compare_to = ["match", "voice.wav", "reference.wav", "--ab", "-o", "out/take.flac", "--json"]
    assert main(compare_to) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["ab"] == ["out/take.a.wav", "out/take.b.wav"]
    assert listing(Path("out")) == ["take.a.wav", "take.afx.json", "take.b.wav", "take.flac"]


@pytest.mark.parametrize("there", [False, True])
def test_all_is_written_or_nothing_is(
    there: bool,
    files: SimpleNamespace,
    quick_model: type[QuickModel],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also if the last of them fails."""
    if there:
        for name in ("voice.matched.wav", "voice.a.wav", "voice.b.wav", "voice.afx.json"):
            Path(name).write_text("old", encoding="utf-8")
    before = contents(files.folder)
    writing = audio.writing

    def full(path: Path, *form: object, **options: object) -> object:
        if path.name == "voice.b.wav":
            raise OSError(28, "No space left on device")
        return writing(path, *form, **options)

    monkeypatch.setattr(audio, "writing", full)
    assert main(["match", files.voice, files.reference, "--ab", "--overwrite"]) == 2
    assert contents(files.folder) == before
