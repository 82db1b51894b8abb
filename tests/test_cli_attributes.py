"""`afxvae attributes` measures what it is given and goes on after what it can not read."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from afxvae import audio, jobs
from afxvae.cli import main
from afxvae.timbre import ATTRIBUTES, attributes

from .conftest import Output
from .sounds import sound


def test_the_table_has_every_attribute(files: SimpleNamespace, capsys: Output) -> None:
    assert main(["attributes", files.voice, files.reference]) == 0
    shown = capsys.readouterr().out
    assert "voice.wav" in shown
    assert "reference.wav" in shown
    words = [line.split() for line in shown.splitlines() if line.strip()]
    rows = {line[0]: line[1:] for line in words if line[0] in ATTRIBUTES}
    assert list(rows) == list(ATTRIBUTES)
    assert all(len(row) == 3 for row in rows.values())
    assert rows["decay"][0] == "s"


def test_many_recordings_take_several_tables(files: SimpleNamespace, capsys: Output) -> None:
    for copy in "abcde":
        Path(f"{copy}.wav").write_bytes(Path(files.voice).read_bytes())
    assert main(["attributes", *(f"{copy}.wav" for copy in "abcde")]) == 0
    shown = capsys.readouterr().out
    assert shown.count("brightness") == 2


def test_json_has_the_values_of_the_function(files: SimpleNamespace, capsys: Output) -> None:
    assert main(["attributes", files.voice, "none.wav", "--json"]) == 1
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    signal, info = audio.read(files.voice)
    expected = attributes(signal.mean(0, keepdim=True), info.sample_rate)
    found = document["attributes"]["voice.wav"]
    assert list(found) == list(ATTRIBUTES)
    for name, number in found.items():
        assert number == pytest.approx(float(expected[name]), abs=1e-3)
    assert document["failed"] == {"none.wav": "none.wav does not exist."}
    assert captured.err == "afxvae: none.wav does not exist.\n"


def test_nothing_to_measure_is_the_code_of_the_first_failure(
    files: SimpleNamespace, capsys: Output
) -> None:
    audio.write("silent.wav", torch.zeros(1, 8000), 8000)
    audio.write("slow.wav", torch.ones(1, 8000), 4000)
    assert main(["attributes", "silent.wav", "slow.wav"]) == 3
    sentences = capsys.readouterr().err.splitlines()
    assert len(sentences) == 2
    assert "silent.wav is silent" in sentences[0]
    reason = "has a sample rate of 4000 Hz: at least 8000 Hz are needed."
    assert sentences[1] == f"afxvae: slow.wav {reason}"


def test_a_long_recording_is_measured_in_pieces(
    files: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setattr(jobs.attributes, "_PIECE_S", 2)
    part = sound(3, 2.0, 8000)
    other = torch.zeros_like(part)  # silent pieces do not count
    audio.write("long.wav", torch.cat([part, other], 1), 8000)
    audio.write("short.wav", part, 8000)
    assert main(["attributes", "long.wav", "short.wav", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["attributes"]
    assert found["long.wav"] == pytest.approx(found["short.wav"], abs=1e-3)
