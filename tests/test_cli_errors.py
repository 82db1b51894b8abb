"""Bad usage and broken runs: one sentence, the documented exit code, nothing touched."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from afxvae import audio, models
from afxvae.cli import main

from .conftest import MATCH, RATE, Output, QuickModel, contents, refused


def in_the_way(name: str) -> Callable[[], object]:
    return lambda: Path(name).write_text("mine", encoding="utf-8")


BAD_USAGE: dict[str, tuple[list[str], Callable[[], object], str]] = {
    "output exists": (MATCH, in_the_way("voice.matched.wav"), "already exists; use --overwrite"),
    "preset exists": (MATCH, in_the_way("voice.afx.json"), "already exists; use --overwrite"),
    "no such folder": ([*MATCH, "-o", "no/such.wav"], list, "there is no folder no"),
    "no folder for preset": ([*MATCH, "--preset", "no/p.json"], list, "there is no folder no"),
    "output a folder": ([*MATCH, "-o", "dir.wav"], lambda: os.mkdir("dir.wav"), "is a folder"),
    "preset a folder": ([*MATCH, "--preset", "dir"], lambda: os.mkdir("dir"), "is a folder"),
    "output extension": ([*MATCH, "-o", "out.xyz"], list, "the extension must be one of .aif"),
    "no output extension": ([*MATCH, "-o", "out"], list, "the extension must be one of .aif"),
    "output is input": (
        [*MATCH, "-o", "./voice.wav", "--overwrite"],
        list,
        "The output voice.wav would replace the input",
    ),
    "output is reference": (
        [*MATCH, "-o", "reference.wav", "--overwrite"],
        list,
        "The output reference.wav would replace the reference",
    ),
    "output is a link to the input": (
        [*MATCH, "-o", "link.wav", "--overwrite"],
        lambda: os.symlink("voice.wav", "link.wav"),
        "would replace the input",
    ),
    "preset is output": (
        [*MATCH, "-o", "x.wav", "--preset", "x.wav"],
        list,
        "The output x.wav would replace the preset",
    ),
    "preset is input": (
        [*MATCH, "--preset", "voice.wav", "--overwrite"],
        list,
        "The preset voice.wav would replace the input",
    ),
    "reference is input": (
        ["match", "voice.wav", "voice.wav"],
        list,
        "The reference voice.wav is the input",
    ),
    "reference has the same samples": (
        ["match", "voice.wav", "copy.flac"],
        lambda: audio.write("copy.flac", audio.read("voice.wav")[0], RATE, subtype="PCM_16"),
        "copy.flac has the samples of the input",
    ),
    "loudness a word": ([*MATCH, "--loudness", "loud"], list, "keep, reference, or a number"),
    "loudness too high": ([*MATCH, "--loudness", "3"], list, "from -60 to 0 LUFS"),
    "loudness not a number": ([*MATCH, "--loudness", "nan"], list, "from -60 to 0 LUFS"),
    "embed without files": (["embed"], list, "FILE"),
    "effort": ([*MATCH, "--effort", "huge"], list, "'--effort': 'huge' is not one of"),
    "only what is not there": ([*MATCH, "--only", "eq,revreb"], list, "there are reverb."),
    "without nothing": ([*MATCH, "--without", ""], list, "no effect ''; there are eq"),
    "both": ([*MATCH, "--only", "eq", "--without", "eq"], list, "both in only and in without"),
    "amount": ([*MATCH, "--amount", "151"], list, "amount is 151 %, outside its range 0 to 150 %"),
    "move": ([*MATCH, "--move", "decay=4"], list, "The move along decay is 4, outside its range"),
    "move a word": ([*MATCH, "--move", "brighter"], list, "--move is 'brighter', but it must be"),
    "move twice": ([*MATCH, "--move", "decay=1,decay=2"], list, "--move names decay twice."),
    "amount a word": ([*MATCH, "--amount", "much"], list, "--amount"),
    "alternatives": ([*MATCH, "--alternatives", "-1"], list, "outside its range 0 to 20"),
    "an alternative exists": (
        [*MATCH, "--alternatives", "2"],
        in_the_way("voice.alt2.afx.json"),
        "voice.alt2.afx.json already exists; use --overwrite",
    ),
    "an alternative is the preset": (
        [*MATCH, "--alternatives", "1", "--preset", "a.alt1.afx.json", "-o", "a.matched.wav"],
        lambda: os.symlink("a.alt1.afx.json", "a.alt1.alt1.afx.json"),
        "would replace the",
    ),
    "a comparison exists": ([*MATCH, "--ab"], in_the_way("voice.b.wav"), "voice.b.wav already"),
    "a comparison is the output": (
        [*MATCH, "--ab", "-o", "voice.a.wav", "--preset", "voice.a.a.wav"],
        list,
        "would replace the",
    ),
    "seed": ([*MATCH, "--seed", "-1"], list, "--seed"),
    "option": ([*MATCH, "--nope"], list, "--nope"),
    "command": (["mtach"], list, "mtach"),
    "argument": (["match", "voice.wav"], list, "REFERENCE"),
    "effect": (["effects", "eq", "warmth"], list, "'warmth'; there are eq, "),
    "effect misspelt": (["effects", "flnger"], list, "'flnger'; there are flanger."),
    "embeddings as text": (["embed", "voice.wav", "-o", "e.txt"], list, "one of .csv, .json, .npz"),
    "embeddings exist": (["embed", "voice.wav", "-o", "e.csv"], in_the_way("e.csv"), "already"),
    "demo over a file": (["demo", "--out", "voice.wav"], list, "voice.wav cannot be made a folder"),
    "train without data": (["train", "--out", "x"], list, "--data"),
    "train on nothing": (["train", "--data", "no", "--out", "x"], list, "There is no folder"),
    "evaluate on nothing": (["evaluate", "--data", "no"], list, "no manifest and no folder no"),
    "train with no recipe": (
        ["train", "--data", ".", "--out", "x", "--config", "no.toml"],
        list,
        "no.toml cannot be read",
    ),
    "corpus of nothing": (["corpus", "no.toml", "--out", "x"], list, "no.toml"),
}  # fmt: skip


@pytest.mark.parametrize(("command", "prepare", "message"), BAD_USAGE.values(), ids=BAD_USAGE)
def test_bad_usage(
    command: list[str],
    prepare: Callable[[], object],
    message: str,
    files: SimpleNamespace,
    quick_model: type[QuickModel],
    capsys: Output,
) -> None:
    prepare()
    before = contents(files.folder)
    assert main(command) == 2
    refused(capsys, message)
    assert contents(files.folder) == before


def test_a_folder_without_permission(
    files: SimpleNamespace,
    quick_model: type[QuickModel],
    capsys: Output,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    assert main(MATCH) == 2
    refused(capsys, "voice.matched.wav cannot be written: no permission to write in .")


@pytest.mark.skipif(not torch.backends.mps.is_built() and torch.cuda.is_available(), reason="there")
def test_a_device_that_is_not_there(
    files: SimpleNamespace, quick_model: type[QuickModel], capsys: Output
) -> None:
    device = "mps" if torch.cuda.is_available() else "cuda"
    assert main([*MATCH, "--device", device]) == 2
    refused(capsys, f"--device {device} is not there")


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (MemoryError(), 1, "There is not enough memory for this."),
        (RuntimeError("[enforce] can't allocate memory: 9 bytes"), 1, "not enough memory"),
        (RuntimeError("two\nlines"), 1, "Unexpected RuntimeError: two lines"),
        (
            OSError(28, "No space left on device", "x.wav"),
            2,
            "voice.matched.wav cannot be written: No space left on device.",
        ),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_what_goes_wrong_inside_is_one_line(
    error: BaseException,
    code: int,
    message: str,
    files: SimpleNamespace,
    quick_model: type[QuickModel],
    capsys: Output,
) -> None:
    quick_model.raises = error
    before = contents(files.folder)
    assert main(MATCH) == code
    if message:
        refused(capsys, message)
    assert contents(files.folder) == before


def test_a_real_process_ends_with_the_code_and_one_line(files: SimpleNamespace) -> None:
    root = Path(models.__file__).resolve().parents[2]
    process = subprocess.run(
        [sys.executable, "-m", "afxvae", "match", "none.wav", "reference.wav"],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (process.returncode, process.stdout) == (3, "")
    assert process.stderr == "afxvae: none.wav does not exist.\n"
