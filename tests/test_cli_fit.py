"""The command fit writes a preset, says what is left, and refuses in one sentence."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from afxvae import Preset, audio
from afxvae.cli import main

from .conftest import RATE, Output, QuickModel, listing, refused, write_sound

FIT = ["fit", "voice.wav", "wet.wav"]


@pytest.fixture
def pair(files: SimpleNamespace, quick_model: type[QuickModel]) -> SimpleNamespace:
    """`voice.wav`, and `wet.wav`: 6 dB softer, 100 samples late and upside down."""
    dry, _ = audio.read(files.voice)
    wet = torch.nn.functional.pad(-0.5 * dry, (100, 0))
    audio.write("wet.wav", wet, RATE)
    return files


def test_fit_writes_a_preset_beside_the_dry_recording(
    pair: SimpleNamespace, capsys: Output
) -> None:
    assert main(FIT) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "4.167 ms late and upside down" in captured.err
    assert "Wrote voice.afx.json" in captured.err
    found = Preset.load("voice.afx.json")
    assert [name for name, on in found.switches.items() if on] == ["gain"]
    assert found.settings["gain"]["gain_db"] == pytest.approx(-6.02, abs=0.01)
    assert listing(pair.folder) == ["reference.wav", "voice.afx.json", "voice.wav", "wet.wav"]


def test_fit_json_is_one_document(pair: SimpleNamespace, capsys: Output) -> None:
    assert main([*FIT, "--json", "-o", "p.json", "--render", "again.wav"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    document = json.loads(captured.out)
    assert (document["preset"], document["render"], document["plot"]) == (
        "p.json", "again.wav", None)  # fmt: skip
    assert document["effects"] == ["gain"]
    assert document["alignment"] == {"delay_ms": 4.1667, "polarity": -1, "gain_db": -6.02}
    assert document["residual_db"]["after"] < -60.0
    rendered, info = audio.read("again.wav")
    dry, _ = audio.read("voice.wav")
    assert info.channels == 2
    torch.testing.assert_close(rendered, 0.5 * dry, atol=1e-4, rtol=0.0)


def test_fit_of_a_recording_with_itself_is_an_empty_preset(
    pair: SimpleNamespace, capsys: Output
) -> None:
    assert main(["fit", "voice.wav", "voice.wav"]) == 0
    assert "the preset is empty" in capsys.readouterr().err
    assert Preset.load("voice.afx.json").is_empty


def test_fit_draws_the_null_test(pair: SimpleNamespace) -> None:
    pytest.importorskip("matplotlib")
    assert main([*FIT, "--plot", "null.png", "--quiet"]) == 0
    assert Path("null.png").read_bytes().startswith(b"\x89PNG")


def test_a_plot_without_matplotlib_is_refused(
    pair: SimpleNamespace, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    before = listing(pair.folder)
    assert main([*FIT, "--plot", "null.png"]) == 2
    refused(capsys, "matplotlib")
    assert listing(pair.folder) == before


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["voice.wav", "none.wav"], 3, ("none.wav",)),
        (["voice.wav", "silent.wav"], 3, ("silent.wav", "silent")),
        (["short.wav", "voice.wav"], 3, ("short.wav", "too short")),
        (["voice.wav", "reference.wav"], 3, ("correlation is too low",)),
        (["voice.wav", "wet.wav", "-o", "wet.wav"], 2, ("would replace",)),
        (["voice.wav", "wet.wav", "-o", "no/p.json"], 2, ("no folder",)),
        (["voice.wav", "wet.wav", "--seconds", "0"], 2, ("--seconds",)),
        (["voice.wav", "wet.wav", "--render", "x.txt"], 2, ("x.txt",)),
        (["voice.wav", "wet.wav", "--model", "no/such"], 4, ("no/such",)),
    ],
)
def test_fit_refuses_in_one_sentence(
    pair: SimpleNamespace, capsys: Output, arguments: list[str], code: int, said: tuple[str, ...]
) -> None:
    write_sound(pair.folder / "silent.wav", 1.0, level=0.0)
    write_sound(pair.folder / "short.wav", 0.05)
    before = listing(pair.folder)
    assert main(["fit", *arguments]) == code
    refused(capsys, *said)
    assert listing(pair.folder) == before
