"""A style takes the place of its recording: the same match, file or not."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import save_file

from afxvae import Preset, Style, audio
from afxvae.cli import main
from afxvae.dsp.features import CLIP_SAMPLES, SAMPLE_RATE
from afxvae.matching import Match
from afxvae.models.style_vae import AFXStyleVAE
from afxvae.recordings import Recording
from afxvae.types import AudioError, UsageError
from tests.sounds import sound, untrained

from .conftest import MATCH, RATE, Output, QuickModel, contents, listing, refused, write_sound


@pytest.fixture(scope="module")
def model() -> AFXStyleVAE:
    return untrained(expectation=1.0)


def same(one: Match, other: Match) -> bool:
    return (
        torch.equal(one.audio, other.audio)
        and one.preset == other.preset
        and one.candidates == other.candidates
        and one.report == other.report
        and one.decision == other.decision
    )


def same_style(one: Style, other: Style) -> bool:
    parts = [vars(style).copy() for style in (one, other)]
    clips = [(part.pop("mixed"), part.pop("first")) for part in parts]
    return parts[0] == parts[1] and all(map(torch.equal, *clips))


def with_echo(dry: torch.Tensor) -> torch.Tensor:
    """Something that is measured in the first channel."""
    late = torch.nn.functional.pad(dry, (SAMPLE_RATE // 4, 0))[:, : dry.shape[1]]
    return dry + 0.4 * late


REFERENCES = {
    "mono": lambda: 0.3 * sound(5, 7.0),
    "stereo with an echo": lambda: with_echo(sound(5, 7.0, channels=2)),
    "shorter than a clip": lambda: 0.1 * sound(5, 2.0, channels=3),
}


@pytest.mark.parametrize("made", REFERENCES.values(), ids=REFERENCES)
def test_a_match_with_the_style_is_that_with_the_recording(
    made: Callable[[], torch.Tensor], model: AFXStyleVAE, tmp_path: Path
) -> None:
    reference, mine = made(), sound(1, 2.0, channels=2)
    model.style(reference, SAMPLE_RATE, "some").save(tmp_path / "some.style")
    kept = Style.load(tmp_path / "some.style")
    options = {"sample_rate": SAMPLE_RATE, "effort": "fast"}
    found = model.match(mine, kept, **options)
    assert same(found, model.match(mine, reference, **options))
    assert found.decision != "nothing"


def test_rates_differ_and_that_of_the_style_counts(model: AFXStyleVAE, tmp_path: Path) -> None:
    reference, mine = sound(5, 6.0, 44100, 2), sound(1, 3.0, 48000)
    model.style(reference, 44100).save(tmp_path / "some.style")
    rates = {"sample_rate": 48000, "effort": "fast"}
    plain = model.match(mine, reference, reference_rate=44100, **rates)
    assert same(model.match(mine, Style.load(tmp_path / "some.style"), **rates), plain)


def test_styles_and_recordings_can_be_weighed_together(model: AFXStyleVAE, tmp_path: Path) -> None:
    one, other, mine = 0.2 * sound(5, 3.0), 0.5 * sound(6, 3.0).tanh(), sound(1, 1.0)
    options = {"sample_rate": SAMPLE_RATE, "effort": "fast"}
    plain = model.match(mine, [(one, 1.0), (other, 0.5)], **options)
    styles = [model.style(audio, SAMPLE_RATE) for audio in (one, other)]
    for pair in ((styles[0], other), styles):
        given = list(zip(pair, (1.0, 0.5), strict=True))
        assert same(model.match(mine, given, **options), plain)


def test_a_file_keeps_everything_and_no_more_than_it_must(tmp_path: Path) -> None:
    for channels in (1, 2, 3):
        recording = Recording.of_array(sound(3, 12.0, 44100, channels), 44100, "Some é.wav")
        style, path = Style.of(recording), tmp_path / f"{channels}.style"
        style.save(path)
        assert same_style(Style.load(path), style)
        assert style.is_of(recording)
        clips = 4 * CLIP_SAMPLES * (len(style.mixed) + (len(style.first) if channels > 1 else 0))
        assert clips < path.stat().st_size < clips + 1000
        assert (style.side_db is None) == (channels != 2)


def test_the_style_of_the_input_is_refused(model: AFXStyleVAE, tmp_path: Path) -> None:
    mine = sound(1, 3.0)
    style = model.style(mine, SAMPLE_RATE)
    style.save(tmp_path / "mine.style")
    for same_one in (style, Style.load(tmp_path / "mine.style")):
        with pytest.raises(UsageError, match="The reference is the input itself"):
            model.match(mine, same_one, sample_rate=SAMPLE_RATE)
    louder = Recording.of_array(2.0 * mine, SAMPLE_RATE, "louder")
    assert not model.style(mine, SAMPLE_RATE).is_of(louder)


def test_what_is_no_recording_has_no_style(model: AFXStyleVAE) -> None:
    for bad, said in ((torch.zeros(1, SAMPLE_RATE), "is silent"), (sound(1, 0.05), "too short")):
        with pytest.raises(AudioError, match=f"^It {said}|^It is {said}"):
            model.style(bad, SAMPLE_RATE, "It")


# files


def kept(path: Path, **changes: Any) -> Path:
    """A style file of noise, with other metadata or clips; None takes one away."""
    clips = {"mixed": 0.1 * torch.rand(2, CLIP_SAMPLES), "first": torch.rand(1, CLIP_SAMPLES)}
    facts = {"afxvae_style": "1", "name": "a.wav", "sample_rate": "24000", "channels": "2"}
    facts |= {"frames": "262144", "lufs": "-20.5", "side_db": "-12.25"}
    for name, value in changes.items():
        values: dict[str, Any] = clips if name in clips else facts
        values[name] = value
        if value is None:
            del values[name]
    save_file(clips, path, facts)
    return path


BAD = {
    "no style": ({"afxvae_style": None}, "is not a style: afxvae style makes one"),
    "another version": ({"afxvae_style": "2"}, "is a style of version 2, but this afxvae reads 1"),
    "no name": ({"name": None}, "damaged style: it has no name"),
    "no level": ({"lufs": None}, "damaged style: it has no lufs"),
    "no side": ({"side_db": None}, "damaged style: it has no side_db"),
    "level a word": ({"lufs": "loud"}, "lufs is 'loud', but it must be a number"),
    "level not finite": ({"lufs": "nan"}, "lufs is nan, but it must be finite"),
    "start a word": ({"start_s": "soon"}, "start_s is 'soon', but it must be a number"),
    "rate zero": ({"sample_rate": "0"}, "sample_rate is '0', but it must be a number above 0"),
    "frames a fraction": ({"frames": "1.5"}, "frames is '1.5'"),
    "no clips of one": ({"first": None}, "its clips are mixed"),
    "no clips": ({"first": None, "mixed": None}, "its clips are missing"),
    "clips of a mono": ({"channels": "1"}, "its clips are first, mixed"),
    "clips too short": ({"mixed": torch.rand(2, 100)}, r"\(2, 100\) float32, not \(clip, 131072\)"),
    "no clip": ({"mixed": torch.rand(0, CLIP_SAMPLES)}, r"\(0, 131072\) float32"),
    "half": ({"mixed": torch.rand(1, CLIP_SAMPLES).half()}, "float16"),
    "infinite": ({"first": torch.full((1, CLIP_SAMPLES), torch.inf)}, "first have samples that"),
}


@pytest.mark.parametrize(("changes", "said"), BAD.values(), ids=BAD)
def test_damaged_files_say_what_is_wrong(changes: Any, said: str, tmp_path: Path) -> None:
    assert Style.load(kept(tmp_path / "good.style")).lufs == -20.5
    with pytest.raises(AudioError, match=said) as error:
        Style.load(kept(tmp_path / "bad.style", **changes))
    assert str(error.value).startswith(f"{tmp_path / 'bad.style'} ")
    assert str(error.value).count("\n") == 0


def test_a_style_knows_when_its_first_clip_begins(tmp_path: Path) -> None:
    """Earlier files do not say so; that is taken for the start."""
    audio = sound(3, 14.0)
    audio[:, : 8 * SAMPLE_RATE] *= 1e-3
    style = Style.of(Recording.of_array(audio, SAMPLE_RATE, "late.wav"))
    assert 2.0 < style.start_s < 9.0
    start = round(style.start_s * SAMPLE_RATE)
    clip, heard = style.first[0].double(), audio[0, start : start + CLIP_SAMPLES].double()
    assert float(clip @ heard / (clip.norm() * heard.norm())) > 0.999
    style.save(tmp_path / "late.style")
    assert Style.load(tmp_path / "late.style").start_s == style.start_s
    assert Style.load(kept(tmp_path / "early.style")).start_s == 0.0
    assert Style.load(kept(tmp_path / "said.style", start_s="1.5")).start_s == 1.5


def test_a_style_is_not_saved_under_another_name_or_over_another(tmp_path: Path) -> None:
    style = Style.load(kept(tmp_path / "a.style"))
    with pytest.raises(UsageError, match=r"must end in \.style"):
        style.save(tmp_path / "a.wav")
    before = contents(tmp_path)
    with pytest.raises(UsageError, match="already exists"):
        style.save(tmp_path / "a.style")
    assert contents(tmp_path) == before
    style.save(tmp_path / "a.style", overwrite=True)
    assert same_style(Style.load(tmp_path / "a.style"), style)


# on the command line


def test_the_style_goes_beside_its_recording(files: SimpleNamespace, capsys: Output) -> None:
    assert main(["style", files.reference]) == 0
    assert listing(files.folder) == ["reference.style", "reference.wav", "voice.wav"]
    style = Style.load("reference.style")
    assert (style.name, style.channels, style.frames) == ("reference.wav", 1, round(0.8 * RATE))
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("Wrote reference.style of reference.wav: 1 clips at -")
    os.mkdir("out")
    assert main(["style", "./voice.wav", "-o", "out/My.STYLE", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    style = Style.load("out/My.STYLE")
    assert document == {
        "output": "out/My.STYLE",
        "name": "voice.wav",
        "sample_rate": RATE,
        "channels": 2,
        "frames": RATE,
        "lufs": style.lufs,
        "side_db": style.side_db,
        "clips": 1,
        "bytes": Path("out/My.STYLE").stat().st_size,
    }


def test_files_match_as_their_recordings_do(
    files: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With others beside, and a report."""
    pytest.importorskip("matplotlib")
    model = untrained(expectation=1.0)
    monkeypatch.setattr("afxvae.jobs.load_model", lambda *_: model)
    soundfile.write("a.wav", sound(5, 3.0, 44100, 2).T.numpy(), 44100)
    soundfile.write("b.wav", 0.3 * sound(6, 2.0).T.numpy(), RATE)
    for name in ("a", "b"):
        assert main(["style", f"{name}.wav", "-q"]) == 0
    for end in ("wav", "style"):
        command = ["match", "voice.wav", f"a.{end}", "--also", f"b.{end}:0.5", "-q"]
        command += ["-o", f"{end}.wav", "--report", f"{end}.html"]
        assert main(command) == 0
    assert Preset.load("wav.afx.json") == Preset.load("style.afx.json")
    assert not Preset.load("wav.afx.json").is_empty
    assert Path("wav.wav").read_bytes() == Path("style.wav").read_bytes()
    assert "a.style" in Path("style.html").read_text(encoding="utf-8")


def test_match_hands_styles_on(files: SimpleNamespace, quick_model: type[QuickModel]) -> None:
    assert main(["style", files.reference, "-o", "r.style"]) == 0
    assert main(["match", files.voice, "r.style", "--also", "r.style:2"]) == 0
    (other, weight), *_ = quick_model.asked["also"]
    assert same_style(other, Style.load("r.style"))
    assert weight == 2.0


def text(path: str) -> None:
    Path(path).write_text("This is no style.\n" * 50, encoding="utf-8")


def cut(path: str) -> None:
    data = kept(Path("whole.style")).read_bytes()
    Path("whole.style").unlink()
    Path(path).write_bytes(data[: len(data) // 2])


def weights(path: str) -> None:
    save_file({"a": torch.ones(3)}, path)


BAD_FILES: dict[str, tuple[Callable[[str], object], str]] = {
    "missing": (lambda path: None, "does not exist"),
    "a folder": (os.mkdir, "is a folder, not a style"),
    "empty": (lambda path: Path(path).touch(), "is not a style, or it is truncated or damaged"),
    "text": (text, "is not a style, or it is truncated or damaged"),
    "cut": (cut, "is not a style, or it is truncated or damaged"),
    "weights": (weights, "is not a style: afxvae style makes one"),
    "audio": (lambda path: soundfile.write(path, np.ones(9), RATE, format="WAV"), "not a style"),
}


@pytest.mark.parametrize("also", [False, True])
@pytest.mark.parametrize(("make", "said"), BAD_FILES.values(), ids=BAD_FILES)
def test_bad_files_end_a_match(
    make: Callable[[str], object],
    said: str,
    also: bool,
    files: SimpleNamespace,
    quick_model: type[QuickModel],
    capsys: Output,
) -> None:
    make("bad.style")
    before = contents(files.folder)
    command = [*MATCH, "--also", "bad.style:2"] if also else ["match", "voice.wav", "bad.style"]
    assert main(command) == 3
    refused(capsys, "bad.style ", said)
    assert contents(files.folder) == before


BAD_USAGE: dict[str, tuple[list[str], int, str]] = {
    "it exists": (["style", "voice.wav", "-o", "a.style"], 2, "already exists; use --overwrite"),
    "another end": (["style", "voice.wav", "-o", "x.wav"], 2, "must end in .style"),
    "no folder": (["style", "voice.wav", "-o", "no/a.style"], 2, "there is no folder no"),
    "of nothing": (["style", "none.wav"], 3, "none.wav does not exist"),
    "of silence": (["style", "silence.wav"], 3, "silence.wav is silent"),
    "of a style": (["style", "a.style"], 3, "a.style is not audio"),
    "itself": (["match", "voice.wav", "voice.style"], 2, "voice.style has the samples of the"),
    "over it": (
        [*MATCH[:2], "a.style", "-o", "a.style", "--overwrite"],
        2,
        "replace the reference",
    ),
    "as the input": (["match", "a.style", "voice.wav"], 3, "a.style is not audio"),
}


@pytest.mark.parametrize(("command", "code", "said"), BAD_USAGE.values(), ids=BAD_USAGE)
def test_bad_usage(
    command: list[str],
    code: int,
    said: str,
    files: SimpleNamespace,
    quick_model: type[QuickModel],
    capsys: Output,
) -> None:
    kept(Path("a.style"))
    Style.of(Recording.of_file("voice.wav")).save("voice.style")
    audio.write("silence.wav", torch.zeros(1, RATE), RATE)
    before = contents(files.folder)
    assert main(command) == code
    refused(capsys, said)
    assert contents(files.folder) == before


def test_overwrite_replaces_a_style(files: SimpleNamespace) -> None:
    write_sound(Path("other.wav"), 0.5, seed=9)
    assert main(["style", "voice.wav", "-o", "a.style"]) == 0
    assert main(["style", "other.wav", "-o", "a.style", "--overwrite", "-q"]) == 0
    assert Style.load("a.style").name == "other.wav"
