"""Bad input: one sentence, the documented exit code, nothing written, nothing touched."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file

from afxvae import AFXStyleVAE, Preset, audio, models
from afxvae.cli import main

from .conftest import RATE, QuickModel, write_sound

Output = pytest.CaptureFixture[str]


def contents(folder: Path) -> dict[str, bytes | None]:
    paths = sorted(folder.rglob("*"))
    return {str(p): p.read_bytes() if p.is_file() else None for p in paths}


def truncated(path: str) -> None:
    data = Path("voice.wav").read_bytes()
    Path(path).write_bytes(data[: len(data) // 2])


def truncated_flac(path: str) -> None:
    write_sound(Path(path))
    data = Path(path).read_bytes()
    Path(path).write_bytes(data[: len(data) // 2])


def with_nan(path: str) -> None:
    samples = np.full(RATE, 0.1)
    samples[1000] = math.nan
    soundfile.write(path, samples, RATE, subtype="FLOAT")


def text(path: str) -> None:
    Path(path).write_text("This is no audio.\n" * 50, encoding="utf-8")


BAD_AUDIO: dict[str, tuple[str, Callable[[str], object], str]] = {
    "missing": ("none.wav", lambda path: None, "does not exist"),
    "directory": ("folder.wav", os.mkdir, "is a folder"),
    "text named .wav": ("text.wav", text, "is not audio"),
    "truncated WAV": ("cut.wav", truncated, "is truncated"),
    "truncated FLAC": ("cut.flac", truncated_flac, "is truncated or damaged"),
    "0 bytes": ("empty.wav", lambda path: Path(path).touch(), "is empty"),
    "0 frames": ("none.wav", lambda path: soundfile.write(path, np.zeros(0), RATE), "no audio"),
    "silence": ("quiet.wav", lambda path: soundfile.write(path, np.zeros(RATE), RATE), "is silent"),
    "NaN": ("nan.wav", with_nan, "not finite"),
    "50 ms": ("short.wav", lambda path: write_sound(Path(path), 0.05), "too short: 0.050 s, 0.1 s"),
    "unknown extension": ("notes.xyz", text, "is not audio"),
}


@pytest.mark.parametrize("place", ["input", "reference"])
@pytest.mark.parametrize(("name", "make", "message"), BAD_AUDIO.values(), ids=BAD_AUDIO)
def test_bad_audio(
    name: str,
    make: Callable[[str], object],
    message: str,
    place: str,
    files: SimpleNamespace,
    quick_model: type[QuickModel],
    capsys: Output,
) -> None:
    make(name)
    before = contents(files.folder)
    pair = [name, files.reference] if place == "input" else [files.voice, name]
    assert main(["match", *pair]) == 3
    refused(capsys, name, message)
    assert contents(files.folder) == before


def refused(capsys: Output, *said: str) -> None:
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("afxvae: ")
    assert captured.err.endswith("\n")
    assert captured.err.count("\n") == 1
    for words in said:
        assert words in captured.err


def in_the_way(name: str) -> Callable[[], object]:
    return lambda: Path(name).write_text("mine", encoding="utf-8")


MATCH = ["match", "voice.wav", "reference.wav"]
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
    "effort": ([*MATCH, "--effort", "high"], list, "--effort"),
    "seed": ([*MATCH, "--seed", "-1"], list, "--seed"),
    "option": ([*MATCH, "--nope"], list, "--nope"),
    "command": (["mtach"], list, "mtach"),
    "argument": (["match", "voice.wav"], list, "REFERENCE"),
    "effect": (["effects", "flanger"], list, "'flanger'; there are eq, "),
    "embeddings as text": (["embed", "voice.wav", "-o", "e.txt"], list, "one of .csv, .json, .npz"),
    "embeddings exist": (["embed", "voice.wav", "-o", "e.csv"], in_the_way("e.csv"), "already"),
    "demo over a file": (["demo", "--out", "voice.wav"], list, "voice.wav cannot be made a folder"),
    "train without data": (["train", "--out", "x"], list, "--data"),
    "train on nothing": (["train", "--data", "no", "--out", "x"], list, "There is no folder"),
    "evaluate on nothing": (["evaluate", "--data", "no"], list, "no folder and no manifest no"),
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


def valid() -> dict:
    return Preset().changed("eq", {"low_shelf_gain_db": 3.0}).to_dict()


def preset_with(change: Callable[[dict], object]) -> str:
    values = valid()
    change(values)
    return json.dumps(values)


BAD_PRESETS = {
    "corrupt": ('{"schema_version": 1, "eff', "is not a preset: it is no JSON"),
    "not a preset": ("{}", "no schema_version"),
    "schema version": (preset_with(lambda v: v.update(schema_version=9)), "schema_version is 9"),
    "unknown effect": (preset_with(lambda v: v["effects"].update(flanger={})), "'flanger'"),
    "unknown knob": (
        preset_with(lambda v: v["effects"]["eq"]["settings"].update(peak9_hz=1)),
        "'peak9_hz' is not a knob of eq",
    ),
    "missing knob": (
        preset_with(lambda v: v["effects"]["eq"]["settings"].pop("peak1_hz")),
        "eq lacks a setting for peak1_hz",
    ),
    "out of range": (
        preset_with(lambda v: v["effects"]["eq"]["settings"].update(peak1_hz=5000)),
        "eq.peak1_hz is 5000 Hz, outside its range 60 to 600 Hz",
    ),
    "wrong type": (
        preset_with(lambda v: v["effects"]["eq"]["settings"].update(peak1_hz="high")),
        "eq.peak1_hz is 'high', but it must be a number",
    ),
}


@pytest.mark.parametrize(("content", "message"), BAD_PRESETS.values(), ids=BAD_PRESETS)
def test_bad_presets(content: str, message: str, files: SimpleNamespace, capsys: Output) -> None:
    Path("bad.json").write_text(content, encoding="utf-8")
    before = contents(files.folder)
    assert main(["apply", "bad.json", files.voice]) == 2
    refused(capsys, "bad.json", message)
    assert contents(files.folder) == before


def test_apply_refuses_bad_files_too(files: SimpleNamespace, capsys: Output) -> None:
    Preset().save("good.json")
    text("text.wav")
    before = contents(files.folder)
    for command, code, message in (
        (["apply", "none.json", files.voice], 2, "none.json cannot be read as a preset"),
        (["apply", files.voice, "good.json"], 2, "voice.wav is not a preset"),
        (["apply", "good.json", "none.wav"], 3, "none.wav does not exist"),
        (["apply", "good.json", "text.wav"], 3, "text.wav is not audio"),
        (["apply", "good.json", files.voice, "-o", files.voice, "--overwrite"], 2, "the input"),
    ):
        assert main(command) == code
        refused(capsys, message)
    assert contents(files.folder) == before


def model_folder(path: Path) -> Path:
    torch.manual_seed(0)
    AFXStyleVAE(statistics=4, embedding_dim=8, difference_dim=4, latent_dim=2).save_pretrained(path)
    return path


def drop_tensor(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    del state[sorted(state)[0]]
    save_file(state, folder / "model.safetensors")


def add_tensor(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    save_file({**state, "extra.weight": torch.zeros(1)}, folder / "model.safetensors")


def alter_tensor(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    name = max(state, key=lambda name: state[name].numel())
    state[name].view(-1)[0] += 1
    save_file(state, folder / "model.safetensors")


def change_range(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["chain"][1]["params"][1]["maximum"] = 10.0
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


def cut_config(folder: Path) -> None:
    (folder / "config.json").write_text("{", encoding="utf-8")


def cut_weights(folder: Path) -> None:
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])


BAD_WEIGHTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a missing tensor": (drop_tensor, "missing "),
    "a tensor left over": (add_tensor, "left over extra.weight"),
    "an altered tensor": (alter_tensor, "altered"),
    "another range": (change_range, "compressor.ratio maximum 10.0 (here 20.0)"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "no model.safetensors"),
    "damaged configuration": (cut_config, "model"),
    "damaged weights": (cut_weights, "model"),
}


@pytest.mark.parametrize(("spoil", "message"), BAD_WEIGHTS.values(), ids=BAD_WEIGHTS)
def test_bad_weights(
    spoil: Callable[[Path], object], message: str, files: SimpleNamespace, capsys: Output
) -> None:
    folder = model_folder(files.folder / "model")
    spoil(folder)
    before = contents(files.folder)
    assert main([*MATCH, "--model", "model"]) == 4
    refused(capsys, message)
    assert contents(files.folder) == before


def test_a_model_that_is_nowhere(files: SimpleNamespace, capsys: Output) -> None:
    before = contents(files.folder)
    assert main([*MATCH, "--model", "nowhere"]) == 4
    refused(capsys, "There is no model folder nowhere")
    assert main(["models", "nowhere"]) == 4
    refused(capsys, "There is no model folder nowhere")
    assert contents(files.folder) == before


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (MemoryError(), 1, "There is not enough memory for this."),
        (RuntimeError("[enforce] can't allocate memory: 9 bytes"), 1, "not enough memory"),
        (RuntimeError("two\nlines"), 1, "Unexpected RuntimeError: two lines"),
        (OSError(28, "No space left on device", "x.wav"), 2, "x.wav: No space left on device."),
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
