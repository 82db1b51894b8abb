"""Match and apply write sound and preset where they say, both or neither."""

from __future__ import annotations

import json
import math
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

from afxvae import Preset, audio, jobs
from afxvae.cli import main
from afxvae.matching import Alternative
from afxvae.presets import BLOCK

from .conftest import RATE, Output, QuickModel, contents, listing, write_sound


def test_match_writes_audio_and_preset_beside_the_input(
    files: SimpleNamespace, quick_model: type[QuickModel], capsys: Output
) -> None:
    assert main(["match", files.voice, files.reference]) == 0
    assert listing(files.folder) == [
        "reference.wav",
        "voice.afx.json",
        "voice.matched.wav",
        "voice.wav",
    ]
    before, info = audio.read("voice.wav")
    after, matched = audio.read("voice.matched.wav")
    assert (matched.sample_rate, matched.channels, matched.frames, matched.subtype) == (
        info.sample_rate,
        info.channels,
        info.frames,
        info.subtype,
    )
    assert Preset.load("voice.afx.json") == quick_model.preset
    expected = quick_model.preset.apply(before, RATE)
    torch.testing.assert_close(after, expected, atol=2.0**-16, rtol=0)
    captured = capsys.readouterr()
    assert captured.out == ""
    for text in (
        "Decision: posterior mean.",
        "gain -6 dB",
        "timbre (mean cepstra) 3.25 nan",
        "A note.",
        "Wrote voice.matched.wav and voice.afx.json in 0.5 s.",
    ):
        assert text in " ".join(captured.err.split())


def test_apply_reproduces_match_byte_for_byte(
    files: SimpleNamespace, quick_model: type[QuickModel]
) -> None:
    assert main(["match", files.voice, files.reference, "-q"]) == 0
    first = Path("voice.matched.wav").read_bytes()
    assert main(["apply", "voice.afx.json", files.voice, "-o", "again.wav", "-q"]) == 0
    assert Path("again.wav").read_bytes() == first


def test_match_passes_its_options_on(
    files: SimpleNamespace, quick_model: type[QuickModel], capsys: Output
) -> None:
    os.mkdir("out")
    command = [
        "match",
        files.voice,
        files.reference,
        "-o",
        "out/take.flac",
        "--model",
        "owner/name",
    ]
    command += ["--preset", "out/p.json", "--effort", "fast", "--loudness", "-16.5", "--seed", "7"]
    command += ["--only", "eq, compressor", "--only", "gain", "--without", "reverb"]
    command += ["--amount", "50", "--move", "brightness=+0.5, decay=-0.3", "--move", "boominess=1"]
    command += ["--same-source"]
    assert main([*command, "--revision", "v1", "--device", "cpu", "--quiet"]) == 0
    assert listing(files.folder / "out") == ["p.json", "take.flac"]
    assert quick_model.asked == {
        "name": "owner/name",
        "revision": "v1",
        "device": "cpu",
        "sample_rate": RATE,
        "reference_rate": RATE,
        "effort": "fast",
        "loudness": -16.5,
        "seed": 7,
        "only": ("eq", "compressor", "gain"),
        "without": ("reverb",),
        "amount": 0.5,
        "alternatives": 0,
        "move": {"brightness": 0.5, "decay": -0.3, "boominess": 1.0},
        "same_source": True,
        "also": [],
    }
    assert capsys.readouterr() == ("", "")


def test_a_preset_goes_beside_the_output(
    files: SimpleNamespace, quick_model: type[QuickModel]
) -> None:
    os.mkdir("out")
    assert main(["match", files.voice, files.reference, "-o", "out/take.wav"]) == 0
    assert listing(files.folder / "out") == ["take.afx.json", "take.wav"]


def test_match_json_is_one_document(
    files: SimpleNamespace, quick_model: type[QuickModel], capsys: Output
) -> None:
    assert main(["match", files.voice, files.reference, "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {
        "output": "voice.matched.wav",
        "preset": "voice.afx.json",
        "decision": "posterior mean",
        "report": {"mfcc": {"before": 3.25, "after": None}},
        "seconds": 0.5,
        "real_time_factor": 0.5,
        "model": {"name": "quick", "checksum": "c0ffee"},
        "notes": ["A note."],
        "ab": [],
        "report_file": None,
        "candidates": [{"name": "posterior mean", "chosen": True}],
        "intervals": {},
        "refinement": None,
        "alternatives": [],
    }
    assert captured.err == ""


def others(*gains_db: float) -> tuple[Alternative, ...]:
    """What might be found beside, with these gains."""
    return tuple(
        Alternative(
            preset=Preset().changed("gain", {"gain_db": gain}),
            name=f"other {place}",
            advantage=0.5 / place,
            doubt=0.1,
        )
        for place, gain in enumerate(gains_db, 1)
    )


def test_alternatives_are_presets_beside_the_preset(
    files: SimpleNamespace, quick_model: type[QuickModel], capsys: Output
) -> None:
    """As many as were found, of those that were asked for."""
    quick_model.alternatives = others(1.0, 2.0)
    assert main(["match", files.voice, files.reference, "--alternatives", "3"]) == 0
    assert [name for name in listing(files.folder) if "alt" in name] == [
        "voice.alt1.afx.json",
        "voice.alt2.afx.json",
    ]
    assert Preset.load("voice.alt2.afx.json") == quick_model.alternatives[1].preset
    said = " ".join(capsys.readouterr().err.split())
    assert "other 1 voice.alt1.afx.json 0.500 +- 0.100" in said
    command = ["match", files.voice, files.reference, "--alternatives", "1", "--preset", "p.json"]
    assert main([*command, "--overwrite", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["alternatives"] == [
        {
            "preset": "p.alt1.afx.json",
            "name": "other 1",
            "advantage": 0.5,
            "doubt": 0.1,
            "notes": [],
        }
    ]
    assert Preset.load("p.alt1.afx.json") == quick_model.alternatives[0].preset


def test_alternatives_are_all_written_or_nothing_is(
    files: SimpleNamespace, quick_model: type[QuickModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    save = Preset.save

    def full(self: Preset, path: Path, overwrite: bool = False) -> None:
        if "alt2" in str(path):
            raise OSError(28, "No space left on device")
        save(self, path, overwrite)

    quick_model.alternatives = others(1.0, 2.0)
    Path("voice.alt1.afx.json").write_text("old", encoding="utf-8")
    before = contents(files.folder)
    monkeypatch.setattr(Preset, "save", full)
    command = ["match", files.voice, files.reference, "--alternatives", "2", "--overwrite"]
    assert main(command) == 2
    assert contents(files.folder) == before


def test_left_as_it_is_is_an_answer(
    files: SimpleNamespace, quick_model: type[QuickModel], capsys: Output
) -> None:
    quick_model.preset, quick_model.decision = Preset(), "nothing"
    assert main(["match", files.voice, files.reference]) == 0
    assert "left as it is" in capsys.readouterr().err
    assert torch.equal(audio.read("voice.matched.wav")[0], audio.read("voice.wav")[0])
    assert Preset.load("voice.afx.json").is_empty


def test_overwrite_replaces_both(files: SimpleNamespace, quick_model: type[QuickModel]) -> None:
    for name in ("voice.matched.wav", "voice.afx.json"):
        Path(name).write_text("old", encoding="utf-8")
    assert main(["match", files.voice, files.reference, "--overwrite"]) == 0
    assert audio.info("voice.matched.wav").frames == RATE
    assert Preset.load("voice.afx.json") == quick_model.preset


@pytest.mark.parametrize("preset_was_there", [False, True])
def test_neither_is_written_when_the_audio_cannot_be(
    preset_was_there: bool,
    files: SimpleNamespace,
    quick_model: type[QuickModel],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    if preset_was_there:
        Path("voice.afx.json").write_text("old", encoding="utf-8")
    before = listing(files.folder)
    monkeypatch.setattr(audio, "_quantize", full)
    assert main(["match", files.voice, files.reference, "--overwrite"]) == 2
    assert listing(files.folder) == before
    if preset_was_there:
        assert Path("voice.afx.json").read_text(encoding="utf-8") == "old"


def test_an_mp3_becomes_flac_and_one_line_says_so(
    files: SimpleNamespace, quick_model: type[QuickModel], capsys: Output
) -> None:
    write_sound(Path("voice.mp3"), subtype=None)
    assert main(["match", "voice.mp3", files.reference]) == 0
    assert capsys.readouterr().err.count("The input is MP3; the output is FLAC") == 1
    assert audio.info("voice.matched.flac").format == "FLAC"


def test_apply_lowers_what_would_clip_and_says_so(files: SimpleNamespace, capsys: Output) -> None:
    Preset().changed("gain", {"gain_db": 40.0}).save("loud.json")
    assert main(["apply", "loud.json", files.voice]) == 0
    assert "dB below the preset's level, so as not to clip." in capsys.readouterr().err
    done = audio.read("voice.matched.wav")[0]
    assert 0.9 < float(audio.true_peak(done[None])) <= 1.0
    assert main(["apply", "loud.json", files.voice, "--overwrite", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["output"] == "voice.matched.wav"
    assert -30 < document["gain_db"] < -20


def test_apply_leaves_float_samples_beyond_full_scale_to_an_empty_preset(
    files: SimpleNamespace,
) -> None:
    Preset().save("empty.json")
    write_sound(Path("hot.wav"), level=2.0, subtype="FLOAT")
    assert main(["apply", "empty.json", "hot.wav"]) == 0
    assert torch.equal(audio.read("hot.matched.wav")[0], audio.read("hot.wav")[0])


def test_apply_takes_silence_and_short_clips(files: SimpleNamespace) -> None:
    Preset().changed("reverb", {"mix": 0.5}).save("room.json")
    soundfile.write("silence.wav", np.zeros(300), RATE)
    assert main(["apply", "room.json", "silence.wav"]) == 0
    assert not audio.read("silence.matched.wav")[0].any()


@pytest.mark.parametrize("gain_db", [0.0, 30.0])
def test_apply_goes_through_long_files_in_blocks(
    gain_db: float, files: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the samples of `Preset.apply`, lowered if need be, and word of how far it is."""
    monkeypatch.setattr("afxvae.presets.BLOCK", 5000)
    monkeypatch.setattr("afxvae.jobs.apply.BLOCK", 5000)
    preset = Preset().changed("overdrive", {"drive_db": 20.0}).changed("delay", {"mix": 0.4})
    preset = preset.changed("gain", {"gain_db": gain_db})
    preset.save("preset.json")
    write_sound(Path("long.wav"), seed=4, subtype="FLOAT")
    told: list[tuple[int, int]] = []
    applied = jobs.apply_file(
        Path("preset.json"), Path("long.wav"), progress=lambda *done: told.append(done)
    )
    expected = preset.apply(audio.read("long.wav")[0], RATE)
    gain = audio.peak_limit_gain(expected[None]) if gain_db else torch.ones(1)
    assert applied.gain_db == pytest.approx(20 * math.log10(gain), abs=1e-4)
    torch.testing.assert_close(
        audio.read("long.matched.wav")[0], gain * expected, rtol=0, atol=1e-6
    )
    passes = 2 if gain_db else 1
    assert [done for done, _ in told].count(RATE) == passes
    assert all(total == RATE for _, total in told)


def test_apply_that_fails_on_the_way_leaves_nothing(files: SimpleNamespace) -> None:
    Preset().changed("gain", {"gain_db": 1.0}).save("a.json")
    sound = 0.1 * np.ones(3 * BLOCK, np.float32)
    sound[-1] = np.nan
    soundfile.write("long.wav", sound, RATE, subtype="FLOAT")
    before = listing(files.folder)
    assert main(["apply", "a.json", "long.wav"]) == 3
    assert listing(files.folder) == before


@pytest.mark.parametrize(
    ("command", "doing"), [(["apply", "a.json"], "Applying"), (["match"], "Matching")]
)
def test_the_bar_is_on_stderr_of_a_terminal_only(
    command: list[str],
    doing: str,
    files: SimpleNamespace,
    quick_model: type[QuickModel],
    capsys: Output,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Preset().save("a.json")
    files = [files.voice] if doing == "Applying" else [files.voice, files.reference]
    for terminal, quiet, shown in ((True, False, True), (True, True, False), (False, False, False)):
        monkeypatch.setattr(sys.stderr, "isatty", lambda terminal=terminal: terminal)
        options = ["--overwrite", *(["-q"] if quiet else [])]
        assert main([*command, *files, *options]) == 0
        captured = capsys.readouterr()
        assert captured.out == ""
        assert (doing in captured.err) == shown
