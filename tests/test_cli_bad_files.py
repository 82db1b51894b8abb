"""Bad sounds, presets and weights: one sentence, the documented exit code, nothing touched."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file

from afxvae import AFXStyleVAE, Preset
from afxvae.cli import main

from .conftest import MATCH, RATE, Output, QuickModel, contents, refused, write_sound


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
    "unknown effect": (preset_with(lambda v: v["effects"].append({"name": "loop"})), "'loop'"),
    "unknown knob": (
        preset_with(lambda v: v["effects"][0]["settings"].update(peak9_hz=1)),
        "'peak9_hz' is not a knob of eq",
    ),
    "missing knob": (
        preset_with(lambda v: v["effects"][0]["settings"].pop("peak1_hz")),
        "eq lacks a setting for peak1_hz",
    ),
    "out of range": (
        preset_with(lambda v: v["effects"][0]["settings"].update(peak1_hz=5000)),
        "eq.peak1_hz is 5000 Hz, outside its range 60 to 600 Hz",
    ),
    "wrong type": (
        preset_with(lambda v: v["effects"][0]["settings"].update(peak1_hz="high")),
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
